package core

import "github.com/riffletrace/riffle/core/delivery"

// Stats is what a [Provider] knows about itself.
type Stats struct {
	Samplers  []SamplerStats
	Exporters []ExporterStats
}

// SamplerStats is about one entry of the samplers list.
type SamplerStats struct {
	Name, Description string
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
	pl := p.pipeline.Load()
	if pl == nil {
		return s
	}
	for i, sampler := range pl.samplers.all {
		s.Samplers = append(s.Samplers, SamplerStats{Name: p.spec.Samplers[i].ID(), Description: sampler.Description()})
	}
	for _, l := range pl.lines {
		s.Exporters = append(s.Exporters, ExporterStats{Name: l.name, Type: l.kind, Endpoint: l.endpoint, Stats: l.Stats()})
	}
	return s
}
