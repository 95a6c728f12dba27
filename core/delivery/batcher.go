package delivery

import (
	"math"
	"slices"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/otlp"
)

// batcher gathers spans and turns them into batches for its lines. Its goroutine runs
// until the last of them has left, or it is closed.
type batcher struct {
	config  BatchConfig
	sharing sharing
	wake    chan struct{} // there is something for the goroutine; of capacity 1
	done    chan struct{} // the goroutine has ended

	mu     sync.Mutex
	lines  []*Line // replaced, never changed in place
	closed bool
	open   chunk   // is being filled
	sealed []chunk // wait for the goroutine
	bytes  int64   // about the size of what is in open and sealed
	spare  []sdktrace.ReadOnlySpan

	// Of the goroutine alone.
	raw       []byte
	processor *processor
}

// chunk is spans that were handed over in a row, or a mark among such.
type chunk struct {
	spans        []sdktrace.ReadOnlySpan
	bytes        int64
	handedOverAt time.Time // when the first was handed over
	lines        []*Line   // for whom they are
	mark         chan struct{}
	last         bool // of a mark: one of the lines leaves

	behind int64 // about the size of what was handed over since
}

// newBatcher starts a batcher.
func newBatcher(s sharing, lines []*Line) *batcher {
	b := &batcher{
		config: s.batch, sharing: s, processor: newProcessor(s), lines: lines,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	for _, l := range lines {
		l.attach(b)
	}
	go b.run()
	return b
}

// members are the lines that have not left.
func (b *batcher) members() []*Line {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines
}

// leave takes a line off. When the mark closes, the line has everything that
// was handed over before.
func (b *batcher) leave(l *Line) (mark <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return b.done
	}
	m := b.sealLast()
	b.lines = slices.DeleteFunc(slices.Clone(b.lines), func(o *Line) bool { return o == l })
	b.closed = len(b.lines) == 0
	return m
}

// close lets all lines leave.
func (b *batcher) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.sealLast()
		b.lines, b.closed = nil, true
	}
}

// sealLast seals what a line gets last.
func (b *batcher) sealLast() (mark chan struct{}) {
	mark = make(chan struct{})
	b.seal(mark)
	b.sealed[len(b.sealed)-1].last = true
	return mark
}

// flush makes batches of what was handed over. They are in the queues when the
// mark closes.
func (b *batcher) flush() (mark <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return b.done
	}
	m := make(chan struct{})
	b.seal(m)
	return m
}

// handOver is on the path of the application.
func (b *batcher) handOver(spans []sdktrace.ReadOnlySpan) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lines) == 0 || len(spans) == 0 {
		return
	}
	for _, l := range b.lines {
		l.counts.handedOver.Add(uint64(len(spans)))
	}
	room := b.room()
	for i, s := range spans {
		size := sizeOf(s)
		if b.bytes+size > room {
			for _, l := range b.lines {
				l.count(len(spans)-i, queueFull)
			}
			return
		}
		b.add(s, size)
	}
}

// sizeOf is about how many bytes a span holds in memory, which is more than it adds to a
// request. Those of core/record know it: to look at all that they have would take a
// quarter of what encoding does.
func sizeOf(s sdktrace.ReadOnlySpan) int64 {
	const rest = 256 // what a span holds besides what is encoded
	if s, ok := s.(interface{ MemorySize() int64 }); ok {
		return s.MemorySize()
	}
	return rest + int64(otlp.EstimateSize(s))
}

func sizeOfAll(spans []sdktrace.ReadOnlySpan) (n int64) {
	for _, s := range spans {
		n += sizeOf(s)
	}
	return n
}

// room is how much may wait here, as the line with the most room has it.
func (b *batcher) room() int64 {
	var room int64
	for _, l := range b.lines {
		room = max(room, l.room())
	}
	return room
}

func (b *batcher) add(s sdktrace.ReadOnlySpan, size int64) {
	if b.open.bytes+size > int64(b.config.MaxBytes) {
		b.seal(nil)
	}
	if len(b.open.spans) == 0 {
		b.open.handedOverAt = time.Now()
		if b.open.spans == nil {
			b.open.spans, b.spare = b.spare, nil
		}
		if b.open.spans == nil {
			b.open.spans = make([]sdktrace.ReadOnlySpan, 0, min(b.config.MaxSpans, 256))
		}
		b.signal()
	}
	b.open.spans = append(b.open.spans, s)
	b.open.bytes += size
	b.bytes += size
	if len(b.open.spans) >= b.config.MaxSpans {
		b.seal(nil)
	}
}

// seal ends the open chunk and, if there is one, puts a mark behind it.
func (b *batcher) seal(mark chan struct{}) {
	if len(b.open.spans) > 0 {
		b.open.lines = b.lines
		b.sealed = append(b.sealed, b.open)
		b.open = chunk{}
	}
	if mark != nil {
		b.sealed = append(b.sealed, chunk{mark: mark, lines: b.lines})
	}
	b.signal()
}

func (b *batcher) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *batcher) run() {
	defer close(b.done)
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for {
		c, wait, ended := b.next()
		switch {
		case ended:
			return
		case c.mark != nil:
			if c.last {
				c.filtered(b.processor.filterWaiting())
			}
			close(c.mark)
			continue
		case len(c.spans) > 0:
			b.process(&c)
			b.recycle(&c)
			continue
		}
		timer.Reset(wait)
		select {
		case <-b.wake:
		case <-timer.C:
		}
	}
}

// next returns a chunk, or how long to wait for one.
func (b *batcher) next() (c chunk, wait time.Duration, ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.sealed) == 0 && len(b.open.spans) > 0 {
		if wait = time.Duration(b.config.MaxAge) - time.Since(b.open.handedOverAt); wait > 0 {
			return c, wait, false
		}
		b.seal(nil)
	}
	if len(b.sealed) == 0 {
		return c, math.MaxInt64, b.closed
	}
	c = b.sealed[0]
	c.behind = b.bytes - c.bytes
	b.sealed[0] = chunk{}
	if b.sealed = b.sealed[1:]; len(b.sealed) == 0 {
		b.sealed = nil
	}
	return c, 0, false
}

// recycle takes a chunk back that is processed.
func (b *batcher) recycle(c *chunk) {
	clear(c.spans)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes -= c.bytes
	b.spare = c.spans[:0]
}

// held is what the spans hold that are no batch yet.
func (b *batcher) held() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

// oldest is when the first of the spans that are no batch yet was handed over.
func (b *batcher) oldest() (at time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case len(b.sealed) > 0 && b.sealed[0].mark == nil:
		return b.sealed[0].handedOverAt, true
	case len(b.open.spans) > 0:
		return b.open.handedOverAt, true
	default:
		return time.Time{}, false
	}
}

// filtered counts spans that the lines do not get.
func (c *chunk) filtered(n int) {
	for _, l := range c.lines {
		l.mu.Lock()
		if !l.settled {
			l.counts.filtered.Add(uint64(n))
		}
		l.mu.Unlock()
	}
}

// process cuts a chunk into batches of at most MaxBytes.
func (b *batcher) process(c *chunk) {
	spans, filtered := b.processor.apply(c.spans)
	c.filtered(filtered)
	if len(spans) == 0 {
		return
	}
	var e extent
	first, limit := 0, int(b.config.MaxBytes)
	for i, s := range spans {
		n := int(sizeOf(s))
		if i > first && e.bytes+n > limit {
			b.dispatch(c, spans[first:i], e)
			first, e = i, extent{}
		}
		e.add(s, n)
	}
	b.dispatch(c, spans[first:], e)
}

// dispatch gives spans to the lines: encoded once, and compressed once in each
// of the ways that the lines want.
func (b *batcher) dispatch(c *chunk, spans []sdktrace.ReadOnlySpan, e extent) {
	type body struct {
		compression Compression
		bytes       []byte
	}
	var bodies []body
	for _, l := range c.lines {
		batch := &batch{count: len(spans), handedOverAt: c.handedOverAt, firstEnd: e.firstEnd, extent: e}
		if l.requests == nil {
			batch.spans, batch.size = slices.Clone(spans), sizeOfAll(spans)
			l.enqueue(batch, c.behind)
			continue
		}
		i := slices.IndexFunc(bodies, func(o body) bool { return o.compression == l.compression })
		if i < 0 {
			if len(bodies) == 0 {
				b.raw = otlp.AppendRequest(b.raw[:0], spans)
			}
			i = len(bodies)
			bodies = append(bodies, body{l.compression, l.compression.Compress(b.raw)})
		}
		batch.body, batch.extent.bytes = bodies[i].bytes, len(b.raw)
		batch.size = int64(len(batch.body))
		l.enqueue(batch, c.behind)
	}
	if cap(b.raw) > 2*int(b.config.MaxBytes) {
		b.raw = nil // one huge span
	}
}
