package jaegerremote

import (
	"strconv"
	"time"

	"github.com/riffletrace/riffle/core/rate"
	"github.com/riffletrace/riffle/core/sampling"
)

// rules are a strategy that answers. What it remembers of rates goes on in the next
// one, if that asks for the same.
type rules struct {
	strategy *strategy
	// unasked tells that no span has started yet.
	unasked bool

	operations map[string]rule
	others     rule          // for those that are not in operations
	atLeast    *rate.Targets // by operation; nil: no rate is guaranteed
	raised     string        // the reason where that decides
	limiter    *rate.Limiter // nil unless the strategy is limited
}

// rule is for one operation.
type rule struct {
	probability float64
	answer      sampling.Answer
}

// ended abstain.
var ended = &rules{strategy: &strategy{}}

const (
	// limitWindow is as long as that of an entry's limit.
	limitWindow = time.Second
	// minWindow and maxWindow bound the time after which half of what was seen of an
	// operation is forgotten: that in which its guaranteed rate keeps one trace.
	minWindow = 10 * time.Second
	maxWindow = 10 * time.Minute
)

// newRules makes rules; before are those that they replace, or nil.
func newRules(s *strategy, before *rules) *rules {
	r := &rules{strategy: s}
	if s.limited {
		reason := "at most " + perSecond(s.perSecond)
		if r.others = newRule(0, reason); s.perSecond > 0 {
			r.others.answer = sampling.At(sampling.Always).Because(reason)
			if r.limiter = rate.NewLimiter(s.perSecond, limitWindow); before != nil && before.limiter != nil && before.strategy.perSecond == s.perSecond {
				r.limiter = before.limiter
			}
		}
		return r
	}
	r.others = newRule(s.probability, percent(s.probability))
	r.operations = make(map[string]rule, len(s.operations))
	for operation, p := range s.operations {
		r.operations[operation] = newRule(p, "operation, "+percent(p))
	}
	if s.atLeast > 0 {
		r.raised = "operation, at least " + perSecond(s.atLeast)
		if r.atLeast = newTargets(s.atLeast); before != nil && before.atLeast != nil && before.strategy.atLeast == s.atLeast {
			r.atLeast = before.atLeast
		}
	}
	return r
}

func newTargets(atLeast float64) *rate.Targets {
	window := maxWindow
	if period := 1 / atLeast; period < maxWindow.Seconds() {
		window = max(minWindow, time.Duration(period*float64(time.Second)))
	}
	return rate.NewTargets(atLeast, window, maxOperations)
}

func newRule(p float64, reason string) rule {
	t, _ := sampling.ThresholdFromProbability(p) // parse has checked it
	return rule{p, sampling.At(t).Because(reason)}
}

func percent(p float64) string      { return strconv.FormatFloat(p*100, 'g', 6, 64) + "%" }
func perSecond(rate float64) string { return strconv.FormatFloat(rate, 'g', 6, 64) + "/s" }

// answer is about a local root with this name.
//
// An operation that is guaranteed a rate is kept with its own probability, or with
// the one that keeps as many of those that come, whichever is more. Both are known
// before the trace's randomness is looked at, so weights are true.
func (r *rules) answer(name string) sampling.Answer {
	if r.limiter != nil {
		return at(r.limiter.Probability(time.Now(), 1, 1), r.others.answer.Reason)
	}
	rule, short := r.others, len(name) <= maxOperation // others are not looked up
	if short {
		if own, ok := r.operations[name]; ok {
			rule = own
		}
	}
	if r.atLeast == nil || rule.probability == 1 {
		return rule.answer
	}
	now, target := time.Now(), r.atLeast.Rest()
	if short {
		var buf [256]byte // enough for most
		target = r.atLeast.Of(append(buf[:0], name...), now)
	}
	if p := target.Probability(now); p > rule.probability {
		return at(p, r.raised)
	}
	return rule.answer
}

func at(p float64, reason string) sampling.Answer {
	t, err := sampling.ThresholdFromProbability(p)
	if err != nil {
		return sampling.Abstain() // unreachable: the probability is one
	}
	return sampling.At(t).Because(reason)
}
