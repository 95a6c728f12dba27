package stats

import (
	"maps"
	"math/bits"
	"slices"
	"time"
)

// subBits fixes the resolution of a [Histogram]: 2^subBits buckets for each
// doubling, so that a duration is at most 1.6 % off.
const subBits = 6

// Histogram counts durations in buckets whose width grows with them. The zero
// value is ready.
type Histogram struct {
	// Counts has the number of durations by bucket.
	Counts map[int]uint64 `json:"counts"`
}

// Add counts a duration.
func (h *Histogram) Add(d time.Duration) {
	if h.Counts == nil {
		h.Counts = make(map[int]uint64)
	}
	h.Counts[bucket(d)]++
}

// Merge adds what another has counted.
func (h *Histogram) Merge(o Histogram) {
	for b, n := range o.Counts {
		if h.Counts == nil {
			h.Counts = make(map[int]uint64)
		}
		h.Counts[b] += n
	}
}

// Total is how many durations were counted.
func (h *Histogram) Total() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Quantile is a duration that the share q did not exceed.
func (h *Histogram) Quantile(q float64) time.Duration {
	total := h.Total()
	if total == 0 {
		return 0
	}
	rank := uint64(q * float64(total))
	var seen uint64
	buckets := slices.Sorted(maps.Keys(h.Counts))
	for _, b := range buckets {
		if seen += h.Counts[b]; seen > rank {
			return upper(b)
		}
	}
	return upper(buckets[len(buckets)-1])
}

// bucket numbers the buckets: those below 2^subBits µs are 1 µs wide.
func bucket(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < 1<<subBits {
		return int(us)
	}
	shift := bits.Len64(us) - subBits - 1
	return (shift+1)<<subBits + int(us>>shift) - 1<<subBits
}

// upper is where a bucket ends.
func upper(b int) time.Duration {
	if b < 1<<subBits {
		return time.Duration(b+1) * time.Microsecond
	}
	shift, sub := b>>subBits-1, b&(1<<subBits-1)
	return time.Duration((uint64(sub)+1<<subBits+1)<<shift) * time.Microsecond
}
