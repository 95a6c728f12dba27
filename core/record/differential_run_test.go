package record_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// run is one run of a history on one provider.
type run struct {
	provider trace.TracerProvider
	tracers  []trace.Tracer
	contexts []place
	spans    []trace.Span
	live     map[trace.SpanID]sdktrace.ReadWriteSpan
	ended    []sdktrace.ReadOnlySpan
	// onStart and onEnd are what the first processor does with the next span.
	onStart, onEnd []call

	lent [][]attribute.KeyValue

	op  int
	log []entry
}

// lend copies attributes for a call. They are the caller's again after it, who
// writes to them. (Those of a link are not: the SDK keeps them.)
func (r *run) lend(kvs []attribute.KeyValue) []attribute.KeyValue {
	if len(kvs) == 0 {
		return kvs
	}
	kvs = slices.Clone(kvs)
	r.lent = append(r.lent, kvs)
	return kvs
}

func (r *run) reuse() {
	for _, kvs := range r.lent {
		for i := range kvs {
			kvs[i] = attribute.String("overwritten", "by the caller")
		}
	}
	r.lent = r.lent[:0]
}

// place is a context in which spans start.
type place struct {
	context.Context //nolint:containedctx // it is the context, with what the test knows of it
	// ours: the nearest span in it is of this provider, or a copy of one. Below
	// others the sampled flag decides what riffle does, which has no part here.
	ours bool
}

func (r *run) note(e entry) {
	e.op = r.op
	r.log = append(r.log, e)
}

// span finds one whatever the number is, so that an operation can be left out of a
// history; nil if there is none at all.
func (r *run) span(n int) trace.Span {
	if len(r.spans) == 0 {
		return nil
	}
	return r.spans[n%len(r.spans)]
}

func (r *run) place(n int) place { return r.contexts[n%len(r.contexts)] }

func (r *run) enter(ctx context.Context, ours bool) {
	r.contexts = append(r.contexts, place{ctx, ours})
}

// watcher is a processor that writes down what it sees.
type watcher struct {
	run   *run
	first bool // it also calls methods of what it is given
	name  string
}

func (w *watcher) OnStart(ctx context.Context, s sdktrace.ReadWriteSpan) {
	r := w.run
	r.live[s.SpanContext().SpanID()] = s
	r.note(entry{what: "OnStart of " + w.name, yes: s.IsRecording(), context: trace.SpanContextFromContext(ctx), span: factsOf(s, false)})
	if w.first {
		hooks := r.onStart
		r.onStart = nil
		for _, h := range hooks {
			h.on(r, s)
		}
	}
}

func (w *watcher) OnEnd(s sdktrace.ReadOnlySpan) {
	r := w.run
	r.note(entry{what: "OnEnd of " + w.name, span: factsOf(s, true)})
	_, writable := s.(trace.Span)
	r.note(entry{what: "the ended span is writable", yes: writable})
	live := r.live[s.SpanContext().SpanID()]
	r.note(entry{what: "the span in OnEnd", yes: live.IsRecording(), span: factsOf(live, false)})
	if w.first {
		hooks := r.onEnd
		r.onEnd = nil
		for _, h := range hooks {
			h.on(r, live)
		}
		r.ended = append(r.ended, s)
	}
}

func (*watcher) Shutdown(context.Context) error   { return nil }
func (*watcher) ForceFlush(context.Context) error { return nil }

// sequence makes the same IDs in every run, if it is asked for the same.
type sequence struct {
	run *run
	n   uint64
}

func (s *sequence) NewIDs(ctx context.Context) (id trace.TraceID, _ trace.SpanID) {
	s.run.note(entry{what: "NewIDs", context: trace.SpanContextFromContext(ctx)})
	binary.BigEndian.PutUint64(id[:8], s.next())
	binary.BigEndian.PutUint64(id[8:], s.next())
	return id, s.spanID()
}

func (s *sequence) NewSpanID(ctx context.Context, id trace.TraceID) trace.SpanID {
	s.run.note(entry{what: "NewSpanID", text: id.String(), context: trace.SpanContextFromContext(ctx)})
	return s.spanID()
}

func (s *sequence) spanID() (id trace.SpanID) {
	binary.BigEndian.PutUint64(id[:], s.next())
	return id
}

// next goes through all 64-bit numbers but starts far from 0.
func (s *sequence) next() uint64 {
	s.n++
	return s.n * 0x9e3779b97f4a7c15
}

// operation is a step of a history: a call of a method of a span, or what makes a
// span or a context.
type operation interface {
	do(r *run)
	String() string
}

// spanCall calls a method of a span.
type spanCall struct {
	span int
	call call
}

func (o spanCall) do(r *run) {
	if s := r.span(o.span); s != nil {
		o.call.on(r, s)
	}
}

func (o spanCall) String() string { return fmt.Sprintf("on span %d: %s", o.span, o.call) }

// start starts a span.
type start struct {
	tracer, place int
	nilContext    bool
	name          string
	kinds         []trace.SpanKind
	newRoot       bool
	links         []addLink
	options
	hooks []call // in OnStart
}

func (o start) do(r *run) {
	ctx := r.place(o.place).Context
	if o.nilContext {
		ctx = nil
	}
	opts := o.start(r)
	for _, k := range o.kinds {
		opts = append(opts, trace.WithSpanKind(k))
	}
	if o.newRoot {
		opts = append(opts, trace.WithNewRoot())
	}
	for _, l := range o.links {
		opts = append(opts, trace.WithLinks(l.link(r)))
	}
	r.onStart = o.hooks
	ctx, span := r.tracers[o.tracer%len(r.tracers)].Start(ctx, o.name, opts...)
	r.onStart = nil
	r.note(entry{what: "Start", yes: trace.SpanFromContext(ctx) == span, context: span.SpanContext()})
	r.note(entry{what: "OnStart had the same span", yes: r.live[span.SpanContext().SpanID()] == span})
	r.note(entry{what: "a value of the context stays", yes: ctx.Value(stays{}) != nil})
	r.spans = append(r.spans, span)
	r.enter(ctx, true)
}

func (o start) String() string {
	ctx := fmt.Sprintf("context %d", o.place)
	if o.nilContext {
		ctx = "nil"
	}
	list := []string{ctx, strconv.Quote(o.name)}
	for _, k := range o.kinds {
		list = append(list, fmt.Sprintf("WithSpanKind(%d)", k))
	}
	if o.newRoot {
		list = append(list, "WithNewRoot()")
	}
	for _, l := range o.links {
		list = append(list, strings.Replace(l.String(), "AddLink", "WithLinks", 1))
	}
	s := fmt.Sprintf("tracer %d: Start(%s)", o.tracer, o.describe(list...))
	for _, h := range o.hooks {
		s += fmt.Sprintf(", in OnStart %s", h)
	}
	return s
}

// move makes a context of another.
type move struct {
	place int
	to    movement
	// What the span context is, or what is changed of it.
	context trace.SpanContext
	remote  bool
}

type movement int

const (
	remoteParent movement = iota // of another process, or a parent that is not valid
	copied                       // ContextWithSpanContext, with other flags and tracestate
	headless                     // the same, without a span ID
	decorated                    // the span is wrapped
	foreign                      // a span of another provider
	canceled
	movements
)

func (o move) do(r *run) {
	p := r.place(o.place)
	switch o.to {
	case remoteParent:
		p = place{trace.ContextWithSpanContext(p, o.context.WithRemote(o.remote)), false}
	case copied, headless:
		sc := trace.SpanContextFromContext(p).WithRemote(o.remote)
		flags := o.context.TraceFlags()
		if sc.HasTraceID() && (!p.ours || o.remote || o.to == headless) {
			flags = flags&trace.FlagsRandom | trace.FlagsSampled
		}
		sc = sc.WithTraceFlags(flags).WithTraceState(o.context.TraceState())
		if o.to == headless {
			sc = sc.WithSpanID(trace.SpanID{})
		}
		p = place{trace.ContextWithSpanContext(p, sc), p.ours && !o.remote && o.to == copied}
	case decorated:
		p.Context = trace.ContextWithSpan(p, wrapped{trace.SpanFromContext(p)})
	case foreign:
		// Sampled, as are all parents that are not ours.
		p = place{trace.ContextWithSpan(p, another{wrapped{trace.SpanFromContext(context.Background())}, o.context}), false}
	case canceled:
		ctx, cancel := context.WithCancel(p)
		cancel()
		p.Context = ctx
	}
	r.enter(p.Context, p.ours)
}

func (o move) String() string {
	what := [movements]string{"remote parent", "copied span context", "span context without span ID", "decorated span", "foreign span", "canceled"}
	return fmt.Sprintf("a context of context %d: %s %s, remote: %t", o.place, what[o.to], showContext(o.context), o.remote)
}

type wrapped struct{ trace.Span }

// another is a span of a provider that neither side knows.
type another struct {
	wrapped
	context trace.SpanContext
}

func (a another) SpanContext() trace.SpanContext { return a.context }

type stays struct{}

// play runs a history.
func play(h *history, provider makeProvider) []entry {
	r := &run{live: map[trace.SpanID]sdktrace.ReadWriteSpan{}, op: -1}
	var processors []sdktrace.SpanProcessor
	for i := range h.processors {
		processors = append(processors, &watcher{run: r, first: i == 0, name: fmt.Sprintf("processor %d", i)})
	}
	r.provider = provider(h.limits, &sequence{run: r}, origin, processors...)
	for _, t := range h.tracers {
		r.tracers = append(r.tracers, r.provider.Tracer(t.name, t.options()...))
	}
	r.enter(context.WithValue(context.Background(), stays{}, true), true)
	for i, op := range h.operations {
		r.op = i
		op.do(r)
		r.reuse()
	}
	r.op = len(h.operations)
	for _, s := range r.spans {
		s.End()
	}
	for _, s := range r.spans {
		read{}.on(r, s)
	}
	for _, s := range r.ended {
		r.note(entry{what: "the ended span, long after", span: factsOf(s, true)})
	}
	return r.log
}

// origin is what a provider with the environment's attributes makes of it.
var origin = func() *resource.Resource {
	res, err := resource.Merge(resource.Environment(),
		resource.NewWithAttributes("https://example.org/resource", attribute.String("service.name", "test"), attribute.StringSlice("list", []string{"abcdefgh"})))
	if err != nil {
		panic(err)
	}
	return res
}()
