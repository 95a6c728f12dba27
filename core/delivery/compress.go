package delivery

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/riffletrace/riffle/core/component"
)

// Compression is how the body of a request is compressed: by the fastest level,
// which is nearly as small as any for spans.
type Compression string

// The compressions, as OTEL_EXPORTER_OTLP_COMPRESSION names them.
const (
	None Compression = "none"
	Gzip Compression = "gzip"
	Zstd Compression = "zstd"
)

// ConfigSchema lists the values that users can set.
func (Compression) ConfigSchema() component.Schema { return component.Enum(None, Gzip, Zstd) }

// Snappy is for the way, in its block format, to another process of this machine:
// larger than the others, at a third of the time.
const Snappy Compression = "snappy"

// compressor is memory to compress with.
type compressor struct {
	gzip *gzip.Writer // into out; nil until it is needed
	out  bytes.Buffer
}

// idle holds compressors that are not in use: as many as batches are made at
// once, mostly. It is no sync.Pool because the garbage collector would empty that
// about once per batch, and to make a compressor takes a good part of what to
// use it does.
var idle = make(chan *compressor, 2)

func newCompressor() *compressor {
	select {
	case c := <-idle:
		c.out.Reset()
		return c
	default:
		return new(compressor)
	}
}

// done takes back a compressor, unless it has become large.
func (c *compressor) done() {
	const largest = 4 << 20
	if c.out.Cap() > largest {
		return
	}
	select {
	case idle <- c:
	default:
	}
}

// smallBody is up to how many bytes a body is compressed without a [gzip.Writer], which
// stays and holds 800 KiB. Up to a quarter of it that is as fast, and then it takes up to
// 0.3 µs more for a span, of which there are few in a second then.
const smallBody = 128 << 10

func (c *compressor) gzipped(body []byte) []byte {
	if c.gzip == nil && len(body) <= smallBody {
		w, _ := gzip.NewWriterLevel(&c.out, gzip.StatelessCompression) // the level is a good one
		_, _ = w.Write(body)                                           // memory takes everything
		_ = w.Close()
		return c.out.Bytes()
	}
	if c.gzip == nil {
		c.gzip, _ = gzip.NewWriterLevel(&c.out, gzip.BestSpeed) // the level is a good one
	} else {
		c.gzip.Reset(&c.out)
	}
	_, _ = c.gzip.Write(body) // memory takes everything
	_ = c.gzip.Close()
	return c.out.Bytes()
}

func (c *compressor) zstd(body []byte) []byte {
	c.out = *bytes.NewBuffer(zstdEncoder().EncodeAll(body, c.out.AvailableBuffer()))
	return c.out.Bytes()
}

// snappy fills memory of its own, as large as a body can become that does not
// shrink.
func (c *compressor) snappy(body []byte) []byte {
	c.out.Grow(s2.MaxEncodedLen(len(body)))
	buf := c.out.AvailableBuffer()
	return s2.EncodeSnappy(buf[:cap(buf)], body)
}

// The coders of zstd start no goroutines and are safe for concurrent use. Their
// options are good ones.
var (
	zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
		e, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
		return e
	})
	zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
		d, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxBody))
		return d
	})
)

// Compress returns body compressed, in memory of its own and of just that size.
func (c Compression) Compress(body []byte) []byte {
	switch c {
	case Gzip:
		w := newCompressor()
		defer w.done()
		return bytes.Clone(w.gzipped(body))
	case Zstd:
		w := newCompressor()
		defer w.done()
		return bytes.Clone(w.zstd(body))
	case Snappy:
		w := newCompressor()
		defer w.done()
		return bytes.Clone(w.snappy(body))
	default:
		return bytes.Clone(body)
	}
}

// maxBody is what a body can grow to.
const maxBody = 256 << 20

var errTooLarge = fmt.Errorf("more than %d bytes", maxBody)

// snappyRatio is more than any body of snappy grows by: a copy of 64 bytes takes two.
const snappyRatio = 64

var errClaim = errors.New("it claims to be larger than it can be")

// Decompress undoes Compress. Bodies of more than 256 MiB are errors.
func (c Compression) Decompress(body []byte) ([]byte, error) {
	switch c {
	case Gzip:
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(io.LimitReader(r, maxBody+1))
		if err == nil && len(b) > maxBody {
			err = errTooLarge
		}
		return b, err
	case Zstd:
		return zstdDecoder().DecodeAll(body, nil)
	case Snappy:
		if n, err := s2.DecodedLen(body); err != nil || n > maxBody {
			return nil, cmp.Or(err, errTooLarge)
		} else if n > snappyRatio*len(body) {
			return nil, errClaim // before there is memory for it
		}
		return s2.Decode(nil, body)
	default:
		return body, nil
	}
}

// Valid returns an error that lists the compressions that receivers of OTLP know,
// unless c is one.
func (c Compression) Valid() error {
	switch c {
	case None, Gzip, Zstd:
		return nil
	default:
		return fmt.Errorf("%s is not one of %s, %s, %s", component.Shown(string(c)), None, Gzip, Zstd)
	}
}
