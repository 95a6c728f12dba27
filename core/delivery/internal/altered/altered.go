// Package altered has spans with other values than those that were recorded.
package altered

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Span is a span with values in place of its own.
type Span struct {
	sdktrace.ReadOnlySpan
	Values Values
}

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

// Name is the new one, as are the others.
func (s *Span) Name() string                                { return s.Values.Name }
func (s *Span) Attributes() []attribute.KeyValue            { return s.Values.Attributes }
func (s *Span) Events() []sdktrace.Event                    { return s.Values.Events }
func (s *Span) Links() []sdktrace.Link                      { return s.Values.Links }
func (s *Span) Status() sdktrace.Status                     { return s.Values.Status }
func (s *Span) Resource() *resource.Resource                { return s.Values.Resource }
func (s *Span) InstrumentationScope() instrumentation.Scope { return s.Values.Scope }

// InstrumentationLibrary is the old name of InstrumentationScope.
func (s *Span) InstrumentationLibrary() instrumentation.Library { //nolint:staticcheck // deprecated, but a part of the interface
	return s.Values.Scope
}
