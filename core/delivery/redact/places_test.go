package redact_test

import (
	"encoding/base64"
	"fmt"
	"math"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/delivery/redact"
)

// written is all that exporters can write of a span.
func written(s sdktrace.ReadOnlySpan) string {
	set := s.InstrumentationScope().Attributes
	text := fmt.Sprintf("%+v", tracetest.SpanStubFromReadOnlySpan(s)) + fmt.Sprint(s.Resource(), s.Resource().SchemaURL(), set.ToSlice()) +
		s.SpanContext().TraceState().String() + s.Parent().TraceState().String()
	for _, l := range s.Links() {
		text += l.SpanContext.TraceState().String()
	}
	for _, kv := range s.Attributes() {
		text += string(kv.Key) + "=" + kv.Value.String()
		if kv.Value.Type() == attribute.BYTESLICE {
			text += string(kv.Value.AsByteSlice())
		}
	}
	return text
}

func context(t *testing.T, state string) trace.SpanContext {
	t.Helper()
	ts, err := trace.ParseTraceState(state)
	if err != nil {
		t.Fatal(err)
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceState: ts, TraceFlags: 1})
}

// A secret is found in every place, alone, and also encoded.
func TestEveryPlace(t *testing.T) {
	r := compile(t, all)
	for _, secret := range []string{"bob@example.com", "bob%40example.com", "bob%2540example%2Ecom"} {
		attrs := func(kvs ...attribute.KeyValue) tracetest.SpanStub {
			return tracetest.SpanStub{Name: "clean", Attributes: append([]attribute.KeyValue{attribute.Int("n", 1)}, kvs...)}
		}
		for place, s := range map[string]tracetest.SpanStub{
			"tracestate":             {SpanContext: context(t, "a=1,vendor="+secret)},
			"tracestate of parent":   {Parent: context(t, "a=1,vendor="+secret)},
			"tracestate of link":     {Links: []sdktrace.Link{{SpanContext: context(t, "a=1,vendor="+secret)}}},
			"ot":                     {SpanContext: context(t, "ot=th:c;x:"+secret)},
			"scope name":             {InstrumentationScope: instrumentation.Scope{Name: "by " + secret}},
			"scope version":          {InstrumentationScope: instrumentation.Scope{Version: "v1+" + secret}},
			"scope schema":           {InstrumentationScope: instrumentation.Scope{SchemaURL: "https://h/" + secret}},
			"resource schema":        {Resource: resource.NewWithAttributes("https://h/"+secret, attribute.String("a", "b"))},
			"schema alone":           {Resource: resource.NewWithAttributes("https://h/" + secret)},
			"resource key":           {Resource: resource.NewSchemaless(attribute.String("by "+secret, "b"))},
			"scope key":              {InstrumentationScope: instrumentation.Scope{Name: "a", Attributes: attribute.NewSet(attribute.String(secret, "b"))}},
			"key":                    attrs(attribute.String("user."+secret, "x")),
			"event key":              {Events: []sdktrace.Event{{Name: "a", Attributes: []attribute.KeyValue{attribute.Int(secret, 1)}}}},
			"link key":               {Links: []sdktrace.Link{{Attributes: []attribute.KeyValue{attribute.Int(secret, 1)}}}},
			"key of a map":           attrs(attribute.Map("m", attribute.Int(secret, 1), attribute.Int("other", 2))),
			"key of a map in a map":  attrs(attribute.Map("m", attribute.Map("n", attribute.String(secret, "x")))),
			"key of a map in a list": attrs(attribute.Slice("l", attribute.MapValue(attribute.Bool(secret, true)))),
			"bytes":                  attrs(attribute.ByteSlice("b", []byte("to "+secret))),
			"bytes in a list":        attrs(attribute.Slice("l", attribute.ByteSliceValue([]byte(secret)))),
			"bytes in a map":         attrs(attribute.Map("m", attribute.ByteSlice("b", []byte(secret)))),
			"text in a map":          attrs(attribute.Map("m", attribute.String("a", secret))),
		} {
			s.Name += " clean"
			span := s.Snapshot()
			before := written(span)
			got := r.Span(span)
			if text := written(got); strings.Contains(text, "bob") || !strings.Contains(text, "***") && !strings.Contains(text, base64.StdEncoding.EncodeToString([]byte("***"))) {
				t.Errorf("%s: %s", place, text)
			}
			if written(span) != before {
				t.Errorf("%s: the span itself has changed", place)
			}
			if own := got.SpanContext(); own.SpanID() != span.SpanContext().SpanID() || own.TraceFlags() != span.SpanContext().TraceFlags() {
				t.Errorf("%s: the context is another", place)
			}
		}
	}
}

// What is taken out of a tracestate leaves one, with what sampling needs.
func TestTraceState(t *testing.T) {
	for _, tt := range []struct {
		action      redact.Action
		state, want string
	}{
		{redact.Mask, "ot=th:c;rv:41111111111111,a=to bob@example.com,b=2", "ot=th:c;rv:41111111111111,a=to ***,b=2"},
		{redact.Drop, "ot=th:c,a=bob@example.com,b=2", "ot=th:c,b=2"},
		{redact.Mask, "ot=rv:4111 1111 1111 1111", "ot=rv:***"},
		{redact.Mask, "token=abc,b=2", "b=2"}, // *** is no entry
		{redact.Mask, "4111-1111-1111-1111@y=x,b=2", "b=2"},
	} {
		r := compile(t, redact.Rule{Presets: []string{"emails", "credit_cards"}, Action: tt.action}, redact.Rule{Value: `token=\w+`})
		got := r.Span(tracetest.SpanStub{SpanContext: context(t, tt.state)}.Snapshot()).SpanContext().TraceState().String()
		if got != tt.want {
			t.Errorf("%s of %q leaves %q, want %q", tt.action, tt.state, got, tt.want)
		}
	}
	span := tracetest.SpanStub{SpanContext: context(t, "ot=th:c;rv:41111111111111,a=b")}.Snapshot()
	if !same(compile(t, all).Span(span), span) {
		t.Error("a clean tracestate is wrapped")
	}
}

// A rule about keys is about them however they are written.
func TestKeysInAnyCase(t *testing.T) {
	r := compile(t, redact.Rule{Keys: []string{"*Password*", "http.request.header.authorization", "É.*"}})
	for range 2 { // found out, and remembered
		for key, want := range map[string]string{
			"password": "***", "userPassword": "***", "DB_PASSWORD": "***", "http.request.header.Authorization": "***", "é.x": "***", "É.X": "***",
			strings.Repeat("x", 300) + "PassWord": "***", strings.Repeat("x", 20<<10): "***", // too long to be looked through
			"pass": "x", "http.request.header": "x",
		} {
			s := tracetest.SpanStub{Attributes: []attribute.KeyValue{attribute.String(key, "x"), attribute.Map("m", attribute.String(key, "x"))}}
			got := r.Span(s.Snapshot()).Attributes()
			if got[0].Value.AsString() != want || got[1].Value.AsMap()[0].Value.AsString() != want {
				t.Errorf("%.40s is %s", key, got)
			}
		}
	}
}

// What a rule finds in a key is taken out of it, or takes its attribute along.
func TestSecretsInKeys(t *testing.T) {
	attrs := []attribute.KeyValue{
		attribute.String("to.bob@example.com", "x"), attribute.String("a", "b"),
		attribute.Map("m", attribute.Int("eve@example.com", 1), attribute.Int("n", 2)),
	}
	for action, want := range map[redact.Action]string{
		redact.Mask: `[{"to.***":"x"} {"a":"b"} {"m":{"***":1,"n":2}}]`,
		redact.Drop: `[{"a":"b"} {"m":{"n":2}}]`,
	} {
		r := compile(t, redact.Rule{Value: `[a-z]+@\w+\.com`, Action: action})
		got := r.Span(tracetest.SpanStub{Attributes: attrs}.Snapshot()).Attributes()
		if text := fmt.Sprint(got); text != want {
			t.Errorf("%s: %s, want %s", action, text, want)
		}
	}
	// A rule about the map is about its keys.
	r := compile(t, redact.Rule{Keys: []string{"m"}, Presets: []string{"emails"}})
	if got := fmt.Sprint(r.Span(tracetest.SpanStub{Attributes: attrs}.Snapshot()).Attributes()); got != `[{"to.bob@example.com":"x"} {"a":"b"} {"m":{"***":1,"n":2}}]` {
		t.Error(got)
	}
}

// Numbers are card numbers whatever their type.
func TestCardsInNumbers(t *testing.T) {
	r := compile(t, redact.Rule{Presets: []string{"credit_cards"}})
	for _, kv := range []attribute.KeyValue{
		attribute.Int64("n", 4111111111111111), attribute.Float64("n", 4111111111111111),
		attribute.Int64Slice("n", []int64{1, 4111111111111111}), attribute.Float64Slice("n", []float64{1, 4111111111111111}),
		attribute.Slice("n", attribute.Float64Value(4111111111111111)), attribute.Map("n", attribute.Float64("m", 4111111111111111)),
	} {
		if text := value(r, kv.Value).String(); strings.Contains(text, "4111") || strings.Contains(text, "4.111") || !strings.Contains(text, "***") {
			t.Errorf("%v is %s", kv.Value.Type(), text)
		}
	}
	for _, v := range []attribute.Value{
		attribute.Float64Value(4111111111111112), attribute.Float64Value(0.4111111111111111), attribute.Float64Value(math.Inf(1)),
		attribute.Float64Value(math.NaN()), attribute.Float64Value(-4111111111111111), attribute.Float64Value(1e300),
	} {
		if got := value(r, v); got != v {
			t.Errorf("%v is %v", v, got)
		}
	}
}

// A sampled span with what sampling adds to its tracestate costs no memory.
func TestTraceStateAllocations(t *testing.T) {
	r := ten(t)
	s := tracetest.SpanStub{Name: "GET", SpanContext: context(t, "ot=th:fd70a;rv:1234567890abcd"), Parent: context(t, "ot=th:fd70a")}.Snapshot()
	if n := testing.AllocsPerRun(100, func() { r.Span(s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
