package demo

import (
	"fmt"
	"math"

	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/riffletrace/riffle/cmd/riffle/internal/demo/load"
	"github.com/riffletrace/riffle/cmd/riffle/internal/demo/receiver"
	"github.com/riffletrace/riffle/core"
)

// Result compares what the load driver saw with what arrived at the backend.
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
	RequestsDropped       int `json:"requests_dropped"`

	// Of the traces, as the backend received them.
	TracesKept      int `json:"traces_kept"`
	TracesKeptError int `json:"traces_kept_error"`
	TracesKeptSlow  int `json:"traces_kept_slow"`
	SpansExported   int `json:"spans_exported"`

	// WeightedRequests is the sum of the adjusted counts of the kept server
	// roots: an estimate of Requests-RequestsDropped. WeightedStandardError is
	// its standard error, estimated from the same weights.
	WeightedRequests      float64 `json:"weighted_requests"`
	WeightedStandardError float64 `json:"weighted_requests_standard_error"`

	Exporters []Exporter `json:"exporters"`

	// Samples are a few of the kept traces: one that failed, one that was slow
	// and one that was neither, where there are such.
	Samples [][]*tracepb.ResourceSpans `json:"-"`

	received   int // traces at the backend; more than TracesKept if propagators part the two services
	handedOver uint64

	healthKept int
}

// Exporter is what became of the spans handed over to one exporter.
type Exporter struct {
	Name string `json:"name"`
	Sent uint64 `json:"sent"`
	Lost uint64 `json:"lost"`
}

func newResult(responses []load.Response, traces map[trace.TraceID]*receiver.Trace, stats core.Stats) *Result {
	r := &Result{Requests: len(responses), RequestsDropped: int(stats.Dropped), received: len(traces)}
	var failed, slow, plain []*tracepb.ResourceSpans
	var variance float64
	for i := range responses {
		resp := &responses[i]
		count(&r.RequestsError, resp.IsError())
		count(&r.RequestsSlow, resp.Slow && resp.TookLong())
		count(&r.RequestsSlowUnplanned, !resp.Slow && resp.TookLong())
		count(&r.RequestsHealth, resp.Health)

		t := traces[resp.TraceID]
		if t == nil {
			continue
		}
		r.TracesKept++
		count(&r.healthKept, resp.Health)
		count(&r.TracesKeptError, resp.IsError())
		count(&r.TracesKeptSlow, resp.Slow && resp.TookLong())
		r.WeightedRequests += t.Weight
		if t.Weight > 1 {
			variance += t.Weight * (t.Weight - 1)
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
	r.WeightedStandardError = math.Sqrt(variance)
	for _, t := range traces {
		r.SpansExported += t.Spans
	}
	for _, e := range stats.Exporters {
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

// check finds spans that were lost on the way to the demo's own backend: then
// the figures mean nothing.
func (r *Result) check() error {
	if uint64(r.SpansExported) != r.handedOver {
		return fmt.Errorf("the demo's receiver got %d of the %d spans handed over to its exporter", r.SpansExported, r.handedOver)
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
