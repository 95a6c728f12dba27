package core

import (
	"sync"
	"time"

	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
)

// idleTime is for how long a rule must have met no request to be told.
const idleTime = time.Hour

// matchRule stands for an entry's match among the rules of its sampler.
const matchRule = "match"

// rules knows when the rules of a sampler have last met a request. It learns that when
// it is asked, so that requests pay for a flag, and nobody for a clock.
type rules struct {
	mu    sync.Mutex
	since time.Time   // from when on it is known
	met   []time.Time // by rule, in the sampler's order, behind that of the match
}

// idle names the rules of the sampler, and those, also the match, that have met none for an
// hour or longer.
func (r *rules) idle(name string, s sampling.Sampler, list *record.Samplers, now time.Time) (names, idle []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	place := 0
	use := func(rule string, used bool) {
		if place == len(r.met) {
			r.met = append(r.met, r.since)
		}
		if used {
			r.met[place] = now
		}
		if now.Sub(r.met[place]) >= idleTime {
			idle = append(idle, rule)
		}
		place++
	}
	if met, matches := list.TakeMet(name); matches {
		use(matchRule, met)
	}
	if s, ok := s.(sampling.RuleUser); ok {
		s.RulesUsed(func(rule string, used bool) {
			names = append(names, rule)
			use(rule, used)
		})
	}
	return names, idle
}
