package redact

import (
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// inTraceState reports whether the rules without keys find anything in a tracestate,
// which is what clients sent.
func (r *Redactor) inTraceState(ts trace.TraceState) (found bool) {
	if ts.Len() == 0 {
		return false
	}
	ts.Walk(func(key, value string) bool {
		found = !isSampling(key, value) && (r.inText(key+"="+value, r.free) || r.inText(value, r.free))
		return !found
	})
	return found
}

// traceState returns what the rules leave of a tracestate. What is then no entry
// of one goes.
func (r *Redactor) traceState(ts trace.TraceState) trace.TraceState {
	var entries []string
	ts.Walk(func(key, value string) bool {
		entry := key + "=" + value
		switch {
		case isSampling(key, value):
			entries = append(entries, entry)
			return true
		case r.inText(entry, r.free):
			key, value, _ = strings.Cut(r.text(entry), "=")
		default:
			value = r.text(value)
		}
		if one, err := (trace.TraceState{}).Insert(key, value); err == nil {
			entries = append(entries, one.String())
		}
		return true
	})
	left, err := trace.ParseTraceState(strings.Join(entries, ","))
	if err != nil { // two have one key now
		return trace.TraceState{}
	}
	return left
}

// isSampling reports whether an entry says nothing but how a trace is sampled: a
// threshold and a random number, in at most 14 hexadecimal digits each. Without
// them weights are lost.
func isSampling(key, value string) bool {
	if key != "ot" {
		return false
	}
	for more := true; more; {
		var member string
		member, value, more = strings.Cut(value, ";")
		name, number, ok := strings.Cut(member, ":")
		if !ok || name != "th" && name != "rv" || len(number) > 14 || strings.Trim(number, "0123456789abcdef") != "" {
			return false
		}
	}
	return true
}
