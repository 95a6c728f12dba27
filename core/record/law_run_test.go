package record

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// lawRun is a history with one randomness of the trace that is varied, and what came
// of it.
type lawRun struct {
	h          *lawHistory
	randomness uint64
	logger     *slog.Logger
	p          *TracerProvider
	config     Config // of the rules in force
	settled    bool   // nobody waited for the end of spans, at some time
	current    *lawEvent
	began      time.Time
	ticks      int // since then
	spans      map[int]lawSpan

	mu       sync.Mutex
	kept     map[int64]lawKept // by the number of the span
	measured map[int64]bool    // likewise, and whether as one that is kept
	forced   map[int64]bool    // spans of forced segments of the varied trace
	notes    []lawNote
	said     int // notes up to the last event
	wrong    []string
}

type lawSpan struct {
	ctx  context.Context //nolint:containedctx // others start below it
	span trace.Span
}

// lawKept is a span that was handed over.
type lawKept struct {
	threshold sampling.Threshold
	sampler   string
	partial   bool
}

// lawNote is something that must not depend on a randomness.
type lawNote struct {
	kind lawNoteKind
	a, b int64
}

type lawNoteKind uint8

const (
	lawNoteStart lawNoteKind = iota
	lawNoteEnd
	lawNoteSegment
	lawNoteHeld
	lawNoteOpen
	lawNoteDecided
	lawNoteKeep
)

func (n lawNote) String() string {
	what := [...]string{"start sampler %d asked at %d", "end sampler %d asked about %d", "segment sampler %d asked about %d first", "after %d: held %d", "at that time: open %d, remembered %d", "decided: overdue %d, thinned %d", "Keep at %d: %d"}[n.kind]
	return fmt.Sprintf(what, n.a, n.b)
}

func (r *lawRun) note(k lawNoteKind, a, b int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, lawNote{k, a, b})
}

func (r *lawRun) complain(format string, args ...any) {
	r.wrong = append(r.wrong, fmt.Sprintf(format, args...))
}

// runLaw runs a history.
func runLaw(t *testing.T, h *lawHistory, randomness uint64) *lawRun {
	r := &lawRun{
		h: h, randomness: randomness, logger: slog.New(slog.DiscardHandler),
		spans: map[int]lawSpan{}, kept: map[int64]lawKept{}, measured: map[int64]bool{}, forced: map[int64]bool{},
	}
	synctest.Test(t, func(*testing.T) { r.run() })
	return r
}

func (r *lawRun) run() {
	s := &r.h.setup
	c := Config{
		Resource: resource.Empty(), Limits: sdktrace.NewSpanLimits(), IDGenerator: r, RemoteParent: s.mode, Logger: r.logger,
		Randomness: func() uint64 { return r.randomnessOf(r.current.trace) }, Deliver: r.deliver,
		Bounds: Bounds{
			MaxWait: time.Duration(s.wait) * lawTick, MemoryAge: time.Duration(s.age) * lawTick, MaxBytes: 1 << 40, MaxSegmentBytes: s.maxSegment,
		},
	}
	for _, l := range s.samplers {
		l.add(&c.Samplers, r)
	}
	r.wait(&c.Samplers)
	s.spend(&c)
	if measures := len(r.h.events)%2 == 0; measures {
		c.Measure, c.AlwaysRecord = r.measure, len(r.h.events)%4 == 0
	}
	r.config, r.settled = c, c.Budget == nil && !c.Samplers.WaitForEnd()
	r.began, r.current = time.Now(), &lawEvent{number: -1}
	r.p = NewTracerProvider(c)
	if r.p.live.tick != lawTick {
		panic("the setup has another tick")
	}
	r.advance(0)
	for i := range r.h.events {
		r.current = &r.h.events[i]
		r.step(r.current)
		synctest.Wait()
		r.observe()
	}
	if err := r.p.Shutdown(context.Background()); err != nil {
		r.complain("Shutdown: %v", err)
	}
	r.observe()
	for _, s := range r.spans {
		s.span.End()
	}
	if held, open := r.p.live.exactly(), r.p.live.open(); held != 0 || open != 0 {
		r.complain("after Shutdown %d segments are open and %d bytes are held", open, held)
	}
	if c.Measure != nil {
		r.checkMeasured()
	}
}

// advance lets ticks pass. Events fall between two of them, whatever took time before.
func (r *lawRun) advance(ticks int) {
	r.ticks += ticks
	time.Sleep(time.Until(r.began.Add(time.Duration(r.ticks)*lawTick + lawTick/2)))
}

// observe notes what must be the same whatever the randomness is.
func (r *lawRun) observe() {
	s := r.p.Stats()
	r.mu.Lock()
	defer r.mu.Unlock()
	// Which segments make a batch is up to the scheduler.
	slices.SortStableFunc(r.notes[r.said:], func(a, b lawNote) int {
		if a.kind != lawNoteSegment || b.kind != lawNoteSegment {
			return cmp.Compare(a.kind, b.kind)
		}
		return cmp.Or(cmp.Compare(a.a, b.a), cmp.Compare(a.b, b.b))
	})
	r.notes = append(r.notes, lawNote{lawNoteHeld, int64(r.current.number), s.HeldBytes},
		lawNote{lawNoteOpen, int64(s.Open), int64(s.Remembered)}, lawNote{lawNoteDecided, int64(s.Overdue), int64(s.Thinned)})
	r.said = len(r.notes)
}

func (r *lawRun) randomnessOf(x int) uint64 {
	if x == r.h.varied {
		return r.randomness
	}
	return r.h.traces[x].randomness
}

func (r *lawRun) traceID(x int) (id trace.TraceID) {
	t := &r.h.traces[r.h.traces[x].sameID]
	binary.BigEndian.PutUint64(id[:], t.id|1)
	low := t.id * 0x9e3779b97f4a7c15
	if !t.spoken {
		low = low>>56<<56 | r.randomnessOf(r.h.traces[x].sameID)
	}
	binary.BigEndian.PutUint64(id[8:], low)
	id[7] ^= id[15] // the part of the memory that is the trace's is by both
	return id
}

// NewIDs makes IDs that depend on the history only, and on the randomness that is
// varied.
func (r *lawRun) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	return r.traceID(r.current.trace), r.NewSpanID(ctx, trace.TraceID{})
}

// NewSpanID has the number of the event. Segments whose roots end in the same byte
// share a list.
func (r *lawRun) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	binary.BigEndian.PutUint32(id[:], uint32(r.current.number+1))
	id[7] = byte(r.current.number % 3)
	return id
}

func spanNumber(id trace.SpanID) int64 {
	return int64(binary.BigEndian.Uint32(id[:])) - 1
}

// deliver takes what is kept.
func (r *lawRun) deliver(k Kept) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range k.Spans {
		sc := s.SpanContext()
		n := spanNumber(sc.SpanID())
		if _, twice := r.kept[n]; twice {
			r.complain("%d is handed over twice", n)
		}
		r.kept[n] = lawKept{k.Threshold, k.Sampler, k.Partial}
		if said := sampling.ThresholdOf(sc); said != k.Threshold || !sc.IsSampled() {
			r.complain("%d is handed over with %v, and says %v, sampled %v", n, k.Threshold, said, sc.IsSampled())
		}
	}
}

func failedSpan(s sdktrace.ReadOnlySpan) bool { return s.Status().Code == codes.Error }

// lawForeign is somebody else's span around one of ours.
type lawForeign struct{ trace.Span }

// step does what an event says. What it refers to may have been left out.
func (r *lawRun) step(e *lawEvent) {
	ref, known := r.spans[e.ref]
	if !known && e.kind != lawRoot && e.kind != lawRemote && e.kind != lawAdvance && e.kind != lawKeep && e.kind != lawPressure && e.kind != lawFlush && e.kind != lawReconfigure {
		return
	}
	l := r.p.live
	switch e.kind {
	case lawEnd:
		if e.flag {
			ref.span.SetStatus(codes.Error, "")
		}
		ref.span.End()
	case lawFail:
		ref.span.SetStatus(codes.Error, "failed")
	case lawGrow:
		ref.span.SetAttributes(attribute.String(fmt.Sprint(e.number), strings.Repeat("x", e.n)))
	case lawAdvance:
		r.advance(e.n)
	case lawKeep:
		here := r.p.Keep(r.traceID(e.trace), e.threshold, "somebody")
		r.note(lawNoteKeep, int64(e.number), map[bool]int64{true: 1}[here])
	case lawPressure:
		level := l.levelOf(e.n)
		before := l.level.Swap(level)
		if before < level {
			l.press()
		}
	case lawRoom:
		if s, ok := ref.span.(*span); ok {
			makeRoom(s.segment)
		}
	case lawOverdue:
		if s, ok := ref.span.(*span); ok {
			l.decideOverdue(s.segment)
		}
	case lawFlush:
		if err := r.p.ForceFlush(context.Background()); err != nil {
			r.complain("ForceFlush: %v", err)
		}
		// It has waited for segment samplers if any were being asked. Those that are asked
		// from here on wait for the middle of a moment in any case.
		if past := time.Since(r.began) % lawMoment; past > 0 {
			time.Sleep(lawMoment - past)
		}
	case lawReconfigure:
		r.reconfigure(e.n)
	default:
		r.start(e, ref)
	}
}

// reconfigure puts the samplers into another order, some of them as they are and some made
// anew, and leaves one out.
func (r *lawRun) reconfigure(n int) {
	all, last := r.h.setup.samplers, r.config.Samplers
	r.config.Samplers = Samplers{}
	for i := range all {
		switch l := &all[(i+n)%len(all)]; {
		case l.number == n/8:
		case (l.number^n)&1 == 0 && slices.ContainsFunc(last.entries, func(e *entry) bool { return e.name == l.name() }):
			r.config.Samplers.AddSame(&last, l.name())
		default:
			l.add(&r.config.Samplers, r)
		}
	}
	r.wait(&r.config.Samplers)
	r.settled = r.settled || r.config.Budget == nil && !r.config.Samplers.WaitForEnd()
	r.p.Reconfigure(r.config, func(context.Context) {})
}

// levelOf is the level of pressure at which segments of a few spans are halved n times,
// larger ones more often, and smaller ones less.
func (l *live) levelOf(n int) int32 {
	if n == 0 {
		return 0
	}
	return int32(n + bits.Len64(uint64(l.bounds().MaxBytes/largestShare)) - bits.Len64(4*uint64(segmentBytes)))
}

// makeRoom decides a segment as the engine does where memory is short.
func makeRoom(g *segment) {
	var out handOver
	g.mu.Lock()
	if g.slot != unlisted {
		g.decideNow(&out)
	}
	g.mu.Unlock()
	out.deliver()
}

func (r *lawRun) start(e *lawEvent, ref lawSpan) {
	ctx := context.Background()
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	switch e.kind {
	case lawRoot:
		if r.h.traces[e.trace].spoken {
			ctx = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceState: r.spoken(e.trace)}))
		}
	case lawRemote:
		ctx = trace.ContextWithRemoteSpanContext(ctx, r.caller(e))
	case lawCall:
		ctx = trace.ContextWithRemoteSpanContext(ctx, ref.span.SpanContext())
	case lawBare:
		ctx = trace.ContextWithSpanContext(ctx, ref.span.SpanContext())
	case lawChild:
		ctx = ref.ctx
	case lawWrapped:
		ctx = trace.ContextWithSpan(ref.ctx, lawForeign{ref.span})
	case lawCopied:
		ctx = trace.ContextWithSpanContext(ref.ctx, ref.span.SpanContext())
	case lawCrossed:
		other, ok := r.spans[e.other]
		if !ok {
			return
		}
		ctx = trace.ContextWithSpanContext(other.ctx, ref.span.SpanContext())
	case lawNewRoot:
		ctx = ref.ctx
		options = append(options, trace.WithNewRoot())
	default:
	}
	if e.forced {
		ctx = sampling.ContextWithForce(ctx)
	}
	if e.n > 0 {
		options = append(options, trace.WithAttributes(attribute.String("payload", strings.Repeat("x", e.n))))
	}
	var s lawSpan
	s.ctx, s.span = r.p.Tracer("").Start(ctx, e.name, options...)
	r.spans[e.number] = s
	if own, ok := s.span.(*span); ok && own.segment.startBy == r.p.live.rules().forced && e.trace == r.h.varied {
		r.forced[int64(e.number)] = true
	} else if e.forced && own == nil {
		r.complain("%d is forced, and not recorded", e.number)
	}
}

// spoken is a tracestate with the randomness of a trace.
func (r *lawRun) spoken(x int) trace.TraceState {
	return sampling.WithRandomness(trace.TraceState{}, r.randomnessOf(x))
}

// caller is the context of a remote parent. Its flag is a comparison with the trace's
// randomness as well, if it has a threshold.
func (r *lawRun) caller(e *lawEvent) trace.SpanContext {
	c := trace.SpanContextConfig{TraceID: r.traceID(e.trace), SpanID: trace.SpanID{0xff, byte(e.number)}, Remote: true}
	switch {
	case r.h.setup.mode == Ignore: // what a client says is not looked at
		c.TraceState = sampling.WithRandomness(c.TraceState, r.h.traces[e.trace].id)
		c.TraceState = sampling.WithThreshold(c.TraceState, e.threshold)
	case r.h.traces[e.trace].spoken:
		c.TraceState = r.spoken(e.trace)
	}
	sampled := e.flag
	if e.threshold != sampling.Unknown && r.h.setup.mode != Ignore {
		if sampled = e.threshold.Selects(r.randomnessOf(e.trace)); sampled {
			c.TraceState = sampling.WithThreshold(c.TraceState, e.threshold)
		}
	}
	c.TraceFlags = c.TraceFlags.WithSampled(sampled)
	return trace.NewSpanContext(c)
}
