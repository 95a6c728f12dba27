package match_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v4"

	"github.com/riffletrace/riffle/core/match"
)

// What String writes is what YAML reads.
func TestString(t *testing.T) {
	tests := []struct {
		config match.Config
		want   string
	}{
		{match.Config{Attributes: map[string]any{"tenant": "gold", "region": []any{"eu", "us"}}}, "{attributes: {region: [eu, us], tenant: gold}}"},
		{match.Config{Attributes: map[string]any{"http.response.status_code": map[string]any{"min": 500, "max": 599}}}, "{attributes: {http.response.status_code: {max: 599, min: 500}}}"},
		{match.Config{Name: "GET *", Kind: []any{"server", "client"}}, `{name: "GET *", kind: [server, client]}`},
		{
			match.Config{Attributes: map[string]any{"a": "true", "b": true, "c": "1", "d": 1.5, "e": "", "f": "x: y", "g": "quo\"te\n", "h": "end "}},
			`{attributes: {a: "true", b: true, c: "1", d: 1.5, e: "", f: "x: y", g: "quo\"te\n", h: "end "}}`,
		},
		{
			match.Config{Dotted: map[string]any{"db.system": "mysql", "http.response.status_code": []any{404, "410"}}, Status: "error", Parent: "none"},
			`{db.system: mysql, http.response.status_code: [404, "410"], status: error, parent: none}`,
		},
		{
			match.Config{
				Duration: durations(100*time.Millisecond, time.Minute), Spans: atMost(0), Links: atLeast(2),
				Baggage: map[string]any{"tenant": "gold"}, Tracestate: map[string]any{"v": map[string]any{"exists": true}}, Resource: map[string]any{"a b": 1},
			},
			"{links: {min: 2}, duration: {min: 100ms, max: 1m}, spans: {max: 0}, baggage: {tenant: gold}, tracestate: {v: {exists: true}}, resource: {a b: 1}}",
		},
		{
			match.Config{
				Root: &match.SpanConfig{Route: "/x", Any: []match.SpanConfig{{Status: "ok"}, {Not: &match.SpanConfig{Dotted: map[string]any{"a.b": 1}}}}},
				Span: &match.SpanConfig{Event: &match.Event{Name: "exception", Dotted: map[string]any{"exception.type": "E"}}},
				AnySpan: &match.SpanConfig{
					Link: &match.Link{Attributes: map[string]any{"k": map[string]any{"regex": "^(a|b)$", "ignore_case": true}}}, Scope: "github.com/*",
				},
			},
			`{root: {route: /x, any: [{status: ok}, {not: {a.b: 1}}]}, span: {event: {name: exception, exception.type: E}}, any_span: {scope: "github.com/*", link: {attributes: {k: {ignore_case: true, regex: "^(a|b)$"}}}}}`,
		},
		{match.Config{Not: &match.Config{Route: "GET /healthz/{id}"}}, `{not: {route: "GET /healthz/{id}"}}`},
		{match.Config{Any: []match.Config{{Name: "a b"}, {All: []match.Config{{Kind: "server"}}}}}, "{any: [{name: a b}, {all: [{kind: server}]}]}"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			got := tt.config.String()
			if got != tt.want {
				t.Errorf("it is %s", got)
			}
			var back match.Config
			if err := yaml.Unmarshal([]byte(got), &back); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.config, back, cmpopts.IgnoreUnexported(match.Config{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}
