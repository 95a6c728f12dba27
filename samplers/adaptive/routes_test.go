package adaptive_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/adaptive"
)

// defaults is a configuration in which only the target is set.
func defaults(tb testing.TB, perSecond float64, at adaptive.Moment) adaptive.Config {
	tb.Helper()
	plan := adaptive.Factory.Plan("", func(into any) error {
		c, ok := into.(*adaptive.Config)
		if !ok {
			return fmt.Errorf("the configuration is a %T", into)
		}
		c.TargetPerSecond, c.At = perSecond, at
		return nil
	})
	c, ok := plan.Config().(adaptive.Config)
	if !ok {
		tb.Fatal(plan.Err())
	}
	return c
}

// Behind a ServeMux that is wrapped once, every GET has the same name, and when it
// starts no route. It has one when it ends only if the mux is wrapped directly.
func TestRareRouteBehindServeMux(t *testing.T) {
	for _, at := range []adaptive.Moment{adaptive.Start, adaptive.End} {
		t.Run(string(at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { rareRoute(t, at) })
		})
	}
}

func rareRoute(t *testing.T, at adaptive.Moment) {
	out := tracetest.NewInMemoryExporter()
	memory := component.NewFactory("memory", struct{}{}, func(context.Context, component.Settings, struct{}) (sdktrace.SpanExporter, error) {
		return out, nil
	})
	p, err := core.New(t.Context(), core.Spec{
		Enabled:   true,
		Samplers:  []core.SamplerEntry{core.UseSampler(adaptive.Factory, "", defaults(t, 2, at))},
		Exporters: []core.ExporterEntry{core.UseExporter(memory, "", struct{}{})},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{name}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /reports/{id}", func(http.ResponseWriter, *http.Request) {})
	h := otelhttp.NewHandler(mux, "", otelhttp.WithTracerProvider(p.TracerProvider()))
	get := func(path string) {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
	}
	const seconds, busy = 60, 100
	for i := range seconds * busy {
		time.Sleep(time.Second / busy)
		get(fmt.Sprintf("/users/name-%c%c", 'g'+i%17, 'g'+i/17%19))
		if i%busy == 0 {
			get("/reports/" + []string{"sales", "costs", "7"}[i/busy%3])
		}
	}
	// An exporter that is shut down forgets its spans.
	if err := p.ForceFlush(context.Background()); err != nil {
		t.Fatal(err)
	}
	rare := 0
	spans := out.GetSpans()
	for _, s := range spans {
		for _, kv := range s.Attributes {
			if kv.Key == "url.path" && kv.Value.AsString()[:5] == "/repo" {
				rare++
			}
		}
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if rare < 58 {
		t.Errorf("%d of 60 requests to a rare route are kept", rare)
	}
	// Until enough users were seen, each of some has a target to itself.
	if n := len(spans) - rare; n > 900 {
		t.Errorf("%d of %d requests to a busy route are kept, at 2 a second", n, seconds*busy)
	}
}

// What is kept does not grow with the number of users.
func TestManyUsers(t *testing.T) {
	kept := func(users int) (sum float64) {
		s := newSampler(t, defaults(t, 1, adaptive.Start))
		for i := range 20_000 {
			time.Sleep(10 * time.Millisecond)
			path := fmt.Sprintf("/u-%c%c%c", 'g'+i%users%19, 'g'+i%users/19%19, 'g'+i%users/361)
			p := sampling.StartParameters{Name: "GET", Attributes: []attribute.KeyValue{attribute.String("url.path", path)}}
			if i%2 == 0 {
				p = sampling.StartParameters{Name: "GET " + path}
			}
			if i > 10_000 {
				sum += ask(t, s, p).Probability()
			} else {
				ask(t, s, p)
			}
		}
		return sum
	}
	synctest.Test(t, func(t *testing.T) {
		few, many := kept(50), kept(5000)
		if few > 400 || many > 400 {
			t.Errorf("with 50 users %.0f are kept in 100 s, with 5000 %.0f, want about 200", few, many)
		}
	})
}

// At the end, what is known then tells traces apart, and a span that is not the local
// root is none.
func TestAtTheEnd(t *testing.T) {
	root := func(status codes.Code, kvs ...attribute.KeyValue) sampling.EndParameters {
		stub := tracetest.SpanStub{Name: "GET", Status: sdktrace.Status{Code: status}, Attributes: kvs}
		return sampling.EndParameters{Span: stub.Snapshot(), LocalRoot: true}
	}
	failing := func(kind string) sampling.EndParameters {
		p := root(codes.Unset)
		stub := tracetest.SpanStubFromReadOnlySpan(p.Span)
		if kind != "" {
			stub.Events = []sdktrace.Event{
				{Name: "exception", Attributes: []attribute.KeyValue{attribute.String("exception.type", kind)}},
				{Name: "retry", Attributes: []attribute.KeyValue{attribute.String("exception.type", "none")}},
			}
		}
		p.Span = stub.Snapshot()
		return p
	}
	busy := root(codes.Unset, attribute.String("http.route", "/a"))
	for _, tt := range []struct {
		what  string
		key   []string
		other sampling.EndParameters
		same  bool
	}{
		{"route", []string{"route"}, root(codes.Unset, attribute.String("http.route", "/b")), false},
		{"same route", []string{"route"}, root(codes.Error, attribute.String("http.route", "/a")), true},
		{"status", []string{"status"}, root(codes.Error), false},
		{"same status", []string{"status"}, root(codes.Unset), true},
		{"status code", []string{"http.response.status_code"}, root(codes.Unset, attribute.Int("http.response.status_code", 503)), false},
		{"exception", []string{"exception.type"}, failing("timeout"), false},
		{"same exception", []string{"exception.type"}, failing(""), true},
		{"error type", []string{"error.type"}, root(codes.Unset, attribute.String("error.type", "timeout")), false},
	} {
		t.Run(tt.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := build(t, adaptive.Config{TargetPerSecond: 1, Key: tt.key, At: adaptive.End}).(sampling.EndSampler)
				for range 100 {
					s.SampleEnd(busy)
				}
				child := tt.other
				child.LocalRoot = false
				if a := s.SampleEnd(child); !a.IsAbstain() {
					t.Errorf("of a span that is not the local root: %v", a)
				}
				tt.other.Open = true // a root that is overdue is decided too
				if th, ok := s.SampleEnd(tt.other).Threshold(); !ok || (th != sampling.Always) != tt.same {
					t.Errorf("the threshold of another is %v, %v; want that they share a target: %v", th, ok, tt.same)
				}
			})
		})
	}
}
