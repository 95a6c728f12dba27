package delivery

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/riffletrace/riffle/core/delivery/disk"
	"github.com/riffletrace/riffle/core/otlp"
)

// encode makes what is stored: it is compressed in any case.
func (w *diskWriter) encode(group []*batch) []disk.Batch {
	files := make([]disk.Batch, len(group))
	for i, b := range group {
		body, compression := b.body, w.line.compression
		if w.line.requests == nil {
			body, compression = otlp.AppendRequest(nil, b.spans), None
		}
		if compression == None {
			body, compression = Zstd.Compress(body), Zstd
		}
		files[i] = disk.Batch{
			Meta:    disk.Meta{Spans: b.count, FirstEnd: b.firstEnd, Encoding: uint8(slices.Index(encodings, compression))},
			Payload: body,
		}
	}
	return files
}

// encodings are by their numbers in files.
var encodings = []Compression{None, Gzip, Zstd, Snappy}

// Body returns the request in a file of a disk queue, not compressed.
func Body(b disk.Batch) ([]byte, error) {
	if int(b.Encoding) >= len(encodings) {
		return nil, fmt.Errorf("%w: unknown encoding %d", disk.ErrDamaged, b.Encoding)
	}
	body, err := encodings[b.Encoding].Decompress(b.Payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", disk.ErrDamaged, err)
	}
	return body, nil
}

// load gets a batch that is about to be sent from the disk, if it is there. It reports
// false if the batch cannot be sent, for now or for good.
func (l *Line) load(b *batch) (o outcome, ok bool) {
	if age := time.Duration(l.config.Queue.MaxAge); age > 0 && time.Since(b.firstEnd) > age {
		err := fmt.Errorf("the batch has spans of %s, older than max_age (%s)", b.firstEnd.UTC().Format(time.RFC3339), l.config.Queue.MaxAge)
		o.drop(b.count, tooOld, err, nil)
		return o, false
	}
	if b.fetch == nil {
		return o, true
	}
	err := l.read(b)
	switch {
	case err == nil:
		return o, true
	case errors.Is(err, disk.ErrDamaged):
		o.drop(b.count, damaged, err, nil)
	default:
		l.reporter.warn("the disk queue cannot read a batch: it is tried again", "error", err)
		o.again, o.due, o.err = true, time.Now().Add(retryEvery), err
		o.next, o.endsWaits = o.due, true
	}
	return o, false
}

// read gets what a batch holds from the disk.
func (l *Line) read(b *batch) error {
	file, err := l.writer.store.Read(*b.fetch)
	if err != nil {
		return err
	}
	if l.requests != nil && int(file.Encoding) < len(encodings) && encodings[file.Encoding] == l.compression {
		b.body = file.Payload
		return nil
	}
	body, err := Body(file)
	if err != nil {
		return err
	}
	if l.requests != nil {
		b.body = l.compression.Compress(body)
		return nil
	}
	if b.spans, err = otlp.Decode(body); err != nil {
		return fmt.Errorf("%w: %w", disk.ErrDamaged, err)
	}
	return nil
}
