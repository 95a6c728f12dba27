package otlp

import (
	"maps"
	"slices"

	"github.com/riffletrace/riffle/core/delivery"
)

// PresetNames are those of all presets.
func PresetNames() []string { return slices.Sorted(maps.Keys(presets)) }

// PresetFacts tells what a preset says and where it has it from.
func PresetFacts(name string) (endpoint, header string, limits delivery.Limits, sources [][3]string) {
	p := presets[name]
	for _, s := range p.sources {
		sources = append(sources, [3]string{s.facts, s.url, s.seen})
	}
	return p.endpoint, p.header, p.limits, sources
}
