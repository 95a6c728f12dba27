package record

import (
	"context"
	"log/slog"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"go.opentelemetry.io/otel/trace"
)

// live knows the segments of which a span is open or waits, and what they hold. It
// decides those that stay open for too long, and makes room.
type live struct {
	current atomic.Pointer[rules] // under which segments begin
	names   names                 // of all rules
	asker   asker
	deliver func(Kept)
	logger  *slog.Logger
	shards  []shard
	memory  memory
	started [countParts]startCounts
	// By the number of the name: segments that were kept, or cut, and how often a sampler
	// was suspended.
	kept, cut, suspended [maxNames]atomic.Uint64
	asks                 [maxNames]atomic.Pointer[asks] // likewise

	held  atomic.Int64 // by all shards, but for less than a grain each
	level atomic.Int32 // of pressure
	clock atomic.Int32 // in ticks

	tick     time.Duration
	signal   chan struct{} // memory is short
	sweeps   bool          // the goroutine runs; guarded by former.mu when there is one
	stop     chan struct{}
	sweeper  sync.WaitGroup
	former   former
	calm     int32       // ticks since the pressure changed, or memory was half full
	futile   bool        // more pressure does not free what it should
	reported time.Time   // when pressure was last logged
	warned   atomic.Bool // of parents without a threshold
}

// shard is a part of the live segments, so that goroutines seldom meet.
type shard struct {
	mu     sync.Mutex
	slots  []slot
	free   []int32
	closed bool
	_      [64]byte
	held   atomic.Int64
	counts counts
	_      [56]byte
}

// slot is the place of a live segment. It has what a sweep looks at.
type slot struct {
	segment *segment
	since   int32 // the tick at which it was listed, or decided early
}

const (
	unlisted  = -1
	slotBytes = int64(unsafe.Sizeof(slot{}))
	// grain is how many bytes a shard may take or give before all know.
	grainBits = 13
	// maxTick is long, since each tick wakes a process up that has nothing to do: that
	// can take half a millisecond of CPU time on a virtual machine.
	maxTick = time.Second
)

// counts only grow. Spans and segments are counted where they are decided.
type counts struct {
	notKept, abandoned, discarded, overdue, thinned, crowded, tooLarge, overBudget, unrecorded, spansKept, spansLost atomic.Uint64
}

// newLive makes one and starts what runs in the background, if anything waits.
func newLive(c *Config, logger *slog.Logger) *live {
	l := &live{deliver: c.Deliver, logger: logger, signal: make(chan struct{}, 1), stop: make(chan struct{})}
	const least, most, perProcessor = 16, 256, 8
	l.shards = make([]shard, min(max(1<<bits.Len(uint(perProcessor*runtime.GOMAXPROCS(0)-1)), least), most))
	l.names.init()
	l.asker.init()
	l.former.init()
	r := l.newRules(c)
	l.current.Store(r)
	l.tick = min(maxTick, r.bounds.DecisionWait/10+1)
	l.memory.init()
	l.bound(&r.bounds)
	l.startFor(r)
	return l
}

// rules are those under which segments begin now.
func (l *live) rules() *rules { return l.current.Load() }

// bounds are those in force.
func (l *live) bounds() *Bounds { return &l.rules().bounds }

// bound puts bounds into force.
func (l *live) bound(b *Bounds) { l.memory.bound(b.MemoryTraces, l.ticks(b.MemoryAge)) }

func (l *live) ticks(d time.Duration) int32 { return int32((d + l.tick - 1) / l.tick) }

// shardOf is where a segment is listed with the local root of that ID.
func (l *live) shardOf(root trace.SpanID) uint8 { return root[7] & uint8(len(l.shards)-1) }

// add lists a segment. It reports whether there is a list for it: after Shutdown there
// is none, nor under rules that are closing. The segment is locked, or nobody else has
// it.
func (l *live) add(g *segment) bool {
	sh := &l.shards[g.shard]
	now := l.clock.Load()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed || g.rules().closing.Load() {
		return false
	}
	if n := len(sh.free); n > 0 {
		g.slot = sh.free[n-1]
		sh.free = sh.free[:n-1]
		sh.slots[g.slot] = slot{g, now}
	} else {
		g.slot = int32(len(sh.slots))
		sh.slots = append(sh.slots, slot{g, now})
	}
	g.since = now
	return true
}

// remove takes a segment off the list.
func (l *live) remove(g *segment) {
	sh := &l.shards[g.shard]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.slots[g.slot].segment = nil
	sh.free = append(sh.free, g.slot)
	g.slot = unlisted
}

// touch makes a segment wait anew.
func (l *live) touch(g *segment) {
	sh := &l.shards[g.shard]
	g.since = l.clock.Load()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.slots[g.slot].since = g.since
}

// account counts bytes taken or given in a shard.
func (l *live) account(shard uint8, n int64) {
	now := l.shards[shard].held.Add(n)
	if grains := now>>grainBits - (now-n)>>grainBits; grains != 0 {
		if held := l.held.Add(grains << grainBits); grains > 0 && held > l.high() {
			select {
			case l.signal <- struct{}{}:
			default:
			}
		}
	}
}

// high is from where on room is made, up to low.
func (l *live) high() int64 { return l.bounds().MaxBytes / 8 * 7 }
func (l *live) low() int64  { return l.bounds().MaxBytes / 4 * 3 }

// exactly is what is held now.
func (l *live) exactly() (n int64) {
	for i := range l.shards {
		n += l.shards[i].held.Load()
	}
	return n
}

// list returns the live segments that a test picks by their slot. Those that come
// meanwhile may be missed.
func (l *live) list(pick func(slot) bool) (list []slot) {
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		for _, s := range sh.slots {
			if s.segment != nil && pick(s) {
				list = append(list, s)
			}
		}
		sh.mu.Unlock()
	}
	return list
}

func all(slot) bool { return true }

// open counts the live segments.
func (l *live) open() (n int) {
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		n += len(sh.slots) - len(sh.free)
		sh.mu.Unlock()
	}
	return n
}

// startFor starts what rules need in the background and does not run yet.
func (l *live) startFor(r *rules) {
	if r.WaitForEnd() || r.alwaysRecord {
		l.startSweeper()
	}
	if len(r.segment) > 0 {
		l.asker.start()
	}
}

func (l *live) startSweeper() {
	if !l.sweeps {
		l.sweeps = true
		l.sweeper.Go(l.run)
	}
}

// shutdown ends every open span and decides every segment. No span starts any
// more.
func (l *live) shutdown(ctx context.Context) {
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		sh.closed = true
		sh.mu.Unlock()
	}
	l.former.close() // no rules come any more
	close(l.stop)
	l.sweeper.Wait()
	l.finish(l.oldest(all))
	l.asker.shutdown(ctx)
	l.drain(ctx)
	l.former.releaseAll()
}

// drain waits for spans that other goroutines are just ending: until nothing is held,
// which is when all that is kept has been delivered. One that does not come to its end,
// since something that it calls is blocked, is not waited for.
func (l *live) drain(ctx context.Context) {
	const most = 10 * time.Millisecond
	end := time.Now().Add(max(askGrace, shutdownShare(ctx)))
	for pause := most >> 8; l.exactly() != 0 && time.Now().Before(end); pause = min(2*pause, most) {
		time.Sleep(pause)
	}
}

// shutdownShare is how long Shutdown may take to decide: half of the time that ctx
// leaves, and no more than segment samplers have for a batch. The exporters need the
// rest.
func shutdownShare(ctx context.Context) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	if deadline, ok := ctx.Deadline(); ok {
		return min(askDeadline, time.Until(deadline)/2)
	}
	return askDeadline
}

// finish ends the open spans of segments, and then decides them: what ends in one can
// keep another of its trace.
func (l *live) finish(list []*segment) {
	for _, g := range list {
		g.finish()
	}
	l.decideTogether(list, func(g *segment, out *handOver) {
		if g.bits &^= isFinishing; g.opens == 0 { // else another goroutine is just ending a span of it
			g.complete(out)
		}
	})
}

// finish ends the open spans of a segment.
func (g *segment) finish() {
	g.mu.Lock()
	g.bits |= isFinished | isFinishing
	open := make([]*span, 0, g.opens)
	for s := g.open; s != nil; s = s.next { // the youngest first, so that parents end last
		open = append(open, s)
	}
	g.mu.Unlock()
	for _, s := range open {
		s.finish()
	}
}

// finish ends a span that the application has left open.
func (s *span) finish() {
	s.mu.Lock() // while it starts it is locked, and has no time
	start := s.start
	s.mu.Unlock()
	s.end(time.Since(start), time.Time{}, true)
}
