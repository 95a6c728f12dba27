package record

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
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

// Measurable is a span that metrics look at: it has ended.
type Measurable interface {
	sdktrace.ReadOnlySpan
	// Duration is how long it took.
	Duration() time.Duration
	// Values returns the last value of each of the keys, in room; of one that is not
	// there it is empty. It allocates nothing, and the span is as it was.
	Values(room []attribute.Value, keys []attribute.Key) []attribute.Value
}

// Duration is how long the span took.
func (s *recorded) Duration() time.Duration {
	if s.rare != nil && !s.rare.end.IsZero() {
		return s.rare.end.Sub(s.start)
	}
	return s.duration
}

// Values returns the values of attributes.
func (s *recorded) Values(room []attribute.Value, keys []attribute.Key) []attribute.Value {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		room = append(room, lastOf(s.attrs, s.late, key))
	}
	return room
}

func lastOf(early, late []attribute.KeyValue, key attribute.Key) attribute.Value {
	for _, list := range [...][]attribute.KeyValue{late, early} {
		for i := len(list) - 1; i >= 0; i-- {
			if list[i].Key == key {
				return list[i].Value
			}
		}
	}
	return attribute.Value{}
}

// Duration is how long the span took.
func (v *view) Duration() time.Duration { return v.recorded().Duration() }

// Values returns the values of attributes.
func (v *view) Values(room []attribute.Value, keys []attribute.Key) []attribute.Value {
	return v.recorded().Values(room, keys)
}

// Interface guards.
var (
	_ context.Context = (*exemplar)(nil)
	_ trace.Span      = (*exemplar)(nil)
	_ Measurable      = (*recorded)(nil)
	_ Measurable      = (*view)(nil)
)
