package demo

import (
	"fmt"
	"maps"
	"slices"

	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/riffletrace/riffle/cmd/riffle/internal/demo/load"
	"github.com/riffletrace/riffle/cmd/riffle/internal/demo/receiver"
	"github.com/riffletrace/riffle/cmd/riffle/internal/demo/service"
	"github.com/riffletrace/riffle/core"
)

// Result compares what the load driver saw with what riffle's metrics counted and with
// what arrived at the backend.
type Result struct {
	Seed        uint64  `json:"seed"`
	Seconds     float64 `json:"seconds"`
	Interrupted bool    `json:"interrupted"`

	// Of the requests, as the load driver saw them answered. Requests counts
	// all, health checks and dropped ones too.
	Requests              int `json:"requests"`
	RequestsError         int `json:"requests_error"`
	RequestsSlow          int `json:"requests_slow"`
	RequestsSlowUnplanned int `json:"requests_slow_unplanned"`
	RequestsHealth        int `json:"requests_health"`

	// Of the requests, as riffle's metrics count them, whether or not their traces are
	// kept. Calls, RequestsDropped and RequestsUnrecorded make Requests.
	Calls              int `json:"calls"`
	CallsError         int `json:"calls_error"`
	CallsSlow          int `json:"calls_slow"`
	RequestsDropped    int `json:"requests_dropped"`
	RequestsUnrecorded int `json:"requests_unrecorded"`

	// Of the traces, as the backend received them.
	TracesKept        int `json:"traces_kept"`
	TracesKeptError   int `json:"traces_kept_error"`
	TracesKeptSlow    int `json:"traces_kept_slow"`
	TracesKeptSampled int `json:"traces_kept_sampled"`
	SpansExported     int `json:"spans_exported"`

	// WeightedRequests is the sum of the adjusted counts of the kept server
	// roots: an estimate of Requests-RequestsDropped. WeightedStandardError is
	// its standard error, estimated from the same weights; nil if they do not tell.
	WeightedRequests      float64  `json:"weighted_requests"`
	WeightedStandardError *float64 `json:"weighted_requests_standard_error"`
	// The same for the server roots that say that they failed, or took long.
	WeightedError              float64  `json:"weighted_error"`
	WeightedErrorStandardError *float64 `json:"weighted_error_standard_error"`
	WeightedSlow               float64  `json:"weighted_slow"`
	WeightedSlowStandardError  *float64 `json:"weighted_slow_standard_error"`

	Exporters []Exporter `json:"exporters"`

	// Samples are a few of the kept traces: one that failed, one that was slow
	// and one that was neither, where there are such.
	Samples [][]*tracepb.ResourceSpans `json:"-"`

	truth    map[string]*answered // by route; of both services
	counted  *counted
	weighted struct{ all, failed, slow weighted }
	letGo    int // segments that were let go for lack of memory
	rootless int // kept traces without a root

	received   int // traces at the backend; more than TracesKept if propagators part the two services
	handedOver uint64

	healthKept int
}

// answered is how many requests of a route were answered, how many of them with an
// error, and how many were slow: surely, and at most.
type answered struct{ all, failed, slow, slowest int }

// Exporter is what became of the spans handed over to one exporter.
type Exporter struct {
	Name string `json:"name"`
	Sent uint64 `json:"sent"`
	Lost uint64 `json:"lost"`
}

// observed is what a result is made of.
type observed struct {
	responses []load.Response
	// What the second service answered.
	payments, paymentsFailed int
	traces                   map[trace.TraceID]*receiver.Trace
	counted                  *counted
	stats                    core.Stats
}

func newResult(o *observed) *Result {
	r := &Result{Requests: len(o.responses), received: len(o.traces), counted: o.counted, letGo: int(o.stats.UnderPressure)}
	r.truth = map[string]*answered{service.RoutePayment: {all: o.payments, failed: o.paymentsFailed, slowest: o.payments}}
	var failed, slow, plain []*tracepb.ResourceSpans
	for i := range o.responses {
		resp := &o.responses[i]
		r.addResponse(resp)
		t := o.traces[resp.TraceID]
		if t == nil {
			continue
		}
		r.TracesKept++
		count(&r.healthKept, resp.Health)
		count(&r.TracesKeptError, resp.IsError())
		count(&r.TracesKeptSlow, resp.Slow && resp.TookLong())
		if t.Root == nil {
			r.rootless++ // let go for lack of memory, unlike what the second service did
		} else {
			r.addRoot(t)
		}
		switch {
		case resp.IsError():
			failed = larger(failed, t.Whole)
		case resp.Slow || resp.TookLong():
			slow = larger(slow, t.Whole)
		default:
			plain = larger(plain, t.Whole)
		}
	}
	r.addCalls(o)
	r.addWeighted()
	for _, t := range o.traces {
		r.SpansExported += t.Spans
	}
	for _, e := range o.stats.Exporters {
		r.Exporters = append(r.Exporters, Exporter{Name: e.Name, Sent: e.Sent, Lost: e.Lost})
		if e.Name == receiverName {
			r.handedOver = e.HandedOver
		}
	}
	for _, spans := range [][]*tracepb.ResourceSpans{failed, slow, plain} {
		if len(spans) > 0 {
			r.Samples = append(r.Samples, spans)
		}
	}
	return r
}

// addResponse adds what the load driver saw.
func (r *Result) addResponse(resp *load.Response) {
	count(&r.RequestsError, resp.IsError())
	count(&r.RequestsSlow, resp.Slow && resp.TookLong())
	count(&r.RequestsSlowUnplanned, !resp.Slow && resp.TookLong())
	count(&r.RequestsHealth, resp.Health)
	of := r.truth[resp.Route]
	if of == nil {
		of = new(answered)
		r.truth[resp.Route] = of
	}
	of.all++
	count(&of.failed, resp.IsError())
	count(&of.slow, resp.Slow)
	count(&of.slowest, resp.TookLong())
}

// addRoot adds what a kept server root says.
func (r *Result) addRoot(t *receiver.Trace) {
	r.weighted.all.add(t.Weight)
	if t.Failed() {
		r.weighted.failed.add(t.Weight)
	}
	if t.Duration() >= load.Slow {
		r.weighted.slow.add(t.Weight)
	}
}

// addCalls adds what the metrics say of the shop. They count what was not recorded for
// both services together. What the second one did not record it dropped, if memory was
// never short, or if it recorded nothing: a rule sees no difference between its requests.
func (r *Result) addCalls(o *observed) {
	for route := range r.truth {
		if route != service.RoutePayment {
			c := o.counted.servers[route]
			r.Calls += c.all
			r.CallsError += c.failed
			r.CallsSlow += c.slow
		}
	}
	missing, ofPayments := r.Requests-r.Calls, o.payments-o.counted.servers[service.RoutePayment].all
	r.RequestsDropped = o.counted.dropped
	if o.counted.unrecorded == 0 || ofPayments == o.payments {
		r.RequestsDropped -= min(r.RequestsDropped, ofPayments)
	}
	r.RequestsDropped = min(r.RequestsDropped, missing)
	r.RequestsUnrecorded = missing - r.RequestsDropped
}

func (r *Result) addWeighted() {
	set := func(w *weighted, requests int, sum *float64, standardError **float64) {
		*sum = w.sum
		if e, ok := w.standardError(requests); ok {
			*standardError = &e
		}
	}
	w := &r.weighted
	set(&w.all, r.Calls+r.RequestsUnrecorded, &r.WeightedRequests, &r.WeightedStandardError)
	set(&w.failed, r.ofCalls(r.CallsError), &r.WeightedError, &r.WeightedErrorStandardError)
	set(&w.slow, r.ofCalls(r.CallsSlow), &r.WeightedSlow, &r.WeightedSlowStandardError)
	r.TracesKeptSampled = w.all.sampled
}

// ofCalls is how many requests there were of which so many were counted; -1 if some were
// not recorded, since nobody knows of what kind those are.
func (r *Result) ofCalls(n int) int {
	if r.RequestsUnrecorded > 0 {
		return -1
	}
	return n
}

// check finds spans that were lost on the way to the demo's own backend, and requests
// that the metrics count otherwise than the load driver: then the figures mean nothing.
func (r *Result) check() error {
	if uint64(r.SpansExported) != r.handedOver {
		return fmt.Errorf("the demo's receiver got %d of the %d spans handed over to its exporter", r.SpansExported, r.handedOver)
	}
	err := r.checkCounts()
	if err != nil && r.counted.overflow > 0 {
		return fmt.Errorf("%w; %d spans are in the series otel.metric.overflow: raise span_metrics.max_series, or take dimensions with fewer values", err, r.counted.overflow)
	}
	return err
}

func (r *Result) checkCounts() error {
	var all, called int
	for _, route := range slices.Sorted(maps.Keys(r.truth)) {
		truth, c := r.truth[route], r.counted.servers[route]
		missing := truth.all - c.all
		switch {
		case missing < 0:
			return fmt.Errorf("the span metrics count %d calls of %s, of %d requests that were answered", c.all, route, truth.all)
		case c.failed > truth.failed || c.failed < truth.failed-missing:
			return fmt.Errorf("the span metrics count %d errors of %s, of %d requests that failed; %d were not recorded", c.failed, route, truth.failed, missing)
		case c.slow > truth.slowest || c.slow < truth.slow-missing:
			return fmt.Errorf("the span metrics count %d slow calls of %s, of %d to %d requests that were slow; %d were not recorded", c.slow, route, truth.slow, truth.slowest, missing)
		}
		all += truth.all
		called += c.all
	}
	if exact := called + r.counted.unrecorded + r.counted.dropped; exact != all {
		return fmt.Errorf("the metrics count %d requests (%d calls, %d unrecorded and %d dropped), and the two services answered %d", exact, called, r.counted.unrecorded, r.counted.dropped, all)
	}
	return nil
}

func count(n *int, is bool) {
	if is {
		*n++
	}
}

// larger returns the trace with more spans.
func larger(a, b []*tracepb.ResourceSpans) []*tracepb.ResourceSpans {
	if len(b) > len(a) {
		return b
	}
	return a
}
