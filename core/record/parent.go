package record

import (
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// mostTrusted is the greatest threshold that a remote parent can have, a probability
// of 2^-20. With a greater one, a request that anybody can send would stand for more
// than all that a service has.
const mostTrusted = sampling.Never - sampling.Never>>20

// parentSays tells what the threshold of a sampled parent is good for.
type parentSays uint8

const (
	saysKnown      parentSays = iota
	saysNone                  // there is none that can be read
	saysImpossible            // it contradicts the sampled flag, or is above mostTrusted
)

// trusted is the threshold of a sampled parent, with the randomness of the trace;
// [sampling.Unknown] if it tells none that counts.
func trusted(state trace.TraceState, randomness uint64) (sampling.Threshold, parentSays) {
	if state.Len() == 0 {
		return sampling.Unknown, saysNone
	}
	t := sampling.ThresholdIn(state)
	switch {
	case t == sampling.Unknown:
		return t, saysNone
	case !t.Selects(randomness) || t > mostTrusted:
		return sampling.Unknown, saysImpossible
	}
	return t, saysKnown
}

// byParent decides as a sampler says that leaves it to the remote parent. d has the
// randomness, and the parent's tracestate.
//
// A parent that tells its threshold is sampled if the randomness reaches that, so that
// the segment is kept with the greater of the two thresholds exactly if it reaches
// both. All else that is kept has a probability that nobody knows.
func (d *startDecision) byParent(a sampling.Answer, parent trace.SpanContext) {
	own := a.BelowParent(parent.IsSampled())
	w := saysKnown
	d.selected = own == sampling.Unknown || own.Selects(d.randomness)
	d.threshold = sampling.Never
	if parent.IsSampled() {
		var t sampling.Threshold
		if t, w = trusted(parent.TraceState(), d.randomness); w == saysKnown && own != sampling.Unknown {
			d.threshold, d.given = max(t, own), true
			if t == d.threshold {
				return // the tracestate says so
			}
		}
	}
	d.speaks = d.threshold == sampling.Never && own != sampling.Never
	d.unknown = d.selected && d.speaks
	if d.speaks && own != sampling.Unknown {
		d.from = own
		if d.selected {
			d.unweighed = w
		}
	}
	t := d.threshold
	if !d.selected || d.unknown {
		t = sampling.Unknown
	}
	d.state = sampling.WithThreshold(d.state, t)
}

// warnOfParents logs, once, that there are parents whose threshold does not count. It is
// called as a span starts, which must wait for nothing: what logs is a goroutine of its own.
func (l *live) warnOfParents() {
	// Who holds the lock puts rules into force, or shuts down: the next span will do.
	if !l.former.mu.TryLock() {
		return
	}
	defer l.former.mu.Unlock()
	if !l.former.closed && l.warned.CompareAndSwap(false, true) {
		l.sweeper.Go(l.logParents)
	}
}

func (l *live) logParents() {
	s := l.stats()
	l.logger.Warn("traces come sampled, and tracestate does not say with which probability (ot=th), as from OpenTelemetry's ParentBased(TraceIDRatioBased), from a proxy that samples, or from what is below these: "+
		"their spans have no weight, and counts made from weights are too low; "+
		"bring riffle to where traces begin first, and count with span_metrics until then: see docs/upgrading-a-fleet.md",
		"no_threshold", s.NoThreshold, "impossible_threshold", s.ImpossibleThreshold, "started", s.Started)
}
