package otlp_test

import (
	"math"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/otlp"
)

const validIDs = `"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174"`

// inSpan is a request with a span that has these fields.
func inSpan(fields string) string {
	return `{"resourceSpans":[{"scopeSpans":[{"spans":[{` + validIDs + `,` + fields + `}]}]}]}`
}

// inAttribute is one with a span whose attribute has this value.
func inAttribute(value string) string {
	return inSpan(`"attributes":[{"key":"k","value":` + value + `}]`)
}

// foreign is what others write.
var foreign = []string{
	inSpan(`"flags":"257","kind":"SPAN_KIND_SERVER","status":{"code":"STATUS_CODE_ERROR"},"startTimeUnixNano":1767366245000000000`),
	`{"resource_spans":[{"scope_spans":[{"spans":[{"trace_id":"5b8efff798038103d269b633813fc60c","span_id":"eee19b7ec3c1b174"}]}],"schema_url":"v1"}]}`,
	inSpan(`"name":null,"parentSpanId":"","links":null,"status":null,"later":{"a":[{"b":[1,"]",{}]},null]}`),
}

func TestDecodeJSONForeign(t *testing.T) {
	text := ` { "resource_spans": [ { "later": [[{"x": "}"}]], "scope_spans": [ { "scope": null, "spans": [ {
		"trace_id": "5B8EFFF798038103D269B633813FC60C", "span_id": "EEE19B7EC3C1B174", "parent_span_id": "",
		"trace_state": "a=b", "flags": "769", "name": "\u00fc\ud83d\ude42\ud800", "kind": "SPAN_KIND_SERVER",
		"start_time_unix_nano": 1767366245000000001, "endTimeUnixNano": "1767366245000000002",
		"dropped_attributes_count": 1e2, "droppedEventsCount": "3.0",
		"status": {"code": "STATUS_CODE_ERROR", "message": "m", "later": null},
		"attributes": [{"key": "k", "value": {"int_value": 9007199254740993}, "later": 1}],
		"links": []
	} ] } ], "schema_url": "v1" } ] } ` + "\n"
	spans, err := otlp.DecodeJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s := spans[0]
	type fields struct {
		TraceID, SpanID, State, Name, Description, SchemaURL string
		Sampled, Remote, HasParent                           bool
		Kind                                                 trace.SpanKind
		Code                                                 codes.Code
		Start, End, Attribute                                int64
		DroppedAttributes, DroppedEvents, Links              int
	}
	want := fields{
		TraceID: "5b8efff798038103d269b633813fc60c", SpanID: "eee19b7ec3c1b174", State: "a=b",
		Name: "ü🙂\uFFFD", Description: "m", SchemaURL: "v1", Sampled: true, Remote: true,
		Kind: trace.SpanKindServer, Code: codes.Error,
		Start: 1767366245000000001, End: 1767366245000000002, Attribute: 9007199254740993,
		DroppedAttributes: 100, DroppedEvents: 3,
	}
	got := fields{
		TraceID: s.SpanContext().TraceID().String(), SpanID: s.SpanContext().SpanID().String(), State: s.SpanContext().TraceState().String(),
		Name: s.Name(), Description: s.Status().Description, SchemaURL: s.Resource().SchemaURL(),
		Sampled: s.SpanContext().IsSampled(), Remote: s.Parent().IsRemote(), HasParent: s.Parent().HasSpanID(),
		Kind: s.SpanKind(), Code: s.Status().Code,
		Start: s.StartTime().UnixNano(), End: s.EndTime().UnixNano(), Attribute: s.Attributes()[0].Value.AsInt64(),
		DroppedAttributes: s.DroppedAttributes(), DroppedEvents: s.DroppedEvents(), Links: len(s.Links()),
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, text := range foreign {
		if _, err := otlp.DecodeJSON([]byte(text)); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

func TestDecodeJSONValues(t *testing.T) {
	for text, want := range map[string]attribute.Value{
		`{}`:                                     {},
		`null`:                                   {},
		`{"stringValue":null}`:                   {},
		`{"stringValueStrindex":1}`:              {},
		`{"string_value":"a"}`:                   attribute.StringValue("a"),
		`{"stringValue":null,"boolValue":false}`: attribute.BoolValue(false),
		`{"intValue":-9223372036854775808}`:      attribute.Int64Value(math.MinInt64),
		`{"intValue":"9223372036854775807"}`:     attribute.Int64Value(math.MaxInt64),
		`{"intValue":-1.5e1}`:                    attribute.Int64Value(-15),
		`{"doubleValue":1}`:                      attribute.Float64Value(1),
		`{"doubleValue":"-1.5E-3"}`:              attribute.Float64Value(-0.0015),
		`{"doubleValue":"Infinity"}`:             attribute.Float64Value(math.Inf(1)),
		`{"doubleValue":"-Infinity"}`:            attribute.Float64Value(math.Inf(-1)),
		`{"doubleValue":"NaN"}`:                  attribute.Float64Value(math.NaN()),
		`{"bytesValue":"+/8="}`:                  attribute.ByteSliceValue([]byte{0xfb, 0xff}),
		`{"bytesValue":"-_8"}`:                   attribute.ByteSliceValue([]byte{0xfb, 0xff}),
		`{"bytesValue":""}`:                      attribute.ByteSliceValue(nil),
		`{"arrayValue":{}}`:                      attribute.SliceValue(),
		`{"arrayValue":{"values":null}}`:         attribute.SliceValue(),
		`{"arrayValue":{"values":[{"intValue":1},{"intValue":"2"}]}}`:     attribute.Int64SliceValue([]int64{1, 2}),
		`{"arrayValue":{"values":[{"intValue":1},{}]}}`:                   attribute.SliceValue(attribute.Int64Value(1), attribute.Value{}),
		`{"kvlistValue":{"values":[{"key":"a","value":{"intValue":1}}]}}`: attribute.MapValue(attribute.Int("a", 1)),
	} {
		spans, err := otlp.DecodeJSON([]byte(inAttribute(text)))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := spans[0].Attributes()[0].Value
		if got.Type() != want.Type() || got.String() != want.String() {
			t.Errorf("%s: got %v %v, want %v %v", text, got.Type(), got, want.Type(), want)
		}
	}
}

func TestDecodeJSONErrors(t *testing.T) {
	const (
		span  = "resourceSpans[0].scopeSpans[0].spans[0]"
		value = span + ".attributes[0].value"
	)
	request := func(fields string) string { return `{"resourceSpans":[{"scopeSpans":[{"spans":[{` + fields + `}]}]}]}` }
	for _, tc := range []struct{ in, want string }{
		{``, "not JSON: unexpected EOF at byte 0"},
		{`hello`, "not JSON: invalid character 'h' looking for beginning of value at byte 0"},
		{`{"resourceSpans":[{`, "not JSON: unexpected EOF at byte 19"},
		{`{"resourceSpans":[{}`, "not JSON: unexpected EOF at byte 20"},
		{`{"resourceSpans":[{},]}`, "not JSON: invalid character ']' looking for beginning of value at byte 21"},
		{`{"resourceSpans":}`, "not JSON: invalid character '}' looking for beginning of value at byte 17"},
		{`{"resourceSpans"}`, "not JSON: invalid character '}' after object key at byte 16"},
		{`{"resourceSpans":[]]`, "not JSON: invalid character ']' after object key:value pair at byte 19"},
		{`{"later":[{]}`, "not JSON: invalid character ']'"},
		{`{} {}`, "not JSON: more text after the end at byte 2"},
		{`{} x`, "not JSON: more text after the end at byte 2"},
		{`[]`, "an array instead of an object"},
		{`null`, "null instead of an object"},
		{`{"resourceSpans":{}}`, "resourceSpans: an object instead of an array"},
		{`{"resourceSpans":[null]}`, "resourceSpans[0]: null instead of an object"},
		{`{"resourceSpans":[{},"a"]}`, "resourceSpans[1]: a string instead of an object"},
		{`{"resourceSpans":[],"resource_spans":[]}`, "resourceSpans: appears twice"},
		{`{"resourceSpans":[{"resource":1}]}`, "resourceSpans[0].resource: a number instead of an object"},
		{
			`{"resourceSpans":[{"scopeSpans":[{},{"spans":[{` + validIDs + `},{` + validIDs + `},{"traceId":"5b8e"}]}]}]}`,
			`resourceSpans[0].scopeSpans[1].spans[2].traceId: "5b8e" is not 32 hex digits`,
		},
		{request(`"traceId":1`), span + ".traceId: a number instead of a string"},
		{request(`"spanId":"eee19b7ec3c1b17g"`), span + `.spanId: "eee19b7ec3c1b17g" is not 16 hex digits`},
		{request(`"spanId":"` + strings.Repeat("0", 1000) + `"`), span + `.spanId: "` + strings.Repeat("0", 40) + `" is not 16 hex digits`},
		{request(`"name":"GET /"`), span + ` "GET /": trace ID of 0 bytes instead of 16`},
		{inSpan(`"name":"GET /","traceState":"==="`), span + ` "GET /": failed to parse tracestate`},
		{inSpan(`"links":[{` + validIDs + `},{"traceId":"x"}]`), span + `.links[1].traceId: "x" is not 32 hex digits`},
		{inSpan(`"parentSpanId":"0g"`), span + `.parentSpanId: "0g" is not 16 hex digits`},
		{inSpan(`"name":false`), span + ".name: a boolean instead of a string"},
		{inSpan(`"flags":4294967296`), span + `.flags: "4294967296" is not an integer in range`},
		{inSpan(`"flags":-1`), span + `.flags: "-1" is not an integer in range`},
		{inSpan(`"droppedLinksCount":1.5`), span + `.droppedLinksCount: "1.5" is not an integer in range`},
		{inSpan(`"startTimeUnixNano":-1`), span + `.startTimeUnixNano: "-1" is not an integer in range`},
		{inSpan(`"startTimeUnixNano":"18446744073709551616"`), span + `.startTimeUnixNano: "18446744073709551616" is not an integer in range`},
		{inSpan(`"endTimeUnixNano":""`), span + `.endTimeUnixNano: "" is not a number`},
		{inSpan(`"endTimeUnixNano":[]`), span + ".endTimeUnixNano: an array instead of a number"},
		{inSpan(`"kind":"SERVER"`), span + `.kind: "SERVER" is not a number`},
		{inSpan(`"kind":2147483648`), span + `.kind: "2147483648" is not an integer in range`},
		{inSpan(`"kind":-4294967297`), span + `.kind: "-4294967297" is not an integer in range`},
		{inSpan(`"status":{"code":true}`), span + ".status.code: a boolean instead of a number"},
		{inSpan(`"events":[{"timeUnixNano":"0x1"}]`), span + `.events[0].timeUnixNano: "0x1" is not a number`},
		{inAttribute(`{"intValue":9223372036854775808}`), value + `.intValue: "9223372036854775808" is not an integer in range`},
		{inAttribute(`{"intValue":9007199254740992.0}`), value + `.intValue: "9007199254740992.0" is not an integer in range`},
		{inAttribute(`{"doubleValue":1e999}`), value + `.doubleValue: "1e999" is not a double`},
		{inAttribute(`{"doubleValue":"nan"}`), value + `.doubleValue: "nan" is not a number`},
		{inAttribute(`{"boolValue":"true"}`), value + ".boolValue: a string instead of a boolean"},
		{inAttribute(`{"bytesValue":"a"}`), value + ".bytesValue: not base64: illegal base64 data at input byte 0"},
		{inAttribute(`{"intValue":"1","stringValue":"a"}`), value + ".stringValue: a second value, where there can be one"},
		{inAttribute(`{"arrayValue":{"values":[{},null]}}`), value + ".arrayValue.values[1]: null instead of an object"},
		{inAttribute(`{"kvlistValue":{"values":[{"value":{"intValue":{}}}]}}`), value + ".kvlistValue.values[0].value.intValue: an object instead of a number"},
		{nestedJSON(20_000), value + ".arrayValue.values[0].arrayValue"},
		{nestedJSON(20_000), "messages nest deeper than 10000"},
	} {
		_, err := otlp.DecodeJSON([]byte(tc.in))
		// The SDK's tracestate and the end of a path that is too long follow.
		if err == nil || !strings.HasPrefix(err.Error(), "decoding OTLP: ") || !strings.Contains(err.Error(), tc.want) || len(err.Error()) > 500 {
			t.Errorf("%.200s\ngot  %v\nwant decoding OTLP: %s", tc.in, err, tc.want)
		}
	}
}

// nestedJSON is a request with a span whose attribute is an array in an array in
// an array and so on.
func nestedJSON(depth int) string {
	return inAttribute(strings.Repeat(`{"arrayValue":{"values":[`, depth) + "{}" + strings.Repeat(`]}}`, depth))
}

func TestDecodeJSONDeepValue(t *testing.T) {
	fromJSON, err := otlp.DecodeJSON([]byte(nestedJSON(3_000)))
	if err != nil {
		t.Fatal(err)
	}
	requireJSONRoundTrip(t, fromJSON)
	// What protobuf may hold, JSON may hold.
	spans, err := otlp.Decode(nestedValue(4_990))
	if err != nil {
		t.Fatal(err)
	}
	requireJSONRoundTrip(t, spans)
}
