package cli

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
)

func TestParseTrace(t *testing.T) {
	got, err := parseTrace("t.json", []byte(`[
		{"id": "a", "name": "GET /x", "duration": "1.5s", "attributes": {"url.path": "/y", "n": -1, "f": 1e3, "big": 1e40, "s": ["a"], "b": [true], "i": [1, 2], "m": [1, 2.5]}},
		{"parent": "a", "name": "GET /x", "start": "1ms", "kind": "consumer", "status": "error: no", "late_attributes": {"ok": false}},
		{"name": "POST /x", "kind": "internal"},
		{"name": "job", "status": "ok"}
	]`))
	if err != nil {
		t.Fatal(err)
	}
	request := func(method, path string) []attribute.KeyValue {
		return []attribute.KeyValue{attribute.String("http.request.method", method), attribute.String("url.path", path)}
	}
	want := []core.Case{
		{ID: "a", Name: "GET /x", Kind: trace.SpanKindServer, Duration: 1500 * time.Millisecond, Attributes: append(request("GET", "/x"),
			attribute.String("url.path", "/y"), attribute.Int("n", -1), attribute.Float64("f", 1000), attribute.Float64("big", 1e40),
			attribute.StringSlice("s", []string{"a"}), attribute.BoolSlice("b", []bool{true}), attribute.Int64Slice("i", []int64{1, 2}), attribute.Float64Slice("m", []float64{1, 2.5}))},
		{Parent: "a", Name: "GET /x", Kind: trace.SpanKindConsumer, Start: time.Millisecond, Status: sdktrace.Status{Code: codes.Error, Description: "no"}, Late: []attribute.KeyValue{attribute.Bool("ok", false)}},
		{Name: "POST /x", Kind: trace.SpanKindInternal, Attributes: request("POST", "/x")},
		{Name: "job", Kind: trace.SpanKindInternal, Status: sdktrace.Status{Code: codes.Ok}},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b attribute.KeyValue) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

// Spans that are nested in each other, each on a line of its own: the time goes by their
// number.
func TestParseTraceIsLinear(t *testing.T) {
	parse := func(spans int) time.Duration {
		var b strings.Builder
		fmt.Fprint(&b, `[{"id": "0", "name": "GET /x"}`)
		for i := range spans {
			fmt.Fprintf(&b, ",\n"+`{"id": "%d", "parent": "%d", "name": "b"}`, i+1, i)
		}
		fmt.Fprint(&b, "]")
		least := time.Hour
		for range 3 {
			began := time.Now()
			if _, err := parseTrace("t.json", []byte(b.String())); err != nil {
				t.Fatal(err)
			}
			least = min(least, time.Since(began))
		}
		return least
	}
	const few, times = 1000, 16
	small, large := parse(few), parse(times*few)
	if large > 4*times*small {
		t.Errorf("%d spans take %s, %d take %s", few, small, times*few, large)
	}
}

// What is read can be explained, and what cannot has a mistake with its place.
func FuzzParseTrace(f *testing.F) {
	for _, text := range []string{
		`[]`, `null`, `[null]`, `[{}]`, `[{"name": "a"}] x`, `[{"name": "a", "parent": "b"}, {"id": "b", "name": "c", "start": "1s"}]`,
		`[{"id":"a","name":"a","parent":"a"}]`, `[{"name": "a", "attributes": {"a.b": [null], "": {}}, "attributes.a": 1, "\n": 2}]`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		spans, err := parseTrace("t.json", data)
		if err == nil {
			all := core.Trace{Spans: spans}
			if err := all.Check(); err != nil {
				t.Errorf("%v is not found in %q", err, data)
			}
			return
		}
		var mistakes core.ConfigErrors
		if !errors.As(err, &mistakes) || len(mistakes) == 0 || spans != nil {
			t.Errorf("the error about %q is %v", data, err)
		}
		for _, m := range mistakes {
			if m.Position == "" || m.Err == nil {
				t.Errorf("%+v about %q has no place", m, data)
			}
		}
	})
}
