package viewer

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/findings"
)

// held is a trace at one time. It never changes: what arrives makes another one, which
// shares the memory of this one's spans.
type held struct {
	id      trace.TraceID
	spans   []span
	data    []byte // the spans' bytes
	origins []*origin

	start, end int64 // of all of its spans
	errors     int
	root       int // the first span without a parent, else the first of all

	// What the last look at it found; more may have arrived since.
	found []findings.Finding
	// Of its spans, those of which another trace may tell more: roots of kind server,
	// and calls below which there is no server.
	open []uint32
}

// duration is 0 for a trace of which no span tells its start.
func (h *held) duration() int64 {
	if h.start == 0 {
		return 0
	}
	return max(h.end-h.start, 0)
}

func (h *held) isRoot() bool { return !h.spans[h.root].parent.IsValid() }

// add takes a span into a trace that is not shown to anybody yet.
func (h *held) add(s span) {
	i := len(h.spans)
	h.spans = append(h.spans, s)
	if i == 0 {
		h.start, h.end = s.start, max(s.start, s.end)
		h.errors = int(bit(s.status == statusError))
		return
	}
	if h.start == 0 || s.start > 0 && s.start < h.start {
		h.start = s.start
	}
	h.end = max(h.end, s.start, s.end)
	h.errors += int(bit(s.status == statusError))
	root := &h.spans[h.root]
	better := s.start < root.start
	if s.parent.IsValid() == root.parent.IsValid() && better || !s.parent.IsValid() && root.parent.IsValid() {
		h.root = i
	}
}

// has tells whether the last look found something of a kind.
func (h *held) has(kind findings.Kind) bool {
	for i := range h.found {
		if h.found[i].Kind == kind {
			return true
		}
	}
	return false
}

// decoder reads the bytes of a span.
func (h *held) decoder(i int, keys []string) decoder {
	return decoder{b: h.data[h.spans[i].at:], keys: keys}
}

// origin is where spans come from.
type origin struct {
	service string
	res     *resource.Resource // nil if there is none
	scope   instrumentation.Scope
	key     string // the bytes that it is told by
	traces  int    // that have spans of it
}

// op is a service and a name that spans have in common.
type op struct {
	service, name string
}

// opened is a trace with the names of its spans.
type opened struct {
	*held
	ops  []*op // of each span
	keys []string
}

// eagerly is up to how many spans a trace is whose attributes are decoded once instead
// of whenever somebody asks. Those of a larger one at once would need too much memory.
const eagerly = 10_000

// readable are spans as those know them who look at them: all of the trace, or some.
func (o opened) readable(some []uint32) []sdktrace.ReadOnlySpan {
	n := len(o.spans)
	if some != nil {
		n = len(some)
	}
	all, out := make([]readable, n), make([]sdktrace.ReadOnlySpan, n)
	var text string
	var state trace.TraceState
	for k := range all {
		i := k
		if some != nil {
			i = int(some[k])
		}
		r := &all[k]
		*r = readable{opened: &o, i: i}
		d := o.decoder(i, o.keys)
		if n <= eagerly {
			r.attrs, r.eager = d.attributes(), true
		} else {
			d.skipAttributes()
		}
		d.skipEvents()
		d.skipLinks()
		// Most spans of a trace have the same one.
		if rest := d.rest(); rest.state != text {
			text = rest.state
			state, _ = trace.ParseTraceState(text) // it was one
		}
		s := &o.spans[i]
		r.sc = trace.NewSpanContext(trace.SpanContextConfig{TraceID: o.id, SpanID: s.id, TraceFlags: trace.TraceFlags(s.flags), TraceState: state})
		out[k] = r
	}
	return out
}

// readable is a held span as the SDK shows it.
type readable struct {
	sdktrace.ReadOnlySpan // nil: for its private method
	*opened
	i     int
	sc    trace.SpanContext
	attrs []attribute.KeyValue
	eager bool
}

func (r *readable) span() *span { return &r.spans[r.i] }

func (r *readable) read() decoder { return r.decoder(r.i, r.keys) }

func (r *readable) rest() rest {
	d := r.read()
	d.skipAttributes()
	d.skipEvents()
	d.skipLinks()
	return d.rest()
}

func (r *readable) Name() string                   { return r.ops[r.i].name }
func (r *readable) SpanContext() trace.SpanContext { return r.sc }
func (r *readable) SpanKind() trace.SpanKind       { return trace.SpanKind(r.span().kind) }
func (r *readable) StartTime() time.Time           { return instant(r.span().start) }
func (r *readable) EndTime() time.Time             { return instant(r.span().end) }
func (r *readable) DroppedAttributes() int         { return r.rest().attributes }
func (r *readable) DroppedEvents() int             { return r.rest().events }
func (r *readable) DroppedLinks() int              { return r.rest().links }
func (*readable) ChildSpanCount() int              { return 0 }

func (r *readable) Parent() trace.SpanContext {
	s := r.span()
	c := trace.SpanContextConfig{SpanID: s.parent, Remote: s.remote}
	if s.parent.IsValid() {
		c.TraceID = r.id
	}
	return trace.NewSpanContext(c)
}

func (r *readable) Attributes() []attribute.KeyValue {
	if r.eager {
		return r.attrs
	}
	d := r.read()
	return d.attributes()
}

func (r *readable) Events() []sdktrace.Event {
	d := r.read()
	d.skipAttributes()
	return d.events()
}

func (r *readable) Links() []sdktrace.Link {
	d := r.read()
	d.skipAttributes()
	d.skipEvents()
	return d.links()
}

func (r *readable) Status() sdktrace.Status {
	status := sdktrace.Status{Description: r.rest().description}
	switch r.span().status {
	case statusOK:
		status.Code = codes.Ok
	case statusError:
		status.Code = codes.Error
	}
	return status
}

func (r *readable) Resource() *resource.Resource { return r.origins[r.span().origin].res }

func (r *readable) InstrumentationScope() instrumentation.Scope {
	return r.origins[r.span().origin].scope
}

func (r *readable) InstrumentationLibrary() instrumentation.Library { //nolint:staticcheck // of the interface
	return r.InstrumentationScope()
}
