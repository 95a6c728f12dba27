package samplertest

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/riffletrace/riffle/core/sampling"
)

// promising has traits of its own.
type promising struct {
	endFunc
	traits sampling.Traits
}

func (p promising) Traits() sampling.Traits { return p.traits }

// ruled has a rule for requests with a name and one for those without.
type ruled struct {
	answers [2]sampling.Answer
	used    [2]atomic.Bool
	// told makes mistakes.
	told func(name string, used bool, use func(string, bool))
}

var ruleNames = [2]string{"rules[0]: named", "rules[1]: nameless"}

func newRuled(named string, told func(string, bool, func(string, bool))) *ruled {
	half := sampling.At(sampling.Threshold(8 << 52))
	return &ruled{answers: [2]sampling.Answer{half.WithRule(named), half.WithRule(ruleNames[1])}, told: told}
}

func (*ruled) Traits() sampling.Traits { return sampling.Traits{Description: "rules"} }

func (r *ruled) SampleEnd(p sampling.EndParameters) sampling.Answer {
	i := 0
	if p.Span.Name() == "" {
		i = 1
	}
	r.used[i].Store(true)
	return r.answers[i]
}

func (r *ruled) RulesUsed(use func(string, bool)) {
	for i := range r.used {
		r.told(ruleNames[i], r.used[i].Swap(false), use)
	}
}

func tellsAll(name string, used bool, use func(string, bool)) { use(name, used) }

func TestGoodRulesPass(t *testing.T) {
	Run(t, func(testing.TB) sampling.Sampler { return newRuled(ruleNames[0], tellsAll) })
}

// A sampler at the end that always answers need not do so about spans below the root.
func TestGoodBaselineAtTheEndPasses(t *testing.T) {
	Run(t, func(testing.TB) sampling.Sampler {
		return promising{func(p sampling.EndParameters) sampling.Answer {
			if !p.LocalRoot {
				return sampling.Abstain()
			}
			return sampling.At(sampling.Always)
		}, sampling.Traits{Description: "baseline", AlwaysAnswers: true, NeedsSample: true}}
	})
}

func answering(a sampling.Answer) endFunc {
	return func(sampling.EndParameters) sampling.Answer { return a }
}

// brokenPromises are samplers that do not do what they say.
var brokenPromises = []brokenSampler{
	{"baseline at the end abstains", "legal answers", "say AlwaysAnswers", func() sampling.Sampler {
		return promising{func(p sampling.EndParameters) sampling.Answer {
			if p.Open {
				return sampling.Abstain() // an overdue local root is one too
			}
			return sampling.At(sampling.Always)
		}, sampling.Traits{Description: "baseline", AlwaysAnswers: true}}
	}},
	{"a share of its own", "sample", "say NeedsSample", func() sampling.Sampler {
		return promising{answering(sampling.At(8 << 52)), sampling.Traits{Description: "half", NeedsSample: true}}
	}},
	{"no share, and one", "sample", "both NeedsSample and IgnoresSample", func() sampling.Sampler {
		return promising{answering(sampling.At(sampling.Always)), sampling.Traits{Description: "both", NeedsSample: true, IgnoresSample: true}}
	}},
	{"a rule that is not listed", "rules", "the answer is that of", func() sampling.Sampler {
		return newRuled("rules[7]: named", tellsAll)
	}},
	{"a rule that is never used", "rules", "the answer is that of", func() sampling.Sampler {
		return newRuled(ruleNames[0], func(name string, _ bool, use func(string, bool)) { use(name, false) })
	}},
	{"a rule that is always used", "rules", "there was none", func() sampling.Sampler {
		return newRuled(ruleNames[0], func(name string, _ bool, use func(string, bool)) { use(name, true) })
	}},
	{"a rule that stays used", "rules", "is used twice", func() sampling.Sampler {
		ever := map[string]bool{}
		return newRuled(ruleNames[0], func(name string, used bool, use func(string, bool)) {
			ever[name] = ever[name] || used
			use(name, ever[name])
		})
	}},
	{"rules with one name", "rules", `a rule is called "rule"`, func() sampling.Sampler {
		return newRuled("rule", func(_ string, used bool, use func(string, bool)) { use("rule", used) })
	}},
	{"rules that change", "rules", "the rules were", func() sampling.Sampler {
		n := 0
		return newRuled(ruleNames[0], func(name string, used bool, use func(string, bool)) { n++; use(fmt.Sprint(name, n), used) })
	}},
}
