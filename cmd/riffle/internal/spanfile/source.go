package spanfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/riffletrace/riffle/core/delivery/disk"
	"github.com/riffletrace/riffle/internal/trustedfile"
)

const (
	// maxLine is how long a line may be, or what stands for one: a message or a value.
	maxLine = 64 << 20
	// maxBatch is how large the file of a batch may be.
	maxBatch = 256 << 20
	// maxExpanded is how much may come out of a compressed file.
	maxExpanded = 16 << 30
	// maxWindow is what a frame of zstd may make us remember: what its own tool takes
	// without being told to.
	maxWindow = 128 << 20
)

var (
	gzipMagic  = []byte{0x1f, 0x8b}
	zstdMagic  = []byte{0x28, 0xb5, 0x2f, 0xfd}
	batchMagic = []byte("riffle\x00\xb6")
)

// decompressed undoes one compression, if there is one.
func decompressed(in *bufio.Reader) (*bufio.Reader, func(), error) {
	head, err := in.Peek(len(zstdMagic))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		r, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, err
		}
		return bounded(r), func() { _ = r.Close() }, nil
	case bytes.HasPrefix(head, zstdMagic):
		r, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		return bounded(r), r.Close, nil
	default:
		return in, func() {}, nil
	}
}

func bounded(r io.Reader) *bufio.Reader {
	return bufio.NewReaderSize(&limited{r, maxExpanded}, bufferSize)
}

// limited fails where too much comes.
type limited struct {
	from io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("more than %d GiB come out of it", int64(maxExpanded)>>30)
	}
	n, err := l.from.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// source is a file that is being read.
type source struct {
	*reading
	name   string
	in     *bufio.Reader
	line   int   // that in reads now
	offset int64 // of protobuf
}

// headSize is how much of a file tells what it is.
const headSize = 16

// read finds out what the file is, and reads it.
func (s *source) read() error {
	head, err := s.in.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return s.failed(err)
	}
	switch {
	case bytes.HasPrefix(head, batchMagic):
		file, err := trustedfile.ReadAll(s.in, s.name, maxBatch)
		if err != nil {
			return err
		}
		batch, err := disk.Decode(file)
		if err != nil {
			return s.failed(err)
		}
		return s.batch(s.name, batch)
	case isText(head):
		return s.json()
	case head[0] == resourceSpansTag:
		return s.protobuf()
	case len(head) > frameHeader && isFrame(head):
		return s.frames()
	default:
		return fmt.Errorf("%s: %w", s.name, errNothing)
	}
}

func (s *source) failed(err error) error { return fmt.Errorf("%s: %w", s.name, err) }

// isText tells that what begins so can only be JSON, or nothing at all. A message of
// protobuf begins with the byte of a line break: it is one unless a member follows,
// as no length and field of a message look like that.
func isText(head []byte) bool {
	head = bytes.TrimPrefix(head, byteOrderMark)
	switch {
	case len(head) == 0:
		return true
	case head[0] == resourceSpansTag:
		member, isObject := bytes.CutPrefix(bytes.TrimLeft(head, space), []byte("{"))
		return isObject && bytes.HasPrefix(bytes.TrimLeft(member, space), []byte(`"`))
	default:
		return strings.IndexByte(space+"{[", head[0]) >= 0
	}
}

// space is what JSON takes for it.
const space = " \t\r\n"

var byteOrderMark = []byte("\ufeff")

// resourceSpansTag is what a message of TracesData begins with: its only field.
const resourceSpansTag = 1<<3 | byte(protowire.BytesType)

// protobuf reads one message, by the values of its field, so that it may be large.
func (s *source) protobuf() error {
	for {
		if _, err := s.in.Peek(1); errors.Is(err, io.EOF) {
			return nil
		}
		at := s.offset
		tag, err := binary.ReadUvarint(s)
		if err != nil {
			return s.failedAt(at, cut(err))
		}
		if tag != uint64(resourceSpansTag) {
			return s.failedAt(at, fmt.Errorf("field %d of wire type %d, where OTLP's TracesData has resource_spans", tag>>3, tag&7))
		}
		size, err := binary.ReadUvarint(s)
		if err != nil {
			return s.failedAt(at, cut(err))
		}
		if size > maxLine {
			return s.failedAt(at, fmt.Errorf("resource_spans of %d bytes: more than %d are not read", size, maxLine))
		}
		value, err := s.bytes(int64(size))
		if err != nil {
			return s.failedAt(at, cut(err))
		}
		message := protowire.AppendBytes([]byte{resourceSpansTag}, value)
		if err := s.request(s.at(at), message); err != nil {
			return err
		}
	}
}

// ReadByte reads a byte of protobuf.
func (s *source) ReadByte() (byte, error) {
	b, err := s.in.ReadByte()
	if err == nil {
		s.offset++
	}
	return b, err
}

// bytes reads n of them. Memory grows with what comes, not with what is claimed.
func (s *source) bytes(n int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(s.in, n))
	s.offset += int64(len(b))
	if err == nil && int64(len(b)) < n {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

func (s *source) at(offset int64) string { return fmt.Sprintf("%s: at byte %d", s.name, offset) }

// failedAt is an error that ends the file. What the end of the file has cut is a loss,
// as with lines.
func (s *source) failedAt(offset int64, err error) error {
	err = fmt.Errorf("%s: %w", s.at(offset), err)
	if errors.Is(err, errCut) {
		s.lost.add(err)
		return nil
	}
	return err
}

var errCut = errors.New("it is cut: the file ends in the middle")

// cut tells the end of a file from other errors.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCut
	}
	return err
}

// frameHeader is the length of a message, before each where the Collector's file
// exporter writes protobuf or compresses.
const frameHeader = 4

func isFrame(head []byte) bool {
	size := binary.BigEndian.Uint32(head)
	return size > 0 && size <= maxLine && (head[frameHeader] == resourceSpansTag || head[frameHeader] == '{' ||
		bytes.HasPrefix(zstdMagic, head[frameHeader:min(len(head), frameHeader+len(zstdMagic))]))
}

// frames reads messages, each with its length before it, and compressed or not.
func (s *source) frames() error {
	for {
		if _, err := s.in.Peek(1); errors.Is(err, io.EOF) {
			return nil
		}
		at := s.offset
		header, err := s.bytes(frameHeader)
		if err != nil {
			return s.failedAt(at, cut(err))
		}
		size := binary.BigEndian.Uint32(header)
		if size > maxLine {
			return s.failedAt(at, fmt.Errorf("a message of %d bytes: more than %d are not read", size, maxLine))
		}
		frame, err := s.bytes(int64(size))
		if err != nil {
			return s.failedAt(at, cut(err))
		}
		spans, err := decodeFrame(frame)
		if err := s.decoded(s.at(at), spans, err); err != nil {
			return err
		}
	}
}

func decodeFrame(frame []byte) ([]sdktrace.ReadOnlySpan, error) {
	if bytes.HasPrefix(frame, zstdMagic) {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxLine))
		if err != nil {
			return nil, err
		}
		defer d.Close()
		if frame, err = d.DecodeAll(frame, nil); err != nil {
			return nil, err
		}
	}
	if len(frame) > 0 && frame[0] == '{' {
		return decodeJSON(frame)
	}
	return DecodeOTLP(frame)
}
