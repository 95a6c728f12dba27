package record_test

import (
	"context"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/record"
)

// mistake is a recorder that is wrong in one thing. The SDK's is wrapped for it.
type mistake struct {
	name string
	// Each may be nil: nothing is wrong there.
	start func(ctx context.Context, opts []trace.SpanStartOption) context.Context
	span  func(*brokenSpan) sdktrace.ReadWriteSpan
	ended func(s *brokenSpan, ended sdktrace.ReadOnlySpan) sdktrace.ReadOnlySpan
}

var mistakes = []mistake{
	{
		name: "the first value of a key stays",
		span: func(s *brokenSpan) sdktrace.ReadWriteSpan { return firstStays{s} },
	},
	{
		name: "the newest link goes, not the oldest",
		span: func(s *brokenSpan) sdktrace.ReadWriteSpan { return oldestStays{s} },
	},
	{
		name: "children count after the end",
		span: func(s *brokenSpan) sdktrace.ReadWriteSpan { return countsOn{s} },
	},
	{
		name: "a child that is a new root does not count",
		start: func(ctx context.Context, opts []trace.SpanStartOption) context.Context {
			if c := trace.NewSpanStartConfig(opts...); c.NewRoot() {
				return trace.ContextWithSpanContext(ctx, trace.SpanContext{})
			}
			return ctx
		},
	},
	{
		name: "the strings of events are cut",
		span: func(s *brokenSpan) sdktrace.ReadWriteSpan { return cutsEvents{s} },
	},
	{
		name: "Error overwrites Ok",
		span: func(s *brokenSpan) sdktrace.ReadWriteSpan { return &lastStatus{brokenSpan: s} },
	},
	{
		name: "a second End counts",
		span: func(s *brokenSpan) sdktrace.ReadWriteSpan { return endsAgain{s} },
	},
	{
		name: "a slice that was handed out is written to",
		span: func(s *brokenSpan) sdktrace.ReadWriteSpan { return &reuses{brokenSpan: s} },
	},
	{
		name: "the caller's slice is kept",
		span: func(s *brokenSpan) sdktrace.ReadWriteSpan { return &keeps{brokenSpan: s} },
	},
	{
		name: "an ended span changes when a child starts",
		ended: func(s *brokenSpan, ended sdktrace.ReadOnlySpan) sdktrace.ReadOnlySpan {
			return liveCount{ended, s}
		},
	},
}

type firstStays struct{ *brokenSpan }

func (s firstStays) SetAttributes(kvs ...attribute.KeyValue) {
	set := s.Attributes()
	s.brokenSpan.SetAttributes(slices.DeleteFunc(slices.Clone(kvs), func(kv attribute.KeyValue) bool {
		return slices.ContainsFunc(set, func(old attribute.KeyValue) bool { return old.Key == kv.Key })
	})...)
}

type oldestStays struct{ *brokenSpan }

func (s oldestStays) AddLink(l trace.Link) {
	if limit := s.b.limits.LinkCountLimit; limit < 0 || len(s.Links()) < limit {
		s.brokenSpan.AddLink(l)
	}
}

type countsOn struct{ *brokenSpan }

func (s countsOn) ChildSpanCount() int { return s.brokenSpan.ChildSpanCount() + s.late }

type cutsEvents struct{ *brokenSpan }

func (s cutsEvents) AddEvent(name string, opts ...trace.EventOption) {
	c := trace.NewEventConfig(opts...)
	kvs := slices.Clone(c.Attributes())
	for i := range kvs {
		kvs[i] = record.NormalizeAttribute(kvs[i], -1, s.b.limits.AttributeValueLengthLimit)
	}
	s.brokenSpan.AddEvent(name, trace.WithAttributes(kvs...), trace.WithTimestamp(c.Timestamp()))
}

type lastStatus struct {
	*brokenSpan
	status sdktrace.Status
}

func (s *lastStatus) SetStatus(code codes.Code, description string) {
	if s.IsRecording() {
		if s.status = (sdktrace.Status{Code: code}); code == codes.Error {
			s.status.Description = description
		}
	}
}

func (s *lastStatus) Status() sdktrace.Status { return s.status }

type endsAgain struct{ *brokenSpan }

func (s endsAgain) End(opts ...trace.SpanEndOption) {
	again := !s.IsRecording()
	s.brokenSpan.End(opts...)
	for _, p := range s.b.processors {
		if again && s.end != nil {
			p.OnEnd(s.end)
		}
	}
}

type reuses struct {
	*brokenSpan
	attributes []attribute.KeyValue
}

func (s *reuses) Attributes() []attribute.KeyValue {
	s.attributes = append(s.attributes[:0], s.brokenSpan.Attributes()...)
	return s.attributes
}

type keeps struct {
	*brokenSpan
	attributes []attribute.KeyValue
}

func (s *keeps) SetAttributes(kvs ...attribute.KeyValue) {
	s.brokenSpan.SetAttributes(kvs...)
	// It looks right until the caller writes to the slice.
	if s.attributes = nil; slices.Equal(kvs, s.brokenSpan.Attributes()) {
		s.attributes = kvs
	}
}

func (s *keeps) Attributes() []attribute.KeyValue {
	if s.attributes != nil {
		return s.attributes
	}
	return s.brokenSpan.Attributes()
}

type liveCount struct {
	sdktrace.ReadOnlySpan
	live *brokenSpan
}

func (s liveCount) ChildSpanCount() int { return s.live.ChildSpanCount() + s.live.late }

// The wrapping, which is faithful where a mistake is not made.

type brokenProvider struct {
	trace.TracerProvider
	mistake    mistake
	limits     sdktrace.SpanLimits
	processors []sdktrace.SpanProcessor
	spans      map[trace.SpanID]*brokenSpan
}

func (m mistake) make(limits sdktrace.SpanLimits, ids sdktrace.IDGenerator, res *resource.Resource, processors ...sdktrace.SpanProcessor) trace.TracerProvider {
	b := &brokenProvider{mistake: m, limits: limits, processors: processors, spans: map[trace.SpanID]*brokenSpan{}}
	var inner []sdktrace.SpanProcessor
	for _, p := range processors {
		inner = append(inner, brokenProcessor{p, b})
	}
	b.TracerProvider = newSDK(limits, ids, res, inner...)
	return b
}

func (b *brokenProvider) Tracer(name string, opts ...trace.TracerOption) trace.Tracer {
	return brokenTracer{b.TracerProvider.Tracer(name, opts...), b}
}

// wrap wraps each span once.
func (b *brokenProvider) wrap(s sdktrace.ReadWriteSpan) *brokenSpan {
	id := s.SpanContext().SpanID()
	w := b.spans[id]
	if w == nil {
		w = &brokenSpan{ReadWriteSpan: s, b: b}
		if w.shown = w; b.mistake.span != nil {
			w.shown = b.mistake.span(w)
		}
		b.spans[id] = w
	}
	return w
}

type brokenTracer struct {
	trace.Tracer
	b *brokenProvider
}

func (t brokenTracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	if ctx == nil {
		ctx = context.Background()
	}
	if t.b.mistake.start != nil {
		ctx = t.b.mistake.start(ctx, opts)
	}
	// The SDK counts the children of its own spans.
	if p, ok := trace.SpanFromContext(ctx).(interface{ unwrap() *brokenSpan }); ok {
		if w := p.unwrap(); w.IsRecording() {
			ctx = trace.ContextWithSpan(ctx, w.ReadWriteSpan)
		} else {
			w.late++
		}
	}
	ctx, s := t.Tracer.Start(ctx, name, opts...)
	w := t.b.wrap(s.(sdktrace.ReadWriteSpan))
	return trace.ContextWithSpan(ctx, w.shown), w.shown
}

type brokenSpan struct {
	sdktrace.ReadWriteSpan
	b     *brokenProvider
	shown sdktrace.ReadWriteSpan // what others have of it
	late  int                    // children after the end
	end   sdktrace.ReadOnlySpan
}

func (s *brokenSpan) unwrap() *brokenSpan                  { return s }
func (s *brokenSpan) TracerProvider() trace.TracerProvider { return s.b }

type brokenProcessor struct {
	sdktrace.SpanProcessor
	b *brokenProvider
}

func (p brokenProcessor) OnStart(ctx context.Context, s sdktrace.ReadWriteSpan) {
	p.SpanProcessor.OnStart(ctx, p.b.wrap(s).shown)
}

func (p brokenProcessor) OnEnd(s sdktrace.ReadOnlySpan) {
	w := p.b.spans[s.SpanContext().SpanID()]
	if w.end = s; p.b.mistake.ended != nil {
		w.end = p.b.mistake.ended(w, s)
	}
	p.SpanProcessor.OnEnd(w.end)
}

// probable passes on the threshold 0, as riffle does.
type probable struct{}

func (probable) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	parent := trace.SpanContextFromContext(p.ParentContext)
	ts := parent.TraceState()
	if !parent.IsValid() || !parent.IsRemote() {
		// It is a valid member, and the others of a history are few.
		ts, _ = ts.Insert("ot", "th:0")
	}
	return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample, Tracestate: ts}
}

func (probable) Description() string { return "probable" }

func TestDifferentialIgnoresThresholds(t *testing.T) {
	got := func(limits sdktrace.SpanLimits, ids sdktrace.IDGenerator, res *resource.Resource, processors ...sdktrace.SpanProcessor) trace.TracerProvider {
		return newSampled(probable{}, limits, ids, res, processors...)
	}
	for seed := uint64(1); seed <= 2000; seed++ {
		h := seeded(seed)
		if text, _ := compare(h, newSDK, got); text != "" {
			t.Fatalf("history %d:\n%s", seed, report(h, newSDK, got))
		}
	}
}

// A comparison that finds nothing proves nothing, unless it finds what is there.
func TestDifferentialFindsMistakes(t *testing.T) {
	const n = 1000
	for seed := uint64(1); seed <= n; seed++ {
		h := seeded(seed)
		if text, _ := compare(h, newSDK, mistake{}.make); text != "" {
			t.Fatalf("no mistake is made, and one is found in history %d:\n%s", seed, report(h, newSDK, mistake{}.make))
		}
	}
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			for seed := uint64(1); seed <= n; seed++ {
				h := seeded(seed)
				if text, _ := compare(h, newSDK, m.make); text != "" {
					t.Logf("found in history %d:\n%s", seed, report(h, newSDK, m.make))
					return
				}
			}
			t.Errorf("not found in %d histories", n)
		})
	}
}
