package exportertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/core/delivery"
)

// recorder is a testing.TB that fails nobody.
type recorder struct {
	testing.TB // the real one; what may fail it is below
	mu         sync.Mutex
	failures   []string
	cleanups   []func()
}

func (*recorder) Helper()             {}
func (*recorder) Logf(string, ...any) {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func failuresOf(t *testing.T, c testCase, newExporter func() sdktrace.SpanExporter) []string {
	t.Helper()
	r := &recorder{TB: t}
	c.run(r, func(testing.TB) sdktrace.SpanExporter { return newExporter() })
	for _, cleanup := range slices.Backward(r.cleanups) {
		cleanup()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failures
}

// good is an exporter that keeps all rules. The broken ones change a part.
type good struct {
	export   func(context.Context, []sdktrace.ReadOnlySpan) error
	shutdown func(context.Context) error

	mu   sync.Mutex
	done bool
}

func (g *good) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if g.export != nil {
		return g.export(ctx, spans)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.done {
		return errors.New("the exporter is shut down")
	}
	return ctx.Err()
}

func (g *good) Shutdown(ctx context.Context) error {
	if g.shutdown != nil {
		return g.shutdown(ctx)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done = true
	return nil
}

type requests struct {
	good
	compression delivery.Compression
	request     func(context.Context, delivery.Request) (delivery.Response, error)
}

func (r *requests) Traits() delivery.Traits { return delivery.Traits{Compression: r.compression} }
func (r *requests) ExportRequest(ctx context.Context, req delivery.Request) (delivery.Response, error) {
	if r.request != nil {
		return r.request(ctx, req)
	}
	return delivery.Response{}, r.ExportSpans(ctx, nil)
}

func TestGood(t *testing.T) {
	Run(t, func(testing.TB) sdktrace.SpanExporter { return &good{} })
	Run(t, func(testing.TB) sdktrace.SpanExporter { return &requests{compression: delivery.Zstd} })
}

// Each broken exporter must fail the case it is named after.
func TestBroken(t *testing.T) {
	exports := func(f func(context.Context, []sdktrace.ReadOnlySpan) error) func() sdktrace.SpanExporter {
		return func() sdktrace.SpanExporter { return &good{export: f} }
	}
	stops := func(f func(context.Context) error) func() sdktrace.SpanExporter {
		return func() sdktrace.SpanExporter { return &good{shutdown: f} }
	}
	release := make(chan struct{})
	defer close(release)
	maxWait = 500 * time.Millisecond // they never return
	defer func() { maxWait = 2 * time.Second }()
	tests := []struct {
		name, fault string
		exporter    func() sdktrace.SpanExporter
	}{
		{"empty batch", "panics", exports(func(_ context.Context, s []sdktrace.ReadOnlySpan) error { _ = s[0].Name(); return nil })},
		{"empty batch", "fails", exports(func(context.Context, []sdktrace.ReadOnlySpan) error { return errors.New("no spans") })},
		{"cancelled context", "ignores it", exports(func(context.Context, []sdktrace.ReadOnlySpan) error { <-release; return nil })},
		{"cancelled context", "ignores it with requests", func() sdktrace.SpanExporter {
			return &requests{compression: delivery.None, request: func(context.Context, delivery.Request) (delivery.Response, error) {
				<-release
				return delivery.Response{}, nil
			}}
		}},
		{"spans are read only", "sorts", exports(func(_ context.Context, s []sdktrace.ReadOnlySpan) error { slices.Reverse(s); return nil })},
		{"spans are read only", "appends", exports(func(_ context.Context, s []sdktrace.ReadOnlySpan) error {
			_ = append(s, tracetest.SpanStub{Name: "more"}.Snapshot())
			return nil
		})},
		{"spans are read only", "scrubs", exports(func(_ context.Context, s []sdktrace.ReadOnlySpan) error {
			clear(s[0].Attributes())
			return nil
		})},
		{"slice is not retained", "reads it at the end", func() sdktrace.SpanExporter {
			var kept []sdktrace.ReadOnlySpan
			return &good{
				export: func(_ context.Context, s []sdktrace.ReadOnlySpan) error { kept = s; return nil },
				shutdown: func(context.Context) error {
					for _, s := range kept {
						_ = s.SpanContext()
					}
					return nil
				},
			}
		}},
		{"any span", "needs a resource", exports(func(_ context.Context, s []sdktrace.ReadOnlySpan) error {
			for _, s := range s {
				if s.Resource() == nil {
					panic("no resource")
				}
			}
			return nil
		})},
		{"after Shutdown", "goes on", exports(func(context.Context, []sdktrace.ReadOnlySpan) error { return nil })},
		{"Shutdown", "cannot do it twice", func() sdktrace.SpanExporter {
			done := make(chan struct{})
			return &good{shutdown: func(context.Context) error { close(done); return nil }}
		}},
		{"Shutdown", "ignores its context", stops(func(context.Context) error { <-release; return nil })},
		{"Shutdown during export", "waits for ever", func() sdktrace.SpanExporter {
			var mu sync.Mutex
			return &good{
				export: func(ctx context.Context, _ []sdktrace.ReadOnlySpan) error {
					mu.Lock()
					defer mu.Unlock()
					<-ctx.Done()
					<-release
					return ctx.Err()
				},
				shutdown: func(context.Context) error { mu.Lock(); defer mu.Unlock(); return nil },
			}
		}},
		{"goroutines", "leaves one", func() sdktrace.SpanExporter {
			return &good{export: func(context.Context, []sdktrace.ReadOnlySpan) error {
				go func() { <-release }()
				return nil
			}}
		}},
		{"requests", "compresses by itself", func() sdktrace.SpanExporter { return &requests{compression: "lz4"} }},
		{"requests", "writes into the body", func() sdktrace.SpanExporter {
			var mu sync.Mutex
			return &requests{compression: delivery.None, request: func(_ context.Context, r delivery.Request) (delivery.Response, error) {
				mu.Lock()
				defer mu.Unlock()
				r.Body[0]++
				return delivery.Response{}, nil
			}}
		}},
		{"requests", "answers and fails", func() sdktrace.SpanExporter {
			return &requests{compression: delivery.None, request: func(context.Context, delivery.Request) (delivery.Response, error) {
				return delivery.Response{Rejected: 1}, errors.New("no")
			}}
		}},
	}
	covered := map[string]bool{}
	for _, tt := range tests {
		covered[tt.name] = true
		t.Run(tt.name+"/"+tt.fault, func(t *testing.T) {
			i := slices.IndexFunc(cases, func(c testCase) bool { return c.name == tt.name })
			if i < 0 {
				t.Fatal("there is no such case")
			}
			if len(failuresOf(t, cases[i], tt.exporter)) == 0 {
				t.Error("the broken exporter passes")
			}
		})
	}
	for _, c := range cases {
		if !covered[c.name] {
			t.Errorf("no broken exporter for case %q", c.name)
		}
	}
}
