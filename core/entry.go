package core

import (
	"context"
	"fmt"
	"log/slog"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/rate"
	"github.com/riffletrace/riffle/core/sampling"
)

// What makes a sampler abstain for a while, so that it cannot hurt the
// service that asks it.
const (
	slowAnswer  = time.Millisecond // an answer that takes longer is slow
	slowStrikes = 3                // as many slow ones within a second switch off
	offTime     = 30 * time.Second
	timedShare  = 64 // one call in so many is timed
	// traceSamplerGrace is how long past its deadline a trace sampler may take
	// to return.
	traceSamplerGrace = 100 * time.Millisecond
)

// entry is what the samplers of all kinds have in common in the list.
type entry struct {
	name   string
	number int32 // of the name, in the buffer's names
	rank   int32 // place in the list; start samplers come first on a tie
	match  *match.Matcher
	guard  guard
}

// matches reports whether the sampler is to be asked about such a span.
func (e *entry) matches(name string, kind trace.SpanKind, attrs []attribute.KeyValue) bool {
	return e.match == nil || e.match.Match(match.Subject{Name: name, Kind: kind, Attributes: attrs})
}

// names numbers the names of those who speak for traces, so that a state needs
// no pointer. 0 is "", and stands for a remote parent, or nobody.
type names struct {
	mu      sync.Mutex
	numbers map[string]int32
	list    atomic.Pointer[[]string] // copied on write
}

// maxNames bounds the reasons that [Provider.Keep] is given.
const maxNames = 1024

const otherName = "other"

func (n *names) number(name string) int32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.numbers == nil {
		n.numbers = map[string]int32{"": 0, otherName: 1}
		n.list.Store(&[]string{"", otherName})
	}
	list := *n.list.Load()
	i, ok := n.numbers[name]
	switch {
	case ok:
		return i
	case len(list) >= maxNames:
		return n.numbers[otherName]
	}
	i = int32(len(list))
	n.numbers[name] = i
	list = append(slices.Clip(list), name)
	n.list.Store(&list)
	return i
}

func (n *names) name(number int32) string { return (*n.list.Load())[number] }

// endEntry is an end sampler of the list.
type endEntry struct {
	entry
	sampler sampling.EndSampler
	limit   *rate.Limiter // nil without one
	bit     uint64        // of traceState.answered
}

// traceEntry is a trace sampler of the list.
type traceEntry struct {
	entry
	sampler sampling.SegmentSampler
	asking  atomic.Bool
}

func (e *startEntry) ask(p *sdktrace.SamplingParameters) (a sampling.Answer) {
	if e.guard.isOff() || e.match != nil && !e.matches(p.Name, p.Kind, p.Attributes) {
		return sampling.Answer{}
	}
	defer e.guard.rescue(&a)
	if !timed(p.TraceID) {
		return e.sampler.SampleStart(sampling.NewStartParameters(p))
	}
	start := time.Now()
	a = e.sampler.SampleStart(sampling.NewStartParameters(p))
	e.guard.took(time.Since(start))
	return a
}

// firstAnswer asks end samplers about a span of a trace in turn, those with a bit
// in ask, until one does not abstain. It returns who that is, what it says, and who
// was not asked.
func firstAnswer(samplers []*endEntry, id trace.TraceID, ask uint64, p *sampling.EndParameters) (by *endEntry, says sampling.Answer, rest uint64) {
	var asked *endEntry
	rest = ask
	defer func() {
		if r := recover(); r != nil {
			asked.guard.panicked(r)
		}
	}()
	for timed := timed(id); rest != 0; {
		asked = samplers[bits.TrailingZeros64(rest)]
		rest &= rest - 1
		if a := asked.ask(p, timed); a.IsThreshold() {
			return asked, a, rest
		}
	}
	return nil, sampling.Answer{}, 0
}

func (e *endEntry) ask(p *sampling.EndParameters, timed bool) sampling.Answer {
	if e.guard.isOff() || e.match != nil && !e.matches(p.Span.Name(), p.Span.SpanKind(), p.Span.Attributes()) {
		return sampling.Answer{}
	}
	if !timed {
		return e.sampler.SampleEnd(*p)
	}
	start := time.Now()
	a := e.sampler.SampleEnd(*p)
	e.guard.took(time.Since(start))
	return a
}

// guard switches a sampler off that panics or is slow.
type guard struct {
	name   string
	logger *slog.Logger

	// off is when the sampler may be asked again, in Unix nanoseconds; 0 if it
	// is on, so that a sampler that behaves costs one load.
	off      atomic.Int64
	strikes  atomic.Int64 // slow answers, and in the high bits the second they fell in
	switched atomic.Uint64
}

func (g *guard) init(name string, logger *slog.Logger) *guard {
	g.name, g.logger = name, logger
	return g
}

func (g *guard) isOff() bool { return g.off.Load() != 0 && g.staysOff() }

// staysOff switches the sampler on again when it is time.
func (g *guard) staysOff() bool {
	until := g.off.Load()
	if time.Now().UnixNano() < until {
		return true
	}
	if until != 0 && g.off.CompareAndSwap(until, 0) {
		g.logger.Info("sampler is asked again", "sampler", g.name)
	}
	return false
}

// timed picks the traces of which calls are timed.
func timed(id trace.TraceID) bool { return id[len(id)-1]%timedShare == 0 }

// rescue is deferred around a call of the sampler.
func (g *guard) rescue(a *sampling.Answer) {
	if r := recover(); r != nil {
		*a = sampling.Answer{}
		g.panicked(r)
	}
}

func (g *guard) panicked(with any) { g.switchOff("it panicked", with) }

func (g *guard) took(d time.Duration) {
	if d <= slowAnswer {
		return
	}
	const countBits = 8
	second := time.Now().Unix()
	for {
		old := g.strikes.Load()
		count := int64(1)
		if old>>countBits == second {
			count += old & (1<<countBits - 1)
		}
		if g.strikes.CompareAndSwap(old, second<<countBits|count) {
			if count >= slowStrikes {
				g.switchOff("it was slow", d)
			}
			return
		}
	}
}

func (g *guard) switchOff(why string, detail any) {
	if g.off.Swap(time.Now().Add(offTime).UnixNano()) == 0 {
		g.switched.Add(1)
		g.logger.Warn("sampler is suspended: "+why, "sampler", g.name, "for", offTime, "detail", fmt.Sprint(detail))
	}
}

// ask asks about a batch of traces. It returns when ctx is done, also if the
// sampler does not; until that does, it is not asked again.
func (e *traceEntry) ask(ctx context.Context, traces []sampling.Segment) []sampling.Answer {
	if e.guard.isOff() || !e.asking.CompareAndSwap(false, true) {
		return nil
	}
	answers := make([]sampling.Answer, len(traces))
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		defer e.asking.Store(false)
		defer func() {
			if r := recover(); r != nil {
				clear(answers)
				e.guard.panicked(r)
			}
		}()
		e.sampler.SampleSegments(ctx, traces, answers)
	}()
	select {
	case <-answered:
		return answers
	case <-ctx.Done():
	}
	// One that returns because ctx is done may have answered for some.
	grace := time.NewTimer(traceSamplerGrace)
	defer grace.Stop()
	select {
	case <-answered:
		return answers
	case <-grace.C:
		e.guard.switchOff("it ignores its deadline", ctx.Err())
		return nil
	}
}

// limited is the threshold that the entry's limit asks of a trace for which
// the sampler answered t. It counts the trace.
func (e *endEntry) limited(t sampling.Threshold) sampling.Threshold {
	if e.limit == nil {
		return sampling.Always
	}
	p := 1.0
	if t <= sampling.Never {
		p = t.Probability()
	}
	limit, err := sampling.ThresholdFromProbability(e.limit.Probability(time.Now(), p))
	if err != nil {
		return sampling.Always
	}
	return limit
}
