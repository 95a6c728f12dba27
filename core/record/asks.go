package record

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/riffletrace/riffle/core/sampling"
)

// stage is what a sampler is asked about.
type stage uint8

const (
	startStage stage = iota
	endStage
	segmentStage
	stages // how many
)

func (s stage) String() string { return [stages]string{"start", "end", "segment"}[s] }

// answerKind is what a sampler answers that does not abstain.
type answerKind uint8

const (
	answersThreshold answerKind = iota
	answersDrop
	answersAtMost
	answersParent
	answerKinds // how many
)

// asks counts what a sampler was asked and answered. There is one for a name, which the
// next list takes over. It is in parts, so that goroutines seldom meet.
type asks struct {
	parts [countParts]askPart
	rules ruleCounts
}

// askPart is as large as a cache line.
type askPart struct {
	asked   [stages]atomic.Uint64
	answers [answerKinds]atomic.Uint64
	_       [8]byte
}

// asked counts n questions. Outside of a recorder nobody counts.
func (e *entry) asked(part uint8, n int) {
	if e.asks != nil {
		e.asks.parts[part%countParts].asked[e.stage].Add(uint64(n))
	}
}

// answered counts an answer that is no silence, and that of its rule; nil if it has none.
func (e *entry) answered(part uint8, a *sampling.Answer, rule *string) {
	if e.asks == nil {
		return
	}
	kind := answersThreshold
	switch {
	case a.IsDrop():
		kind = answersDrop
	case a.IsAtMost():
		kind = answersAtMost
	case a.IsByParent():
		kind = answersParent
	}
	e.asks.parts[part%countParts].answers[kind].Add(1)
	if rule != nil {
		if c := e.asks.rules.of(*rule); c != nil {
			c.parts[part%ruleParts].answered.Add(1)
		}
	}
}

// ruleCounts are those of a sampler's rules. A plugin may name any number of rules: only
// the first ones are counted.
type ruleCounts struct {
	mu  sync.Mutex
	all atomic.Pointer[map[string]*ruleCount] // copied on write
}

// ruleCount is in parts, too: a rule may answer about every request.
type ruleCount struct {
	parts [ruleParts]rulePart
	kept  atomic.Uint64
}

// rulePart is as large as a cache line.
type rulePart struct {
	answered atomic.Uint64
	_        [56]byte
}

const (
	ruleParts     = 8
	maxRuleCounts = 256
)

func (c *ruleCount) stats() RuleCounts {
	s := RuleCounts{Kept: c.kept.Load()} // first: there is an answer for each
	for i := range c.parts {
		s.Answered += c.parts[i].answered.Load()
	}
	return s
}

// of are the counts of a rule; nil if there are too many rules.
func (r *ruleCounts) of(rule string) *ruleCount {
	if all := r.all.Load(); all != nil {
		if c := (*all)[rule]; c != nil || len(*all) >= maxRuleCounts {
			return c
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	next := map[string]*ruleCount{}
	if all := r.all.Load(); all != nil {
		if c := (*all)[rule]; c != nil || len(*all) >= maxRuleCounts {
			return c
		}
		maps.Copy(next, *all)
	}
	c := new(ruleCount)
	next[rule] = c
	r.all.Store(&next)
	return c
}

// asksOf are the counts of the name of that number.
func (l *live) asksOf(number int16) *asks {
	if a := l.asks[number].Load(); a != nil {
		return a
	}
	l.asks[number].CompareAndSwap(nil, new(asks))
	return l.asks[number].Load()
}

// countKept counts a segment that is kept, by who answered with the least threshold.
func (l *live) countKept(by giver) {
	l.kept[by.by].Add(1)
	if by.rule == nil {
		return
	}
	if a := l.asks[by.by].Load(); a != nil { // else somebody spoke who is no sampler of the list
		if c := a.rules.of(*by.rule); c != nil {
			c.kept.Add(1)
		}
	}
}

// Asks counts what a sampler was asked and what it answered. What is in none of the
// answers is silence: it abstained, or panicked. Counters only grow.
type Asks struct {
	// Starts, Ends and Segments count questions: about local roots that start, about spans
	// that end, and local roots that are open for long, and about segments.
	Starts, Ends, Segments uint64
	// Thresholds counts answers that are a threshold, known or not, Drops those that drop,
	// AtMost those that raise a segment's threshold, ByParent those that leave it to
	// the remote parent.
	Thresholds, Drops, AtMost, ByParent uint64
	// Rules counts by rule, for at most 256 of them: one that never answered may be left
	// out.
	Rules map[string]RuleCounts
}

// Questions is the sum of the questions.
func (a *Asks) Questions() uint64 { return a.Starts + a.Ends + a.Segments }

// Counts reports whether answers of a rule would be in Rules. If not, it is one too many,
// and nobody knows whether it has answered.
func (a *Asks) Counts(rule string) bool {
	_, ok := a.Rules[rule]
	return ok || len(a.Rules) < maxRuleCounts
}

// Answers is the sum of the answers.
func (a *Asks) Answers() uint64 { return a.Thresholds + a.Drops + a.AtMost + a.ByParent }

// RuleCounts is about one rule of a sampler.
type RuleCounts struct {
	// Answered counts its answers, Kept the segments that it kept.
	Answered, Kept uint64
}

func (a *asks) stats() (s Asks) {
	for i := range a.parts {
		p := &a.parts[i]
		// The answers first: there is a question for each.
		s.Thresholds += p.answers[answersThreshold].Load()
		s.Drops += p.answers[answersDrop].Load()
		s.AtMost += p.answers[answersAtMost].Load()
		s.ByParent += p.answers[answersParent].Load()
		s.Starts += p.asked[startStage].Load()
		s.Ends += p.asked[endStage].Load()
		s.Segments += p.asked[segmentStage].Load()
	}
	if all := a.rules.all.Load(); all != nil {
		s.Rules = make(map[string]RuleCounts, len(*all))
		for rule, c := range *all {
			s.Rules[rule] = c.stats()
		}
	}
	return s
}
