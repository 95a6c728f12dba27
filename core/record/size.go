package record

import (
	"unsafe"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/internal/bound"
)

// What things take. Strings count with their bytes, also where others share them: a
// name may be a constant or made for this one span, and nobody can tell.
const (
	segmentBytes   = int64(unsafe.Sizeof(segment{})) + slotBytes
	moreBytes      = int64(unsafe.Sizeof(segmentMore{}))
	baggageBytes   = 64 // of a member, in its map
	spanBytes      = int64(unsafe.Sizeof(span{}))
	rareBytes      = int64(unsafe.Sizeof(rare{}))
	attributeBytes = int64(unsafe.Sizeof(attribute.KeyValue{}))
	eventBytes     = int64(unsafe.Sizeof(sdktrace.Event{}))
	linkBytes      = int64(unsafe.Sizeof(sdktrace.Link{}))
	stringBytes    = int64(unsafe.Sizeof(""))
	memberBytes    = 2 * stringBytes // of a tracestate
)

const otKey = "ot" // OpenTelemetry's entry of a tracestate

// sizeUnit is in what a span remembers with what it counts, up to maxUnits.
const (
	sizeUnit = 64
	maxUnits = 1<<16 - 1
)

// count makes a span, which is locked, count with n bytes more.
func (s *recorded) count(n int64) {
	units := (n + sizeUnit - 1) / sizeUnit
	few := min(units, maxUnits-int64(s.units))
	s.units += uint16(few)
	if few < units {
		s.rarely().size += (units - few) * sizeUnit
	}
	s.segment.live().account(s.segment.shard, units*sizeUnit)
}

// countMore does so, if n is more, for a span that has started. One that has not
// counts with its start, and one that was let go with nothing.
func (s *recorded) countMore(n int64) {
	if n > 0 && s.units > 0 {
		s.count(n)
	}
}

// size is with what a span counts.
func (s *recorded) size() int64 {
	if s.units < maxUnits || s.rare == nil {
		return int64(s.units) * sizeUnit
	}
	return maxUnits*sizeUnit + s.rare.size
}

// countNothing makes a span that is let go count with nothing.
func (s *recorded) countNothing() {
	s.units = 0
	if s.rare != nil {
		s.rare.size = 0
	}
}

// sizeOfStart is what a span that starts holds, without itself.
func (s *recorded) sizeOfStart() int64 {
	n := int64(len(s.name)) + sizeOfAttributes(s.attrs)
	if s.fixed&hasParent != 0 && !s.isRoot() {
		n += sizeOfState(s.rare.parent.TraceState())
	}
	if r := s.rare; r != nil {
		n += r.late
		r.counted = r.late
	}
	return n
}

// sizeOfLate is what came to a span after its start and is not yet counted.
func (s *recorded) sizeOfLate() int64 {
	n := sizeOfAttributes(s.late)
	if r := s.rare; r != nil {
		n += rareBytes + r.late - r.counted
	}
	return n
}

// lateGrain is how much may come to a span that is open before it is counted.
const lateGrain = 1 << 9

// changed tells that events, links or the description hold so much more than before.
func (s *recorded) changed(n int64) {
	r := s.rare
	r.late += n
	if n = r.late - r.counted; n >= lateGrain && s.units > 0 {
		r.counted = r.late
		s.count(n)
	}
}

func sizeOfEvent(e *sdktrace.Event) int64 {
	return eventBytes + int64(len(e.Name)) + sizeOfAttributes(e.Attributes)
}

func sizeOfLink(l *sdktrace.Link) int64 {
	return linkBytes + sizeOfState(l.SpanContext.TraceState()) + sizeOfAttributes(l.Attributes)
}

// sizeOfState leaves out the entry of OpenTelemetry. What that says depends on whether
// a trace is kept, and what is cut must not.
func sizeOfState(ts trace.TraceState) (n int64) {
	if ts.Len() == 0 {
		return 0
	}
	ts.Walk(func(key, value string) bool {
		if key != otKey {
			n += memberBytes + int64(len(key)+len(value))
		}
		return true
	})
	return n
}

func sizeOfAttributes(kvs []attribute.KeyValue) int64 {
	n := int64(cap(kvs)) * attributeBytes
	for i := range kvs {
		n += int64(len(kvs[i].Key))
		switch v := &kvs[i].Value; v.Type() {
		case attribute.BOOL, attribute.INT64, attribute.FLOAT64:
		case attribute.STRING:
			n += int64(len(v.AsString()))
		default:
			n += bound.ValueBytes(*v)
		}
	}
	return n
}
