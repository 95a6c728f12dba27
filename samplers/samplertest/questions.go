package samplertest

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// question is something that a sampler can be asked.
type question interface {
	// ask asks the sampler, with parameters made for this call alone.
	ask(sampling.Sampler, variation) reply
	fmt.Stringer
}

// variation is in what two ways of asking the same question differ.
type variation struct {
	id trace.TraceID
	// noise, if not 0, adds to a start what is none of its sampler's keys.
	noise int
	// overwrite overwrites the parameters after the call.
	overwrite bool
	// made, if not nil, is called with what the parameters point to.
	made func(...any)
}

// reply is what came back.
type reply struct {
	answer sampling.Answer
	// changed says which parameter the sampler changed, panic with what it
	// panicked.
	changed string
	panic   any
}

func traceID(i int) (id trace.TraceID) {
	// Both halves vary, the randomness all over its range.
	binary.BigEndian.PutUint64(id[:8], uint64(i)+1)
	binary.BigEndian.PutUint64(id[8:], (uint64(i)+1)*0x9e3779b97f4a7c15)
	return id
}

func (s *suite) questions(sampler sampling.Sampler) []question {
	var qs []question
	if _, ok := sampler.(sampling.StartSampler); ok {
		for _, p := range append(starts(sampler), s.starts...) {
			qs = append(qs, startQuestion{p})
		}
	}
	if _, ok := sampler.(sampling.EndSampler); ok {
		for _, e := range ends() {
			qs = append(qs, e)
		}
	}
	if _, ok := sampler.(sampling.SegmentSampler); ok {
		for _, q := range segments() {
			qs = append(qs, q)
		}
	}
	return qs
}

// startQuestion asks a StartSampler.
type startQuestion struct{ sampling.StartParameters }

func starts(sampler sampling.Sampler) []sampling.StartParameters {
	all := []sampling.StartParameters{
		{},
		{Name: "work", Kind: trace.SpanKindInternal},
		{Name: "GET /users/{id}", Kind: trace.SpanKindServer, Attributes: []attribute.KeyValue{
			attribute.String("http.request.method", "GET"),
			attribute.String("url.scheme", "https"),
			attribute.String("url.path", "/users/7"),
			attribute.String("http.route", "/users/{id}"),
			attribute.Int("server.port", 8080),
		}},
		{Name: "POST", Kind: trace.SpanKindServer, Attributes: []attribute.KeyValue{
			attribute.String("http.request.method", "POST"),
			attribute.String("url.path", "/checkout/7"),
		}},
		{Name: "POST", Kind: trace.SpanKindServer, RemoteParent: true, Attributes: []attribute.KeyValue{
			attribute.String("http.request.method", "POST"),
			attribute.String("url.path", "/checkout/7"),
		}},
		{Name: "process orders", Kind: trace.SpanKindConsumer, Attributes: []attribute.KeyValue{
			attribute.String("messaging.system", "kafka"),
			attribute.String("messaging.destination.name", "orders"),
		}},
	}
	traits := sampler.Traits()
	if !traits.Keyed {
		return all
	}
	for _, value := range []attribute.Value{
		attribute.StringValue("a"), attribute.StringValue("b"), attribute.IntValue(7), attribute.BoolValue(true),
	} {
		p := sampling.StartParameters{Name: "keyed", Kind: trace.SpanKindServer}
		for _, key := range traits.Keys {
			p.Attributes = append(p.Attributes, attribute.KeyValue{Key: key, Value: value})
		}
		all = append(all, p)
	}
	return all
}

func (q startQuestion) String() string {
	below := ""
	if q.RemoteParent {
		below = ", below a remote parent"
	}
	return fmt.Sprintf("SampleStart of %q, %v, %v%s", q.Name, q.Kind, q.Attributes, below)
}

type contextKey struct{}

func (q startQuestion) ask(s sampling.Sampler, v variation) (r reply) {
	ctx := q.ParentContext
	if ctx == nil {
		ctx = context.Background()
	}
	value := &struct{ s string }{"a value of this call"}
	ctx = context.WithValue(ctx, contextKey{}, value)
	ctx = trace.ContextWithRemoteSpanContext(ctx, remote(v.id))
	p := q.StartParameters
	p.Attributes = slices.Clone(p.Attributes)
	p.Links = slices.Clone(p.Links)
	if v.noise != 0 {
		ctx, p = noisy(ctx, s, p, v.noise)
	}
	p.ParentContext = ctx
	attributes, links := slices.Clone(p.Attributes), slices.Clone(p.Links)
	if v.made != nil {
		v.made(value, first(p.Attributes), first(p.Links))
	}

	defer func() { r.panic = recover() }()
	r.answer = s.(sampling.StartSampler).SampleStart(p)
	switch {
	case !reflect.DeepEqual(attributes, p.Attributes):
		r.changed = "Attributes"
	case !reflect.DeepEqual(links, p.Links):
		r.changed = "Links"
	}
	if v.overwrite {
		for i := range p.Attributes {
			p.Attributes[i] = attribute.String("overwritten", "overwritten")
		}
		for i := range p.Links {
			p.Links[i] = trace.Link{}
		}
	}
	return r
}

// remote is a parent in another process, in the trace, whose tracestate says
// its randomness.
func remote(id trace.TraceID) trace.SpanContext {
	state, _ := trace.ParseTraceState("ot=rv:" + id.String()[18:])
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: id, SpanID: trace.SpanID{7: 1}, TraceFlags: trace.FlagsSampled, TraceState: state, Remote: true,
	})
}

// noisy adds what a keyed sampler must not look at.
func noisy(ctx context.Context, s sampling.Sampler, p sampling.StartParameters, n int) (context.Context, sampling.StartParameters) {
	text := strconv.Itoa(n)
	if m, err := baggage.NewMember("tenant", text); err == nil {
		if b, err := baggage.New(m); err == nil {
			ctx = baggage.ContextWithBaggage(ctx, b)
		}
	}
	p.RemoteParent = n%4 < 2
	traits := s.Traits()
	if traits.IgnoresName {
		p.Name += text
	}
	if traits.IgnoresKind {
		p.Kind = trace.SpanKind(1 + n%5)
	}
	var added []attribute.KeyValue
	for _, key := range []attribute.Key{"http.route", "url.path", "url.full", "http.target", "http.request.method", "user.id", "noise"} {
		if slices.Contains(traits.Keys, key) {
			continue
		}
		p.Attributes = slices.DeleteFunc(p.Attributes, func(kv attribute.KeyValue) bool { return kv.Key == key })
		if n%3 != 0 {
			added = append(added, key.String("/"+text))
		}
	}
	if n%2 == 0 {
		p.Attributes = append(added, p.Attributes...)
	} else {
		p.Attributes = append(p.Attributes, added...)
	}
	p.Links = append(p.Links, trace.Link{SpanContext: remote(traceID(n))})
	return ctx, p
}

// endQuestion asks an EndSampler.
type endQuestion struct {
	stub       tracetest.SpanStub
	parameters sampling.EndParameters
}

func ends() []endQuestion {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	span := func(name string, took time.Duration, root bool, f func(*tracetest.SpanStub, *sampling.EndParameters)) endQuestion {
		e := endQuestion{
			tracetest.SpanStub{
				Name: name, SpanKind: trace.SpanKindServer, StartTime: begin, EndTime: begin.Add(took),
				Attributes: []attribute.KeyValue{attribute.String("server.address", "example.com")},
			},
			sampling.EndParameters{LocalRoot: root, Duration: took, Spans: 1},
		}
		f(&e.stub, &e.parameters)
		return e
	}
	return []endQuestion{
		span("", 0, false, func(s *tracetest.SpanStub, _ *sampling.EndParameters) { *s = tracetest.SpanStub{} }),
		span("GET /fast", time.Millisecond, true, func(*tracetest.SpanStub, *sampling.EndParameters) {}),
		span("GET /slow", time.Hour, true, func(*tracetest.SpanStub, *sampling.EndParameters) {}),
		span("GET /large", time.Second, true, func(_ *tracetest.SpanStub, p *sampling.EndParameters) { p.Spans = 10_000 }),
		span("GET /error", time.Millisecond, true, func(s *tracetest.SpanStub, _ *sampling.EndParameters) {
			s.Status = sdktrace.Status{Code: codes.Error, Description: "disk full"}
			s.Attributes = []attribute.KeyValue{attribute.String("http.route", "/error"), attribute.Int("http.response.status_code", 503)}
		}),
		span("GET /gone", time.Second, true, func(s *tracetest.SpanStub, p *sampling.EndParameters) {
			s.Status = sdktrace.Status{Code: codes.Error}
			s.Attributes = []attribute.KeyValue{attribute.String("url.path", "/gone"), attribute.Int("http.response.status_code", 500)}
			p.Canceled = true
		}),
		span("SELECT", time.Second, false, func(s *tracetest.SpanStub, p *sampling.EndParameters) {
			s.SpanKind = trace.SpanKindClient
			p.Spans, p.Panicked = 7, true
			s.Events = []sdktrace.Event{{Name: "exception", Time: s.EndTime, Attributes: []attribute.KeyValue{attribute.String("exception.message", "panic")}}}
		}),
		span("GET /open", 30*time.Second, true, func(s *tracetest.SpanStub, p *sampling.EndParameters) {
			s.EndTime = time.Time{}
			p.Open = true
		}),
	}
}

func (q endQuestion) String() string {
	return fmt.Sprintf("SampleEnd of %q, %v, %d spans", q.stub.Name, q.parameters.Duration, q.parameters.Spans)
}

// openRoot is the local root of a span that is none.
var openRoot = tracetest.SpanStub{
	Name: "GET /users/{id}", SpanKind: trace.SpanKindServer, StartTime: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC),
	Attributes: []attribute.KeyValue{attribute.String("http.route", "/users/{id}")},
}

var resourceOfSpans = resource.NewSchemaless(attribute.String("service.name", "shop"))

func (q endQuestion) ask(s sampling.Sampler, v variation) (r reply) {
	stub, check := copyOf(q.stub, v.id)
	p := q.parameters
	root, checkRoot := copyOf(openRoot, v.id)
	root.SpanContext = root.SpanContext.WithSpanID(trace.SpanID{7: 2})
	if !p.LocalRoot {
		stub.Parent = root.SpanContext
	}
	p.Span, p.Root, p.Resource = stub.Snapshot(), root.Snapshot(), resourceOfSpans
	if p.LocalRoot {
		p.Root = p.Span
	}
	if v.made != nil {
		v.made(first(stub.Attributes), first(stub.Events), first(root.Attributes))
	}
	defer func() { r.panic = recover() }()
	r.answer = s.(sampling.EndSampler).SampleEnd(p)
	if r.changed = check(); r.changed == "" && checkRoot() != "" {
		r.changed = "the local root's attributes"
	}
	if v.overwrite {
		clear(stub.Attributes)
		clear(stub.Events)
		clear(root.Attributes)
	}
	return r
}

// copyOf copies a span into a trace; check says what of the copy has changed.
func copyOf(stub tracetest.SpanStub, id trace.TraceID) (out tracetest.SpanStub, check func() string) {
	out = stub
	out.Resource = resourceOfSpans
	out.SpanContext = trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{7: 3}})
	out.Attributes, out.Events = slices.Clone(stub.Attributes), slices.Clone(stub.Events)
	return out, func() string {
		switch {
		case !reflect.DeepEqual(out.Attributes, stub.Attributes):
			return "the span's attributes"
		case !reflect.DeepEqual(out.Events, stub.Events):
			return "the span's events"
		default:
			return ""
		}
	}
}

// segmentQuestion asks a SegmentSampler about one segment.
type segmentQuestion struct {
	spans     []tracetest.SpanStub
	complete  bool
	threshold sampling.Threshold
}

func segments() []segmentQuestion {
	var spans []tracetest.SpanStub
	for _, e := range ends() {
		spans = append(spans, e.stub)
	}
	return []segmentQuestion{
		{nil, false, sampling.Never},
		{spans[1:2], true, sampling.Never},
		{spans[4:5], true, sampling.Always},
		{spans[1:7], true, sampling.Threshold(8 << 52)},
		{spans[6:7], false, sampling.Never},
	}
}

func (q segmentQuestion) String() string {
	return fmt.Sprintf("SampleSegments of %d spans, complete %v, threshold %v", len(q.spans), q.complete, q.threshold)
}

// segment makes the segment; check says what of it has changed.
func (q segmentQuestion) segment(id trace.TraceID) (seg sampling.Segment, check func() string) {
	seg = sampling.Segment{TraceID: id, Complete: q.complete, Threshold: q.threshold}
	var checks []func() string
	for _, stub := range q.spans {
		span, check := copyOf(stub, id)
		checks = append(checks, check)
		seg.Spans = append(seg.Spans, span.Snapshot())
	}
	if q.complete && len(seg.Spans) > 0 {
		seg.Root = seg.Spans[0]
	}
	return seg, func() string {
		for i, check := range checks {
			if seg.Spans[i] == nil || seg.Spans[i].Name() != q.spans[i].Name {
				return "Spans"
			}
			if what := check(); what != "" {
				return what
			}
		}
		return ""
	}
}

func (q segmentQuestion) ask(s sampling.Sampler, v variation) (r reply) {
	seg, check := q.segment(v.id)
	batch, answers := []sampling.Segment{seg}, make([]sampling.Answer, 1)
	if v.made != nil {
		v.made(first(batch), first(answers), first(seg.Spans))
		for _, span := range seg.Spans {
			v.made(first(span.Attributes()))
		}
	}
	defer func() { r.panic = recover() }()
	s.(sampling.SegmentSampler).SampleSegments(context.Background(), batch, answers)
	r.answer, r.changed = answers[0], check()
	if !reflect.DeepEqual(batch[0], seg) {
		r.changed = "segments"
	}
	if v.overwrite {
		clear(seg.Spans)
		batch[0], answers[0] = sampling.Segment{}, sampling.Drop()
	}
	return r
}

// first points to the first element, or is nil.
func first[E any](s []E) any {
	if len(s) == 0 {
		return nil
	}
	return &s[0]
}

// kind is the answer without its threshold and reason.
func kind(a sampling.Answer) string {
	if t, ok := a.Threshold(); ok && t != sampling.Unknown {
		if a.IsAtMost() {
			return "at most threshold"
		}
		return "threshold"
	}
	return a.Because("").String()
}

// distance is how far two answers are from each other: 0 if they are the same, the
// difference of the logarithms of their probabilities, +Inf if they differ in
// kind.
func distance(a, b sampling.Answer) float64 {
	if kind(a) != kind(b) {
		return math.Inf(1)
	}
	ta, _ := a.Threshold()
	tb, _ := b.Threshold()
	if ta == tb {
		return 0
	}
	return math.Abs(math.Log(ta.Probability() / tb.Probability()))
}
