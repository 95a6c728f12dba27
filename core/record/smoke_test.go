package record

import (
	"context"
	"fmt"
	"testing"
	"unsafe"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

type errEnd struct{}

func (errEnd) Traits() sampling.Traits { return sampling.Traits{Description: "errors"} }
func (errEnd) SampleEnd(p sampling.EndParameters) sampling.Answer {
	if p.Span.Status().Code == codes.Error {
		return sampling.At(sampling.Always)
	}
	return sampling.Abstain()
}

type ratioStart struct{ t sampling.Threshold }

func (ratioStart) Traits() sampling.Traits {
	return sampling.Traits{Description: "ratio", AlwaysAnswers: true}
}
func (r ratioStart) SampleStart(sampling.StartParameters) sampling.Answer { return sampling.At(r.t) }

type slowEnd struct{}

func (slowEnd) Traits() sampling.Traits { return sampling.Traits{Description: "slow"} }
func (slowEnd) SampleEnd(p sampling.EndParameters) sampling.Answer {
	if p.LocalRoot && p.Duration > 1e9 {
		return sampling.At(sampling.Always)
	}
	return sampling.Abstain()
}

func provider(rate float64, deliver func(Kept)) *TracerProvider {
	var l Samplers
	t, _ := sampling.ThresholdFromProbability(rate)
	l.Add(errEnd{}, Entry{Name: "error"})
	l.Add(slowEnd{}, Entry{Name: "slow"})
	l.Add(ratioStart{t}, Entry{Name: "ratio"})
	return NewTracerProvider(Config{Samplers: l, Deliver: deliver, Limits: sdktrace.NewSpanLimits()})
}

func TestSmoke(t *testing.T) {
	t.Log(unsafe.Sizeof(span{}), unsafe.Sizeof(segment{}), unsafe.Sizeof(segment{})-unsafe.Sizeof(span{}), unsafe.Sizeof(rare{}), unsafe.Sizeof(segmentMore{}))
	p := provider(0.5, func(k Kept) {
		for _, s := range k.Spans {
			fmt.Println(k.Threshold, k.Sampler, s.Name(), s.SpanContext().TraceState(), s.SpanContext().TraceFlags(), s.Attributes())
		}
	})
	tr := p.Tracer("")
	for i := range 6 {
		ctx, root := tr.Start(context.Background(), fmt.Sprint("root", i), trace.WithAttributes(attribute.Int("a", 1)))
		_, child := tr.Start(ctx, "child")
		if i == 2 {
			child.SetStatus(codes.Error, "")
		}
		child.End()
		_, child2 := tr.Start(ctx, "child2")
		root.SetAttributes(attribute.Int("b", 1))
		root.End()
		child2.End()
	}
	_, open := tr.Start(context.Background(), "open")
	open.SetStatus(codes.Error, "")
	p.Shutdown(context.Background())
	if n := p.live.exactly(); n != 0 {
		t.Error("held", n)
	}
}

var attrs8 = []attribute.KeyValue{
	attribute.String("http.request.method", "GET"),
	attribute.String("url.scheme", "https"),
	attribute.String("url.path", "/users/4711"),
	attribute.String("server.address", "api.example.com"),
	attribute.Int("server.port", 443),
	attribute.String("client.address", "203.0.113.7"),
	attribute.String("user_agent.original", "curl/8.1"),
	attribute.String("network.protocol.version", "1.1"),
}

type recordOnly struct{}

func (recordOnly) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	return sdktrace.SamplingResult{Decision: sdktrace.RecordOnly, Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState()}
}
func (recordOnly) Description() string { return "record only" }

type noopProcessor struct{}

func (noopProcessor) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (noopProcessor) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (noopProcessor) Shutdown(context.Context) error                  { return nil }
func (noopProcessor) ForceFlush(context.Context) error                { return nil }

func serve(tr trace.Tracer, children int) {
	ctx, root := tr.Start(context.Background(), "GET /users/{id}", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attrs8...))
	for range children {
		_, child := tr.Start(ctx, "SELECT users", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs8[:6]...))
		child.SetAttributes(attribute.Int("db.response.returned_rows", 1))
		child.End()
	}
	root.SetAttributes(attribute.Int("http.response.status_code", 200), attribute.String("http.route", "/users/{id}"))
	root.End()
}

func BenchmarkQuick(b *testing.B) {
	floor := sdktrace.NewTracerProvider(sdktrace.WithSampler(recordOnly{}), sdktrace.WithSpanProcessor(noopProcessor{})).Tracer("")
	never := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())).Tracer("")
	notKept := provider(0, nil).Tracer("")
	kept := provider(1, func(Kept) {}).Tracer("")
	for _, n := range []int{0, 1, 5} {
		for _, v := range []struct {
			name string
			t    trace.Tracer
		}{{"never", never}, {"floor", floor}, {"notkept", notKept}, {"kept", kept}} {
			b.Run(fmt.Sprintf("spans=%d/%s", n+1, v.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					serve(v.t, n)
				}
			})
		}
	}
}
