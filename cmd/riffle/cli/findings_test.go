package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/findings"
	"github.com/riffletrace/riffle/internal/untrustedtest"
)

// loop is OTLP in which a request sends so many queries one after another.
func loop(service, statement string, queries int) string {
	attribute := func(key, value string) map[string]any {
		return map[string]any{"key": key, "value": map[string]any{"stringValue": value}}
	}
	span := func(n, from, to int) map[string]any {
		return map[string]any{
			"traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": fmt.Sprintf("%016x", n+1), "name": "GET /checkout", "kind": 2,
			"startTimeUnixNano": fmt.Sprint(1e18 + from*1e6), "endTimeUnixNano": fmt.Sprint(1e18 + to*1e6),
		}
	}
	spans := []any{span(0, 0, 5*queries+4)}
	for i := range queries {
		s := span(i+1, 5*i+1, 5*i+5)
		s["kind"], s["parentSpanId"], s["name"] = 3, fmt.Sprintf("%016x", 1), "query"
		s["attributes"] = []any{attribute("db.system", "postgresql"), attribute("db.statement", statement)}
		spans = append(spans, s)
	}
	data, err := json.Marshal(map[string]any{"resourceSpans": []any{map[string]any{
		"resource":   map[string]any{"attributes": []any{attribute("service.name", service)}},
		"scopeSpans": []any{map[string]any{"spans": spans}},
	}}})
	if err != nil {
		panic(err)
	}
	return string(data)
}

// runFindings runs the command on files that are OTLP's JSON.
func runFindings(files map[string]string, args ...string) (stdout string, err error) {
	s := search{read: func(_ context.Context, name string, _ io.Reader, take func([]sdktrace.ReadOnlySpan) error) error {
		text, ok := files[name]
		if !ok {
			return errors.New(name + ": no such file")
		}
		spans, err := otlp.DecodeJSON([]byte(text))
		return errors.Join(take(spans), err)
	}}
	cmd := s.command("riffle")
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var out bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	err = cmd.ExecuteContext(context.Background())
	return out.String(), err
}

func TestFindings(t *testing.T) {
	files := map[string]string{
		"slow.json": loop("shop", "SELECT * FROM a_table_with_a_long_name WHERE id = 1", 17), "fine.json": loop("shop", "SELECT 1", 4), "empty.json": "{}",
	}
	const table = `1 finding in 18 spans of 1 trace

    COST    COUNT  KIND                WHERE
    64ms        1  n_plus_one          shop: SELECT * FROM a_table_with_a_lon...
          17 times the same statement below one span, one after another, 68ms;
          fetch all in one, with IN or a join.
          trace 0102030405060708090a0b0c0d0e0f10
`
	for _, tt := range []struct{ args, want, err string }{
		{"slow.json", table, ""},
		{"fine.json", "nothing found in 5 spans of 1 trace\n", ""},
		{"empty.json", "nothing found in 0 spans of 0 traces\n", ""},
		{strings.Repeat("slow.json ", 2), table, ""}, // each span once
		{"slow.json --set n_plus_one.min_calls=18", "nothing found in 18 spans of 1 trace\n", ""},
		{"slow.json --fail-on retry,gap", table, ""},
		{"slow.json --fail-on retry,n_plus_one", table, "found n_plus_one (1), which --fail-on names"},
		{"slow.json --fail-on any", table, "found n_plus_one (1), which --fail-on names"},
		{"fine.json --fail-on any", "nothing found in 5 spans of 1 trace\n", ""},
		{"fine.json --json", "[]\n", ""},
		{"absent.json", "", "absent.json: no such file"},
		{"slow.json absent.json", table, "absent.json: no such file"},
		{"- -", "", "-: standard input can be read once"},
		{"fine.json --fail-on n_plus_on", "", `--fail-on n_plus_on: unknown kind (did you mean "n_plus_one"?)`},
		{"fine.json --fail-on=", "", "--fail-on: no kind is named"},
		{"fine.json --fail-on xyz", "", "--fail-on xyz: unknown kind: want any, n_plus_one, "},
		{"fine.json --set slow_query", "", "--set slow_query: want KEY=VALUE"},
		{"fine.json --set slow_query.min_duratoin=1s", "", `slow_query.min_duratoin: unknown key (did you mean "min_duration"?)`},
		{"fine.json --set slow_quer.min_duration=1s", "", `slow_quer: unknown key (did you mean "slow_query"?)`},
		{"fine.json --set slow_query.min_duration=soon", "", "slow_query.min_duration: "},
		{"fine.json --set n_plus_one.min_calls=five", "", "n_plus_one.min_calls: "},
		{"fine.json --set n_plus_one.min_calls=1", "", "--set: n_plus_one.min_calls: 1: want 2 or more"},
		{"fine.json --set gap=1", "", "gap: "},
	} {
		t.Run(tt.args, func(t *testing.T) {
			got, err := runFindings(files, strings.Fields(tt.args)...)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if err == nil != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v, want %q", err, tt.err)
			}
		})
	}
}

// An interrupt ends it while it waits for what does not come.
func TestFindingsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	defer close(over)
	s := search{read: func(context.Context, string, io.Reader, func([]sdktrace.ReadOnlySpan) error) error {
		cancel()
		<-over
		return nil
	}}
	cmd := s.command("riffle")
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs([]string{"-"})
	if err := cmd.ExecuteContext(ctx); err == nil || err.Error() != "interrupted" {
		t.Errorf("%v", err)
	}
}

func TestFindingsJSON(t *testing.T) {
	got, err := runFindings(map[string]string{"x": loop("shop", "SELECT 1", 9)}, "x", "--json", "--set", "examples=2")
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	if err := json.Unmarshal([]byte(got), &all); err != nil || len(all) != 1 {
		t.Fatalf("%v\n%s", err, got)
	}
	want := map[string]any{
		"kind": "n_plus_one", "service": "shop", "operation": "SELECT ?", "count": 1.0, "cost_ms": 32.0,
		"traces": []any{"0102030405060708090a0b0c0d0e0f10"}, "spans": []any{"0000000000000002", "0000000000000003"},
		"advice": "9 times the same statement below one span, one after another, 36ms; fetch all in one, with IN or a join.",
	}
	if diff := cmp.Diff(want, all[0]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Each threshold can be set, to its default too.
func TestThresholds(t *testing.T) {
	set := []string{
		"n_plus_one.min_calls=5", "sequential_calls.min_calls=2", "sequential_calls.min_cost=5ms", "slow_query.min_duration=100ms",
		"slow_external_call.min_duration=0.5s", "retry.storm=5", "gap.min_duration=100ms", "gap.min_share=0.25", "fan_out.min_concurrent=10",
		"chatty.min_calls=10", "clock_skew.min_skew=5ms", "large_attribute.min_size=8KiB", "examples=5",
	}
	got, err := thresholds(set)
	if err != nil || got != findings.Defaults() {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = thresholds([]string{"examples=1", "large_attribute.min_size=100", "examples=9"}); err != nil || got.Examples != 9 || got.LargeAttribute.MinSize != 100 {
		t.Errorf("%+v, %v", got, err)
	}
}

// What spans say fills no terminal, and gives it no orders; every line is short.
func TestFindingsOfOthers(t *testing.T) {
	said := strings.ToValidUTF8(untrustedtest.Say(1<<10), "?")
	files := map[string]string{"x": loop(said, "SELECT \""+said+"\"", 9)}
	for _, args := range [][]string{{"x"}, {"x", "--json"}} {
		got, err := runFindings(files, args...)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(got) {
			line = strings.TrimSuffix(line, "\n")
			untrustedtest.Check(t, "a line", line)
			if strings.HasPrefix(strings.TrimSpace(line), untrustedtest.Forged) {
				t.Errorf("a forged line: %s", line)
			}
			if n := len([]rune(line)); len(args) == 1 && n > columns {
				t.Errorf("%d columns: %s", n, line)
			}
		}
	}
}

func TestWrapped(t *testing.T) {
	for text, want := range map[string][]string{
		"": nil, "a bc d": {"a bc", "d"}, "abcdefgh": {"abcd", "efgh"}, "a bcdefg": {"a", "bcde", "fg"}, "äöüß x": {"äöüß", "x"},
	} {
		if got := wrapped(text, 4); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for ms, want := range map[float64]string{0: "-", 0.0421: "40µs", 1.23456: "1.23ms", 64.4: "64ms", 1234.5: "1.23s", 75_400: "1m15s", 1e7: "2.8h", 1e300: "1281023.9h"} {
		if got := costOf(ms); got != want {
			t.Errorf("%v ms: %s, want %s", ms, got, want)
		}
	}
	for n, want := range map[float64]string{1: "1", 2.5: "2.5", 102.4: "102", 1e6: "1000000", 123456789: "1.2e+08"} {
		if got := countOf(n); got != want {
			t.Errorf("%v: %s, want %s", n, got, want)
		}
	}
}
