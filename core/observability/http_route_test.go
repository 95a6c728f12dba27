package observability_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/observability"
)

// atStart remembers what a sampler is told.
type atStart struct{ name, route string }

func (a *atStart) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	a.name, a.route = p.Name, ""
	for _, kv := range p.Attributes {
		if kv.Key == "http.route" {
			a.route = kv.Value.AsString()
		}
	}
	return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample, Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState()}
}

func (*atStart) Description() string { return "remembers" }

type contextKey struct{}

func setProvider(t testing.TB, p trace.TracerProvider) {
	t.Helper()
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(p)
	t.Cleanup(func() { otel.SetTracerProvider(before) })
}

// A sampler knows the pattern of a mux when a span starts, and it is the one at the end.
func TestRouteAtStart(t *testing.T) {
	mux := http.NewServeMux()
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, pattern := range []string{"GET /ok/{id}", "example.com/broken/{x...}", "/tree/"} {
		mux.Handle(pattern, ok)
	}
	inner := http.NewServeMux()
	inner.Handle("/nested/{id}", ok)
	mux.Handle("/nested/", inner)
	all := http.NewServeMux()
	all.Handle("/", ok)
	wrapped := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, 1)))
	})
	type outcome struct{ Start, StartRoute, End, EndRoute string }
	both := func(name, route string) outcome { return outcome{name, route, name, route} }
	direct, named, unknown := observability.Middleware(mux), observability.Middleware(wrapped, observability.WithMux(mux)), observability.Middleware(wrapped)
	for _, tt := range []struct {
		name        string
		handler     http.Handler
		method, url string
		want        outcome
	}{
		{"a mux", direct, "GET", "/ok/7", both("GET /ok/{id}", "/ok/{id}")},
		{"a mux, HEAD", direct, "HEAD", "/ok/7", both("HEAD /ok/{id}", "/ok/{id}")},
		{"a pattern with a host", direct, "GET", "http://example.com/broken/a/b", both("GET /broken/{x...}", "/broken/{x...}")},
		{"nothing is there", direct, "GET", "/nowhere", both("GET", "")},
		{"not with this method", direct, "POST", "/ok/7", both("POST", "")},
		{"redirected to a slash", direct, "GET", "/tree", both("GET /tree/", "/tree/")},
		{"redirected to a clean path", direct, "GET", "//ok/./7", both("GET /ok/{id}", "/ok/{id}")},
		{"an encoded slash", direct, "GET", "/ok/a%2Fb", both("GET /ok/{id}", "/ok/{id}")},
		{"of the server", observability.Middleware(all), "OPTIONS", "*", both("OPTIONS", "")},
		{"a mux in a mux", direct, "GET", "/nested/x", outcome{"GET /nested/", "/nested/", "GET /nested/{id}", "/nested/{id}"}},
		{"wrapped, and named", named, "GET", "/ok/7", both("GET /ok/{id}", "/ok/{id}")},
		{"wrapped", unknown, "GET", "/ok/7", both("GET", "")},
		{"another handler", observability.Middleware(http.NotFoundHandler()), "GET", "/ok/7", both("GET", "")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sampler, out := &atStart{}, tracetest.NewInMemoryExporter()
			setProvider(t, sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithSyncer(out)))
			r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.url, http.NoBody)
			tt.handler.ServeHTTP(httptest.NewRecorder(), r)
			spans := out.GetSpans()
			if len(spans) != 1 {
				t.Fatalf("%d spans", len(spans))
			}
			got := outcome{Start: sampler.name, StartRoute: sampler.route, End: spans[0].Name}
			for _, kv := range spans[0].Attributes {
				if kv.Key == "http.route" {
					got.EndRoute = kv.Value.AsString()
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A mux that is nil is none.
func TestNoMux(t *testing.T) {
	setProvider(t, sdktrace.NewTracerProvider())
	var none *http.ServeMux
	if w := serveTest(t, observability.Middleware(http.NotFoundHandler(), observability.WithMux(none)), "GET", "/x"); w.Code != http.StatusNotFound {
		t.Errorf("status %d", w.Code)
	}
}
