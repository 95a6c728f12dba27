package observability_test

import (
	"errors"
	"net/http"
	"testing"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/observability"
	"github.com/riffletrace/riffle/core/observability/internal/spantest"
	errorsampler "github.com/riffletrace/riffle/samplers/error"
	"github.com/riffletrace/riffle/samplers/ratio"
)

// A client of a public endpoint decides nothing: not which trace it is, nor whether it
// is kept, here or in the services that are called.
func TestPublicEndpoint(t *testing.T) {
	const client = "4bf92f3577b34da6a3ce929d0e0e4736"
	before := otel.GetTextMapPropagator()
	t.Cleanup(func() { otel.SetTextMapPropagator(before) })
	all, err := autoprop.TextMapPropagator("tracecontext", "baggage", "b3multi", "b3", "jaeger")
	if err != nil {
		t.Fatal(err)
	}
	headers := []string{
		"Traceparent", "00-" + client + "-00f067aa0ba902b7-01", "Tracestate", "ot=th:0;rv:ffffffffffffff,vendor=x",
		"X-B3-Traceid", client, "X-B3-Spanid", "00f067aa0ba902b7", "X-B3-Flags", "1", "X-Public", "yes",
	}
	perRequest := observability.WithPublicEndpointFn(func(r *http.Request) bool { return r.Header.Get("X-Public") != "" })
	for name, option := range map[string]observability.MiddlewareOption{"always": observability.WithPublicEndpoint(), "per request": perRequest} {
		t.Run(name, func(t *testing.T) {
			out := spantest.Install(t, core.Spec{Samplers: []core.SamplerEntry{core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 1})}})
			otel.SetTextMapPropagator(all)
			sent := http.Header{}
			serveTest(t, observability.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				otel.GetTextMapPropagator().Inject(r.Context(), propagation.HeaderCarrier(sent))
			}), option), "GET", "/", headers...)
			got := out()
			if len(got) != 1 || got[0].SpanContext.TraceID().String() == client || got[0].Parent.IsValid() {
				t.Fatalf("spans = %v, want a new trace", got)
			}
			if links := got[0].Links; len(links) != 1 || links[0].SpanContext.TraceID().String() != client || links[0].SpanContext.TraceState().Len() > 0 {
				t.Errorf("links = %v, want the client's context without its tracestate", links)
			}
			if state := got[0].SpanContext.TraceState(); state.Get("vendor") != "" || state.Get("ot") != "th:0" {
				t.Errorf("tracestate %q", state)
			}
			if sent.Get("X-B3-Flags") != "" || sent.Get("X-B3-Sampled") != "1" {
				t.Errorf("sends on %v, want no debug flag", sent)
			}
		})
	}
	t.Run("of others", func(t *testing.T) {
		out := spantest.Install(t, core.Spec{Samplers: []core.SamplerEntry{core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 1})}})
		serveTest(t, observability.Middleware(testMux(), perRequest), "GET", "/missing", headers[:4]...)
		if got := out(); len(got) != 1 || got[0].SpanContext.TraceID().String() != client {
			t.Errorf("spans = %v, want the client's trace", got)
		}
	})
}

func TestHeadersLeftOut(t *testing.T) {
	for _, tt := range []struct {
		options     []observability.MiddlewareOption
		id, sampled bool
	}{
		{nil, true, true},
		{[]observability.MiddlewareOption{observability.WithoutTraceIDHeader()}, false, true},
		{[]observability.MiddlewareOption{observability.WithoutTraceSampledHeader()}, true, false},
		{[]observability.MiddlewareOption{observability.WithoutTraceIDHeader(), observability.WithoutTraceSampledHeader()}, false, false},
	} {
		spantest.Install(t, core.Spec{})
		h := serveTest(t, observability.Middleware(testMux(), tt.options...), "GET", "/ok/1").Header()
		_, id := h[http.CanonicalHeaderKey(observability.TraceIDHeader)]
		_, sampled := h[http.CanonicalHeaderKey(observability.TraceSampledHeader)]
		if id != tt.id || sampled != tt.sampled {
			t.Errorf("headers %v, want ID %v, sampled %v", h, tt.id, tt.sampled)
		}
	}
}

// Nothing is recorded below a path that is left out, whatever a client says and
// whatever fails there.
func TestNothingFailsBelowPathsLeftOut(t *testing.T) {
	failing := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, span := observability.StartSpan(r.Context(), "inside")
		if span.IsRecording() {
			t.Error("a span below it is recorded")
		}
		observability.RecordError(r.Context(), errors.New("no"))
		span.SetStatus(codes.Error, "no")
		span.End()
	})
	for _, traceparent := range []string{"", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"} {
		for _, options := range [][]observability.MiddlewareOption{nil, {observability.WithPublicEndpoint()}} {
			out := spantest.Install(t, core.Spec{Samplers: []core.SamplerEntry{
				core.UseSampler(errorsampler.Factory, "", errorsampler.Config{}), core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 1}),
			}})
			serveTest(t, observability.Middleware(failing, options...), "GET", "/health", "Traceparent", traceparent, "Tracestate", "ot=th:0")
			if got := out(); len(got) != 0 {
				t.Errorf("below a path that is left out: %v", got)
			}
		}
	}
}
