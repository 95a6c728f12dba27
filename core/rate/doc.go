// Package rate turns the arrivals of traces into sampling probabilities that
// hold a rate, without bias.
//
// A probability may depend on the times of past arrivals, never on the
// randomness of a trace and never on which traces were kept. Then each arrival i
// is selected with a known p_i > 0, independently of the past, and the sum of
// 1/p_i over the selected ones has the number of arrivals as its expectation,
// however p moved in between (Horvitz and Thompson, "A generalization of sampling
// without replacement from a finite universe", JASA 47, 1952). A limiter that cuts
// off instead, or that counts what it kept, has no such p.
//
// [Counter] estimates a rate. [Target] follows it, for a sampler that wants about
// so many traces a second, and does not keep all of a burst while the estimate is too
// low. [Limiter] holds a budget, for bursts that are over before any estimate is right.
// [Budget] holds one over several classes in an order. [Cap] cuts what a limiter lets
// pass where clients choose what is selected.
package rate
