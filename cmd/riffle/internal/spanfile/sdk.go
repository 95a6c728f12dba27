package spanfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// What follows is what the SDK's stdouttrace writes: tracetest.SpanStub as JSON, which
// the types of it cannot read back. riffle's exporters "file" and "stdout" write it with
// the format json.

type sdkSpan struct {
	Name                                           string
	SpanContext, Parent                            sdkContext
	SpanKind                                       trace.SpanKind
	StartTime, EndTime                             time.Time
	Attributes                                     []sdkAttribute
	Events                                         []sdkEvent
	Links                                          []sdkLink
	Status                                         sdkStatus
	DroppedAttributes, DroppedEvents, DroppedLinks int
	ChildSpanCount                                 int
	Resource                                       []sdkAttribute
	InstrumentationScope                           sdkScope
}

type sdkContext struct {
	TraceID, SpanID, TraceFlags, TraceState string
	Remote                                  bool
}

type sdkEvent struct {
	Name                  string
	Attributes            []sdkAttribute
	DroppedAttributeCount int
	Time                  time.Time
}

type sdkLink struct {
	SpanContext           sdkContext
	Attributes            []sdkAttribute
	DroppedAttributeCount int
}

type sdkStatus struct {
	Code        codes.Code
	Description string
}

type sdkScope struct {
	Name, Version, SchemaURL string
	Attributes               []sdkAttribute
}

type sdkAttribute struct {
	Key   string
	Value sdkValue
}

type sdkValue struct {
	Type  string
	Value json.RawMessage
}

func decodeSDK(value []byte) ([]sdktrace.ReadOnlySpan, error) {
	var s sdkSpan
	if err := json.Unmarshal(value, &s); err != nil {
		return nil, fmt.Errorf("a span of the SDK: %w", err)
	}
	stub, err := s.stub()
	if err != nil {
		return nil, fmt.Errorf("a span of the SDK: %.64q: %w", s.Name, err)
	}
	return []sdktrace.ReadOnlySpan{stub.Snapshot()}, nil
}

func (s *sdkSpan) stub() (stub tracetest.SpanStub, err error) {
	stub = tracetest.SpanStub{
		Name: s.Name, SpanKind: s.SpanKind, StartTime: s.StartTime, EndTime: s.EndTime,
		Status:            sdktrace.Status{Code: s.Status.Code, Description: s.Status.Description},
		DroppedAttributes: s.DroppedAttributes, DroppedEvents: s.DroppedEvents, DroppedLinks: s.DroppedLinks,
		ChildSpanCount: s.ChildSpanCount,
	}
	if stub.SpanContext, err = s.SpanContext.context(); err != nil {
		return stub, err
	}
	if !stub.SpanContext.IsValid() {
		return stub, errors.New("SpanContext without IDs")
	}
	if stub.Parent, err = s.Parent.context(); err != nil {
		return stub, fmt.Errorf("its Parent: %w", err)
	}
	if stub.Attributes, err = sdkAttributes(s.Attributes); err != nil {
		return stub, err
	}
	for _, e := range s.Events {
		attrs, err := sdkAttributes(e.Attributes)
		if err != nil {
			return stub, fmt.Errorf("event %.64q: %w", e.Name, err)
		}
		stub.Events = append(stub.Events, sdktrace.Event{Name: e.Name, Attributes: attrs, DroppedAttributeCount: e.DroppedAttributeCount, Time: e.Time})
	}
	for i, l := range s.Links {
		sc, err := l.SpanContext.context()
		if err != nil {
			return stub, fmt.Errorf("its Links[%d]: %w", i, err)
		}
		attrs, err := sdkAttributes(l.Attributes)
		if err != nil {
			return stub, fmt.Errorf("its Links[%d]: %w", i, err)
		}
		stub.Links = append(stub.Links, sdktrace.Link{SpanContext: sc, Attributes: attrs, DroppedAttributeCount: l.DroppedAttributeCount})
	}
	res, err := sdkAttributes(s.Resource)
	if err != nil {
		return stub, fmt.Errorf("its Resource: %w", err)
	}
	if len(res) > 0 {
		stub.Resource = resource.NewSchemaless(res...)
	}
	scope, err := sdkAttributes(s.InstrumentationScope.Attributes)
	if err != nil {
		return stub, fmt.Errorf("InstrumentationScope: %w", err)
	}
	stub.InstrumentationScope = instrumentation.Scope{
		Name: s.InstrumentationScope.Name, Version: s.InstrumentationScope.Version,
		SchemaURL: s.InstrumentationScope.SchemaURL,
	}
	if len(scope) > 0 {
		stub.InstrumentationScope.Attributes = attribute.NewSet(scope...)
	}
	stub.InstrumentationLibrary = stub.InstrumentationScope //nolint:staticcheck // as Snapshot wants it
	return stub, nil
}

// context is the zero one where there is none, which is written as zeros.
func (c *sdkContext) context() (trace.SpanContext, error) {
	var of trace.SpanContextConfig
	var flags [1]byte
	for _, id := range []struct {
		name, text string
		to         []byte
	}{{"TraceID", c.TraceID, of.TraceID[:]}, {"SpanID", c.SpanID, of.SpanID[:]}, {"TraceFlags", c.TraceFlags, flags[:]}} {
		if id.text == "" {
			continue
		}
		if err := jaegerID(id.to, id.text); err != nil {
			return trace.SpanContext{}, fmt.Errorf("%s %w", id.name, err)
		}
	}
	state, err := trace.ParseTraceState(c.TraceState)
	if err != nil {
		return trace.SpanContext{}, fmt.Errorf("TraceState: %w", err)
	}
	of.TraceFlags, of.TraceState, of.Remote = trace.TraceFlags(flags[0]), state, c.Remote
	return trace.NewSpanContext(of), nil
}

func sdkAttributes(in []sdkAttribute) ([]attribute.KeyValue, error) {
	if len(in) == 0 {
		return nil, nil
	}
	out := make([]attribute.KeyValue, len(in))
	for i, a := range in {
		v, err := a.Value.valueAt(0)
		if err != nil {
			return nil, fmt.Errorf("attribute %.64q: %w", a.Key, err)
		}
		out[i] = attribute.KeyValue{Key: attribute.Key(a.Key), Value: v}
	}
	return out, nil
}

// maxNesting is how deep values may be in values: each level reads those below it again.
const maxNesting = 64

// valueAt reads a value by its type.
func (v *sdkValue) valueAt(depth int) (attribute.Value, error) {
	if depth > maxNesting {
		return attribute.Value{}, fmt.Errorf("values nest deeper than %d", maxNesting)
	}
	switch v.Type {
	case "EMPTY", "INVALID", "":
		return attribute.Value{}, nil
	case "BOOL":
		return scalar(v.Value, attribute.BoolValue)
	case "INT64":
		return scalar(v.Value, attribute.Int64Value)
	case "FLOAT64":
		return scalar(v.Value, attribute.Float64Value)
	case "STRING":
		return scalar(v.Value, attribute.StringValue)
	case "BOOLSLICE":
		return scalar(v.Value, attribute.BoolSliceValue)
	case "INT64SLICE":
		return scalar(v.Value, attribute.Int64SliceValue)
	case "FLOAT64SLICE":
		return scalar(v.Value, attribute.Float64SliceValue)
	case "STRINGSLICE":
		return scalar(v.Value, attribute.StringSliceValue)
	case "BYTESLICE":
		return scalar(v.Value, attribute.ByteSliceValue)
	case "SLICE":
		var elems []sdkValue
		if err := json.Unmarshal(v.Value, &elems); err != nil {
			return attribute.Value{}, err
		}
		values := make([]attribute.Value, len(elems))
		for i := range elems {
			var err error
			if values[i], err = elems[i].valueAt(depth + 1); err != nil {
				return attribute.Value{}, err
			}
		}
		return attribute.SliceValue(values...), nil
	case "MAP":
		var entries []sdkAttribute
		if err := json.Unmarshal(v.Value, &entries); err != nil {
			return attribute.Value{}, err
		}
		kvs := make([]attribute.KeyValue, len(entries))
		for i := range entries {
			value, err := entries[i].Value.valueAt(depth + 1)
			if err != nil {
				return attribute.Value{}, err
			}
			kvs[i] = attribute.KeyValue{Key: attribute.Key(entries[i].Key), Value: value}
		}
		return attribute.MapValue(kvs...), nil
	default:
		return attribute.Value{}, fmt.Errorf("unknown type %.40q", v.Type)
	}
}

func scalar[T any](text json.RawMessage, of func(T) attribute.Value) (attribute.Value, error) {
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		return attribute.Value{}, err
	}
	return of(v), nil
}
