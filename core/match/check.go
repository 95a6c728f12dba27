package match

import (
	"errors"
	"slices"
	"strings"

	"github.com/riffletrace/riffle/core/component"
)

// Moment is when a match is asked for.
type Moment uint8

const (
	// AtStart is when a local root starts.
	AtStart Moment = iota
	// AtEnd is when a span ends.
	AtEnd
	// OfSegment is when a segment is complete, or overdue.
	OfSegment
	// OfSpan is when a span is delivered: it is seen alone.
	OfSpan
)

// note tells of a key when it is not known.
type note struct {
	path string
	of   lack
}

type lack uint8

const (
	notAtStart lack = 1 << iota
	notOfSpan
	ofEnded // it is about spans that have ended
)

var (
	errStart = errors.New("a start sampler is asked before the span has one: use an end or a segment sampler")
	errEnded = errors.New("a start sampler is asked before a span has ended: use an end or a segment sampler")
	errSpan  = errors.New("an exporter's filter sees one span at a time")
)

// Check finds what cannot be known at a moment: [component.FieldError]s, joined, with
// the path within the match.
func (m *Matcher) Check(at Moment) error {
	if m == nil {
		return nil
	}
	var errs []error
	for _, n := range m.notes {
		switch {
		case at == AtStart && n.of&ofEnded != 0:
			errs = append(errs, &component.FieldError{Path: n.path, Err: errEnded})
		case at == AtStart && n.of&notAtStart != 0:
			errs = append(errs, &component.FieldError{Path: n.path, Err: errStart})
		case at == OfSpan && n.of&notOfSpan != 0:
			errs = append(errs, &component.FieldError{Path: n.path, Err: errSpan})
		}
	}
	return errors.Join(errs...)
}

// endAttributes are those that instrumentation sets when a span ends: what came of it.
var endAttributes = []string{
	"db.response.returned_rows", "db.response.status_code",
	"error.message", "error.type",
	"http.response.body.size", "http.response.size", "http.response.status_code",
	"http.response_content_length", "http.response_content_length_uncompressed", "http.status_code",
	"otel.status_code", "otel.status_description",
	"rpc.connect_rpc.error_code", "rpc.grpc.status_code", "rpc.jsonrpc.error_code", "rpc.response.status_code",
}

// endPrefixes are those of their families.
var endPrefixes = []string{exceptionPrefix, "http.response.header."}

// exceptionPrefix is that of the attributes of an exception event.
const exceptionPrefix = "exception."

// IsKnownAtEnd reports whether an attribute is known only when a span ends, because
// instrumentation sets it then.
func IsKnownAtEnd(key string) bool {
	return slices.Contains(endAttributes, key) ||
		slices.ContainsFunc(endPrefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}
