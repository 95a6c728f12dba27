package delivery

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
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

type gzipWriter struct {
	*gzip.Writer
	out bytes.Buffer
}

var gzipWriters = sync.Pool{New: func() any {
	w := &gzipWriter{}
	w.Writer, _ = gzip.NewWriterLevel(&w.out, gzip.BestSpeed) // the level is a good one
	return w
}}

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
		w := gzipWriters.Get().(*gzipWriter)
		defer gzipWriters.Put(w)
		w.out.Reset()
		w.Reset(&w.out)
		_, _ = w.Write(body) // memory takes everything
		_ = w.Close()
		return bytes.Clone(w.out.Bytes())
	case Zstd:
		return bytes.Clone(zstdEncoder().EncodeAll(body, nil))
	default:
		return bytes.Clone(body)
	}
}

// maxBody is what a body can grow to.
const maxBody = 256 << 20

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
			err = fmt.Errorf("more than %d bytes", maxBody)
		}
		return b, err
	case Zstd:
		return zstdDecoder().DecodeAll(body, nil)
	default:
		return body, nil
	}
}

// Valid returns an error that lists the compressions, unless c is one.
func (c Compression) Valid() error {
	switch c {
	case None, Gzip, Zstd:
		return nil
	default:
		return fmt.Errorf("%q is not one of %s, %s, %s", string(c), None, Gzip, Zstd)
	}
}
