package spanfile

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
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

// What follows is the JSON of Jaeger's HTTP API, /api/traces, which its page downloads
// too: https://github.com/jaegertracing/jaeger, internal/uimodel. What becomes of it is
// what the Collector makes of spans of Jaeger, as far as that matters here:
// https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/jaeger/ says which tags
// OpenTelemetry's own fields have become.

type jaegerTrace struct {
	TraceID   string                   `json:"traceID"`
	Spans     []jaegerSpan             `json:"spans"`
	Processes map[string]jaegerProcess `json:"processes"`
}

type jaegerSpan struct {
	TraceID       string            `json:"traceID"`
	SpanID        string            `json:"spanID"`
	ParentSpanID  string            `json:"parentSpanID"` // of old versions
	Flags         uint32            `json:"flags"`
	OperationName string            `json:"operationName"`
	References    []jaegerReference `json:"references"`
	StartTime     int64             `json:"startTime"` // microseconds
	Duration      int64             `json:"duration"`
	Tags          []jaegerTag       `json:"tags"`
	Logs          []jaegerLog       `json:"logs"`
	ProcessID     string            `json:"processID"`
	Process       *jaegerProcess    `json:"process"`
}

type jaegerReference struct {
	RefType string `json:"refType"`
	TraceID string `json:"traceID"`
	SpanID  string `json:"spanID"`
}

type jaegerProcess struct {
	ServiceName string      `json:"serviceName"`
	Tags        []jaegerTag `json:"tags"`
}

type jaegerTag struct {
	Key   string          `json:"key"`
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
}

type jaegerLog struct {
	Timestamp int64       `json:"timestamp"`
	Fields    []jaegerTag `json:"fields"`
}

var jaegerHead = regexp.MustCompile(`^\s*\{\s*"data"\s*:\s*\[`)

// isJaeger tells that an answer of Jaeger's API comes: its traces need not be in memory
// at once. It does not wait for more to look at than there is.
func (s *source) isJaeger() bool {
	const most = 256
	if _, err := s.in.Peek(1); err != nil {
		return false
	}
	head, _ := s.in.Peek(min(s.in.Buffered(), most))
	return jaegerHead.Match(head)
}

// jaeger reads an answer trace by trace.
func (s *source) jaeger() error {
	n := nesting{}
	for n.depth < 2 { // to where the array begins
		c, err := s.jsonByte()
		if err != nil {
			return s.ends(err)
		}
		n.next(c)
	}
	for {
		at, value, err := s.element()
		switch {
		case err != nil:
			return s.ends(err)
		case value == nil:
			return s.skipRest()
		}
		spans, err := decodeJSON(value)
		if err := s.decoded(s.atLine(at), spans, err); err != nil {
			return err
		}
	}
}

// element reads the next object of an array, or nil at its end.
func (s *source) element() (line int, value []byte, err error) {
	var n nesting
	for {
		c, err := s.jsonByte()
		if err != nil {
			return s.line, nil, err
		}
		if n.depth == 0 {
			switch c {
			case ']':
				return s.line, nil, nil
			case ' ', '\t', '\r', '\n', ',':
				continue
			case '{':
				line = s.line
			default:
				return s.line, nil, fmt.Errorf("%q where a trace of Jaeger begins", c)
			}
		}
		if value = append(value, c); len(value) > maxLine {
			return line, nil, fmt.Errorf("a trace is %w", errLong)
		}
		if n.next(c) {
			return line, value, nil
		}
	}
}

// skipRest skips what follows the traces.
func (s *source) skipRest() error {
	n := nesting{depth: 1}
	for {
		c, err := s.jsonByte()
		if err != nil {
			return s.ends(err)
		}
		if n.next(c) {
			return nil
		}
	}
}

func (s *source) jsonByte() (byte, error) {
	c, err := s.in.ReadByte()
	if c == '\n' && err == nil {
		s.line++
	}
	return c, err
}

func decodeJaegerTraces(value []byte) ([]sdktrace.ReadOnlySpan, error) {
	var traces []json.RawMessage
	if err := json.Unmarshal(value, &traces); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	var all []sdktrace.ReadOnlySpan
	for i, t := range traces {
		spans, err := decodeJaeger(t)
		if err != nil {
			return nil, fmt.Errorf("data[%d]: %w", i, err)
		}
		all = append(all, spans...)
	}
	return all, nil
}

// decodeJaeger reads a trace.
func decodeJaeger(value []byte) ([]sdktrace.ReadOnlySpan, error) {
	var t jaegerTrace
	if err := json.Unmarshal(value, &t); err != nil {
		return nil, fmt.Errorf("a trace of Jaeger: %w", err)
	}
	resources := make(map[string]*resource.Resource, len(t.Processes))
	for id, p := range t.Processes {
		resources[id] = p.resource()
	}
	spans := make([]sdktrace.ReadOnlySpan, 0, len(t.Spans))
	for i := range t.Spans {
		stub, err := t.Spans[i].stub(t.TraceID)
		if err != nil {
			return nil, fmt.Errorf("a trace of Jaeger: spans[%d] %.64q: %w", i, t.Spans[i].OperationName, err)
		}
		stub.Resource = resources[t.Spans[i].ProcessID]
		if p := t.Spans[i].Process; p != nil {
			stub.Resource = p.resource()
		}
		spans = append(spans, stub.Snapshot())
	}
	return spans, nil
}

func (p *jaegerProcess) resource() *resource.Resource {
	attrs := make([]attribute.KeyValue, 0, len(p.Tags)+1)
	for _, t := range p.Tags {
		attrs = append(attrs, t.attribute())
	}
	return resource.NewSchemaless(append(attrs, attribute.String("service.name", p.ServiceName))...)
}

func (j *jaegerSpan) stub(traceID string) (stub tracetest.SpanStub, err error) {
	if j.TraceID != "" {
		traceID = j.TraceID
	}
	own := trace.SpanContextConfig{TraceFlags: trace.TraceFlags(j.Flags) & trace.FlagsSampled}
	if own.TraceID, own.SpanID, err = jaegerIDs(traceID, j.SpanID); err != nil {
		return stub, err
	}
	stub.Name = j.OperationName
	if stub.StartTime, err = microseconds(j.StartTime); err != nil {
		return stub, fmt.Errorf("startTime: %w", err)
	}
	if j.Duration < 0 || j.Duration > math.MaxInt64/int64(time.Microsecond) {
		return stub, fmt.Errorf("a duration of %d µs", j.Duration)
	}
	stub.EndTime = stub.StartTime.Add(time.Duration(j.Duration) * time.Microsecond)
	if err := j.references(own.TraceID, &stub); err != nil {
		return stub, err
	}
	for i, l := range j.Logs {
		e, err := l.event()
		if err != nil {
			return stub, fmt.Errorf("logs[%d]: %w", i, err)
		}
		stub.Events = append(stub.Events, e)
	}
	state := j.tags(&stub)
	if own.TraceState, err = trace.ParseTraceState(state); err != nil {
		return stub, fmt.Errorf("w3c.tracestate: %w", err)
	}
	stub.SpanContext = trace.NewSpanContext(own)
	return stub, nil
}

// references sets the parent, which is the first in the same trace that it is a child
// of, else the first that it follows from, and makes links of the others.
func (j *jaegerSpan) references(own trace.TraceID, stub *tracetest.SpanStub) error {
	refs := j.References
	if j.ParentSpanID != "" && len(refs) == 0 {
		refs = []jaegerReference{{RefType: childOf, TraceID: own.String(), SpanID: j.ParentSpanID}}
	}
	contexts := make([]trace.SpanContext, len(refs))
	parent := -1
	for i, r := range refs {
		traceID, spanID, err := jaegerIDs(r.TraceID, r.SpanID)
		if err != nil {
			return fmt.Errorf("references[%d]: %w", i, err)
		}
		contexts[i] = trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID})
		if traceID == own && (parent < 0 || r.RefType == childOf && refs[parent].RefType != childOf) {
			parent = i
		}
	}
	for i, r := range refs {
		if i == parent {
			stub.Parent = contexts[i]
			continue
		}
		stub.Links = append(stub.Links, sdktrace.Link{
			SpanContext: contexts[i],
			Attributes:  []attribute.KeyValue{attribute.String("opentracing.ref_type", strings.ToLower(r.RefType))},
		})
	}
	return nil
}

const childOf = "CHILD_OF"

// tags turns those into fields that were fields, and the others into attributes. It
// returns the tracestate.
func (j *jaegerSpan) tags(stub *tracetest.SpanStub) (state string) {
	failed, code := false, ""
	for _, t := range j.Tags {
		kv := t.attribute()
		text := kv.Value.AsString()
		switch {
		case t.Key == "span.kind":
			stub.SpanKind = jaegerKinds[text]
		case t.Key == "error":
			if failed = text == "true" || kv.Value.AsBool(); !failed && kv.Value.Type() == attribute.STRING {
				stub.Attributes = append(stub.Attributes, kv)
			}
		case t.Key == "otel.status_code":
			code = text
		case t.Key == "otel.status_description":
			stub.Status.Description = text
		case t.Key == "w3c.tracestate":
			state = text
		case t.Key == "otel.scope.name" || t.Key == "otel.library.name":
			stub.InstrumentationScope.Name = text
		case t.Key == "otel.scope.version" || t.Key == "otel.library.version":
			stub.InstrumentationScope.Version = text
		case strings.HasPrefix(t.Key, "internal."): // of Jaeger itself
		default:
			stub.Attributes = append(stub.Attributes, kv)
		}
	}
	switch {
	case code == "ERROR" || code == "" && failed:
		stub.Status.Code = codes.Error
	case code == "OK":
		stub.Status.Code = codes.Ok
	}
	if (stub.InstrumentationScope != instrumentation.Scope{}) {
		stub.InstrumentationLibrary = stub.InstrumentationScope //nolint:staticcheck // as Snapshot wants it
	}
	return state
}

var jaegerKinds = map[string]trace.SpanKind{
	"internal": trace.SpanKindInternal,
	"server":   trace.SpanKindServer,
	"client":   trace.SpanKindClient,
	"producer": trace.SpanKindProducer,
	"consumer": trace.SpanKindConsumer,
}

// event takes its name from the field "event", as Jaeger writes that of one.
func (l *jaegerLog) event() (e sdktrace.Event, err error) {
	if e.Time, err = microseconds(l.Timestamp); err != nil {
		return e, fmt.Errorf("timestamp: %w", err)
	}
	for _, f := range l.Fields {
		kv := f.attribute()
		if f.Key == "event" && e.Name == "" && kv.Value.Type() == attribute.STRING {
			e.Name = kv.Value.AsString()
			continue
		}
		e.Attributes = append(e.Attributes, kv)
	}
	return e, nil
}

// attribute is a tag. A value that is not of its type is a text.
func (t *jaegerTag) attribute() attribute.KeyValue {
	key := attribute.Key(t.Key)
	text := string(t.Value)
	if bytes.HasPrefix(t.Value, []byte{'"'}) {
		_ = json.Unmarshal(t.Value, &text)
	}
	switch t.Type {
	case "bool":
		if b, err := strconv.ParseBool(text); err == nil {
			return key.Bool(b)
		}
	case "int64":
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			return key.Int64(i)
		}
	case "float64":
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return key.Float64(f)
		}
	case "binary":
		if b, err := base64.StdEncoding.DecodeString(text); err == nil {
			return attribute.KeyValue{Key: key, Value: attribute.ByteSliceValue(b)}
		}
	}
	return key.String(text)
}

// jaegerIDs reads IDs that may be short: leading zeros are left out, and IDs of traces
// may have 64 bits.
func jaegerIDs(traceID, spanID string) (t trace.TraceID, s trace.SpanID, err error) {
	if err := jaegerID(t[:], traceID); err != nil {
		return t, s, fmt.Errorf("traceID %w", err)
	}
	if err := jaegerID(s[:], spanID); err != nil {
		return t, s, fmt.Errorf("spanID %w", err)
	}
	return t, s, nil
}

func jaegerID(to []byte, text string) error {
	digits := 2 * len(to)
	if text == "" || len(text) > digits {
		return fmt.Errorf("%.40q is not 1 to %d hex digits", text, digits)
	}
	if _, err := hex.Decode(to, []byte(strings.Repeat("0", digits-len(text))+text)); err != nil {
		return fmt.Errorf("%.40q is not 1 to %d hex digits", text, digits)
	}
	return nil
}

func microseconds(n int64) (time.Time, error) {
	if n < 0 || n > math.MaxInt64/int64(time.Microsecond) {
		return time.Time{}, fmt.Errorf("%d µs is no time that can be told", n)
	}
	return time.UnixMicro(n), nil
}

var _ io.ByteReader = (*source)(nil)
