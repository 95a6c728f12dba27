//go:build !race

package otlp_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/internal/testspans"
)

func TestEncodingAllocatesNothing(t *testing.T) {
	spans := testspans.Service(t, 512)
	for name, encode := range map[string]func([]byte, []sdktrace.ReadOnlySpan) []byte{
		"protobuf": otlp.AppendRequest,
		"JSON":     otlp.AppendJSON,
	} {
		buf := encode(nil, spans)
		if n := testing.AllocsPerRun(100, func() { buf = encode(buf[:0], spans) }); n > 0 {
			t.Errorf("%s: %v allocations for %d spans", name, n, len(spans))
		}
	}
	if n := testing.AllocsPerRun(100, func() { otlp.EstimateSize(spans[0]) }); n > 0 {
		t.Errorf("%v allocations to estimate a size", n)
	}
}

// Empty submessages take two bytes each on the wire and a struct each in memory.
func TestDecodeMemoryIsProportional(t *testing.T) {
	wrap := func(num protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
	}
	many := func(num protowire.Number) []byte { return bytes.Repeat(wrap(num, nil), 100_000) }
	span := func(field []byte) []byte {
		ids := append(wrap(1, make([]byte, 16)), wrap(2, make([]byte, 8))...)
		return wrap(1, wrap(2, wrap(2, append(ids, field...))))
	}
	for name, b := range map[string][]byte{
		"resources":           many(1),
		"resource attributes": wrap(1, wrap(1, many(1))),
		"scopes":              wrap(1, many(2)),
		"scope attributes":    wrap(1, wrap(2, wrap(1, many(3)))),
		"spans":               wrap(1, wrap(2, many(2))),
		"attributes":          span(many(9)),
		"events":              span(many(11)),
		"links":               span(many(13)),
		"array":               span(wrap(9, wrap(2, wrap(5, many(1))))),
		"map":                 span(wrap(9, wrap(2, wrap(6, many(1))))),
		"depth":               nestedValue(3_000),
	} {
		requireProportional(t, name, b, otlp.Decode)
	}
}

func TestDecodeJSONMemoryIsProportional(t *testing.T) {
	many := func(s string) string { return "[" + strings.Repeat(s+",", 100_000) + s + "]" }
	inScope := func(fields string) string { return `{"resourceSpans":[{"scopeSpans":[{` + fields + `}]}]}` }
	for name, text := range map[string]string{
		"resources":           `{"resourceSpans":` + many(`{}`) + `}`,
		"resource attributes": `{"resourceSpans":[{"resource":{"attributes":` + many(`{}`) + `}}]}`,
		"scopes":              `{"resourceSpans":[{"scopeSpans":` + many(`{}`) + `}]}`,
		"scope attributes":    inScope(`"scope":{"attributes":` + many(`{}`) + `}`),
		"invalid spans":       inScope(`"spans":` + many(`{}`)),
		"spans":               inScope(`"spans":` + many(`{`+validIDs+`}`)),
		"attributes":          inSpan(`"attributes":` + many(`{}`)),
		"events":              inSpan(`"events":` + many(`{}`)),
		"links":               inSpan(`"links":` + many(`{}`)),
		"array":               inAttribute(`{"arrayValue":{"values":` + many(`{}`) + `}}`),
		"map":                 inAttribute(`{"kvlistValue":{"values":` + many(`{}`) + `}}`),
		"no field":            inSpan(`"later":` + many(`{}`)),
		"no fields":           `{` + strings.Repeat(`"":0,`, 100_000) + `"":0}`,
		"depth":               nestedJSON(3_000),
		"too much depth":      nestedJSON(100_000),
		"array in array":      `{"later":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`,
	} {
		requireProportional(t, name, []byte(text), otlp.DecodeJSON)
	}
}

func requireProportional(t *testing.T, name string, b []byte, decode func([]byte) ([]sdktrace.ReadOnlySpan, error)) {
	t.Helper()
	const most = 200 // times the input, as the documentation of Decode says

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _ = decode(b)
	runtime.ReadMemStats(&after)
	if factor := (after.TotalAlloc - before.TotalAlloc) / uint64(len(b)); factor > most {
		t.Errorf("%s: %d bytes of memory for each byte", name, factor)
	}
}

// Twice the input takes twice the time, not four times: what takes a second
// here would take minutes.
func TestDecodeJSONIsLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("decodes tens of megabytes; CI runs this without -short too")
	}
	const n = 1 << 20
	for name, text := range map[string]string{
		"long string":        inSpan(`"name":"` + strings.Repeat("a", 4*n) + `"`),
		"escapes":            inSpan(`"name":"` + strings.Repeat(`\u0000`, n) + `"`),
		"spaces":             strings.Repeat(" ", 4*n) + "{}" + strings.Repeat(" ", 4*n),
		"long number":        inSpan(`"flags":` + strings.Repeat("1", 4*n)),
		"long exponent":      inAttribute(`{"doubleValue":1e` + strings.Repeat("1", 4*n) + `}`),
		"unknown fields":     `{` + strings.Repeat(`"later":1,`, n/8) + `"later":1}`,
		"unknown underlines": `{"` + strings.Repeat(`a_`, n) + `":1}`,
		"unknown depth":      `{"later":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`,
		"unended depth":      `{"later":` + strings.Repeat("[", n),
		"depth":              nestedJSON(n / 8),
	} {
		begin := time.Now()
		_, err := otlp.DecodeJSON([]byte(text))
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%s: %d bytes took %v (%.100s)", name, len(text), took, fmt.Sprint(err))
		}
	}
}
