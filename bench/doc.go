// Package bench measures what tracing costs a service, on the machine that it
// runs on.
//
// A service is traced in several ways, the [Variant]s. In each round every variant has a
// fresh process of the service, warmed up until its memory is steady; all are there at
// once and are asked in short turns, so that what the machine does meanwhile it does to
// all. The load, and the backend that counts spans, are processes of their own. Measured
// are the CPU time, user and system, that the process of the service takes for a request,
// with everything sent, its page faults, and what it allocates: the overhead of a variant
// is what it takes over an untraced service in the same round. Of the overheads the median
// is told, with a 95 % interval by bootstrap if there are rounds enough; where the
// interval has both sides of zero, the noise of the machine does not resolve it, and
// nothing else is claimed.
//
// [Run] measures any handler from a test; riffle bench measures the one of
// [OpenShop].
package bench
