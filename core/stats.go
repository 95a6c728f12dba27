package core

import (
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/record"
)

// Stats is what a [Provider] knows about itself. Counters only grow.
type Stats struct {
	record.Stats
	Samplers  []SamplerStats
	Exporters []ExporterStats
}

// SamplerStats is about one entry of the samplers list.
type SamplerStats struct {
	Name, Description string
	// Suspensions counts how often it was suspended because it panicked or
	// was slow.
	Suspensions uint64
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
	pl := p.pipeline
	if pl == nil {
		return s
	}
	s.Stats = p.recorder.Stats()
	suspensions := pl.samplers.record.Suspensions()
	for i, sampler := range pl.samplers.all {
		name := pl.samplers.names[i]
		s.Samplers = append(s.Samplers, SamplerStats{Name: name, Description: sampler.Traits().Description, Suspensions: suspensions[name]})
	}
	for _, l := range pl.exporters {
		s.Exporters = append(s.Exporters, ExporterStats{Name: l.name, Type: l.kind, Endpoint: l.Endpoint(), Stats: l.Stats()})
	}
	return s
}
