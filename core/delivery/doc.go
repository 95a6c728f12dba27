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
// # The states of a batch
//
//	            enqueue                next                 apply
//	(batcher) ----------> queued ---------------> sending ---------> done
//	    |                   |                      ^    |
//	    | no room           | evicted         next |    | apply: it failed for now
//	    |                   |                      |    |
//	    +----------------> done <--------------- backing off
//	                                   evicted
//
// Queued is a batch that was never tried, backing off one that failed and waits for its
// time; either is on disk if what it holds is in a file and no longer in memory. load
// reads it back. Done is one that is sent, lost, or replaced by its pieces, which
// begin as queued or, if the batch had failed, as backing off. The state, the queue and
// the breaker are guarded by the line's lock; what a batch holds belongs to the worker
// while it is sending.
//
// # Outcomes
//
// A worker takes a batch with next, finds out what becomes of it with try, and nothing
// else: an outcome says how many spans are sent, rejected and dropped for which cause,
// what is left and until when, and what that tells of the backend. Line.apply makes it
// so: it is the one place that counts, tells those who wait, opens and closes the
// breaker, and moves the batch.
//
// A failure of the network is retryable: what is left backs off, exponentially with
// full jitter, or for as long as the backend asked for. After three failures in a row the
// backend is taken to be away, and one batch at a time is tried. A batch that failed
// three times, or as a probe, is sent one span first: if that is accepted, the backend is
// there, and parts of the others that fail are to blame if one span of theirs is
// accepted. A batch that is refused for what is in it is sent in halves until the spans
// are found; one that is too large becomes two.
// Each span that is handed over ends in exactly one of the counters of [Stats].
//
// An exporter is any [sdktrace.SpanExporter]. One that takes OTLP bytes says so
// by being a [RequestExporter], for which batches are encoded once for several
// lines. An exporter tells a line what became of a batch by returning an [ExportError].
//
// A batch may reach a backend twice: if the response is lost, nobody knows better
// than to send it again.
package delivery
