package core

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// keeper is the buffer's goroutine: it decides traces that are overdue,
// forgets what was remembered long enough, and makes room.
type keeper struct {
	logger *slog.Logger
	signal chan struct{}
	stop   chan struct{}
	done   sync.WaitGroup

	calm   int       // ticks since the pressure changed, or the buffer was half full
	logged time.Time // when pressure was last logged
}

const (
	// maxHalvings bounds the pressure threshold: one trace in 2^30.
	maxHalvings = 30
	// calmTicks is how long the buffer must be half empty before the pressure
	// is halved.
	calmTicks = 10
	maxTick   = 100 * time.Millisecond
)

// start starts the buffer's goroutines, for the spans of sdk.
func (b *buffer) start(sdk trace.TracerProvider, logger *slog.Logger) {
	b.sdk = sdk
	b.keeper.logger = logger
	b.keeper.done.Go(b.run)
	if b.judge != nil {
		b.judge.start()
	}
}

// wake asks for room. It never blocks.
func (k *keeper) wake() {
	select {
	case k.signal <- struct{}{}:
	default:
	}
}

func (b *buffer) tick() time.Duration { return min(maxTick, b.limits.decisionWait/10+1) }

func (b *buffer) ticks(d time.Duration) int32 { return int32((d + b.tick() - 1) / b.tick()) }

func (b *buffer) run() {
	ticker := time.NewTicker(b.tick())
	defer ticker.Stop()
	start := time.Now()
	for {
		select {
		case <-b.keeper.stop:
			return
		case <-b.keeper.signal:
			b.relieve()
		case now := <-ticker.C:
			b.clock.Store(int32(now.Sub(start) / b.tick()))
			b.sweep()
			b.ease()
		}
	}
}

// sweep decides what is overdue and forgets what is remembered too long.
func (b *buffer) sweep() {
	now := b.clock.Load()
	overdue := now - b.ticks(b.limits.decisionWait)
	forget := now - b.ticks(b.limits.memoryAge)
	for i := range b.shards {
		sh := &b.shards[i]
		// Not at overdue: a trace that is younger than decision_wait could still
		// turn out slow.
		b.decideOverdue(sh, func(st *traceState) bool { return st.at < overdue })
		sh.mu.Lock()
		for st := sh.first(inComplete); st != nil && st.at <= forget; st = sh.first(inComplete) {
			b.drop(sh, st)
		}
		sh.mu.Unlock()
	}
}

// decideOverdue decides the oldest undecided traces of a shard while they are
// overdue.
func (b *buffer) decideOverdue(sh *shard, isOverdue func(*traceState) bool) {
	for {
		sh.mu.Lock()
		st := sh.first(inUndecided)
		if st == nil || !isOverdue(st) {
			sh.mu.Unlock()
			return
		}
		if b.streams(st) { // decided, though no span has ended
			var out handOver
			b.stream(sh, st, nil, &out)
			sh.mu.Unlock()
			b.handOver(&out)
			continue
		}
		id := st.id
		ask := b.unanswered(st)
		spans := int(st.ended)
		var roots []openRoot
		if live := sh.held(st); live != nil && ask != 0 {
			roots = append(roots, live.roots...)
		}
		sh.mu.Unlock()

		now := time.Now()
		for _, root := range roots {
			p := &sampling.EndParameters{Span: root.span, LocalRoot: true, Open: true, Duration: now.Sub(root.span.StartTime()), Spans: spans}
			if b.askEnd(st, id, ask, p) {
				break
			}
		}

		sh.mu.Lock()
		var out handOver
		if st.id == id && st.list == inUndecided {
			sh.counts.overdue++
			if b.judge == nil || !b.judge.add(sh, st, false) {
				b.cut(sh, st, &out)
			}
		}
		sh.mu.Unlock()
		b.handOver(&out)
	}
}

// pressure is the pressure threshold: nothing below it is recorded unless it
// was selected.
func (b *buffer) pressure() sampling.Threshold {
	n := b.halvings.Load()
	if n == 0 {
		return sampling.Always
	}
	return sampling.Never - sampling.Never>>n
}

// relieve makes room: it raises the pressure threshold until what remains
// fits, then cuts the oldest traces.
func (b *buffer) relieve() {
	b.flushAccounts()
	target := b.limits.maxBytes - b.limits.maxBytes/8
	for b.held.Load() > target && b.halvings.Load() < maxHalvings {
		b.halvings.Add(1)
		b.keeper.calm = 0
		if left := b.forgetUnselected(); left == 0 {
			break
		}
	}
	for b.held.Load() > target && b.cutOldest() {
	}
	b.reportPressure()
}

// forgetUnselected forgets unselected traces below the pressure threshold and
// returns how many bytes of unselected traces remain.
func (b *buffer) forgetUnselected() (left int64) {
	pressure := b.pressure()
	for i := range b.shards {
		sh := &b.shards[i]
		sh.mu.Lock()
		for _, list := range []listName{inUndecided, inJudging} {
			for st := sh.first(list); st != nil; {
				next := sh.next(st)
				st.pressure = max(st.pressure, pressure)
				switch {
				case st.kept:
				case st.pressure.Selects(st.randomness):
					if live := sh.held(st); live != nil {
						left += live.bytes + rootBytes*int64(len(live.roots))
					}
				default:
					sh.counts.underPressure++
					b.cut(sh, st, nil) // not kept: it hands over nothing
				}
				st = next
			}
		}
		for st := sh.first(inOpen); st != nil; st = sh.next(st) {
			st.pressure = max(st.pressure, pressure)
		}
		b.flushAccount(sh)
		sh.mu.Unlock()
	}
	return left
}

// cutOldest cuts the trace that has waited longest, and tells whether there was
// one.
func (b *buffer) cutOldest() bool {
	var oldest *shard
	at := int32(-1)
	for i := range b.shards {
		sh := &b.shards[i]
		sh.mu.Lock()
		if st := sh.oldestWaiting(); st != nil && (at < 0 || st.at < at) {
			oldest, at = sh, st.at
		}
		sh.mu.Unlock()
	}
	if oldest == nil {
		return false
	}
	oldest.mu.Lock()
	var out handOver
	switch st := oldest.oldestWaiting(); {
	case st == nil:
	case b.streams(st):
		b.stream(oldest, st, nil, &out)
	default:
		oldest.counts.cut++
		b.cut(oldest, st, &out)
	}
	b.flushAccount(oldest)
	oldest.mu.Unlock()
	b.handOver(&out)
	return true
}

// oldestWaiting is the oldest trace of the shard that is not decided.
func (sh *shard) oldestWaiting() *traceState {
	a, b := sh.first(inJudging), sh.first(inUndecided)
	if a == nil || b != nil && b.at < a.at {
		return b
	}
	return a
}

// ease lowers the pressure as room returns.
func (b *buffer) ease() {
	k := &b.keeper
	b.flushAccounts()
	held := b.held.Load()
	switch {
	case held > b.limits.maxBytes:
		b.relieve()
	case b.halvings.Load() == 0 || held > b.limits.maxBytes/2:
		k.calm = 0
	default:
		if k.calm++; k.calm >= calmTicks {
			k.calm = 0
			b.halvings.Add(-1)
		}
	}
}

func (b *buffer) flushAccounts() {
	for i := range b.shards {
		sh := &b.shards[i]
		sh.mu.Lock()
		b.flushAccount(sh)
		sh.mu.Unlock()
	}
}

func (b *buffer) flushAccount(sh *shard) {
	b.held.Add(sh.delta)
	sh.delta = 0
}

// reportPressure logs that traces are lost, at most once a minute.
func (b *buffer) reportPressure() {
	k := &b.keeper
	if now := time.Now(); k.logged.IsZero() || now.Sub(k.logged) >= time.Minute {
		k.logged = now
		s := b.stats()
		k.logger.Warn("trace buffer is full: raise max_bytes, or lower the load; weights stay right",
			"max_bytes", b.limits.maxBytes, "probability", b.pressure().Probability(),
			"not_recorded", s.NotRecorded, "under_pressure", s.UnderPressure, "cut", s.TooLarge)
	}
}

// flush asks trace samplers about what is complete.
func (b *buffer) flush(ctx context.Context) error {
	if b.judge == nil {
		return nil
	}
	return b.judge.flush(ctx)
}

// shutdown decides every open trace and ends the goroutines.
func (b *buffer) shutdown(ctx context.Context) {
	close(b.keeper.stop)
	b.keeper.done.Wait()
	for i := range b.shards {
		b.decideOverdue(&b.shards[i], func(*traceState) bool { return true })
	}
	if b.judge != nil {
		b.judge.shutdown(ctx)
	}
}
