// Package bench measures what tracing costs a service, on the machine that it
// runs on.
//
// A service is traced in several ways, the [Variant]s, in many short rounds
// that take turns, so that a drift hits all. Each round has a
// fresh process of the service; the load, and the backend that counts spans, are
// processes of their own. The main figure is the CPU time, user and system, that
// the process of the service takes for a request, with everything sent: the
// overhead of a variant is what it takes over an untraced service in the same
// cycle. Of the overheads the median is told, with a 95 % interval by bootstrap;
// where the interval has both sides of zero, the noise of the machine does not
// resolve it, and nothing else is claimed.
//
// [Run] measures any handler from a test; riffle bench measures the one of
// [OpenShop].
package bench
