package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strconv"
	"strings"
	"time"
)

// A file is a header and the payload. Numbers are little-endian.
//
//	 0  magic         8 bytes
//	 8  version       uint16
//	10  encoding      uint8, of the payload, for its owner
//	11  zero
//	12  spans         uint32
//	16  first end     int64, of the spans, nanoseconds since 1970
//	24  length        uint64, of the payload
//	32  checksum      uint32, CRC-32C of the payload
//	36  checksum      uint32, CRC-32C of all above
const (
	magic      = "riffle\x00\xb6"
	version    = 1
	headerSize = 40
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Meta is what is known of a batch without looking into its payload.
type Meta struct {
	// Spans is how many there are; not negative, and at most 1<<31-1.
	Spans int
	// FirstEnd is when the first of them ended, to the nanosecond.
	FirstEnd time.Time
	// Encoding tells the owner how the payload is to be read.
	Encoding uint8
}

// Batch is what is stored.
type Batch struct {
	Meta
	Payload []byte
}

// ErrDamaged is what errors about files are that do not hold what was written.
var ErrDamaged = errors.New("damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)
}

// appendHeader appends the header of the file that holds the batch.
func appendHeader(b []byte, batch Batch) []byte {
	start := len(b)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint16(b, version)
	b = append(b, batch.Encoding, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(batch.Spans))
	b = binary.LittleEndian.AppendUint64(b, uint64(batch.FirstEnd.UnixNano()))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(batch.Payload)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(batch.Payload, castagnoli))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// Decode reads a whole file. The payload shares its memory. Errors are
// [ErrDamaged].
func Decode(file []byte) (Batch, error) {
	var b Batch
	if len(file) < headerSize {
		return b, damaged("%d bytes are no header", len(file))
	}
	header, payload := file[:headerSize], file[headerSize:]
	if string(header[:len(magic)]) != magic {
		return b, damaged("it does not begin as a batch does")
	}
	if crc32.Checksum(header[:36], castagnoli) != binary.LittleEndian.Uint32(header[36:]) {
		return b, damaged("the checksum of the header is wrong")
	}
	if v := binary.LittleEndian.Uint16(header[8:]); v != version {
		return b, damaged("its format has version %d, not %d: another riffle wrote it", v, version)
	}
	if n := binary.LittleEndian.Uint64(header[24:]); n != uint64(len(payload)) {
		return b, damaged("the payload has %d bytes instead of %d", len(payload), n)
	}
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(header[32:]) {
		return b, damaged("the checksum of the payload is wrong")
	}
	if header[11] != 0 || binary.LittleEndian.Uint32(header[12:]) > math.MaxInt32 {
		return b, damaged("the header has values that nobody writes")
	}
	b.Encoding = header[10]
	b.Spans = int(binary.LittleEndian.Uint32(header[12:]))
	b.FirstEnd = time.Unix(0, int64(binary.LittleEndian.Uint64(header[16:])))
	b.Payload = payload
	return b, nil
}

// Entry is a batch that waits in a file.
type Entry struct {
	Meta
	// Size is that of the file.
	Size int64

	seq   uint64
	epoch uint32 // tells apart files of one number after a power failure
}

// Files are named by what needs no look into them:
//
//	0000000000000007-9e107d9d-18a3f2b1c0d4e5f6-200-1.batch
//
// that is a number that grows, the epoch, when the first span ended, the number of
// spans and the encoding.
const suffix = ".batch"

func (e *Entry) name() string {
	return fmt.Sprintf("%016x-%08x-%016x-%x-%x%s", e.seq, e.epoch, uint64(e.FirstEnd.UnixNano()), e.Spans, e.Encoding, suffix)
}

// parseName is the inverse of name; ok tells whether it is one.
func parseName(name string) (e Entry, ok bool) {
	fields := strings.Split(strings.TrimSuffix(name, suffix), "-")
	if len(fields) != 5 {
		return e, false
	}
	var n [5]uint64
	for i, bits := range [5]int{64, 32, 64, 31, 8} {
		var err error
		if n[i], err = strconv.ParseUint(fields[i], 16, bits); err != nil {
			return e, false
		}
	}
	e = Entry{Meta: Meta{Spans: int(n[3]), FirstEnd: time.Unix(0, int64(n[2])), Encoding: uint8(n[4])}, seq: n[0], epoch: uint32(n[1])}
	return e, e.name() == name
}
