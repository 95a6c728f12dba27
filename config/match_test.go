package config_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/match"
)

const matchYAML = `{
  db.system: postgresql,
  http.response.status_code: [404, "410", 5.5],
  attributes: {tenant: {regex: "^a", ignore_case: true}},
  duration: {min: 100ms}, spans: {min: 3}, links: {max: 0}, resource: {service.name: api},
  root: {url.path: {glob: "/x*"}, not: {a.b: true}},
  event: {name: exception, exception.type: E}, link: {c.d: 1},
  any: [{e.f: x}, {any_span: {g.h: y, kind: [client]}}]}`

var matchConfig = match.Config{
	Dotted:     map[string]any{"db.system": "postgresql", "http.response.status_code": []any{404, "410", 5.5}},
	Attributes: map[string]any{"tenant": map[string]any{"regex": "^a", "ignore_case": true}},
	Duration:   &match.Durations{Min: new(component.Duration(100 * time.Millisecond))},
	Spans:      &match.Counts{Min: new(3)}, Links: &match.Counts{Max: new(0)},
	Resource: map[string]any{"service.name": "api"},
	Root:     &match.SpanConfig{Dotted: map[string]any{"url.path": map[string]any{"glob": "/x*"}}, Not: &match.SpanConfig{Dotted: map[string]any{"a.b": true}}},
	Event:    &match.Event{Name: "exception", Dotted: map[string]any{"exception.type": "E"}},
	Link:     &match.Link{Dotted: map[string]any{"c.d": 1}},
	Any: []match.Config{
		{Dotted: map[string]any{"e.f": "x"}},
		{AnySpan: &match.SpanConfig{Dotted: map[string]any{"g.h": "y"}, Kind: []any{"client"}}},
	},
}

// A match is read the same from YAML and from JSON, and from what it writes.
func TestMatch(t *testing.T) {
	spec := mustParse(t, tracing("enabled: true", "samplers:", "  - {type: ratio, rate: 1, match: "+strings.ReplaceAll(matchYAML, "\n", "\n    ")+"}"))
	same := cmpopts.IgnoreUnexported(match.Config{})
	if diff := cmp.Diff(&matchConfig, spec.Samplers[0].Match, same); diff != "" {
		t.Errorf("YAML: %s", diff)
	}
	spec = mustParse(t, tracing("enabled: true", "samplers:", "  - {type: ratio, rate: 1, match: "+matchConfig.String()+"}"))
	if diff := cmp.Diff(&matchConfig, spec.Samplers[0].Match, same); diff != "" {
		t.Errorf("String: %s", diff)
	}
	decode, err := config.DecodeJSON([]byte(`{
		"db.system": "postgresql", "http.response.status_code": [404, "410", 5.5], "attributes": {"tenant": {"regex": "^a", "ignore_case": true}},
		"duration": {"min": "100ms"}, "spans": {"min": 3}, "links": {"max": 0}, "resource": {"service.name": "api"},
		"root": {"url.path": {"glob": "/x*"}, "not": {"a.b": true}}, "event": {"name": "exception", "exception.type": "E"}, "link": {"c.d": 1},
		"any": [{"e.f": "x"}, {"any_span": {"g.h": "y", "kind": ["client"]}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var fromJSON match.Config
	if err := decode(&fromJSON); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(matchConfig, fromJSON, same); diff != "" {
		t.Errorf("JSON: %s", diff)
	}
}

// Words that are numbers in Go only are words.
func TestMatchOfWords(t *testing.T) {
	spec := mustParse(t, tracing("enabled: true", "samplers:", "  - {type: ratio, rate: 1, match: {attributes: {a: nan, b: Infinity, c: -inf, d: .inf, e: -.INF, f: 1e3, g: +.5, h: Nan.}}}"))
	want := map[string]any{"a": "nan", "b": "Infinity", "c": "-inf", "d": math.Inf(1), "e": math.Inf(-1), "f": 1000.0, "g": 0.5, "h": "Nan."}
	if diff := cmp.Diff(want, spec.Samplers[0].Match.Attributes); diff != "" {
		t.Error(diff)
	}
}

// An attribute without a dot is no key of a match.
func TestMatchOfAttributeWithoutDot(t *testing.T) {
	for match, want := range map[string]string{
		"{tenant: gold}":            `match.tenant: unknown key: known are all,`,
		"{event: {tenant: gold}}":   `match.event.tenant: unknown key: known are attributes, name; an attribute without a dot stands below attributes`,
		"{attributes: {a: {b: 1}}}": `match.attributes.a.b: unknown key: known are equals,`,
	} {
		_, err := parse(t, tracing("enabled: true", "samplers:", "  - {type: ratio, rate: 1, match: "+match+"}"))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "without a dot") != !strings.Contains(match, "attributes") {
			t.Errorf("%s: %v", match, err)
		}
	}
}

// What is found out later about a key with a dot has its place, too.
func TestPlaceOfKeyWithDot(t *testing.T) {
	spec := mustParse(t, tracing("enabled: true", "samplers:", "  - type: ratio", "    rate: 1", "    match:", "      any:", "        - error.type: x"))
	got := spec.Source.Place(`samplers[0].match.any[0]["error.type"]`, errors.New("wrong"))
	if want := "fluxbase.yaml:9:15: observability.tracing.samplers[0].match.any[0][\"error.type\"]: wrong"; !strings.HasPrefix(got.Error(), want) {
		t.Errorf("%v, want %s", got, want)
	}
}
