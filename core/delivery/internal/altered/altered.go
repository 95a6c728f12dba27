// Package altered has spans with other values than those that were recorded.
package altered

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Values are those of a span that hold text.
type Values struct {
	Name       string
	Attributes []attribute.KeyValue
	Events     []sdktrace.Event
	Links      []sdktrace.Link
	Status     sdktrace.Status
	Resource   *resource.Resource
	Scope      instrumentation.Scope
}

// Of returns the values of a span. They must not be modified.
func Of(s sdktrace.ReadOnlySpan) Values {
	return Values{s.Name(), s.Attributes(), s.Events(), s.Links(), s.Status(), s.Resource(), s.InstrumentationScope()}
}

// New returns a span with values in place of its own.
func New(s sdktrace.ReadOnlySpan, v Values) sdktrace.ReadOnlySpan { return &span{s, v} }

type span struct {
	sdktrace.ReadOnlySpan
	values Values
}

func (s *span) Name() string                                { return s.values.Name }
func (s *span) Attributes() []attribute.KeyValue            { return s.values.Attributes }
func (s *span) Events() []sdktrace.Event                    { return s.values.Events }
func (s *span) Links() []sdktrace.Link                      { return s.values.Links }
func (s *span) Status() sdktrace.Status                     { return s.values.Status }
func (s *span) Resource() *resource.Resource                { return s.values.Resource }
func (s *span) InstrumentationScope() instrumentation.Scope { return s.values.Scope }

// InstrumentationLibrary is the old name of InstrumentationScope.
func (s *span) InstrumentationLibrary() instrumentation.Library { //nolint:staticcheck // deprecated, but a part of the interface
	return s.values.Scope
}

// WithContexts returns a span with other contexts than its own.
func WithContexts(s sdktrace.ReadOnlySpan, own, parent trace.SpanContext) sdktrace.ReadOnlySpan {
	return &contexts{s, own, parent}
}

type contexts struct {
	sdktrace.ReadOnlySpan
	own, parent trace.SpanContext
}

func (s *contexts) SpanContext() trace.SpanContext { return s.own }
func (s *contexts) Parent() trace.SpanContext      { return s.parent }
