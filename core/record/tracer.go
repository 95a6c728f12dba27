package record

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	rtrace "runtime/trace"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/riffletrace/riffle/core/sampling"
)

// tracer starts the spans of a scope.
type tracer struct {
	noop.Tracer // what a newer API asks for besides
	scope       scope
}

// Start starts a span. Where it belongs depends on the span in ctx:
//
//	one of ours                      its segment
//	one of ours that is not recorded it is not recorded either
//	another's, with one of ours      the segment of that one
//	of the same trace behind it
//	another's, or remote, or none    it is a local root and begins a segment
func (t *tracer) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	if ctx == nil {
		ctx = context.Background()
	}
	config := trace.NewSpanStartConfig(options...)
	var parent trace.Span
	if n, ok := ctx.(*node); ok {
		parent = n.span
	} else {
		parent = trace.SpanFromContext(ctx)
	}
	local, isSpan := parent.(*span)
	if isSpan {
		local.addChild()
	}
	p := t.scope.provider
	if !config.NewRoot() {
		switch {
		case isSpan && local.provider == p:
			return t.child(ctx, local, trace.SpanContext{}, name, &config)
		case !isSpan:
			if u, ok := parent.(*unrecorded); ok && u.provider == p {
				return u.below(ctx)
			}
		}
		sc := parent.SpanContext()
		if sc.IsValid() && !sc.IsRemote() {
			switch nearest := ctx.Value(nearestKey{p}).(type) {
			case *span:
				if nearest.segment.traceID == sc.TraceID() {
					return t.child(ctx, nearest, sc, name, &config)
				}
			case *unrecorded:
				if nearest.traceID == sc.TraceID() {
					return p.unrecordedBelow(ctx, sc)
				}
			}
		}
		return t.root(ctx, ctx, sc, name, &config)
	}
	return t.root(ctx, trace.ContextWithSpanContext(ctx, trace.SpanContext{}), trace.SpanContext{}, name, &config)
}

// root starts a local root, which begins a segment. given is ctx without a span if that
// is not the parent.
func (t *tracer) root(ctx, given context.Context, parent trace.SpanContext, name string, config *trace.SpanConfig) (context.Context, trace.Span) {
	p := t.scope.provider
	parentCtx, sc := given, parent
	links := config.Links()
	rules := p.live.rules()
	remote := rules.startRules.remote
	if remote == Restart && parent.IsRemote() {
		if parent.IsValid() {
			links = append(slices.Clip(links), trace.Link{SpanContext: parent.WithTraceState(trace.TraceState{})})
		}
		parent, parentCtx = trace.SpanContext{}, trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	}
	q := rootRequest{parent: parent, scope: t.scope.instrumentation.Name, forced: sampling.Forced(ctx), dropped: sampling.Dropped(ctx)}
	q.ParentContext, q.TraceID, q.Name, q.Kind = parentCtx, parent.TraceID(), rules.text.Text(name), config.SpanKind()
	q.Attributes, q.Links = rules.text.Attributes(config.Attributes()), links
	var id trace.SpanID
	ownID := !q.TraceID.IsValid()
	if ownID {
		q.TraceID, id = p.ids.NewIDs(parentCtx)
	} else {
		id = p.ids.NewSpanID(parentCtx, q.TraceID)
	}
	flags := parent.TraceFlags()
	if remote == Ignore && parent.IsRemote() {
		flags = 0
	}
	if ownID && p.randomIDs {
		flags |= trace.FlagsRandom
	}
	if p.stopped.Load() {
		return p.unrecorded(ctx, q.TraceID, id, flags, parent.TraceState())
	}
	var d startDecision
	rules.startRules.decide(&d, &q)
	if d.unweighed != saysKnown && !p.live.warned.Load() {
		p.live.warnOfParents()
	}
	g := p.live.begin(rules, &d, &q)
	if g == nil {
		return p.unrecorded(ctx, q.TraceID, id, flags, d.state)
	}
	g.shard = p.live.shardOf(id)
	s := &g.root
	s.place(&t.scope, g, id, q.Name, flags.WithSampled(d.selected))
	if g.isPromoted() {
		s.fixed |= saysAlways
		s.flags = s.flags.WithSampled(true)
	}
	s.set(config, q.Attributes, links, d.attrs)
	size := s.sizeOfStart()
	if g.more != nil {
		size += moreBytes + g.sizeOfBaggage()
	}
	if !p.live.add(g) {
		rules.startRules.forget(&d, &q)
		if p.stopped.Load() {
			return p.unrecorded(ctx, q.TraceID, id, flags, d.state)
		}
		return t.root(ctx, given, sc, name, config) // it begins anew under the rules in force
	}
	g.started(s, segmentBytes+sizeOfState(d.state)+sizeOfState(parent.TraceState())+size)
	return t.started(ctx, s)
}

// child starts a span in the segment of parent. sc is what the context tells of the
// parent, if it is not that span itself.
func (t *tracer) child(ctx context.Context, parent *span, sc trace.SpanContext, name string, config *trace.SpanConfig) (context.Context, trace.Span) {
	p := t.scope.provider
	g := parent.segment
	id := p.ids.NewSpanID(ctx, g.traceID)
	s, sure := g.newSpan()
	if s == nil {
		if !sc.IsValid() {
			sc = parent.SpanContext()
		}
		return p.unrecordedBelow(ctx, sc)
	}
	s.place(&t.scope, g, id, g.rules().text.Text(name), parent.flags)
	if sure {
		s.fixed |= saysAlways
		s.flags = s.flags.WithSampled(true)
	}
	s.parent = parent
	switch {
	case sc.IsValid() && !sc.Equal(parent.SpanContext()):
		s.joins(sc)
	case parent.fixed&hasState != 0:
		s.setState(parent.rare.state)
	}
	s.set(config, g.rules().text.Attributes(config.Attributes()), config.Links(), nil)
	g.started(s, s.sizeOfStart())
	return t.started(ctx, s)
}

// place says where a span belongs.
func (s *span) place(of *scope, g *segment, id trace.SpanID, name string, flags trace.TraceFlags) {
	s.Span, s.scope, s.segment, s.id, s.name, s.flags = &noSpan, of, g, id, name, flags
}

// joins makes the span a child of one that is not recorded here, in a segment of
// the same trace. Whether that is kept, and with which threshold, is what the segment
// says.
func (s *span) joins(parent trace.SpanContext) {
	s.fixed |= hasParent
	s.rarely().parent = parent
	s.flags = parent.TraceFlags().WithSampled(s.flags.IsSampled())
	s.setState(sampling.WithThreshold(parent.TraceState(), sampling.ThresholdIn(s.segment.state)))
}

// setState gives the span's context a tracestate of its own.
func (s *span) setState(state trace.TraceState) {
	s.fixed |= hasState
	if s.fixed&saysAlways != 0 {
		state = always(state)
	}
	s.rarely().state = state
}

// set takes what Start says of the span.
func (s *span) set(config *trace.SpanConfig, attrs []attribute.KeyValue, links []trace.Link, samplers []attribute.KeyValue) {
	s.fixed |= fixedBits(trace.ValidateSpanKind(config.SpanKind()))
	if s.start = config.Timestamp(); s.start.IsZero() {
		s.fixed |= hasClock
		s.start = s.segment.now()
	}
	for i := range links {
		if l, ok := s.segment.rules().link(links[i]); ok {
			s.addLink(l)
		}
	}
	if len(samplers) > 0 {
		s.addAttributes(samplers)
		s.addAttributes(attrs)
		return
	}
	s.startWith(attrs)
}

// now is the time. Within the first second of a segment it is that of the root and
// what has passed since, which takes half as long to read.
func (g *segment) now() time.Time {
	if root := &g.root; root.fixed&hasClock != 0 && !root.start.IsZero() {
		if since := time.Since(root.start); since < time.Second {
			return root.start.Add(since)
		}
	}
	return time.Now()
}

// started tells whoever wants to know that a span has started, and returns it with
// its context.
func (t *tracer) started(ctx context.Context, s *span) (context.Context, trace.Span) {
	for _, sp := range t.scope.provider.spanProcessors() {
		sp.OnStart(ctx, s)
	}
	var next context.Context = &node{Context: ctx, span: s}
	if rtrace.IsEnabled() {
		next = s.startTask(next, s.name)
	}
	return next, s
}

// unrecorded is a span that is not recorded, nor is what is below it.
type unrecorded struct {
	*unrecordedBy
	traceID trace.TraceID
	id      trace.SpanID
	flags   trace.TraceFlags
	state   *trace.TraceState // nil is empty
}

// unrecordedBy is what such spans of a provider have in common.
type unrecordedBy struct {
	noop.Span
	provider *TracerProvider
}

var noSpan noop.Span

// SpanContext identifies the span.
func (u *unrecorded) SpanContext() trace.SpanContext {
	c := trace.SpanContextConfig{TraceID: u.traceID, SpanID: u.id, TraceFlags: u.flags}
	if u.state != nil {
		c.TraceState = *u.state
	}
	return trace.NewSpanContext(c)
}

// TracerProvider returns the one that made the span.
func (u *unrecorded) TracerProvider() trace.TracerProvider { return u.provider }

// unrecorded returns a span of which nothing is recorded. It carries no threshold:
// that would be the one of a decision to keep it.
func (p *TracerProvider) unrecorded(ctx context.Context, traceID trace.TraceID, id trace.SpanID, flags trace.TraceFlags, state trace.TraceState) (context.Context, trace.Span) {
	u := &unrecorded{unrecordedBy: &p.unrecordedBy, traceID: traceID, id: id, flags: flags.WithSampled(false)}
	if state.Len() > 0 {
		if state = sampling.WithThreshold(state, sampling.Unknown); state.Len() > 0 {
			kept := state // else the parameter would be allocated in any case
			u.state = &kept
		}
	}
	return &node{Context: ctx, span: u}, u
}

// below returns a span with an ID of its own, as the API wants it.
func (u *unrecorded) below(ctx context.Context) (context.Context, trace.Span) {
	child := *u
	child.id = u.provider.ids.NewSpanID(ctx, u.traceID)
	return &node{Context: ctx, span: &child}, &child
}

// unrecordedBelow does so below a parent of another kind.
func (p *TracerProvider) unrecordedBelow(ctx context.Context, parent trace.SpanContext) (context.Context, trace.Span) {
	return p.unrecorded(ctx, parent.TraceID(), p.ids.NewSpanID(ctx, parent.TraceID()), parent.TraceFlags(), parent.TraceState())
}

// randomIDs makes IDs at random.
type randomIDs struct{}

// NewIDs makes the IDs of a trace and of its root.
func (g randomIDs) NewIDs(ctx context.Context) (id trace.TraceID, root trace.SpanID) {
	for !id.IsValid() {
		binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
		binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	}
	return id, g.NewSpanID(ctx, id)
}

// NewSpanID makes the ID of a span.
func (randomIDs) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	for !id.IsValid() {
		binary.NativeEndian.PutUint64(id[:], rand.Uint64())
	}
	return id
}

// Interface guards.
var (
	_ trace.Tracer         = (*tracer)(nil)
	_ trace.Span           = (*unrecorded)(nil)
	_ sdktrace.IDGenerator = randomIDs{}
)
