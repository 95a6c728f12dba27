package rare

import (
	"encoding/binary"
	"hash/maphash"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const (
	// maxSpans is how many of a segment's spans are looked at: those that ended first.
	maxSpans = 4096
	// maxName is how much of a span's name is looked at, in bytes.
	maxName = 1 << 10
)

// fingerprints tells sets of spans apart: those with one fingerprint have, but for
// chance of one in 2^64, the same names with the same kinds and statuses, in whatever
// order and however often each.
type fingerprints struct {
	seed maphash.Seed
	seen map[uint64]struct{} // of one segment
}

func newFingerprints() *fingerprints {
	return &fingerprints{seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}}
}

// append writes the fingerprint of spans. The set is summed up, for which order is
// nothing; each sum is of hashes that look random.
func (f *fingerprints) append(dst []byte, spans []sdktrace.ReadOnlySpan) []byte {
	clear(f.seen)
	var sum uint64
	for _, span := range spans[:min(len(spans), maxSpans)] {
		h := f.hash(span)
		if _, ok := f.seen[h]; !ok {
			f.seen[h] = struct{}{}
			sum += h
		}
	}
	return binary.LittleEndian.AppendUint64(dst, sum)
}

func (f *fingerprints) hash(span sdktrace.ReadOnlySpan) uint64 {
	var h maphash.Hash
	h.SetSeed(f.seed)
	name := span.Name()
	_, _ = h.WriteString(name[:min(len(name), maxName)]) // it never fails
	_, _ = h.Write([]byte{byte(span.SpanKind()), byte(span.Status().Code)})
	return h.Sum64()
}
