// Package rivals measures riffle against what a user would pick instead, on
// this machine and in the same run.
//
// BenchmarkTrace makes the same trace, a server's span with 8 attributes and a
// database client's with 6, with riffle, with the stock SDK (BatchSpanProcessor
// and otlptracehttp) and with Datadog's tracer, without its span pool and with
// it, and tells what CPU time and memory it costs the process that is traced.
// The receiver is another process.
//
// BenchmarkTail is about keeping every error, every slow trace and 1 % of the
// others. riffle does that in the process of the service. The other way is a
// service that records and sends everything, and a Collector with
// tail_sampling. Both tiers get the same requests at the same pace, and what
// arrived is compared with what the load driver did, trace by trace. The
// Collector is that of bench/interop, and needs some minutes to be built once:
// RIFFLE_INTEROP=1 asks for it.
//
// The module is one of its own so that Datadog's requirements do not meet
// riffle's.
package rivals
