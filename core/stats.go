package core

import (
	"slices"

	"github.com/riffletrace/riffle/core/delivery"
)

// Stats is what a [Provider] knows about itself. Counters only grow.
type Stats struct {
	// Started counts local roots that no rule dropped, Dropped those that one
	// did.
	Started, Dropped uint64

	Segments  SegmentStats
	Samplers  []SamplerStats
	Exporters []ExporterStats
}

// SegmentStats is about the traces that wait for their end. It is all zero where no
// sampler waits for the end of spans, because then none does.
type SegmentStats struct {
	// NotRecorded counts local roots that were not recorded for lack of room.
	NotRecorded uint64
	// Kept counts kept traces by the name of the sampler that answered with the
	// least threshold; "" is a remote parent, or nobody.
	Kept map[string]uint64
	// Forgotten counts traces that were not kept, and those of them, UnderPressure,
	// that were forgotten early for lack of room. Discarded counts traces that a
	// trace sampler discarded.
	Forgotten, UnderPressure, Discarded uint64
	// Overdue counts traces decided at decision_wait, TooLarge those decided because
	// they, or all together, grew too large.
	Overdue, TooLarge uint64
	// SpansKept and SpansForgotten count ended spans, LateSpans those that ended
	// after their trace was decided.
	SpansKept, SpansForgotten, LateSpans uint64

	// Undecided and Remembered count the traces held now, the latter decided ones
	// that somebody spoke for; HeldBytes is what they take, and what is remembered
	// of those forgotten. Probability is 1, or less when memory is short.
	Undecided, Remembered int
	HeldBytes             int64
	Probability           float64
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
	pl := p.pipeline.Load()
	if pl == nil {
		return s
	}
	s.Started, s.Dropped = pl.start.counted()
	if pl.buffer != nil {
		s.Segments = pl.buffer.stats()
	}
	switched := map[string]uint64{}
	for _, g := range pl.samplers.guards {
		switched[g.name] += g.switched.Load()
	}
	for i, sampler := range pl.samplers.all {
		name := pl.samplers.names[i]
		s.Samplers = append(s.Samplers, SamplerStats{Name: name, Description: sampler.Traits().Description, Suspensions: switched[name]})
	}
	for _, l := range pl.exporters {
		s.Exporters = append(s.Exporters, ExporterStats{Name: l.name, Type: l.kind, Endpoint: l.Endpoint(), Stats: l.Stats()})
	}
	return s
}

// bufferCounts are the counters of a shard.
type bufferCounts struct {
	notRecorded                         uint64
	forgotten, underPressure, discarded uint64
	overdue, cut                        uint64
	spansKept, spansForgotten, late     uint64
	kept                                []uint64 // by place in buffer.names
}

func (c *bufferCounts) keep(by int32) {
	for int(by) >= len(c.kept) {
		c.kept = append(c.kept, 0)
	}
	c.kept[by]++
}

func (b *buffer) stats() SegmentStats {
	s := SegmentStats{Kept: make(map[string]uint64), Probability: b.pressure().Probability()}
	s.HeldBytes = b.held.Load()
	for i := range b.shards {
		sh := &b.shards[i]
		sh.mu.Lock()
		c := sh.counts
		c.kept = slices.Clone(c.kept)
		s.Undecided += sh.lists[inUndecided].n + sh.lists[inJudging].n
		s.Remembered += sh.lists[inOpen].n + sh.lists[inComplete].n
		s.HeldBytes += sh.delta
		sh.mu.Unlock()

		s.NotRecorded += c.notRecorded
		s.Forgotten += c.forgotten
		s.UnderPressure += c.underPressure
		s.Discarded += c.discarded
		s.Overdue += c.overdue
		s.TooLarge += c.cut
		s.SpansKept += c.spansKept
		s.SpansForgotten += c.spansForgotten
		s.LateSpans += c.late
		for by, n := range c.kept {
			if n > 0 {
				s.Kept[b.names.name(int32(by))] += n
			}
		}
	}
	return s
}
