package otlp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// DecodeJSON reads the spans of an ExportTraceServiceRequest, or of TracesData,
// in OTLP's JSON, in the order of the text. The result shares no memory with
// data.
//
// It reads what [AppendJSON] writes, and what the JSON mapping of protobuf and
// that of OTLP allow others to write; the package's documentation tells how.
// From there on it is as [Decode], in what it ignores and in what it makes of
// messages, and so are the limits: messages nest no deeper, and memory stays
// proportional to len(data), up to 200 times it. An error says where it is:
//
//	decoding OTLP: resourceSpans[0].scopeSpans[1].spans[2].traceId: "5b8e" is not 32 hex digits
//
// It is safe for concurrent use.
func DecodeJSON(data []byte) ([]sdktrace.ReadOnlySpan, error) {
	r := &jsonReader{tokens: json.NewDecoder(bytes.NewReader(data))}
	r.tokens.UseNumber() // not through a double
	var request tracepb.TracesData
	if err := r.document(&request); err != nil {
		return nil, fmt.Errorf("decoding OTLP: %w", err)
	}
	return snapshots(&request, "resourceSpans", "scopeSpans")
}

// jsonReader turns JSON into messages, token by token: each byte is looked at
// once, however deep it is.
type jsonReader struct {
	tokens *json.Decoder
	path   []step // to what is read
	depth  int    // of messages
}

// step is a field or, without a name, an element.
type step struct {
	field string
	index int
}

// reading reads the value that begins with a token, which is not null.
type reading func(json.Token) error

// fields tells how the field of that name is read into a message. It returns
// nil for a field that does not matter. Names are in lowerCamelCase.
type fields[M any] func(r *jsonReader, m *M, name string) reading

func (r *jsonReader) document(data *tracepb.TracesData) error {
	token, err := r.token()
	if err != nil {
		return err
	}
	if err := readObject(r, data, token, (*jsonReader).traces); err != nil {
		return err
	}
	end := r.tokens.InputOffset()
	if _, err := r.tokens.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("not JSON: more text after the end at byte %d", end)
	}
	return nil
}

func (r *jsonReader) traces(m *tracepb.TracesData, name string) reading {
	if name == "resourceSpans" {
		return list(r, &m.ResourceSpans, (*jsonReader).resourceSpans)
	}
	return nil
}

func (r *jsonReader) resourceSpans(m *tracepb.ResourceSpans, name string) reading {
	switch name {
	case "resource":
		return message(r, &m.Resource, (*jsonReader).resource)
	case "scopeSpans":
		return list(r, &m.ScopeSpans, (*jsonReader).scopeSpans)
	case "schemaUrl":
		return scalar(r, &m.SchemaUrl, parseString)
	}
	return nil
}

func (r *jsonReader) resource(m *resourcepb.Resource, name string) reading {
	if name == "attributes" {
		return list(r, &m.Attributes, (*jsonReader).keyValue)
	}
	return nil
}

func (r *jsonReader) scopeSpans(m *tracepb.ScopeSpans, name string) reading {
	switch name {
	case "scope":
		return message(r, &m.Scope, (*jsonReader).scope)
	case "spans":
		return list(r, &m.Spans, (*jsonReader).span)
	case "schemaUrl":
		return scalar(r, &m.SchemaUrl, parseString)
	}
	return nil
}

func (r *jsonReader) scope(m *commonpb.InstrumentationScope, name string) reading {
	switch name {
	case "name":
		return scalar(r, &m.Name, parseString)
	case "version":
		return scalar(r, &m.Version, parseString)
	case "attributes":
		return list(r, &m.Attributes, (*jsonReader).keyValue)
	}
	return nil
}

func (r *jsonReader) span(m *tracepb.Span, name string) reading {
	switch name {
	case "traceId":
		return scalar(r, &m.TraceId, parseTraceID)
	case "spanId":
		return scalar(r, &m.SpanId, parseSpanID)
	case "traceState":
		return scalar(r, &m.TraceState, parseString)
	case "parentSpanId":
		return scalar(r, &m.ParentSpanId, parseSpanID)
	case "flags":
		return scalar(r, &m.Flags, parseInteger)
	case "name":
		return scalar(r, &m.Name, parseString)
	case "kind":
		return scalar(r, &m.Kind, parseKind)
	case "startTimeUnixNano":
		return scalar(r, &m.StartTimeUnixNano, parseInteger)
	case "endTimeUnixNano":
		return scalar(r, &m.EndTimeUnixNano, parseInteger)
	case "attributes":
		return list(r, &m.Attributes, (*jsonReader).keyValue)
	case "droppedAttributesCount":
		return scalar(r, &m.DroppedAttributesCount, parseInteger)
	case "events":
		return list(r, &m.Events, (*jsonReader).event)
	case "droppedEventsCount":
		return scalar(r, &m.DroppedEventsCount, parseInteger)
	case "links":
		return list(r, &m.Links, (*jsonReader).link)
	case "droppedLinksCount":
		return scalar(r, &m.DroppedLinksCount, parseInteger)
	case "status":
		return message(r, &m.Status, (*jsonReader).status)
	}
	return nil
}

func (r *jsonReader) event(m *tracepb.Span_Event, name string) reading {
	switch name {
	case "timeUnixNano":
		return scalar(r, &m.TimeUnixNano, parseInteger)
	case "name":
		return scalar(r, &m.Name, parseString)
	case "attributes":
		return list(r, &m.Attributes, (*jsonReader).keyValue)
	case "droppedAttributesCount":
		return scalar(r, &m.DroppedAttributesCount, parseInteger)
	}
	return nil
}

func (r *jsonReader) link(m *tracepb.Span_Link, name string) reading {
	switch name {
	case "traceId":
		return scalar(r, &m.TraceId, parseTraceID)
	case "spanId":
		return scalar(r, &m.SpanId, parseSpanID)
	case "traceState":
		return scalar(r, &m.TraceState, parseString)
	case "attributes":
		return list(r, &m.Attributes, (*jsonReader).keyValue)
	case "droppedAttributesCount":
		return scalar(r, &m.DroppedAttributesCount, parseInteger)
	case "flags":
		return scalar(r, &m.Flags, parseInteger)
	}
	return nil
}

func (r *jsonReader) status(m *tracepb.Status, name string) reading {
	switch name {
	case "message":
		return scalar(r, &m.Message, parseString)
	case "code":
		return scalar(r, &m.Code, parseStatusCode)
	}
	return nil
}

func (r *jsonReader) keyValue(m *commonpb.KeyValue, name string) reading {
	switch name {
	case "key":
		return scalar(r, &m.Key, parseString)
	case "value":
		return message(r, &m.Value, (*jsonReader).anyValue)
	}
	return nil
}

func (r *jsonReader) anyValue(m *commonpb.AnyValue, name string) reading {
	var of commonpb.AnyValue
	var read reading
	switch name {
	case "stringValue":
		v := new(commonpb.AnyValue_StringValue)
		of.Value, read = v, scalar(r, &v.StringValue, parseString)
	case "boolValue":
		v := new(commonpb.AnyValue_BoolValue)
		of.Value, read = v, scalar(r, &v.BoolValue, parseBool)
	case "intValue":
		v := new(commonpb.AnyValue_IntValue)
		of.Value, read = v, scalar(r, &v.IntValue, parseInteger)
	case "doubleValue":
		v := new(commonpb.AnyValue_DoubleValue)
		of.Value, read = v, scalar(r, &v.DoubleValue, parseDouble)
	case "arrayValue":
		v := new(commonpb.AnyValue_ArrayValue)
		of.Value, read = v, message(r, &v.ArrayValue, (*jsonReader).arrayValue)
	case "kvlistValue":
		v := new(commonpb.AnyValue_KvlistValue)
		of.Value, read = v, message(r, &v.KvlistValue, (*jsonReader).keyValueList)
	case "bytesValue":
		v := new(commonpb.AnyValue_BytesValue)
		of.Value, read = v, scalar(r, &v.BytesValue, parseBytes)
	default:
		return nil
	}
	value := of.GetValue()
	return func(first json.Token) error {
		if m.Value != nil {
			return r.fail(errors.New("a second value, where there can be one"))
		}
		m.Value = value
		return read(first)
	}
}

func (r *jsonReader) arrayValue(m *commonpb.ArrayValue, name string) reading {
	if name == "values" {
		return list(r, &m.Values, (*jsonReader).anyValue)
	}
	return nil
}

func (r *jsonReader) keyValueList(m *commonpb.KeyValueList, name string) reading {
	if name == "values" {
		return list(r, &m.Values, (*jsonReader).keyValue)
	}
	return nil
}

// scalar reads a value that is one token.
func scalar[T any](r *jsonReader, to *T, parse func(json.Token) (T, error)) reading {
	return func(token json.Token) error {
		v, err := parse(token)
		if err != nil {
			return r.fail(err)
		}
		*to = v
		return nil
	}
}

func message[M any](r *jsonReader, to **M, of fields[M]) reading {
	return func(first json.Token) error {
		*to = new(M)
		return readObject(r, *to, first, of)
	}
}

func list[M any](r *jsonReader, to *[]*M, of fields[M]) reading {
	return func(first json.Token) error {
		if first != json.Delim('[') {
			return r.fail(mismatch(first, "an array"))
		}
		for r.tokens.More() {
			first, err := r.token()
			if err != nil {
				return err
			}
			m := new(M)
			r.path = append(r.path, step{index: len(*to)})
			if err := readObject(r, m, first, of); err != nil {
				return err
			}
			r.path = r.path[:len(r.path)-1]
			*to = append(*to, m)
		}
		_, err := r.token() // the end
		return err
	}
}

func readObject[M any](r *jsonReader, m *M, first json.Token, of fields[M]) error {
	if first != json.Delim('{') {
		return r.fail(mismatch(first, "an object"))
	}
	if r.depth++; r.depth > maxDepth {
		return r.fail(fmt.Errorf("messages nest deeper than %d", maxDepth))
	}
	var seen []string // few, as only names that are known count
	for r.tokens.More() {
		key, err := r.token()
		if err != nil {
			return err
		}
		first, err := r.token()
		if err != nil {
			return err
		}
		name := lowerCamel(key.(string))
		read := of(r, m, name)
		if read == nil {
			if err := r.skip(first); err != nil {
				return err
			}
			continue
		}
		r.path = append(r.path, step{field: name})
		if slices.Contains(seen, name) {
			return r.fail(errors.New("appears twice"))
		}
		seen = append(seen, name)
		if first != nil { // null is as good as absent
			if err := read(first); err != nil {
				return err
			}
		}
		r.path = r.path[:len(r.path)-1]
	}
	r.depth--
	_, err := r.token() // the end
	return err
}

// skip reads the rest of a value, without recursion.
func (r *jsonReader) skip(token json.Token) error {
	depth := 0
	for {
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
		var err error
		if token, err = r.token(); err != nil {
			return err
		}
	}
}

func (r *jsonReader) token() (json.Token, error) {
	token, err := r.tokens.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w at byte %d", err, r.tokens.InputOffset())
	}
	return token, nil
}

// fail says where an error is, unless that is so deep that nobody would read it.
func (r *jsonReader) fail(err error) error {
	const most = 30
	if len(r.path) == 0 {
		return err
	}
	var path strings.Builder
	for i, s := range r.path[:min(len(r.path), most)] {
		switch {
		case s.field == "":
			fmt.Fprintf(&path, "[%d]", s.index)
		case i == 0:
			path.WriteString(s.field)
		default:
			path.WriteString("." + s.field)
		}
	}
	if len(r.path) > most {
		path.WriteString("…")
	}
	return fmt.Errorf("%s: %w", &path, err)
}

// lowerCamel is the name that a field has in JSON, given that or the one it has
// in the protocol's definition.
func lowerCamel(name string) string {
	if !strings.Contains(name, "_") {
		return name
	}
	var camel strings.Builder
	for i, word := range strings.Split(name, "_") {
		if i > 0 && word != "" {
			camel.WriteString(strings.ToUpper(word[:1]))
			word = word[1:]
		}
		camel.WriteString(word)
	}
	return camel.String()
}
