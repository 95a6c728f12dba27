package demo

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/cmd/riffle/internal/demo/load"
	"github.com/riffletrace/riffle/cmd/riffle/internal/demo/receiver"
	"github.com/riffletrace/riffle/cmd/riffle/internal/demo/service"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/spanmetrics"
)

// writer writes metrics as riffle does.
type writer struct {
	t *testing.T
	meters
	calls               metric.Int64Counter
	started, unrecorded metric.Int64Counter
	duration            metric.Float64Histogram
	payments            int // that are counted; the last of all five failed
	overflow            int // spans that are in no series of their own
}

func newWriter(t *testing.T) *writer {
	t.Helper()
	w := &writer{t: t, meters: newMeters()}
	var err error
	must := func() {
		if err != nil {
			t.Fatal(err)
		}
	}
	m := w.Meter("test")
	w.calls, err = m.Int64Counter(spanmetrics.Calls)
	must()
	w.started, err = m.Int64Counter(startedMetric)
	must()
	w.unrecorded, err = m.Int64Counter(unrecordedMetric)
	must()
	w.duration, err = m.Float64Histogram(spanmetrics.Duration, metric.WithExplicitBucketBoundaries(250))
	must()
	return w
}

func (w *writer) spans(n int, kind, name, status string, took time.Duration) {
	of := metric.WithAttributes(attribute.String("span.kind", kind), attribute.String("span.name", name), attribute.String("status.code", status))
	w.calls.Add(w.t.Context(), int64(n), of)
	for range n {
		w.duration.Record(w.t.Context(), float64(took)/float64(time.Millisecond), of)
	}
}

func (w *writer) servers(n int, route, status string, took time.Duration) {
	w.spans(n, "SPAN_KIND_SERVER", route, status, took)
}

func (w *writer) dropped(n int) {
	w.started.Add(w.t.Context(), int64(n), metric.WithAttributes(attribute.String("riffle.outcome", "dropped")))
}

func (w *writer) notRecorded(n int) { w.unrecorded.Add(w.t.Context(), int64(n)) }

const (
	unset  = "STATUS_CODE_UNSET"
	failed = "STATUS_CODE_ERROR"
)

// answers are five requests to each route of the shop, of which one of a checkout failed
// and one of a product was slow.
func answers() []load.Response {
	var all []load.Response
	for _, route := range []string{service.RouteHealth, service.RouteProduct, service.RouteCheckout} {
		for range 5 {
			all = append(all, load.Response{Request: load.Request{Route: route, Health: route == service.RouteHealth}, Status: 200, Duration: time.Millisecond})
		}
	}
	all[5].Slow, all[5].Duration = true, time.Second
	all[10].Fail, all[10].Status = true, 502
	return all
}

func TestIdentity(t *testing.T) {
	tests := map[string]struct {
		change func(*writer)
		// Of the requests; in want is the mistake, "" if there is none.
		calls, failed, slow, dropped, unrecorded int
		want                                     string
	}{
		"all is counted": {
			change: func(w *writer) {
				w.servers(3, service.RouteCheckout, unset, 0)
				w.servers(1, service.RouteCheckout, failed, 0)
				w.dropped(5)
			},
			calls: 10, failed: 1, slow: 1, dropped: 5,
		},
		"some are not recorded": {
			change: func(w *writer) {
				w.servers(2, service.RouteCheckout, unset, 0)
				w.dropped(5)
				w.notRecorded(2)
			},
			calls: 8, slow: 1, dropped: 5, unrecorded: 2,
		},
		"nor of the second service": {
			change: func(w *writer) {
				w.servers(3, service.RouteCheckout, unset, 0)
				w.payments = 3
				w.dropped(5)
				w.notRecorded(3)
			},
			calls: 9, slow: 1, dropped: 5, unrecorded: 1,
		},
		"which a rule may drop as a whole": {
			change: func(w *writer) {
				w.servers(3, service.RouteCheckout, unset, 0)
				w.payments = 0
				w.dropped(10)
				w.notRecorded(1)
			},
			calls: 9, slow: 1, dropped: 5, unrecorded: 1,
		},
		"or in part, while memory lasts": {
			change: func(w *writer) {
				w.servers(3, service.RouteCheckout, unset, 0)
				w.servers(1, service.RouteCheckout, failed, 0)
				w.payments = 3
				w.dropped(7)
			},
			calls: 10, failed: 1, slow: 1, dropped: 5,
		},
		"one is lost": {
			change: func(w *writer) {
				w.servers(3, service.RouteCheckout, unset, 0)
				w.dropped(5)
			},
			calls: 9, slow: 1, dropped: 5, unrecorded: 1,
			want: "the metrics count 19 requests (14 calls, 0 unrecorded and 5 dropped), and the two services answered 20",
		},
		"one is counted twice": {
			change: func(w *writer) {
				w.servers(5, service.RouteCheckout, unset, 0)
				w.servers(1, service.RouteCheckout, failed, 0)
			},
			calls: 12, failed: 1, slow: 1, unrecorded: 3,
			want: "the span metrics count 7 calls of POST /checkout/{id}, of 5 requests that were answered",
		},
		"an error is none": {
			change: func(w *writer) {
				w.servers(4, service.RouteCheckout, unset, 0)
				w.dropped(5)
			},
			calls: 10, slow: 1, dropped: 5,
			want: "the span metrics count 0 errors of POST /checkout/{id}, of 1 requests that failed; 0 were not recorded",
		},
		"what did not fail is an error": {
			change: func(w *writer) {
				w.servers(2, service.RouteCheckout, failed, 0)
				w.dropped(5)
				w.notRecorded(2)
			},
			calls: 8, failed: 2, slow: 1, dropped: 5, unrecorded: 2,
			want: "the span metrics count 2 errors of POST /checkout/{id}",
		},
		"what was not slow is": {
			change: func(w *writer) {
				w.servers(3, service.RouteCheckout, unset, time.Second)
				w.servers(1, service.RouteCheckout, failed, 0)
				w.dropped(5)
			},
			calls: 10, failed: 1, slow: 4, dropped: 5,
			want: "the span metrics count 3 slow calls of POST /checkout/{id}, of 0 to 0 requests that were slow",
		},
		"what has no series": {
			change: func(w *writer) {
				w.overflow = 4
				w.dropped(5)
			},
			calls: 6, slow: 1, dropped: 5, unrecorded: 4,
			want: "4 spans are in the series otel.metric.overflow: raise span_metrics.max_series",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWriter(t)
			// What is the same in all cases: the products, the first checkout, the payments,
			// and spans of other kinds.
			w.servers(4, service.RouteProduct, unset, time.Millisecond)
			w.servers(1, service.RouteProduct, unset, time.Second)
			w.servers(1, service.RouteCheckout, unset, 0)
			w.spans(7, "SPAN_KIND_CLIENT", "HTTP POST", failed, time.Second)
			w.started.Add(t.Context(), 15, metric.WithAttributes(attribute.String("riffle.outcome", "recorded")))
			w.payments = 5
			tc.change(w)
			w.servers(min(w.payments, 4), service.RoutePayment, unset, 0)
			w.servers(w.payments/5, service.RoutePayment, failed, 0)
			if w.overflow > 0 { // the last: the SDK makes no series behind it
				w.calls.Add(t.Context(), int64(w.overflow), metric.WithAttributes(attribute.Bool("otel.metric.overflow", true)))
			}
			counted, err := w.read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r := newResult(&observed{responses: answers(), payments: 5, paymentsFailed: 1, counted: counted, traces: map[trace.TraceID]*receiver.Trace{}})
			if r.Calls != tc.calls || r.CallsError != tc.failed || r.CallsSlow != tc.slow {
				t.Errorf("%d calls, %d failed, %d slow; want %d, %d, %d", r.Calls, r.CallsError, r.CallsSlow, tc.calls, tc.failed, tc.slow)
			}
			if r.RequestsDropped != tc.dropped || r.RequestsUnrecorded != tc.unrecorded {
				t.Errorf("%d dropped, %d unrecorded; want %d, %d", r.RequestsDropped, r.RequestsUnrecorded, tc.dropped, tc.unrecorded)
			}
			switch err := r.check(); {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("the mistake is %v, want one with %q", err, tc.want)
			}
		})
	}
}

// What the user's span metrics say goes on, but for the buckets.
func TestSpanMetrics(t *testing.T) {
	users := &spanmetrics.Config{Dimensions: []string{"tenant.id"}, Exponential: true, MaxSeries: 50}
	got := spanMetrics(users)
	if len(got.Dimensions) != 1 || got.MaxSeries != 50 || got.Exponential || len(got.Buckets) != 1 || got.Buckets[0] != component.Duration(load.Slow) {
		t.Errorf("%+v", got)
	}
	if !users.Exponential || users.Buckets != nil {
		t.Errorf("the user's own were changed: %+v", users)
	}
}
