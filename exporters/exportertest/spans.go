package exportertest

import (
	"errors"
	"math"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// samples are spans of every kind that an exporter meets, and some it hardly
// ever does.
func samples() []sdktrace.ReadOnlySpan {
	at := time.Date(2026, 1, 2, 15, 4, 5, 6, time.UTC)
	state, err := trace.ParseTraceState("ot=th:fd70a4,vendor=x")
	if err != nil {
		panic(err) // it is a good one
	}
	id := func(n byte) trace.SpanContext {
		return trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{0: 1, 15: n}, SpanID: trace.SpanID{0: 1, 7: n}, TraceFlags: trace.FlagsSampled, TraceState: state,
		})
	}
	attrs := []attribute.KeyValue{
		attribute.String("string", "value"), attribute.Bool("bool", true), attribute.Int("int", -1),
		attribute.Float64("nan", math.NaN()), attribute.Float64("inf", math.Inf(1)),
		attribute.StringSlice("strings", []string{"a", ""}), attribute.IntSlice("ints", nil), attribute.String("", "no key"),
	}
	spans := tracetest.SpanStubs{
		{
			Name: "GET /checkout/{id}", SpanContext: id(1), Parent: id(2).WithRemote(true), SpanKind: trace.SpanKindServer,
			StartTime: at, EndTime: at.Add(time.Second), Attributes: attrs,
			Events:               []sdktrace.Event{{Name: "event", Time: at, Attributes: attrs, DroppedAttributeCount: 1}},
			Links:                []sdktrace.Link{{SpanContext: id(3), Attributes: attrs}},
			Status:               sdktrace.Status{Code: codes.Error, Description: errors.ErrUnsupported.Error()},
			DroppedAttributes:    1,
			Resource:             resource.NewWithAttributes("https://opentelemetry.io/schemas/1.43.0", attribute.String("service.name", "fluxbase")),
			InstrumentationScope: instrumentation.Scope{Name: "scope", Version: "1"},
		},
		{Name: "child", SpanContext: id(4), Parent: id(1), StartTime: at, EndTime: at, Resource: resource.Empty()},
		{Name: "nothing else"},
		{},
		{Name: "no text \xff\xfe", SpanContext: id(5), StartTime: at, EndTime: at.Add(-time.Hour)},
		{Name: "long " + strings.Repeat("x", 1<<20), SpanContext: id(6), StartTime: at, EndTime: at},
		{Name: "line\nbreak\x00\x1b[31m", SpanContext: id(7), StartTime: time.Time{}, EndTime: at},
	}.Snapshots()
	for i, s := range spans {
		spans[i] = &sample{s} // which can be compared
	}
	return spans
}

type sample struct{ sdktrace.ReadOnlySpan }

// guardedSpan is a span that tells when it is read.
type guardedSpan struct {
	sdktrace.ReadOnlySpan
	onRead func()
}

func newGuardedSpan(onRead func()) *guardedSpan {
	return &guardedSpan{tracetest.SpanStub{Name: "guarded"}.Snapshot(), onRead}
}

// Every exporter reads at least one of these.

func (t *guardedSpan) Name() string {
	t.onRead()
	return t.ReadOnlySpan.Name()
}

func (t *guardedSpan) SpanContext() trace.SpanContext {
	t.onRead()
	return t.ReadOnlySpan.SpanContext()
}

func (t *guardedSpan) Resource() *resource.Resource {
	t.onRead()
	return t.ReadOnlySpan.Resource()
}

func (t *guardedSpan) StartTime() time.Time {
	t.onRead()
	return t.ReadOnlySpan.StartTime()
}
