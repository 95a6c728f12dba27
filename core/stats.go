package core

import (
	"maps"
	"slices"
	"time"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/record"
)

// Stats is what a [Provider] knows about itself. Counters only grow.
type Stats struct {
	record.Stats
	Samplers []SamplerStats
	// Exporters are those of the configuration in force, and behind them those that it
	// does not have any more, in the order in which they ended. What an exporter counted
	// that a reload has replaced by another of its name is part of that one's counts.
	Exporters []ExporterStats
	Reloads   ReloadStats
}

// SamplerStats is about one entry of the samplers list.
type SamplerStats struct {
	Name, Description string
	// Suspensions counts how often it was suspended because it panicked or
	// was slow.
	Suspensions uint64
	// Asks is what it was asked and answered, Kept how many segments it has kept: those
	// that [record.Stats] counts for its name.
	Asks record.Asks
	Kept uint64
	// Suspended is why it is not asked now, and until when; zero if it is asked.
	Suspended record.Suspension
	// Rules are those of the sampler, in its order, and behind them others that its answers
	// have named.
	Rules []RuleStats
	// Idle names the rules that have met no request for an hour or longer, as
	// [sampling.RuleKey] does; "match" is the entry's match. It is known as far as
	// somebody has asked for Stats before: at the time of the last of such calls a rule
	// is taken to have met one that has met any since the call before.
	Idle []string
}

// RuleStats is about one rule of a sampler.
type RuleStats struct {
	Name string
	record.RuleCounts
	// Idle tells that it is one of [SamplerStats.Idle].
	Idle bool
	// Uncounted tells that the sampler has more rules than are counted, and this is one of
	// the others.
	Uncounted bool
}

// ExporterStats is about one entry of the exporters list.
type ExporterStats struct {
	Name, Type string
	Endpoint   string // where it sends to; "" if the exporter does not say
	delivery.Stats
}

// Stats returns a snapshot.
func (p *Provider) Stats() Stats {
	var s Stats
	s.Reloads = p.reloads.now()
	if p.recorder == nil {
		return s
	}
	s.Stats = p.recorder.Stats()
	pl, exporters := p.exporterStats()
	for _, sampler := range pl.samplers.all {
		name := sampler.entry.ID()
		about := SamplerStats{
			Name: name, Description: sampler.description(), Suspensions: s.Suspensions[name],
			Asks: s.Asks[name], Kept: s.Kept[name], Suspended: s.Suspended[name],
		}
		var names []string
		names, about.Idle = sampler.rules.idle(name, sampler.Sampler, &pl.samplers.record, time.Now())
		about.setRules(names)
		s.Samplers = append(s.Samplers, about)
	}
	s.Exporters = exporters
	return s
}

// setRules sets the rules: those that are known by name, and what else has answered.
func (s *SamplerStats) setRules(names []string) {
	for _, name := range slices.Sorted(maps.Keys(s.Asks.Rules)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		s.Rules = append(s.Rules, RuleStats{
			Name: name, RuleCounts: s.Asks.Rules[name], Idle: slices.Contains(s.Idle, name), Uncounted: !s.Asks.Counts(name),
		})
	}
}

// exporterStats is about the exporters of the pipeline in force, and of those before.
func (p *Provider) exporterStats() (*pipeline, []ExporterStats) {
	r := &p.reloads
	r.mu.Lock()
	defer r.mu.Unlock()
	pl := p.pipeline.Load()
	var all []ExporterStats
	for _, l := range pl.exporters {
		all = append(all, l.stats())
	}
	for _, l := range r.lines {
		all = addStats(all, l.stats())
	}
	for _, e := range r.ended {
		all = addStats(all, e)
	}
	return pl, all
}

func (l *line) stats() ExporterStats {
	return ExporterStats{Name: l.entry.ID(), Type: l.entry.Type(), Endpoint: l.Endpoint(), Stats: l.Stats()}
}

// addStats adds what another exporter of a name counts.
func addStats(all []ExporterStats, e ExporterStats) []ExporterStats {
	i := slices.IndexFunc(all, func(o ExporterStats) bool { return o.Name == e.Name })
	if i < 0 {
		return append(all, e)
	}
	all[i].Add(e.Stats)
	return all
}

// maxEnded bounds of how many names there are counts when no exporter has them any more.
const maxEnded = 1000

// left keeps what a line has counted that has ended.
func (r *reloads) left(l line) {
	s := l.stats()
	s.Stats = s.Ended()
	if r.ended = addStats(r.ended, s); len(r.ended) > maxEnded {
		r.ended = r.ended[1:]
	}
}

// now returns what is known of the reloads.
func (r *reloads) now() ReloadStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}
