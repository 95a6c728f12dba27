package record

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// recorder is a provider under test, and what it has delivered.
type recorder struct {
	*TracerProvider
	tracer trace.Tracer

	mu        sync.Mutex
	delivered []Kept
}

// newRecorder makes a provider that is shut down when the test ends. Nothing of what
// was decided may be held then.
func newRecorder(t testing.TB, c Config, samplers ...sampling.Sampler) *recorder {
	t.Helper()
	for i, s := range samplers {
		c.Samplers.Add(s, Entry{Name: samplerNames[i]})
	}
	if c.Limits == (sdktrace.SpanLimits{}) {
		c.Limits = unlimited
	}
	r := &recorder{}
	if c.Deliver == nil {
		c.Deliver = r.deliver
	}
	r.TracerProvider = NewTracerProvider(c)
	r.tracer = r.Tracer("test")
	t.Cleanup(func() {
		if err := r.Shutdown(context.Background()); err != nil {
			t.Error("Shutdown:", err)
		}
		r.checkEmpty(t)
	})
	return r
}

var (
	samplerNames = []string{"first", "second", "third", "fourth"}
	unlimited    = sdktrace.SpanLimits{
		AttributeValueLengthLimit: -1, AttributeCountLimit: -1, EventCountLimit: -1, LinkCountLimit: -1,
		AttributePerEventCountLimit: -1, AttributePerLinkCountLimit: -1,
	}
)

func (r *recorder) deliver(k Kept) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k.Spans = slices.Clone(k.Spans)
	r.delivered = append(r.delivered, k)
}

func (r *recorder) spans() (list []sdktrace.ReadOnlySpan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.delivered {
		list = append(list, k.Spans...)
	}
	return list
}

func (r *recorder) names() (list []string) {
	for _, s := range r.spans() {
		list = append(list, s.Name())
	}
	return list
}

// span is the only delivered span of that name.
func (r *recorder) span(t testing.TB, name string) sdktrace.ReadOnlySpan {
	t.Helper()
	var found []sdktrace.ReadOnlySpan
	for _, s := range r.spans() {
		if s.Name() == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("span %q was delivered %d times, want once; there are %q", name, len(found), r.names())
	}
	return found[0]
}

// checkDelivered checks the names of what was delivered until now, in that order.
func (r *recorder) checkDelivered(t testing.TB, want ...string) {
	t.Helper()
	if got := r.names(); !slices.Equal(got, want) {
		t.Errorf("delivered %q, want %q", got, want)
	}
}

// checkEmpty checks that nothing is held of what is decided.
func (r *recorder) checkEmpty(t testing.TB) {
	t.Helper()
	if n := r.live.exactly(); n != 0 {
		t.Errorf("%d bytes are held when everything is decided", n)
	}
	if n := r.live.open(); n != 0 {
		t.Errorf("%d segments are open when everything is decided", n)
	}
}

// start starts a span and does not need its context.
func (r *recorder) start(ctx context.Context, name string, options ...trace.SpanStartOption) trace.Span {
	_, s := r.tracer.Start(ctx, name, options...)
	return s
}

// startAt answers every local root with a threshold.
type startAt sampling.Threshold

func (startAt) Traits() sampling.Traits { return sampling.Traits{AlwaysAnswers: true} }
func (t startAt) SampleStart(sampling.StartParameters) sampling.Answer {
	return sampling.At(sampling.Threshold(t))
}

// selectNone is a start sampler that selects no trace, selectAll one that selects each.
const (
	selectNone = startAt(sampling.Never)
	selectAll  = startAt(sampling.Always)
)

type startFunc func(sampling.StartParameters) sampling.Answer

func (startFunc) Traits() sampling.Traits                                  { return sampling.Traits{MayDrop: true} }
func (f startFunc) SampleStart(p sampling.StartParameters) sampling.Answer { return f(p) }

type endFunc func(sampling.EndParameters) sampling.Answer

func (endFunc) Traits() sampling.Traits                              { return sampling.Traits{} }
func (f endFunc) SampleEnd(p sampling.EndParameters) sampling.Answer { return f(p) }

// onError keeps what has a span that failed.
var onError endFunc = func(p sampling.EndParameters) sampling.Answer {
	if p.Span.Status().Code == codes.Error {
		return sampling.At(sampling.Always)
	}
	return sampling.Abstain()
}

type segmentFunc func(context.Context, []sampling.Segment, []sampling.Answer)

func (segmentFunc) Traits() sampling.Traits { return sampling.Traits{NeverRaises: true} }
func (f segmentFunc) SampleSegments(ctx context.Context, segments []sampling.Segment, answers []sampling.Answer) {
	f(ctx, segments, answers)
}

// idsWith makes trace IDs of the randomness that it returns, and span IDs at random.
type idsWith func() uint64

func (f idsWith) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	id, span := randomIDs{}.NewIDs(ctx)
	binary.BigEndian.PutUint64(id[8:], f()|1<<56)
	return id, span
}

func (idsWith) NewSpanID(ctx context.Context, id trace.TraceID) trace.SpanID {
	return randomIDs{}.NewSpanID(ctx, id)
}

// fixedRandomness makes IDs of traces that all have the same randomness.
func fixedRandomness(r uint64) idsWith { return func() uint64 { return r } }

// half is the threshold of probability 1/2, and the least randomness that it selects.
const half = 1 << 55

// fail makes a span one that failed.
func fail(s trace.Span) trace.Span {
	s.SetStatus(codes.Error, "")
	return s
}

// valueOf returns the value of a key, and how often it is there.
func valueOf(kvs []attribute.KeyValue, key attribute.Key) (v attribute.Value, times int) {
	for _, kv := range kvs {
		if kv.Key == key {
			v = kv.Value
			times++
		}
	}
	return v, times
}

// remoteParent is what a client sends.
func remoteParent(t testing.TB, flags trace.TraceFlags, state string) trace.SpanContext {
	t.Helper()
	ts, err := trace.ParseTraceState(state)
	if err != nil {
		t.Fatal(err)
	}
	id, span := randomIDs{}.NewIDs(context.Background())
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: flags, TraceState: ts, Remote: true})
}

func withParent(sc trace.SpanContext) context.Context {
	return trace.ContextWithSpanContext(context.Background(), sc)
}

// thresholdIn is the th of a delivered span.
func thresholdIn(s sdktrace.ReadOnlySpan) sampling.Threshold {
	return sampling.ThresholdIn(s.SpanContext().TraceState())
}

// idleProcessor is a span processor that does nothing.
type idleProcessor struct{}

func (idleProcessor) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (idleProcessor) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (idleProcessor) Shutdown(context.Context) error                  { return nil }
func (idleProcessor) ForceFlush(context.Context) error                { return nil }
