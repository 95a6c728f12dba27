package delivery

import (
	"fmt"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery/disk"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// batch is what one attempt sends. doc.go draws its states.
type batch struct {
	spans        []sdktrace.ReadOnlySpan // for an exporter that takes spans
	body         []byte                  // for one that takes requests
	count        int                     // of spans
	size         int64                   // what it takes of the queue
	handedOverAt time.Time               // when its first span was handed over
	seq          uint64                  // batches that were queued earlier have a lower one
	firstEnd     time.Time               // when the first of its spans ended
	extent       extent

	// Guarded by the line's lock.
	state    state
	due      time.Time // not to be tried before
	probe    bool      // is being tried while the backend is away
	began    time.Time // when a worker got it
	failures int       // attempts that failed; 0: it is new
	history  history
	busy     bool // the last of them because the backend is busy
	alone    bool // others were accepted, mostly, between its last two failures
	doubted  bool // others were accepted lately, so that it may be to blame
	searched bool // it is sent in parts, to find what in it is to blame
	suspect  bool // it failed while the others of its batch were accepted

	// Of a disk queue, guarded by the line's lock.
	unstored      bool        // is to be stored
	unstoredSince time.Time   // when that began
	file          *disk.Entry // where it is stored; nil: it is not
	takenOver     bool        // another process has stored it
	original      *original   // it is a piece of that; nil once it is stored itself

	fetch        *disk.Entry // what is to be read before it is sent; nil: nothing
	firstAttempt time.Time
}

// state is where a batch is on its way.
type state int

const (
	queued     state = iota // waits for its first attempt
	sending                 // a worker has it
	backingOff              // waits for another attempt
	done                    // is sent, lost, or replaced by its pieces
)

// onDisk reports whether what the batch holds is on the disk alone.
func (b *batch) onDisk() bool { return b.file != nil && b.body == nil && b.spans == nil }

// unload lets go of what can be read from the disk.
func (b *batch) unload() {
	if b.file != nil {
		b.spans, b.body = nil, nil
	}
}

// inherit makes b a piece of another batch, or what is left of it.
func (b *batch) inherit(from *batch) {
	b.seq, b.handedOverAt, b.firstEnd, b.takenOver = from.seq, from.handedOverAt, from.firstEnd, from.takenOver
	b.firstAttempt = from.firstAttempt
}

// original is a stored batch whose pieces took its place. Its file stays until
// they are stored, sent or dropped.
type original struct {
	file   disk.Entry
	pieces int
}

// divide makes batches pieces of another.
func (b *batch) divide(pieces []*batch) {
	if len(pieces) == 0 { // it ends as a whole
		return
	}
	o := b.original
	if b.file != nil {
		o, b.file = &original{file: *b.file}, nil
	}
	if o == nil {
		return
	}
	o.pieces += len(pieces)
	for _, piece := range pieces {
		piece.original = o
	}
}

// describe names the first of the spans.
func describe(spans []sdktrace.ReadOnlySpan) string {
	if len(spans) == 0 {
		return "unknown"
	}
	s := spans[0]
	const most = 200
	return fmt.Sprintf("%q of trace %s", untrusted.Text(s.Name(), most), s.SpanContext().TraceID())
}
