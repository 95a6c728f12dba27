package match_test

import (
	"testing"

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
		{match.Config{Attributes: map[string]any{"a": "true", "b": true, "c": "1", "d": 1.5, "e": "", "f": "x: y", "g": "quo\"te\n", "h": "end "}},
			`{attributes: {a: "true", b: true, c: "1", d: 1.5, e: "", f: "x: y", g: "quo\"te\n", h: "end "}}`},
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
