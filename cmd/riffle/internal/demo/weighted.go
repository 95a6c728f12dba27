package demo

import (
	"fmt"
	"math"
)

// weighted estimates how many requests there were from the adjusted counts of those
// whose traces were kept.
type weighted struct {
	kept int
	// sampled is how many of them stand for others too, unknown how many carry no weight.
	sampled, unknown int
	// sum is the estimate, sampledSum the part of it that is of those that were sampled,
	// and variance is its variance: that of the Horvitz-Thompson estimator, estimated
	// from the same sample, where each trace is selected on its own.
	sum, sampledSum, variance float64
}

func (w *weighted) add(weight float64) {
	w.kept++
	w.sum += weight
	switch {
	case weight > 1:
		w.sampled++
		w.sampledSum += weight
		w.variance += weight * (weight - 1)
	case weight == 0:
		w.unknown++
	}
}

// standardError is how far off the sum usually is, of so many requests, of which a
// negative number is unknown. false: the kept ones do not say. They do where nothing
// was left out, and where the sampled ones are enough for their part of the sum to be
// two standard errors away from none at all, which takes four of equal weight. Fewer
// speak for anything or nothing: without any the variance comes out as 0, which would
// be certainty. Nor is there a bound for that case, as the rule of three would be: it
// needs the probability, and only a kept trace carries that.
func (w *weighted) standardError(requests int) (float64, bool) {
	switch {
	case w.unknown > 0:
		return 0, false
	case w.sampled == 0:
		return 0, w.kept == requests
	}
	e := math.Sqrt(w.variance)
	return e, w.sampledSum > 2*e
}

// text is the sum with its standard error, or how many there were at least.
func (w *weighted) text(requests int) string {
	e, ok := w.standardError(requests)
	switch {
	case !ok:
		return fmt.Sprintf("≥ %d", w.kept)
	case w.sampled == 0:
		return fmt.Sprint(w.kept)
	}
	return fmt.Sprintf("%.0f ± %.0f", w.sum, e)
}
