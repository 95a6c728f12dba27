package sampling

import (
	"encoding/binary"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// The entry of tracestate that belongs to OpenTelemetry, its two keys that
// speak of sampling, and its bound.
// Source: https://opentelemetry.io/docs/specs/otel/trace/tracestate-handling/
const (
	otKey         = "ot"
	thKey         = "th"
	rvKey         = "rv"
	otMaxLen      = 256
	rvLen         = 14
	otMemberDelim = ";"
)

// otEntry is the ot entry of a tracestate, taken apart. Members that are
// malformed, or that repeat a key, are left out, as if they were absent.
type otEntry struct {
	th      Threshold // Unknown if absent
	rv      uint64
	hasRV   bool
	foreign string // the members other than th and rv, joined
}

// parseOT takes the value of an ot entry apart.
func parseOT(s string) otEntry {
	e := otEntry{th: Unknown}
	if len(s) > otMaxLen {
		return e
	}
	var seenTH, seenRV bool
	for s != "" {
		var member string
		member, s, _ = strings.Cut(s, otMemberDelim)
		key, value, ok := strings.Cut(member, ":")
		if !ok || !validOTKey(key) || !validOTValue(value) {
			continue
		}
		switch key {
		case thKey:
			if t, err := ParseThreshold(value); err == nil && !seenTH {
				e.th = t
			} else {
				e.th = Unknown
			}
			seenTH = true
		case rvKey:
			v, ok := parseHex(value)
			ok = ok && len(value) == rvLen && !seenRV
			e.rv, e.hasRV = v, ok
			if !ok {
				e.rv = 0
			}
			seenRV = true
		default:
			if hasOTKey(e.foreign, key) {
				continue
			}
			if e.foreign != "" {
				e.foreign += otMemberDelim
			}
			e.foreign += member
		}
	}
	return e
}

// String is the value of the entry; "" when there is nothing to say. A
// threshold that would make the entry too long is left out: an unknown weight
// is safer than a stale one.
func (e otEntry) String() string {
	var members []string
	if e.hasRV {
		members = append(members, fmt.Sprintf("%s:%014x", rvKey, e.rv))
	}
	if e.foreign != "" {
		members = append(members, e.foreign)
	}
	rest := strings.Join(members, otMemberDelim)
	th, ok := e.th.Text()
	if !ok {
		return rest
	}
	if rest == "" {
		return thKey + ":" + th
	}
	if s := thKey + ":" + th + otMemberDelim + rest; len(s) <= otMaxLen {
		return s
	}
	return rest
}

// insertOT returns ts with its ot entry replaced by e, or removed if e says
// nothing.
func insertOT(ts trace.TraceState, e otEntry) trace.TraceState {
	s := e.String()
	if s == ts.Get(otKey) {
		return ts
	}
	if s == "" {
		return ts.Delete(otKey)
	}
	// Insert fails only on a malformed value, which String does not make.
	next, err := ts.Insert(otKey, s)
	if err != nil {
		return ts.Delete(otKey)
	}
	return next
}

// WithThreshold returns ts with th set to t, everything else kept; without th if t
// is one that th cannot express.
func WithThreshold(ts trace.TraceState, t Threshold) trace.TraceState {
	if t >= Never && !strings.Contains(ts.Get(otKey), thKey+":") {
		return ts
	}
	if ts.Len() == 0 {
		th, ok := t.Text()
		if !ok {
			return ts
		}
		next, err := ts.Insert(otKey, thKey+":"+th)
		if err != nil {
			return ts
		}
		return next
	}
	e := parseOT(ts.Get(otKey))
	e.th = t
	return insertOT(ts, e)
}

// ThresholdOf returns the threshold that a span's tracestate carries, and
// [Unknown] if it carries none or one that contradicts the trace's
// randomness.
func ThresholdOf(sc trace.SpanContext) Threshold {
	s := sc.TraceState().Get(otKey)
	if s == "" {
		return Unknown
	}
	e := parseOT(s)
	r := e.rv
	if !e.hasRV {
		r = TraceIDRandomness(sc.TraceID())
	}
	if !e.th.Selects(r) {
		return Unknown
	}
	return e.th
}

// Randomness returns the 56 random bits that all samplers of a trace share:
// rv of tracestate, else the low 56 bits of the trace ID.
func Randomness(sc trace.SpanContext) uint64 {
	if ts := sc.TraceState(); ts.Len() > 0 {
		if s := ts.Get(otKey); s != "" {
			if e := parseOT(s); e.hasRV {
				return e.rv
			}
		}
	}
	return TraceIDRandomness(sc.TraceID())
}

// ThresholdIn returns the threshold that a tracestate carries, and [Unknown] if it
// carries none. It does not look at randomness: see [ThresholdOf].
func ThresholdIn(ts trace.TraceState) Threshold { return parseOT(ts.Get(otKey)).th }

// WithRandomness returns ts with rv set to the 56 bits of r and without th, which
// is about another randomness.
func WithRandomness(ts trace.TraceState, r uint64) trace.TraceState {
	return insertOT(ts, otEntry{th: Unknown, rv: r & randomnessMask, hasRV: true})
}

// TraceIDRandomness returns the low 56 bits of a trace ID, which are a trace's
// randomness unless its tracestate says another.
func TraceIDRandomness(id trace.TraceID) uint64 {
	return binary.BigEndian.Uint64(id[8:]) & randomnessMask
}

// hasOTKey reports whether the joined members contain one with this key.
func hasOTKey(members, key string) bool {
	for members != "" {
		var member string
		member, members, _ = strings.Cut(members, otMemberDelim)
		if k, _, _ := strings.Cut(member, ":"); k == key {
			return true
		}
	}
	return false
}

func validOTKey(s string) bool {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func validOTValue(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
