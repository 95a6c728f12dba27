package record

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	rtrace "runtime/trace"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/riffletrace/riffle/core/sampling"
)

// span is what the application has of a recorded span.
type span struct {
	*noop.Span // what a newer API asks for besides
	recorded
}

// recorded is what is recorded of a span. It belongs to its segment for life: what a
// span that starts late needs of its segment is found through its parent's pointer.
//
// What describes its place never changes. What the application sets is guarded by
// mu until the span has ended, and never changes afterwards; only its attributes
// are then still put in order, once, by whoever reads them first. The place in the
// segment's lists is guarded by the segment.
type recorded struct {
	*scope
	segment *segment
	parent  *span // nil on a local root; where rare has the parent, the next above that
	id      trace.SpanID

	prev, next *span     // in one of the segment's lists
	kept       *decision // nil until the span is handed over

	mu       sync.Mutex
	name     string
	start    time.Time
	duration time.Duration
	attrs    []attribute.KeyValue // those of Start; all of them once in order
	late     []attribute.KeyValue // those set since
	rare     *rare                // nil if the span has nothing of it
	state    spanState
	units    uint16           // of sizeUnit that it counts with
	flags    trace.TraceFlags // of its context; fixed
	fixed    fixedBits
}

// fixedBits are what is so from the start of a span. The lowest three are its kind.
type fixedBits uint8

const (
	kindBits   fixedBits = 1<<3 - 1
	saysAlways fixedBits = 1 << (iota + 2) // its context has the tracestate of T = 0
	hasParent                              // rare has the parent, of a local root the segment
	hasState                               // rare has the tracestate of its context
	hasClock                               // its start is the clock's, not the application's
)

// spanState is what changes of a span and is read without a lock: whether it has
// ended, its status, how it failed, and how many children it has. It is changed with mu
// held, but for how it failed and the number of children.
type spanState struct{ atomic.Uint32 }

const (
	hasEnded    = 1 << 0
	unordered   = 1 << 1 // attrs may hold a key twice
	statusShift = 2
	statusBits  = 3 << statusShift
	hasPanicked = 1 << 4 // a panic ended it
	sawCancel   = 1 << 5 // the last error that it has recorded wraps context.Canceled
	keysOnce    = 1 << 6 // it has ended, and attrs and late together hold no key twice
	oneChild    = 1 << 7
)

// otherStatus stands for a status that the API does not know, and rare does.
const otherStatus = 3

func (s *spanState) hasEnded() bool { return s.Load()&hasEnded != 0 }

// rare is what most spans do not have.
type rare struct {
	status sdktrace.Status // if it has a description, or is not one of the API's
	events []sdktrace.Event
	links  []sdktrace.Link
	// What did not fit.
	droppedAttrs, droppedEvents, droppedLinks int

	size    int64             // that it counts with besides its units
	late    int64             // what its events, links and description hold
	counted int64             // how much of that is counted, before the span has ended
	parent  trace.SpanContext // of a span whose parent is none of ours
	state   trace.TraceState  // of its context
	end     time.Time         // if start and duration cannot express it
	endTask func()            // of runtime/trace
}

func (s *recorded) isRoot() bool { return s == &s.segment.root.recorded }

func (s *recorded) rarely() *rare {
	if s.rare == nil {
		s.rare = new(rare)
	}
	return s.rare
}

// End ends the span. A panic that passes through is recorded and goes on.
func (s *span) End(options ...trace.SpanEndOption) {
	elapsed := time.Since(s.start)
	if s.state.hasEnded() {
		return
	}
	var config trace.SpanConfig
	if len(options) > 0 {
		config = trace.NewSpanEndConfig(options...)
	}
	if r := recover(); r != nil { // only here: in a function that is called, it recovers nothing
		defer panic(r)
		s.recordPanic(r, config.StackTrace())
	}
	s.end(elapsed, config.Timestamp(), false)
}

// end ends the span, once. The segment takes it from there.
func (s *span) end(elapsed time.Duration, at time.Time, unfinished bool) {
	s.mu.Lock()
	if s.state.hasEnded() {
		s.mu.Unlock()
		return
	}
	s.duration = elapsed
	if !at.IsZero() {
		s.endAt(at)
	}
	if unfinished {
		s.late = append(s.late, sampling.UnfinishedKey.Bool(true))
	}
	var endTask func()
	if s.rare != nil {
		endTask, s.rare.endTask = s.rare.endTask, nil
	}
	s.countMore(s.sizeOfLate())
	s.state.Or(hasEnded)
	s.mu.Unlock()
	if endTask != nil {
		endTask()
	}
	for _, p := range s.provider.spanProcessors() {
		p.OnEnd(&s.recorded)
	}
	s.segment.spanEnded(s)
}

// endAt sets an end that the application chose.
func (s *recorded) endAt(at time.Time) {
	s.duration = at.Sub(s.start)
	if !s.start.Add(s.duration).Equal(at) || at.Location() != s.start.Location() {
		s.rarely().end = at
	}
}

func (s *span) recordPanic(r any, stack bool) {
	attrs := []attribute.KeyValue{semconv.ExceptionType(typeName(r)), semconv.ExceptionMessage(fmt.Sprint(r))}
	if stack {
		attrs = append(attrs, semconv.ExceptionStacktrace(stackTrace()))
	}
	s.AddEvent(semconv.ExceptionEventName, trace.WithAttributes(attrs...))
	s.state.Or(hasPanicked)
}

// RecordError adds an event that describes err.
func (s *span) RecordError(err error, options ...trace.EventOption) {
	if err == nil || !s.IsRecording() {
		return
	}
	options = append(slices.Clip(options), trace.WithAttributes(
		semconv.ExceptionType(typeName(err)),
		semconv.ExceptionMessage(err.Error()),
	))
	if c := trace.NewEventConfig(options...); c.StackTrace() {
		options = append(options, trace.WithAttributes(semconv.ExceptionStacktrace(stackTrace())))
	}
	s.AddEvent(semconv.ExceptionEventName, options...)
	if s.segment.rules().seesCancellation && wrapsCanceled(err) {
		s.state.Or(sawCancel)
	} else if s.state.Load()&sawCancel != 0 { // what came after a cancellation may be worse
		s.state.And(^uint32(sawCancel))
	}
}

// typeName is what semantic conventions call the type of an exception.
func typeName(v any) string {
	t := reflect.TypeOf(v)
	if t.PkgPath() == "" && t.Name() == "" {
		return t.String() // a pointer, or another that has no name
	}
	return t.PkgPath() + "." + t.Name()
}

func stackTrace() string {
	const most = 2048 // as the SDK
	buf := make([]byte, most)
	return string(buf[:runtime.Stack(buf, false)])
}

// AddEvent adds an event. Over the limit the oldest goes.
func (s *span) AddEvent(name string, options ...trace.EventOption) {
	if !s.IsRecording() {
		return
	}
	c := trace.NewEventConfig(options...)
	limits := &s.segment.rules().limits
	text := s.segment.rules().text
	e := sdktrace.Event{Name: text.Text(name), Attributes: normalizeAttributes(c.Attributes(), limits.AttributeValueDepthLimit), Time: c.Timestamp()}
	e.Attributes, e.DroppedAttributeCount = limitCount(e.Attributes, limits.AttributePerEventCountLimit)
	e.Attributes = text.Attributes(e.Attributes)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.hasEnded() {
		return
	}
	r := s.rarely()
	size := sizeOfEvent(&e)
	var out *sdktrace.Event
	if r.events, out, r.droppedEvents = addLimited(r.events, e, limits.EventCountLimit, r.droppedEvents); out != nil {
		size -= sizeOfEvent(out)
	}
	s.changed(size)
}

// AddLink adds a link. Over the limit the oldest goes.
func (s *span) AddLink(link trace.Link) {
	l, ok := s.segment.rules().link(link)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.state.hasEnded() {
		s.addLink(l)
	}
}

func (s *recorded) addLink(l sdktrace.Link) {
	r := s.rarely()
	size := sizeOfLink(&l)
	var out *sdktrace.Link
	if r.links, out, r.droppedLinks = addLimited(r.links, l, s.segment.rules().limits.LinkCountLimit, r.droppedLinks); out != nil {
		size -= sizeOfLink(out)
	}
	s.changed(size)
}

// link returns what is recorded of a link, and false if that is nothing.
func (r *rules) link(link trace.Link) (l sdktrace.Link, ok bool) {
	if !link.SpanContext.IsValid() && len(link.Attributes) == 0 && link.SpanContext.TraceState().Len() == 0 {
		return l, false
	}
	l = sdktrace.Link{SpanContext: link.SpanContext, Attributes: normalizeAttributes(link.Attributes, r.limits.AttributeValueDepthLimit)}
	l.Attributes, l.DroppedAttributeCount = limitCount(l.Attributes, r.limits.AttributePerLinkCountLimit)
	l.Attributes = r.text.Attributes(l.Attributes)
	return l, true
}

// limitCount cuts the attributes of an event or a link to the limit.
func limitCount(attrs []attribute.KeyValue, limit int) (_ []attribute.KeyValue, dropped int) {
	switch {
	case limit == 0:
		return nil, len(attrs)
	case limit < 0 || len(attrs) <= limit:
		return attrs, 0
	default:
		return slices.Clone(attrs[:limit]), len(attrs) - limit // the rest is not to be held
	}
}

// addLimited adds an element in place of the oldest if there are too many, and returns
// also what does not stay. Readers are given copies, so that what is moved is nobody's.
func addLimited[T any](list []T, e T, limit, dropped int) (_ []T, out *T, _ int) {
	switch {
	case limit == 0:
		return list, &e, dropped + 1
	case limit > 0 && len(list) >= limit:
		oldest := list[0]
		copy(list, list[1:])
		list[len(list)-1] = e
		return list, &oldest, dropped + 1
	default:
		return append(list, e), nil, dropped
	}
}

// SetStatus sets the status: Ok stands before Error, and that before Unset.
func (s *span) SetStatus(code codes.Code, description string) {
	description = s.segment.rules().text.Text(description)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.hasEnded() || s.code() > code {
		return
	}
	if code != codes.Error {
		description = ""
	}
	short := min(uint32(code), otherStatus)
	if s.rare != nil || description != "" || short == otherStatus {
		r := s.rarely()
		s.changed(int64(len(description) - len(r.status.Description)))
		r.status = sdktrace.Status{Code: code, Description: description}
	}
	s.state.Add(short<<statusShift - s.state.Load()&statusBits) // at once: others read it
}

// code is that of the status.
func (s *recorded) code() codes.Code {
	if short := s.state.Load() & statusBits >> statusShift; short != otherStatus {
		return codes.Code(short)
	}
	return s.rare.status.Code
}

// SetName renames the span.
func (s *span) SetName(name string) {
	name = s.segment.rules().text.Text(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.state.hasEnded() {
		s.countMore(int64(len(name) - len(s.name)))
		s.name = name
	}
}

// IsRecording reports whether the span has not ended.
func (s *span) IsRecording() bool { return !s.state.hasEnded() }

// TracerProvider returns the one that made the span.
func (s *span) TracerProvider() trace.TracerProvider { return s.provider }

// addChild counts a span that was started below this one.
func (s *span) addChild() {
	if !s.state.hasEnded() {
		s.state.Add(oneChild)
	}
}

// startTask makes the span a task of runtime/trace, if that is on.
func (s *span) startTask(ctx context.Context, name string) context.Context {
	ctx, task := rtrace.NewTask(ctx, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rarely().endTask = task.End
	return ctx
}

// Interface guard.
var _ sdktrace.ReadWriteSpan = (*span)(nil)
