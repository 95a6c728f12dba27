package core

import (
	"math/bits"
	"math/rand/v2"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

// IDs are random in every bit, and all stripes get as many.
func TestRandomIDs(t *testing.T) {
	const stripes, n = 16, 1 << 16
	g := newRandomIDs(stripes)
	seen := map[trace.TraceID]bool{}
	var ones [128]int
	var perStripe [stripes]int
	for range n {
		id, span := g.NewIDs(t.Context())
		if !id.IsValid() || !span.IsValid() || seen[id] {
			t.Fatalf("trace %v, span %v", id, span)
		}
		seen[id] = true
		for i := range ones {
			ones[i] += int(id[i/8] >> (i % 8) & 1)
		}
		perStripe[stripeOf(id, stripes)]++
	}
	const sixSigma = 6 * 128 // half the root of n, six times
	for i, c := range ones {
		if c < n/2-sixSigma || c > n/2+sixSigma {
			t.Errorf("bit %d of byte %d is set %d times of %d", i%8, i/8, c, n)
		}
	}
	for s, c := range perStripe {
		if c < n/stripes-n/100 || c > n/stripes+n/100 {
			t.Errorf("stripe %d has %d of %d traces", s, c, n)
		}
	}
}

// IDs of others spread over the stripes too, also where one half of them is empty.
func TestStripesOfForeignIDs(t *testing.T) {
	const stripes, n = 16, 1 << 14
	for name, half := range map[string]func(*trace.TraceID) []byte{
		"lower": func(id *trace.TraceID) []byte { return id[8:] },
		"upper": func(id *trace.TraceID) []byte { return id[:8] },
		"both":  func(id *trace.TraceID) []byte { return id[:] },
	} {
		var perStripe [stripes]int
		for range n {
			var id trace.TraceID
			for i := range half(&id) {
				half(&id)[i] = byte(rand.Uint32())
			}
			perStripe[stripeOf(id, stripes)]++
		}
		for s, c := range perStripe {
			if c < n/stripes*3/4 || c > n/stripes*5/4 {
				t.Errorf("%s half: stripe %d has %d of %d traces", name, s, c, n)
			}
		}
	}
}

func TestStripes(t *testing.T) {
	if n := stripes(); n < 16 || n > 256 || bits.OnesCount(uint(n)) != 1 {
		t.Errorf("%d stripes", n)
	}
}
