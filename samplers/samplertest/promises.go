package samplertest

import (
	"slices"

	"github.com/riffletrace/riffle/core/sampling"
)

func needsSample(s *suite) {
	sampler := s.sampler()
	traits := sampler.Traits()
	if !traits.NeedsSample {
		return
	}
	if traits.IgnoresSample {
		s.violated("Traits say both NeedsSample and IgnoresSample")
	}
	for i, q := range s.questions(sampler) {
		a := q.ask(sampler, variation{id: traceID(i)}).answer
		t, _ := a.Threshold()
		if whole := (a.IsThreshold() || a.IsAtMost()) && t == sampling.Always; !whole && !a.IsAbstain() {
			s.violated("%v: the answer is %v, although its Traits say NeedsSample", q, a)
		}
	}
}

func rulesUsed(s *suite) {
	sampler := s.sampler()
	user, ok := sampler.(sampling.RuleUser)
	if !ok {
		return
	}
	names, used := s.rules(user)
	if slices.Contains(used, true) {
		s.violated("a rule has met a request, and there was none: %q, %v", names, used)
	}
	for i, q := range s.questions(sampler) {
		a := q.ask(sampler, variation{id: traceID(i)}).answer
		again, used := s.rules(user)
		if !slices.Equal(again, names) {
			s.violated("the rules were %q and are %q", names, again)
			return
		}
		if rule := a.Rule(); rule != nil {
			if i := slices.Index(names, *rule); i < 0 || !used[i] {
				s.violated("%v: the answer is that of %q; used are %v of %q", q, *rule, used, names)
			}
		}
		if _, used := s.rules(user); slices.Contains(used, true) {
			s.violated("%v: a rule that has met one request is used twice: %q, %v", q, names, used)
		}
	}
}

// rules are what the sampler says of its rules.
func (s *suite) rules(user sampling.RuleUser) (names []string, used []bool) {
	s.Helper()
	user.RulesUsed(func(rule string, isUsed bool) {
		if rule == "" || slices.Contains(names, rule) {
			s.violated("a rule is called %q, after %q", rule, names)
		}
		names, used = append(names, rule), append(used, isUsed)
	})
	return names, used
}
