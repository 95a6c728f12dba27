package core

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
)

// explaining is what is to be explained, by a playback or two.
type explaining struct {
	plan     *plan
	options  *options
	resource *resource.Resource
	trace    *Trace
}

// playback plays a trace to the recorder. It decides nothing: what is kept, and with
// which threshold, is what the recorder hands over, and what samplers answer is what
// it heard of them. Only why it did not ask one is concluded from that.
type playback struct {
	explaining
	randomness uint64
	ids        *playedIDs
	samplers   *samplerList
	recorder   *record.TracerProvider
	parents    []int // places, by span
	order      []moment
	spans      []playedSpan
	steps      []Step
	unknown    bool              // somebody spoke of a threshold that nobody knows
	suspended  map[string]uint64 // before the moment

	mu    sync.Mutex // the recorder also speaks on other goroutines
	heard map[question]hearing
	kept  map[trace.SpanID]record.Kept
}

// question is what the recorder asked of a sampler at a moment.
type question struct {
	sampler int // its place
	stage   string
}

type hearing struct {
	answer  sampling.Answer
	matched match.Result
}

// moment is the start or the end of a span.
type moment struct {
	at   time.Duration
	span int // its place
	end  bool
}

type playedSpan struct {
	trace.Span
	ctx     context.Context //nolint:containedctx // for the spans below it
	segment *playedSegment
	id      trace.SpanID
}

// playedSegment is what is known of a segment from outside.
type playedSegment struct {
	root     int
	recorded bool
	dropped  bool // by a rule, or by a parent that is followed
	open     int
	// by is the start sampler that decided, start what it answered.
	by        string
	start     sampling.Answer
	answered  map[int]bool // end samplers
	discarded bool
}

// play plays the trace with a randomness, with samplers and a recorder of its own.
func (e explaining) play(ctx context.Context, randomness uint64) (*playback, error) {
	p := &playback{
		explaining: e, randomness: randomness, ids: &playedIDs{randomness: randomness, apart: e.trace.isCalled()},
		heard: map[question]hearing{}, kept: map[trace.SpanID]record.Kept{},
	}
	p.parents = p.trace.parents(func(string, string, ...any) {}) // it was checked
	p.order, p.spans = p.moments(), make([]playedSpan, len(p.trace.Spans))
	var err error
	if p.samplers, err = p.plan.buildSamplers(ctx, p.options, serviceName(p.resource), nil, p.hear); err != nil {
		return nil, err
	}
	bounds := p.plan.bounds()
	const long = 1000 * time.Hour // no time passes
	bounds.MaxWait, bounds.DecisionWait, bounds.MemoryAge = long, long, long
	var budget *record.Budget
	if p.plan.Budget != nil { // it lowers nothing here, but whom it makes the recorder ask is asked
		budget = record.NewBudget(record.BudgetConfig{PerSecond: math.MaxInt32, Classes: 1})
	}
	p.recorder = record.NewTracerProvider(record.Config{
		Budget:       budget,
		Resource:     p.resource,
		Limits:       p.plan.Limits.sdk(),
		MaxText:      p.plan.Limits.maxText(),
		IDGenerator:  p.ids,
		Samplers:     p.samplers.record,
		RemoteParent: p.plan.RemoteParent,
		AlwaysRecord: p.plan.alwaysRecord(),
		Randomness:   func() uint64 { return randomness },
		Bounds:       bounds,
		Deliver:      p.keep,
		Close:        p.samplers.shutdown,
		Logger:       p.options.logger,
	})
	return p, errors.Join(p.run(ctx), p.recorder.Shutdown(ctx))
}

// hear is told by the recorder what a sampler answers.
//
// Where a local root ends, it may be asked about other spans too, whose match was not
// known before: then the first answer counts, as it does in the segment.
func (p *playback) hear(sampler int, stage string, a sampling.Answer, matched match.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := question{sampler, stage}
	if h, ok := p.heard[q]; !ok || h.matched != match.Yes || matched == match.Yes && h.answer.IsAbstain() {
		p.heard[q] = hearing{a, matched}
	}
	if t, ok := a.Threshold(); ok && t == sampling.Unknown || a.IsByParent() {
		p.unknown = true
	}
}

// forget makes room for what is heard at the next moment.
func (p *playback) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.heard)
}

// keep is handed what the recorder keeps.
func (p *playback) keep(k record.Kept) {
	p.mu.Lock()
	defer p.mu.Unlock()
	spans := k.Spans
	k.Spans = nil // the slice is the recorder's
	for _, s := range spans {
		p.kept[s.SpanContext().SpanID()] = k
	}
}

func (p *playback) run(ctx context.Context) error {
	failed := p.prepare(ctx)
	base := time.Now().Add(-p.order[len(p.order)-1].at)
	for _, m := range p.order {
		p.forget()
		p.suspended = p.recorder.Stats().Suspensions
		switch c := &p.trace.Spans[m.span]; {
		case m.end:
			// Segment samplers are asked about one segment at a time, so that it is known
			// about which one they speak.
			if err := p.end(ctx, m.span, base); err != nil {
				return err
			}
		case c.Parent == "":
			p.startRoot(m.span, base, failed)
		default:
			p.startChild(m.span, base)
		}
	}
	return nil
}

// prepareWait bounds how long samplers may take to prepare for the starts.
const prepareWait = 5 * time.Second

// prepare has samplers ask what they need to know about the local roots, all at once,
// and returns what went wrong, by sampler and root.
func (p *playback) prepare(ctx context.Context) map[[2]int]error {
	ctx, cancel := context.WithTimeout(ctx, prepareWait)
	defer cancel()
	failed := map[[2]int]error{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for root := range p.trace.Spans {
		c := &p.trace.Spans[root]
		if c.Parent != "" {
			continue
		}
		for i, s := range p.samplers.all {
			preparer, ok := s.Sampler.(sampling.Preparer)
			if !ok || p.parentDecides(s.Sampler) || p.plan.matchers[i].Match(&match.Subject{Span: match.Span{Name: c.Name, Kind: c.Kind, Attributes: c.Attributes}, IsRoot: true, RemoteParent: p.trace.isCalled(), Resource: p.resource}) != match.Yes {
				continue
			}
			all.Go(func() {
				params := sampling.StartParameters{
					ParentContext: context.Background(), Name: c.Name, Kind: c.Kind, Attributes: c.Attributes,
					RemoteParent: p.isAsked(),
				}
				if err := preparer.Prepare(ctx, params); err != nil {
					mu.Lock()
					defer mu.Unlock()
					failed[[2]int{i, root}] = err
				}
			})
		}
	}
	all.Wait()
	return failed
}

// isBound reports whether a remote parent's decision counts for the local roots.
func (p *playback) isBound() bool {
	return p.trace.isCalled() && (p.plan.RemoteParent == record.Watch || p.plan.RemoteParent == record.Follow)
}

// isAsked reports whether start samplers are told of a remote parent.
func (p *playback) isAsked() bool {
	return p.trace.isCalled() && p.plan.RemoteParent == record.Ask
}

func (p *playback) follows() bool { return p.isBound() && p.plan.RemoteParent == record.Follow }

// parentDecides reports whether the remote parent leaves nothing to ask of a start
// sampler.
func (p *playback) parentDecides(s sampling.Sampler) bool {
	return p.isBound() && (p.follows() || !s.Traits().MayDrop)
}

// above is the context in which the local roots start.
func (p *playback) above() context.Context {
	ctx := context.Background()
	if !p.trace.isCalled() {
		return ctx
	}
	c := trace.SpanContextConfig{TraceID: p.ids.trace(0), SpanID: trace.SpanID{1}, Remote: true}
	sampled := p.trace.Parent == SampledParent
	if th := p.trace.ParentThreshold; th != "" {
		t, _ := sampling.ParseThreshold(th) // it was checked
		c.TraceState = sampling.WithThreshold(c.TraceState, t)
		sampled = t.Selects(p.randomness) // as such a parent would be
	} else if sampled && p.isBound() {
		p.unknown = true
	}
	c.TraceFlags = c.TraceFlags.WithSampled(sampled)
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(c))
}

func (p *playback) startRoot(root int, base time.Time, failed map[[2]int]error) {
	dropped := p.recorder.Stats().Dropped
	g := &playedSegment{root: root, answered: map[int]bool{}}
	p.start(p.above(), root, g, base)
	g.recorded, g.dropped = p.spans[root].IsRecording(), p.recorder.Stats().Dropped > dropped
	for i, s := range p.samplers.all {
		if _, ok := s.Sampler.(sampling.StartSampler); !ok {
			continue
		}
		step, a := p.step("start", i, g, func() string {
			switch {
			case p.parentDecides(s.Sampler):
				return "the remote parent has decided"
			case g.by != "":
				return g.by + " has decided"
			default:
				return ""
			}
		})
		if err := failed[[2]int{i, root}]; err != nil && step.Asked && a.IsAbstain() {
			step.Answer = a.String() + ": " + err.Error()
		}
		switch {
		case a.IsAbstain() || a.IsAtMost():
		case a.IsByParent() && !p.isAsked():
			step.Answer += "; it abstains: there is no remote parent that it could leave it to"
		case p.isBound() && !a.IsDrop():
			step.Answer += "; only a drop counts, the remote parent has decided"
		default:
			g.by, g.start = p.samplers.all[i].entry.ID(), a
		}
		p.steps = append(p.steps, step)
	}
}

func (p *playback) startChild(child int, base time.Time) {
	up := &p.spans[p.parents[child]]
	p.start(up.ctx, child, up.segment, base)
}

func (p *playback) start(ctx context.Context, span int, g *playedSegment, base time.Time) {
	c := &p.trace.Spans[span]
	g.open++
	ctx, s := p.recorder.Tracer("").Start(ctx, c.Name,
		trace.WithSpanKind(c.Kind), trace.WithTimestamp(base.Add(c.Start)), trace.WithAttributes(c.Attributes...))
	p.spans[span] = playedSpan{Span: s, ctx: ctx, segment: g, id: s.SpanContext().SpanID()}
}

func (p *playback) end(ctx context.Context, span int, base time.Time) error {
	c, s := &p.trace.Spans[span], p.spans[span]
	s.SetAttributes(c.Late...)
	s.SetStatus(c.Status.Code, c.Status.Description)
	s.End(trace.WithTimestamp(base.Add(c.Start + c.Duration)))
	if err := p.recorder.ForceFlush(ctx); err != nil {
		return err
	}
	g := s.segment
	g.open--
	if g.recorded || g.root == span { // once is enough about what is not recorded
		p.ended(span, g)
	}
	if g.open == 0 {
		p.completed(g)
	}
	return nil
}

// ended takes what end samplers said about a span.
func (p *playback) ended(span int, g *playedSegment) {
	for i, s := range p.samplers.all {
		if _, ok := s.Sampler.(sampling.EndSampler); !ok {
			continue
		}
		step, a := p.step("end", i, g, func() string {
			switch {
			case g.answered[i]:
				return "it has answered"
			case p.follows():
				return "the remote parent has decided"
			default:
				return "the segment is kept already"
			}
		})
		if a.IsThreshold() {
			g.answered[i] = true
			if limit := p.plan.Samplers[i].Limit; limit != nil {
				step.LimitPerSecond = limit.PerSecond
			}
		}
		step.Span = p.label(span)
		p.steps = append(p.steps, step)
	}
}

// completed takes what segment samplers said about a segment.
func (p *playback) completed(g *playedSegment) {
	g.discarded = false
	for i, s := range p.samplers.all {
		if _, ok := s.Sampler.(sampling.SegmentSampler); !ok {
			continue
		}
		step, a := p.step("segment", i, g, func() string {
			if p.follows() {
				return "the remote parent has decided"
			}
			return "the segment is kept already"
		})
		if a.IsThreshold() && p.follows() {
			step.Answer += "; only a bound counts, the remote parent has decided"
		}
		t, _ := a.Threshold()
		g.discarded = g.discarded || a.IsAtMost() && t == sampling.Never
		p.steps = append(p.steps, step)
	}
}

// moments are the starts and ends of the spans, in order. At the same time, spans
// start before others end, and those that started last end first: one that takes no
// time is inside of its parent.
func (p *playback) moments() []moment {
	spans := p.trace.Spans
	depth := make([]int, len(spans))
	starts := make([]moment, len(spans))
	for i, c := range spans {
		starts[i] = moment{at: c.Start, span: i}
		for up := p.parents[i]; up >= 0; up = p.parents[up] {
			depth[i]++
		}
	}
	slices.SortStableFunc(starts, func(a, b moment) int { return cmp.Or(cmp.Compare(a.at, b.at), depth[a.span]-depth[b.span]) })
	all := slices.Clone(starts)
	for _, m := range slices.Backward(starts) {
		all = append(all, moment{at: m.at + spans[m.span].Duration, span: m.span, end: true})
	}
	slices.SortStableFunc(all, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	return all
}

// playedIDs gives all traces the same randomness.
type playedIDs struct {
	randomness uint64
	apart      bool // each local root begins a trace of its own
	traces     uint64
	spans      uint64
}

func (g *playedIDs) trace(n uint64) (id trace.TraceID) {
	const randomBits = 56
	binary.BigEndian.PutUint64(id[:], n+1)
	binary.BigEndian.PutUint64(id[8:], 1<<randomBits|g.randomness)
	return id
}

// NewIDs makes the IDs of a local root that has no parent.
func (g *playedIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if g.apart {
		g.traces++
	}
	id := g.trace(g.traces)
	return id, g.NewSpanID(ctx, id)
}

// NewSpanID makes the ID of a span.
func (g *playedIDs) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	g.spans++
	binary.BigEndian.PutUint64(id[:], g.spans)
	return id
}

// Interface guard.
var _ sdktrace.IDGenerator = (*playedIDs)(nil)
