// Package delivery takes kept spans to backends.
//
// A [Fan] hands spans to any number of lines, one per exporter. A [Line] is
//
//	batch -> queue -> send
//
// Handing spans over only enqueues them: it does no I/O, waits for nobody and
// allocates next to nothing. A goroutine batches; lines that batch alike share
// it, and what it encodes and compresses. Each line has a queue of its own,
// bounded in bytes, and senders of its own, so that an exporter that is slow or
// dead holds up no other.
//
// What a network can do to a batch passes: the line keeps the batch and tries
// again, with exponential backoff and full jitter, or when the backend asked
// for it. While a backend is away, one batch at a time is tried. What a backend
// refuses for good is dropped at once, what it finds too large is split in two.
// Each span that is handed over ends in exactly one of the counters of [Stats].
//
// An exporter is any [sdktrace.SpanExporter]. One that takes OTLP bytes says so
// by being a [RequestExporter], which is many times cheaper. An exporter tells
// a line what became of a batch by returning an [ExportError].
//
// A batch may reach a backend twice: if the answer is lost, nobody knows better
// than to send it again.
package delivery
