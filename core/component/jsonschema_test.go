package component_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core/component"
)

type schemaConfig struct {
	_        struct{}             `doc:"for tests"`
	Wait     component.Duration   `yaml:"wait" doc:"a time"`
	Size     component.Size       `yaml:"size"`
	Share    float64              `yaml:"share"`
	Key      component.Secret     `yaml:"key"`
	Kinds    []string             `yaml:"kinds" enum:"a,1.2"`
	Inner    schemaInner          `yaml:"inner"`
	Numbers  map[string]int       `yaml:"numbers"`
	Whatever component.JSON       `yaml:"whatever"`
	Times    []component.Duration `yaml:"times"`
}

type schemaInner struct {
	On bool `yaml:"on"`
}

func schemaProperties(tb testing.TB) map[string]map[string]any {
	tb.Helper()
	fields, doc := component.FieldsOf(schemaConfig{Wait: 1e9, Share: 0.5, Key: "hush", Kinds: []string{"a", "1.2"}})
	text, err := json.Marshal(component.JSONSchema(fields, doc))
	if err != nil {
		tb.Fatal(err)
	}
	var s struct {
		Type, Description    string
		Properties           map[string]map[string]any
		AdditionalProperties bool
	}
	if err := json.Unmarshal(text, &s); err != nil {
		tb.Fatal(err)
	}
	if s.Type != "object" || s.Description != "for tests" || s.AdditionalProperties {
		tb.Errorf("the object is %s", text)
	}
	return s.Properties
}

func TestJSONSchema(t *testing.T) {
	p := schemaProperties(t)
	variable := `\$\{`
	want := map[string]map[string]any{
		"key":      {"type": []any{"string", "number", "boolean", "null"}, "writeOnly": true},
		"whatever": {},
		"inner": {"type": []any{"object", "string", "null"}, "pattern": variable, "additionalProperties": false, "properties": map[string]any{
			"on": map[string]any{"type": []any{"boolean", "string", "null"}, "pattern": variable, "default": false},
		}},
		"numbers": {"type": []any{"object", "string", "null"}, "pattern": variable, "additionalProperties": map[string]any{
			"type": []any{"integer", "string"}, "pattern": variable,
		}},
		"kinds": {"type": []any{"array", "string", "null"}, "pattern": variable, "default": []any{"a", "1.2"}, "items": map[string]any{
			"anyOf": []any{map[string]any{"enum": []any{"a", "1.2", 1.2}}, map[string]any{"type": []any{"string"}, "pattern": "^$|" + variable}},
		}},
	}
	for key, s := range want {
		if diff := cmp.Diff(s, p[key]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
	for key, def := range map[string]any{"wait": "1s", "share": 0.5} {
		if got := p[key]["default"]; got != def {
			t.Errorf("the default of %s is %v, want %v", key, got, def)
		}
	}
}

// TestPatterns: what a pattern of the schema matches is what is read, but for
// numbers that are out of range.
func TestPatterns(t *testing.T) {
	p := schemaProperties(t)
	for _, tt := range []struct {
		key, alphabet string
		parts         []string
		read          func(string) error
		outOfRange    func(string) bool
	}{
		{
			key: "wait", alphabet: "019.-+ hmsuµμn",
			parts: []string{"ms", "us", "µs", "μs", "ns", "1.", ".5", "h"},
			read:  func(s string) error { return new(component.Duration).UnmarshalText([]byte(s)) },
			// The numbers below are short.
			outOfRange: func(string) bool { return false },
		},
		{
			key: "size", alphabet: "019._-+eExXpPabKMGkiB \t\n\v\f\r\u0085\u00a0\u1680\u2003\u3000\u2028\ufeff",
			parts:      []string{"KiB", "MiB", "GB", "kB", "0x", "1_0", "e+1", "p-1"},
			read:       func(s string) error { return new(component.Size).UnmarshalText([]byte(s)) },
			outOfRange: func(s string) bool { v, err := number(s); return errors.Is(err, strconv.ErrRange) || v >= 1<<33 },
		},
		{
			key: "share", alphabet: "019._-+eExXpPabnfity ",
			parts: []string{"nan", "Inf", "infinity", "0x1", "1_0", "p-1"},
			read: func(s string) error {
				if _, err := strconv.ParseFloat(s, 64); err != nil && !errors.Is(err, strconv.ErrRange) {
					return err
				}
				return nil
			},
		},
	} {
		pattern := regexp.MustCompile(p[tt.key]["pattern"].(string))
		random := rand.New(rand.NewPCG(1, 2))
		runes := []rune(tt.alphabet)
		both := 0
		for range 40_000 {
			var b strings.Builder
			for range 1 + random.IntN(7) {
				if random.IntN(4) == 0 {
					b.WriteString(tt.parts[random.IntN(len(tt.parts))])
				} else {
					b.WriteRune(runes[random.IntN(len(runes))])
				}
			}
			s := b.String()
			read, matches := tt.read(s) == nil, pattern.MatchString(s)
			if yaml := isYAMLNumber.MatchString(s); tt.key == "share" && (yaml || !read) {
				continue // a number to the schema; the pattern takes a few that are none
			}
			switch {
			case read && matches:
				both++
			case read:
				t.Fatalf("%s: %q is read, and the pattern does not match", tt.key, s)
			case matches && !tt.outOfRange(s):
				t.Fatalf("%s: the pattern matches %q, which cannot be read", tt.key, s)
			}
		}
		if both < 200 {
			t.Errorf("%s: only %d texts were right", tt.key, both)
		}
	}
}

// isYAMLNumber is that of YAML's core schema.
var isYAMLNumber = regexp.MustCompile(`^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$`)

func number(s string) (float64, error) {
	return strconv.ParseFloat(strings.TrimSpace(strings.TrimRight(strings.TrimSpace(s), "KMGkiB")), 64)
}
