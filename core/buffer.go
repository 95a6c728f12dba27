package core

import (
	"sync/atomic"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// buffer holds one state per trace of this process until the trace is
// decided, and remembers the decision for spans that come later: rules 4 to 8
// of the design. It exists only if some sampler waits for the end of spans.
//
// A state belongs to the shard of its trace ID and is touched only with the
// shard's lock held. Samplers and lines are called without it.
type buffer struct {
	rules   *startRules
	names   names
	end     []*endEntry
	judge   *judge // nil without trace samplers
	deliver func(Kept)
	limits  bufferLimits
	sdk     trace.TracerProvider // the one whose spans come here

	shards []shard
	// memoryPerShard is how many decided traces a shard remembers.
	memoryPerShard int
	// held is how many bytes the shards hold, but for what each keeps to
	// itself up to heldGrain.
	held     atomic.Int64
	halvings atomic.Int32 // of the pressure threshold
	clock    atomic.Int32 // coarse, in ticks: what a start is stamped with

	keeper keeper
}

type bufferLimits struct {
	decisionWait  time.Duration
	memoryAge     time.Duration
	memoryTraces  int
	maxBytes      int64
	maxTraceBytes int64
}

const (
	// heldGrain is how many bytes a shard may take or give before it says so.
	heldGrain = 8 << 10
	// stateBytes is what the state of a trace takes, its place in the index
	// included.
	stateBytes = 144
	// rootBytes is what an open local root takes.
	rootBytes = 1 << 10
)

func newBuffer(rules *startRules, samplers *samplerList, limits bufferLimits, deliver func(Kept)) *buffer {
	b := &buffer{rules: rules, end: samplers.end, limits: limits, deliver: deliver}
	samplers.number(&b.names)
	rules.force.number = b.names.number(ForceSampler)
	if len(samplers.traces) > 0 {
		b.judge = newJudge(b, samplers.traces)
	}
	b.shards = make([]shard, stripes())
	b.memoryPerShard = (limits.memoryTraces + len(b.shards) - 1) / len(b.shards)
	b.keeper.signal = make(chan struct{}, 1)
	b.keeper.stop = make(chan struct{})
	return b
}

func (b *buffer) shard(id trace.TraceID) *shard { return &b.shards[stripeOf(id, len(b.shards))] }

// sample answers the SDK about one span. What it answers to record, it counts
// as open: whatever other spans of the trace do before OnStart is called,
// the trace is not complete.
func (b *buffer) sample(p *sdktrace.SamplingParameters, result *sdktrace.SamplingResult) {
	span := trace.SpanFromContext(p.ParentContext)
	parent := span.SpanContext()
	_, recorded := span.(sdktrace.ReadOnlySpan)
	switch {
	case !recorded && span.TracerProvider() == b.sdk: // dropped
		result.Tracestate = parent.TraceState()
		return
	case parent.IsValid() && !parent.IsRemote():
		b.child(parent, recorded, result)
		return
	}
	var d startDecision
	b.rules.decide(&d, p, parent)
	if d.verdict == drop {
		result.Tracestate = d.state
		return
	}
	b.root(p.TraceID, &d, result)
}

// root records a local root that no rule dropped.
func (b *buffer) root(id trace.TraceID, d *startDecision, result *sdktrace.SamplingResult) {
	result.Tracestate = d.state
	pressure := b.pressure()
	sh := b.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	st := sh.liveState(id)
	if st == nil && !d.fresh {
		st = sh.state(id)
	}
	if st == nil {
		if !d.selected && !pressure.Selects(d.randomness) {
			sh.counts.notRecorded++
			return
		}
		st = b.newState(sh, id, d.randomness, pressure)
		st.follows = d.follow
		if !d.fresh {
			b.resume(sh, st)
		}
	}
	sh.opened(st, b.clock.Load())
	b.startSpoke(st, d)
	result.Attributes = d.attrs
	if !st.kept {
		result.Decision = sdktrace.RecordOnly
		if d.selected { // but the trace was discarded
			result.Tracestate = sampling.WithThreshold(d.state, sampling.Unknown)
		}
		return
	}
	result.Decision = sdktrace.RecordAndSample
	if st.spoken || !d.selected {
		result.Tracestate = sampling.WithThreshold(d.state, st.least)
	}
	if d.threshold == sampling.Always && d.by != nil && st.by == d.by.number {
		result.Attributes = d.attributes() // nobody can say less
	}
}

// child answers about a span below a local parent that was not dropped. The parent
// is recorded if its type says so, else if the state of its trace does.
func (b *buffer) child(parent trace.SpanContext, recorded bool, result *sdktrace.SamplingResult) {
	result.Tracestate = parent.TraceState()
	id := parent.TraceID()
	sh := b.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	st := sh.state(id)
	if st == nil {
		if !recorded && !parent.IsSampled() && b.forgotten(sh, id) == nil {
			return
		}
		st = b.recall(sh, parent)
	}
	sh.opened(st, b.clock.Load())
	st.trust(parent)
	switch {
	case st.spoken:
		result.Decision, result.Tracestate = sdktrace.RecordAndSample, sampling.WithThreshold(result.Tracestate, st.least)
	case parent.IsSampled():
		result.Decision = sdktrace.RecordAndSample
	default:
		result.Decision = sdktrace.RecordOnly
	}
}

// started remembers an open local root, for the case that its trace is
// overdue before it ends.
func (b *buffer) started(s sdktrace.ReadOnlySpan) {
	if !isLocalRoot(s) {
		return
	}
	sc := s.SpanContext()
	id := sc.TraceID()
	sh := b.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if st := sh.state(id); st != nil && !st.decided {
		live := sh.hold(st)
		live.roots = append(live.roots, openRoot{sc.SpanID(), s})
		b.account(sh, rootBytes)
	}
}

// ended takes a span that ended: end samplers are asked about it, and it
// waits, is handed over, or is forgotten.
func (b *buffer) ended(s sdktrace.ReadOnlySpan) {
	sc := s.SpanContext()
	id := sc.TraceID()
	root := isLocalRoot(s)
	sh := b.shard(id)

	sh.mu.Lock()
	st := sh.state(id)
	if st == nil {
		st = b.recall(sh, sc)
		sh.opened(st, b.clock.Load())
		sh.counts.late++
		st.late = true
	} else if st.late {
		sh.counts.late++
	}
	st.ended++
	if ask := b.unanswered(st); ask != 0 {
		p := &sampling.EndParameters{Span: s, LocalRoot: root, Duration: s.EndTime().Sub(s.StartTime()), Spans: int(st.ended)}
		sh.mu.Unlock()
		b.askEnd(st, id, ask, p)
		sh.mu.Lock()
		if st.id != id { // gone while the samplers were asked
			if st = sh.state(id); st == nil {
				st = b.recall(sh, sc)
			}
			sh.opened(st, b.clock.Load())
		}
	}
	if live := sh.held(st); live != nil && root && live.closeRoot(sc.SpanID()) {
		b.account(sh, -rootBytes)
	}
	var out handOver
	b.settle(sh, st, s, &out)
	sh.mu.Unlock()
	if len(out.spans) > 0 {
		b.handOver(&out)
	}
}

// settle files an ended span and says what is to be handed over now.
func (b *buffer) settle(sh *shard, st *traceState, s sdktrace.ReadOnlySpan, out *handOver) {
	if st.open > 0 {
		st.open--
	}
	var last sdktrace.ReadOnlySpan // completes a trace that is decided now, and need not wait
	switch {
	case st.decided && st.kept:
		b.take(sh, st, s, out)
	case st.decided:
		st.forgotten++
		sh.counts.spansForgotten++
	case b.streams(st):
		b.stream(sh, st, s, out)
	case st.open == 0 && b.judge == nil:
		last = s
	default:
		live := b.wait(sh, st, s)
		if live.bytes > b.limits.maxTraceBytes && st.open > 0 {
			b.cut(sh, st, out)
			sh.counts.cut++
		}
	}
	if st.open > 0 || st.list == inJudging {
		return
	}
	if !st.decided {
		if b.judge != nil && b.judge.add(sh, st, true) {
			return
		}
		if b.unspoken(st) { // as most are
			b.forget(sh, st, last)
			b.bury(sh, st)
			return
		}
		b.decide(sh, st)
		b.outcome(sh, st, last, out)
	}
	b.completed(sh, st)
}

// streams reports whether the spans of a trace are handed over as they end,
// because nothing can be said any more.
func (b *buffer) streams(st *traceState) bool {
	return st.kept && st.least == sampling.Always && b.judge == nil
}

// stream decides such a trace and gives away what waits, and s if it is a span.
func (b *buffer) stream(sh *shard, st *traceState, s sdktrace.ReadOnlySpan, out *handOver) {
	b.decide(sh, st)
	b.take(sh, st, s, out)
	b.release(sh, st)
}

// cut decides a trace that is not complete, or that waits for the judge.
func (b *buffer) cut(sh *shard, st *traceState, out *handOver) {
	st.cut, st.late = st.cut || st.open > 0, true
	b.decide(sh, st)
	b.outcome(sh, st, nil, out)
	if st.open == 0 {
		b.completed(sh, st)
	}
}

// outcome hands over what a trace that was just decided holds, and s if it is a
// span, or forgets it.
func (b *buffer) outcome(sh *shard, st *traceState, s sdktrace.ReadOnlySpan, out *handOver) {
	if st.kept {
		b.take(sh, st, s, out)
	} else {
		b.forget(sh, st, s)
	}
	b.release(sh, st)
}

// decide ends the waiting of a trace's spans.
func (b *buffer) decide(sh *shard, st *traceState) {
	st.decided = true
	if live := sh.held(st); live != nil {
		b.dropRoots(sh, live)
	}
	if st.list == inUndecided || st.list == inJudging {
		b.remember(sh, st, inOpen)
	}
}

// wait makes an ended span wait.
func (b *buffer) wait(sh *shard, st *traceState, s sdktrace.ReadOnlySpan) *liveTrace {
	live := sh.hold(st)
	n := sizeOf(s)
	live.spans = append(live.spans, s)
	live.bytes += n
	b.account(sh, n)
	return live
}

// take gives away the waiting spans of a kept trace, and s if it is one.
func (b *buffer) take(sh *shard, st *traceState, s sdktrace.ReadOnlySpan, out *handOver) {
	if live := sh.held(st); live != nil && len(live.spans) > 0 {
		out.spans = live.spans
		live.spans = nil
		b.account(sh, -live.bytes)
		live.bytes = 0
	}
	if s != nil {
		out.spans = append(out.spans, s)
	}
	if len(out.spans) == 0 {
		return
	}
	out.threshold, out.sampler = st.least, b.names.name(st.by)
	out.partial, out.forgotten = st.cut || st.forgotten > 0, st.forgotten
	if out.partial && !st.marked {
		st.marked, out.mark = true, true
	}
	if !st.counted {
		st.counted = true
		sh.counts.keep(st.by)
	}
	sh.counts.spansKept += uint64(len(out.spans))
}

// forget lets go of the waiting spans of a trace, and of s if it is one.
func (b *buffer) forget(sh *shard, st *traceState, s sdktrace.ReadOnlySpan) {
	sh.counts.forgotten++
	if s != nil {
		st.forgotten++
		sh.counts.spansForgotten++
	}
	live := sh.held(st)
	if live == nil {
		return
	}
	st.forgotten += int32(len(live.spans))
	sh.counts.spansForgotten += uint64(len(live.spans))
	clear(live.spans)
	live.spans = live.spans[:0]
	b.account(sh, -live.bytes)
	live.bytes = 0
}

// newState makes the state of a trace.
func (b *buffer) newState(sh *shard, id trace.TraceID, randomness uint64, pressure sampling.Threshold) *traceState {
	if len(sh.free) == 0 {
		sh.grow()
	}
	last := len(sh.free) - 1
	r := sh.free[last]
	sh.free = sh.free[:last]
	st := sh.at(r)
	*st = traceState{id: id, randomness: randomness, least: sampling.Never, byRank: unranked, pressure: pressure, at: b.clock.Load(), self: r}
	sh.recent = st
	sh.move(st, inUndecided)
	b.account(sh, stateBytes)
	return st
}

// drop removes a state for good.
func (b *buffer) drop(sh *shard, st *traceState) {
	if live := sh.held(st); live != nil && len(live.spans) > 0 {
		b.forget(sh, st, nil)
	}
	b.release(sh, st)
	sh.move(st, inNone)
	st.id = trace.TraceID{}
	if sh.recent == st {
		sh.recent = nil
	}
	sh.free = append(sh.free, st.self)
	b.account(sh, -stateBytes)
}

// release gives back what a trace held while it was live.
func (b *buffer) release(sh *shard, st *traceState) {
	live := sh.held(st)
	if live == nil {
		return
	}
	b.account(sh, -live.bytes)
	b.dropRoots(sh, live)
	clear(live.spans)
	if cap(live.spans) > spareCap || cap(live.roots) > spareCap {
		*live = liveTrace{}
	}
	live.spans, live.bytes = live.spans[:0], 0
	sh.spare = append(sh.spare, st.holds)
	st.holds = 0
}

// dropRoots lets go of open local roots: the trace is decided without them.
func (b *buffer) dropRoots(sh *shard, live *liveTrace) {
	b.account(sh, -rootBytes*int64(len(live.roots)))
	clear(live.roots)
	live.roots = live.roots[:0]
}

// account counts bytes taken or given.
func (b *buffer) account(sh *shard, n int64) {
	sh.delta += n
	if sh.delta < heldGrain && sh.delta > -heldGrain {
		return
	}
	held := b.held.Add(sh.delta)
	sh.delta = 0
	if held > b.limits.maxBytes {
		b.keeper.wake()
	}
}

func isLocalRoot(s sdktrace.ReadOnlySpan) bool {
	p := s.Parent()
	return !p.IsValid() || p.IsRemote()
}
