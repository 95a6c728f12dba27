package record

import (
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// mostTrusted is the greatest threshold that a remote parent can have, a probability
// of 2^-20. With a greater one, a request that anybody can send would stand for more
// than all that a service has.
const mostTrusted = sampling.Never - sampling.Never>>20

// trusted is the threshold of a sampled parent, [sampling.Unknown] if it tells none that
// counts.
func trusted(parent trace.SpanContext) sampling.Threshold {
	if t := sampling.ThresholdOf(parent); t <= mostTrusted {
		return t
	}
	return sampling.Unknown
}

// byParent decides as a sampler says that leaves it to the remote parent. d has the
// randomness, and the parent's tracestate.
//
// A parent that tells its threshold is sampled if the randomness reaches that, so that
// the segment is kept with the greater of the two thresholds exactly if it reaches
// both. All else that is kept has a probability that nobody knows.
func (d *startDecision) byParent(a sampling.Answer, parent trace.SpanContext) {
	own := a.BelowParent(parent.IsSampled())
	d.selected = own == sampling.Unknown || own.Selects(d.randomness)
	d.threshold = sampling.Never
	if parent.IsSampled() {
		if t := trusted(parent); t != sampling.Unknown && own != sampling.Unknown {
			d.threshold, d.given = max(t, own), true
			if t == d.threshold {
				return // the tracestate says so
			}
		}
	}
	d.speaks = d.threshold == sampling.Never && own != sampling.Never
	d.unknown = d.selected && d.speaks
	t := d.threshold
	if !d.selected || d.unknown {
		t = sampling.Unknown
	}
	d.state = sampling.WithThreshold(d.state, t)
}
