package record

import (
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// exemplar is a span that is kept, as metrics are told of it: as a context with itself.
// It is the same memory, so that a measurement allocates nothing.
type exemplar span

// Value returns the span to whoever looks for it.
func (e *exemplar) Value(key any) any {
	if key == spanKey {
		return trace.Span(e)
	}
	return nil
}

// Deadline reports that there is none.
func (*exemplar) Deadline() (deadline time.Time, ok bool) { return deadline, false }

// Done returns nil: the context is never done.
func (*exemplar) Done() <-chan struct{} { return nil }

// Err returns nil.
func (*exemplar) Err() error { return nil }

// SpanContext is that of the span as it is exported.
func (e *exemplar) SpanContext() trace.SpanContext { return (*view)(&e.recorded).SpanContext() }

// Measured is a span that has been decided, as metrics look at it.
type Measured struct{ s *recorded }

// Name returns the span's name.
func (m Measured) Name() string { return m.s.name }

// Kind returns the span's kind.
func (m Measured) Kind() trace.SpanKind { return m.s.SpanKind() }

// Status returns the code of the span's status.
func (m Measured) Status() codes.Code { return m.s.code() }

// Duration is how long the span took. It is negative where the application says so.
func (m Measured) Duration() time.Duration {
	if r := m.s.rare; r != nil && !r.end.IsZero() {
		return r.end.Sub(m.s.start)
	}
	return m.s.duration
}

// AppendValues appends the last value of each of the keys, an empty one where there is
// none. It allocates nothing but room, and does not put the attributes in order, as who
// reads them all does.
func (m Measured) AppendValues(room []attribute.Value, keys []attribute.Key) []attribute.Value {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	for _, key := range keys {
		room = append(room, lastOf(m.s.attrs, m.s.late, key))
	}
	return room
}

// lastOf is the value of a key in those of the start and those set since.
func lastOf(early, late []attribute.KeyValue, key attribute.Key) attribute.Value {
	for _, list := range [...][]attribute.KeyValue{late, early} {
		for i := range slices.Backward(list) {
			if list[i].Key == key {
				return list[i].Value
			}
		}
	}
	return attribute.Value{}
}

// Interface guards.
var (
	_ context.Context = (*exemplar)(nil)
	_ trace.Span      = (*exemplar)(nil)
)
