//go:build !race

package observability_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/observability"
	"github.com/riffletrace/riffle/samplers/ratio"
)

var errNo = errors.New("no")

// startCase is a helper that starts a span, and the same span as the SDK's
// own calls make it.
type startCase struct {
	helper func(context.Context) trace.Span
	name   string
	kind   trace.SpanKind
	attrs  []attribute.KeyValue
}

// plain is how an application would write it.
func (c *startCase) plain(ctx context.Context, t trace.Tracer) trace.Span {
	_, s := t.Start(ctx, c.name, trace.WithSpanKind(c.kind), trace.WithAttributes(c.attrs...))
	return s
}

// own is what the SDK itself does for it: the options are there already.
func (c *startCase) own(ctx context.Context, t trace.Tracer) func() {
	opts := []trace.SpanStartOption{trace.WithSpanKind(c.kind)}
	if len(c.attrs) > 0 {
		opts = append(opts, trace.WithAttributes(c.attrs...))
	}
	return func() {
		_, s := t.Start(ctx, c.name, opts...)
		s.End()
	}
}

func starts() map[string]startCase {
	function := observability.FunctionSpanConfig{ExecutionID: "e", Name: "resize", Namespace: "images", UserID: "u", Method: "GET", URL: "/"}
	job := observability.JobSpanConfig{JobID: "j", JobName: "invoice", Namespace: "billing", ScheduledAt: "now", WorkerID: "w", WorkerName: "w", UserID: "u"}
	eight := make([]attribute.KeyValue, 8)
	for i := range eight {
		eight[i] = attribute.String(string(rune('a'+i)), "v")
	}
	return map[string]startCase{
		"StartSpan": {func(ctx context.Context) trace.Span {
			_, s := observability.StartSpan(ctx, "s")
			return s
		}, "s", trace.SpanKindInternal, nil},
		"StartDBSpan": {func(ctx context.Context) trace.Span {
			_, s := observability.StartDBSpan(ctx, "select", "users")
			return s
		}, "db.select", trace.SpanKindClient, eight[:3]},
		"StartAuthSpan": {func(ctx context.Context) trace.Span {
			_, s := observability.StartAuthSpan(ctx, "signin")
			return s
		}, "auth.signin", trace.SpanKindInternal, eight[:1]},
		"StartStorageSpan": {func(ctx context.Context) trace.Span {
			_, s := observability.StartStorageSpan(ctx, "upload", "b", "k")
			return s
		}, "storage.upload", trace.SpanKindClient, eight[:3]},
		"StartFunctionSpan": {func(ctx context.Context) trace.Span {
			_, s := observability.StartFunctionSpan(ctx, function)
			return s
		}, "function.images.resize", trace.SpanKindServer, eight},
		"StartJobSpan": {func(ctx context.Context) trace.Span {
			_, s := observability.StartJobSpan(ctx, job)
			return s
		}, "job.billing.invoice", trace.SpanKindConsumer, eight},
	}
}

// offs are the ways in which nothing records.
func offs(t testing.TB) map[string]trace.TracerProvider {
	t.Helper()
	riffle, err := core.New(t.Context(), core.Spec{Enabled: true, Samplers: []core.SamplerEntry{core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0})}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = riffle.Shutdown(context.Background()) })
	return map[string]trace.TracerProvider{
		"no provider":   noop.NewTracerProvider(),
		"dropped trace": sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())),
		"riffle":        riffle.TracerProvider(),
	}
}

// Where nothing records, helpers allocate nothing beyond what the SDK does for
// the same span.
func TestAllocationsWhenOff(t *testing.T) {
	for off, provider := range offs(t) {
		setProvider(t, provider)
		tracer := provider.Tracer(observability.ScopeName)
		parent, _ := tracer.Start(t.Context(), "parent")
		for in, ctx := range map[string]context.Context{"root": t.Context(), "child": parent} {
			for name, c := range starts() {
				got := testing.AllocsPerRun(200, func() { c.helper(ctx).End() })
				want := testing.AllocsPerRun(200, c.own(ctx, tracer))
				if got > want {
					t.Errorf("%s, %s, %s: %v allocations, the SDK's own are %v", off, in, name, got, want)
				}
			}
			failed := testing.AllocsPerRun(200, func() {
				observability.RecordError(ctx, errNo, observability.WithStack)
				observability.SetSpanAttributes(ctx, attribute.String("a", "b"), attribute.Int("c", 1))
				observability.AddSpanEvent(ctx, "e", attribute.String("a", "b"))
				observability.AddFunctionEvent(ctx, "e", attribute.String("a", "b"))
				observability.AddJobEvent(ctx, "e", attribute.String("a", "b"))
				observability.SetJobProgress(ctx, 50, "half")
				observability.SetJobResult(ctx, "failed", time.Second, errNo)
				observability.SetFunctionResult(ctx, 500, time.Second, errNo)
				observability.EndDBSpan(observability.SpanFromContext(ctx), errNo)
			})
			if failed > 0 {
				t.Errorf("%s, %s: helpers that start nothing allocate %v times", off, in, failed)
			}
		}
	}
}

func BenchmarkHelpers(b *testing.B) {
	providers := offs(b)
	providers["recorded"] = sdktrace.NewTracerProvider()
	for off, provider := range providers {
		for name, c := range starts() {
			setProvider(b, provider)
			tracer := provider.Tracer(observability.ScopeName)
			ctx, root := tracer.Start(b.Context(), "root")
			b.Run("provider="+off+"/span="+name+"/by=helper", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					c.helper(ctx).End()
				}
			})
			b.Run("provider="+off+"/span="+name+"/by=sdk", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					c.plain(ctx, tracer).End()
				}
			})
			root.End()
		}
	}
}

// What Middleware allocates for a request, beyond what its handler does, is bounded: where
// nothing records, by the copy of the request that has the span; where it is recorded, by
// a quarter of what otelhttp takes.
func TestAllocationsOfMiddleware(t *testing.T) {
	for name, provider := range serving(t) {
		setProvider(t, provider)
		h, r, w := typical()
		of := map[string]float64{}
		for _, s := range servers(h) {
			of[s.name] = testing.AllocsPerRun(200, func() { s.handler.ServeHTTP(w, r) })
		}
		nothing := of["nothing"]
		ours, theirs := of["Middleware"]-nothing, of["otelhttp"]-nothing
		if ours > map[string]float64{"none": 3, "dropped": 7, "recorded": 10}[name] || ours > theirs/4 {
			t.Errorf("%s: %v allocations, otelhttp %v", name, ours, theirs)
		}
	}
}
