// Package delivery takes kept spans to backends.
//
// [Lines] hand spans over to any number of exporters. A [Line] is the way to one:
//
//	batch -> queue -> send
//
// Handing spans over only enqueues them: it does no I/O, waits for nobody and
// allocates next to nothing. A goroutine batches; lines that batch alike share
// it, and what it encodes and compresses. Each line has a queue of its own,
// bounded in bytes, and workers of its own, so that an exporter that is slow or
// dead holds up no other.
//
// A failure of the network is retryable: the batch stays queued and is retried,
// with exponential backoff and full jitter, or when the backend asked for it.
// While a backend is away, one batch at a time is tried. A batch that the backend
// refuses is dropped at once, one that it finds too large is split in two.
// Each span that is handed over ends in exactly one of the counters of [Stats].
//
// An exporter is any [sdktrace.SpanExporter]. One that takes OTLP bytes says so
// by being a [RequestExporter], which is many times cheaper. An exporter tells
// a line what became of a batch by returning an [ExportError].
//
// A batch may reach a backend twice: if the response is lost, nobody knows better
// than to send it again.
package delivery
