package sampling

import (
	"fmt"
	"math"
	"testing"
)

// The table of the specification, for precision 4.
func TestThresholdFromProbabilityMatchesTheSpecification(t *testing.T) {
	tests := []struct {
		oneIn float64
		th    string
		count float64
	}{
		{1, "0", 1},
		{2, "8", 2},
		{3, "aaab", 3.00004577706569},
		{4, "c", 4},
		{5, "cccd", 5.0000762951094835},
		{8, "e", 8},
		{10, "e666", 9.99938968568813},
		{16, "f", 16},
		{100, "fd70a", 99.99771123402633},
		{1000, "ffbe77", 1000.012874769029},
		{10000, "fff9724", 9999.830725674266},
		{100000, "ffff583a", 99999.238556461},
		{1000000, "ffffef39", 999992.38556461},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("1-in-%v", tt.oneIn), func(t *testing.T) {
			got, err := ThresholdFromProbability(1 / tt.oneIn)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != tt.th {
				t.Errorf("threshold = %s, want %s", got, tt.th)
			}
			if count := got.AdjustedCount(); math.Abs(count-tt.count) > tt.count*1e-12 {
				t.Errorf("adjusted count = %v, want %v", count, tt.count)
			}
		})
	}
}

func TestThresholdAtTheEnds(t *testing.T) {
	tests := []struct {
		p    float64
		want Threshold
	}{
		{0, Never},
		{math.Copysign(0, -1), Never},
		{1, Always},
		{math.SmallestNonzeroFloat64, Never - 1},
		{1.0 / (1 << 56), Never - 1},
		{math.Nextafter(1, 0), Always},
	}
	for _, tt := range tests {
		if got, err := ThresholdFromProbability(tt.p); err != nil || got != tt.want {
			t.Errorf("ThresholdFromProbability(%v) = %s, %v, want %s", tt.p, got, err, tt.want)
		}
	}
	for _, p := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -0.1, 1.1} {
		if got, err := ThresholdFromProbability(p); err == nil {
			t.Errorf("ThresholdFromProbability(%v) = %s, want an error", p, got)
		}
	}
}

func TestLeast(t *testing.T) {
	const half, quarter = Threshold(8 << 52), Threshold(0xc << 52)
	tests := []struct{ a, b, want Threshold }{
		{Always, Unknown, Always},
		{Always, half, Always},
		{half, quarter, half},
		{half, Unknown, Unknown},
		{Never, Unknown, Unknown},
		{Never, quarter, quarter},
		{Never, Never, Never},
		{Unknown, Unknown, Unknown},
	}
	for _, tt := range tests {
		if got := Least(tt.a, tt.b); got != tt.want {
			t.Errorf("Least(%s, %s) = %s, want %s", tt.a, tt.b, got, tt.want)
		}
		if got := Least(tt.b, tt.a); got != tt.want {
			t.Errorf("Least(%s, %s) = %s, want %s", tt.b, tt.a, got, tt.want)
		}
	}
}

func TestThresholdsThatThCannotExpress(t *testing.T) {
	for _, threshold := range []Threshold{Never, Unknown} {
		if th, ok := threshold.Text(); ok {
			t.Errorf("%s.Text() = %q", threshold, th)
		}
		if n := threshold.AdjustedCount(); n != 0 {
			t.Errorf("%s.AdjustedCount() = %v, want 0: it must count in no weighted figure", threshold, n)
		}
		if threshold.Selects(randomnessMask) {
			t.Errorf("%s selects the highest randomness", threshold)
		}
	}
}

func FuzzParseThreshold(f *testing.F) {
	for _, s := range []string{"", "0", "c", "fd70a4", "ffffffffffffff", "00000000000001", "fffffffffffffff", "C", "g", "0x1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		threshold, err := ParseThreshold(s)
		if err != nil {
			if threshold != Unknown {
				t.Fatalf("ParseThreshold(%q) = %s with an error", s, threshold)
			}
			return
		}
		if threshold >= Never {
			t.Fatalf("ParseThreshold(%q) = %d is out of range", s, threshold)
		}
		th, ok := threshold.Text()
		if !ok {
			t.Fatalf("%q parsed to %d, which has no text", s, threshold)
		}
		if again, err := ParseThreshold(th); err != nil || again != threshold {
			t.Fatalf("%q -> %d -> %q -> %d, %v", s, threshold, th, again, err)
		}
	})
}

func FuzzThresholdFromProbability(f *testing.F) {
	for _, p := range []float64{0, 1, 0.5, 0.01, 1e-17, 1e-300, math.NaN(), 0.9999999} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p float64) {
		threshold, err := ThresholdFromProbability(p)
		if err != nil {
			if p >= 0 && p <= 1 {
				t.Fatalf("ThresholdFromProbability(%v): %v", p, err)
			}
			return
		}
		if threshold > Never {
			t.Fatalf("ThresholdFromProbability(%v) = %d is out of range", p, threshold)
		}
		// Four significant digits of the probability: within half a unit of the last.
		if q := threshold.Probability(); p > 1e-16 && math.Abs(q-p) > p/1000 && math.Abs(q-p) > 1.0/(1<<16) {
			t.Fatalf("%v became %v", p, q)
		}
		if th, ok := threshold.Text(); ok {
			if again, err := ParseThreshold(th); err != nil || again != threshold {
				t.Fatalf("%v -> %q -> %d, %v, want %d", p, th, again, err, threshold)
			}
		}
	})
}
