package outside_test

import (
	"context"
	"net/http"
	"testing"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/internal/outside"
)

const id, span = "0102030405060708090a0b0c0d0e0f10", "0102030405060708"

// What a client says in each format, with the flag that means "debug" in it.
var said = map[string]http.Header{
	"b3":           {"B3": {id + "-" + span + "-d"}},
	"b3multi":      {"X-B3-Traceid": {id}, "X-B3-Spanid": {span}, "X-B3-Flags": {"1"}},
	"jaeger":       {"Uber-Trace-Id": {id + ":" + span + ":0:3"}},
	"xray":         {"X-Amzn-Trace-Id": {"Root=1-01020304-05060708090a0b0c0d0e0f10;Parent=" + span + ";Sampled=1"}},
	"tracecontext": {"Traceparent": {"00-" + id + "-" + span + "-01"}, "Tracestate": {"ot=th:0;rv:ffffffffffffff"}},
	"baggage":      {"Baggage": {"tenant=gold"}},
}

// Whatever flag of a client a propagator has read, what it sends on says no more than
// the span that is current then.
func TestNothingElseGoesOn(t *testing.T) {
	for name, header := range said {
		t.Run(name, func(t *testing.T) {
			p, err := autoprop.TextMapPropagator(name)
			if err != nil {
				t.Fatal(err)
			}
			ours := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
			sent := func(ctx context.Context) http.Header {
				h := http.Header{}
				p.Inject(trace.ContextWithSpanContext(ctx, ours), propagation.HeaderCarrier(h))
				return h
			}
			got := outside.Propagator(p).Extract(context.Background(), propagation.HeaderCarrier(header))
			want := context.Background()
			if name == "baggage" {
				want = baggage.ContextWithBaggage(want, baggage.FromContext(got))
				if baggage.FromContext(got).Member("tenant").Value() != "gold" {
					t.Error("the baggage is lost")
				}
			} else if sc := trace.SpanContextFromContext(got); sc.TraceID().String() != id || !sc.IsRemote() {
				t.Errorf("span context = %v, want the client's", sc)
			}
			for key, value := range sent(got) {
				if w := sent(want)[key]; len(w) != 1 || w[0] != value[0] {
					t.Errorf("sends on %s: %s, want %q", key, value, w)
				}
			}
		})
	}
}

func TestWhatWasThereStays(t *testing.T) {
	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	p := outside.Propagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	for _, h := range []http.Header{{}, {"Traceparent": {"00-0-0-01"}}, {"Tracestate": {"ot=th:0"}}, {"Baggage": {";;"}}} {
		if got := p.Extract(ctx, propagation.HeaderCarrier(h)); got != ctx {
			t.Errorf("headers %v changed the context", h)
		}
	}
	if got := p.Fields(); len(got) != 3 {
		t.Errorf("Fields() = %q", got)
	}
}
