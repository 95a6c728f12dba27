package observability_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/observability"
	"github.com/riffletrace/riffle/core/observability/internal/spantest"
	"github.com/riffletrace/riffle/core/sampling"
	errorsampler "github.com/riffletrace/riffle/samplers/error"
	"github.com/riffletrace/riffle/samplers/ratio"
)

// testMux has a route for each way to answer.
func testMux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ok/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, span := observability.StartSpan(r.Context(), "inside")
		span.End()
		if r.Header.Get("X-Force") != "" {
			w.Header().Set("Leak", "yes")
		}
	})
	mux.HandleFunc("/missing", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	mux.HandleFunc("example.com/broken/{x...}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	mux.HandleFunc("/panic/{id}", func(http.ResponseWriter, *http.Request) { panic(errBoom) })
	mux.HandleFunc("/health", func(_ http.ResponseWriter, r *http.Request) {
		_, span := observability.StartDBSpan(r.Context(), "select", "")
		observability.EndDBSpan(span, nil)
	})
	return mux
}

var errBoom = errors.New("boom")

func serveTest(t *testing.T, h http.Handler, method, url string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestMiddleware(t *testing.T) {
	tests := []struct {
		method, url string
		name, route string
		status      codes.Code
	}{
		{"GET", "/ok/7", "GET /ok/{id}", "/ok/{id}", codes.Unset},
		{"GET", "/missing", "GET /missing", "/missing", codes.Unset},
		{"GET", "http://example.com/broken/a/b", "GET /broken/{x...}", "/broken/{x...}", codes.Error},
		{"GET", "/nowhere", "GET", "", codes.Unset},
	}
	h := observability.Middleware(testMux())
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			spans := spantest.Record(t)
			w := serveTest(t, h, tt.method, tt.url)
			s := spans.One(tt.name)
			if got := spantest.Attributes(s)["http.route"]; got != tt.route {
				t.Errorf("http.route = %q, want %q", got, tt.route)
			}
			if s.Status.Code != tt.status || s.SpanKind != trace.SpanKindServer {
				t.Errorf("status %v, kind %v", s.Status, s.SpanKind)
			}
			if got := w.Header().Get("X-Trace-ID"); got != s.SpanContext.TraceID().String() {
				t.Errorf("X-Trace-ID = %q", got)
			}
			if got := w.Header().Get("X-Trace-Sampled"); got != "1" {
				t.Errorf("X-Trace-Sampled = %q", got)
			}
		})
	}
}

func TestMiddlewarePanic(t *testing.T) {
	spans := spantest.Record(t)
	func() {
		defer func() {
			if v := recover(); v != errBoom { //nolint:errorlint // the very value
				t.Errorf("the panic goes on as %v", v)
			}
		}()
		serveTest(t, observability.Middleware(testMux()), "GET", "/panic/1")
	}()
	s := spans.One("GET /panic/{id}")
	if s.Status.Code != codes.Error || s.Status.Description != "panic: boom" {
		t.Errorf("status %v", s.Status)
	}
	if len(s.Events) != 1 {
		t.Fatalf("events %v", s.Events)
	}
	e := spantest.Events(s)["exception"]
	if e["exception.type"] != "*errors.errorString" || e["exception.message"] != "boom" || !strings.Contains(e["exception.stacktrace"], "testMux") {
		t.Errorf("exception %v", e)
	}
	if got := spantest.Attributes(s)["http.route"]; got != "/panic/{id}" {
		t.Errorf("http.route = %q", got)
	}
}

func TestPathsLeftOut(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, traceparent := range []string{"", parent} {
		out := spantest.Install(t, core.Spec{})
		w := serveTest(t, observability.Middleware(testMux()), "GET", "/health", "Traceparent", traceparent)
		if got := w.Header().Get("X-Trace-ID"); got != "" {
			t.Errorf("X-Trace-ID = %q", got)
		}
		serveTest(t, observability.Middleware(testMux(), observability.WithPathsLeftOut("/missing")), "GET", "/missing", "Traceparent", traceparent)
		if got := out(); len(got) != 0 {
			t.Errorf("below a path that is left out: %v", got)
		}
		serveTest(t, observability.Middleware(testMux(), observability.WithPathsLeftOut()), "GET", "/health", "Traceparent", traceparent)
		if got := out(); len(got) != 2 {
			t.Errorf("nothing is left out, and there are %d spans", len(got))
		}
	}
}

func TestSampledHeader(t *testing.T) {
	none := core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0})
	for want, samplers := range map[string][]core.SamplerEntry{
		"1":     {core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 1})},
		"0":     {none},
		"maybe": {core.UseSampler(errorsampler.Factory, "", errorsampler.Config{}), none},
	} {
		spantest.Install(t, core.Spec{Samplers: samplers})
		w := serveTest(t, observability.Middleware(testMux()), "GET", "/ok/1")
		if got := w.Header().Get("X-Trace-Sampled"); got != want {
			t.Errorf("X-Trace-Sampled = %q, want %q", got, want)
		}
		if len(w.Header().Get("X-Trace-ID")) != 32 {
			t.Errorf("X-Trace-ID = %q", w.Header().Get("X-Trace-ID"))
		}
	}
}

func TestForceHeader(t *testing.T) {
	none := core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0})
	for _, watch := range []bool{false, true} {
		samplers := []core.SamplerEntry{none}
		if watch {
			samplers = []core.SamplerEntry{core.UseSampler(errorsampler.Factory, "", errorsampler.Config{}), none}
		}
		for _, tt := range []struct {
			name, secret, value string
			kept                bool
		}{
			{"right", "s3cret", "s3cret", true},
			{"wrong", "s3cret", "s3cre", false},
			{"none", "s3cret", "", false},
			{"no secret", "", "", false},
			{"no secret, but a value", "", "x", false},
		} {
			t.Run(tt.name, func(t *testing.T) {
				out := spantest.Install(t, core.Spec{Samplers: samplers})
				h := observability.Middleware(testMux(), observability.WithForceHeader("x-force", tt.secret))
				var header []string
				if tt.value != "" {
					header = []string{"X-Force", tt.value}
				}
				w := serveTest(t, h, "GET", "/ok/1", header...)
				got := out()
				if kept := len(got) == 2; kept != tt.kept {
					t.Fatalf("%d spans arrived, want kept = %v", len(got), tt.kept)
				}
				for _, s := range got {
					if th := sampling.ThresholdOf(s.SpanContext); th != sampling.Always {
						t.Errorf("%s has the threshold %s", s.Name, th)
					}
				}
				if tt.kept && (w.Header().Get("X-Trace-Sampled") != "1" || w.Header().Get("Leak") != "") {
					t.Errorf("headers %v", w.Header())
				}
			})
		}
	}
}

// Without a provider, a middleware serves and says nothing. The global one of
// OpenTelemetry stays with the first that was ever set, which other tests did.
func TestMiddlewareWithoutProvider(t *testing.T) {
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(noop.NewTracerProvider())
	t.Cleanup(func() { otel.SetTracerProvider(before) })
	otel.SetTextMapPropagator(propagation.TraceContext{})
	w := serveTest(t, observability.Middleware(testMux()), "GET", "/ok/1")
	if w.Code != http.StatusOK || w.Header().Get("X-Trace-ID") != "" {
		t.Errorf("status %d, headers %v", w.Code, w.Header())
	}
}
