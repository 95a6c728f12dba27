package sampling

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Threshold is a rejection threshold T of consistent probability sampling: a
// trace whose randomness R is at or above T is selected. It counts, out of
// 2^56 traces, those that are rejected, so that the probability is
// (2^56-T)/2^56.
//
// The zero value is [Always]. Two values lie outside the range that
// tracestate can carry: [Never] and [Unknown].
//
// Source: https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/
type Threshold uint64

const (
	// Always is the threshold that rejects nothing.
	Always Threshold = 0
	// Never is the threshold that no randomness reaches.
	Never Threshold = 1 << 56
	// Unknown stands for a selection whose probability nobody knows. It erases
	// th from tracestate, and spans that carry it count in no weighted figure.
	Unknown Threshold = math.MaxUint64
)

const (
	// randomnessMask selects the 56 bits that are compared with a threshold.
	randomnessMask = 1<<56 - 1
	hexDigits      = 14
	// thresholdPrecision is the number of hex digits that the specification
	// recommends, in addition to leading f digits.
	thresholdPrecision = 4
)

// ThresholdFromProbability returns the threshold for probability p in [0, 1],
// rounded to four significant hex digits as the specification recommends. The
// rounded value is the one that is compared, so the weight of a kept trace is
// exact. A p of 0 is [Never]; a p below 2^-56 counts as 2^-56. Anything else,
// NaN included, is an error.
func ThresholdFromProbability(p float64) (Threshold, error) {
	switch {
	case math.IsNaN(p) || p < 0 || p > 1:
		return Never, fmt.Errorf("%v is not a probability: want a number from 0 to 1", p)
	case p == 0:
		return Never, nil
	case p == 1:
		return Always, nil
	}
	p = max(p, 1.0/(1<<56))

	// Leading f digits carry no precision of a small probability: add as many.
	_, exp := math.Frexp(p)
	digits := min(hexDigits, thresholdPrecision+exp/-4)

	t := uint64(Never) - uint64(math.Round(p*(1<<56)))
	if shift := 4 * (hexDigits - digits); shift > 0 {
		t = (t + 1<<(shift-1)) >> shift << shift
	}
	return Threshold(t), nil
}

// ParseThreshold parses the value of tracestate's th: 1 to 14 lowercase hex
// digits, trailing zeros left out.
func ParseThreshold(s string) (Threshold, error) {
	if len(s) == 0 || len(s) > hexDigits {
		return Unknown, fmt.Errorf("th %q has %d digits: want 1 to %d", s, len(s), hexDigits)
	}
	v, ok := parseHex(s)
	if !ok {
		return Unknown, fmt.Errorf("th %q is not lowercase hex", s)
	}
	return Threshold(v << (4 * (hexDigits - len(s)))), nil
}

// Text is the value of tracestate's th, and false for [Never] and [Unknown],
// which th cannot express.
func (t Threshold) Text() (th string, ok bool) {
	switch {
	case t == Always:
		return "0", true
	case t >= Never:
		return "", false
	}
	s := strconv.FormatUint(uint64(t), 16)
	if pad := hexDigits - len(s); pad > 0 {
		s = "00000000000000"[:pad] + s
	}
	return strings.TrimRight(s, "0"), true
}

// String is th, or "never" or "unknown".
func (t Threshold) String() string {
	if s, ok := t.Text(); ok {
		return s
	}
	if t == Unknown {
		return "unknown"
	}
	return "never"
}

// Scaled returns the threshold for the share, 0 to 1, of the probability. [Unknown]
// stays so.
func (t Threshold) Scaled(share float64) Threshold {
	if share == 1 || t >= Never {
		return t
	}
	scaled, err := ThresholdFromProbability(t.Probability() * share)
	if err != nil {
		return t
	}
	return max(t, scaled) // rounding keeps no more
}

// Probability is the share of traces selected, and NaN for [Unknown].
func (t Threshold) Probability() float64 {
	if t > Never {
		return math.NaN()
	}
	return float64(Never-t) / (1 << 56)
}

// AdjustedCount is the weight of a span kept with this threshold: how many
// spans it speaks for, 2^56/(2^56-T). It is 0 for [Unknown] and [Never]: such
// spans count in no weighted figure.
func (t Threshold) AdjustedCount() float64 {
	if t >= Never {
		return 0
	}
	return (1 << 56) / float64(Never-t)
}

// Selects reports whether a trace with this randomness is selected. It is
// false for [Unknown], which compares with nothing.
func (t Threshold) Selects(randomness uint64) bool {
	return randomness >= uint64(t)
}

// Least is the threshold of a trace for which both a and b spoke: [Always]
// beats [Unknown], and [Unknown] beats every other.
func Least(a, b Threshold) Threshold {
	if a == Always || b == Always {
		return Always
	}
	if a == Unknown || b == Unknown {
		return Unknown
	}
	return min(a, b)
}

// parseHex parses lowercase hex of at most 16 digits.
func parseHex(s string) (uint64, bool) {
	var v uint64
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}
