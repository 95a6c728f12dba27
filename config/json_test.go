package config_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core/component"
)

// entry is what a component of another program might have.
type entry struct {
	Name  string             `yaml:"name_of" doc:"a text"`
	Rate  float64            `yaml:"rate" doc:"a number"`
	Count int                `yaml:"count" doc:"a whole number"`
	On    bool               `yaml:"on" doc:"a switch"`
	Wait  component.Duration `yaml:"wait" doc:"a duration"`
	List  []string           `yaml:"list" doc:"a list"`
	Rules []struct {
		Key string `yaml:"key" doc:"a text"`
	} `yaml:"rules" doc:"a list of mappings"`
	More component.JSON `yaml:"more" doc:"anything"`
}

func TestDecodeJSON(t *testing.T) {
	defaults := entry{Name: "none", Rate: 0.5}
	for _, test := range []struct {
		data string
		want func(*entry)
	}{
		{``, func(*entry) {}},
		{" \n", func(*entry) {}},
		{`{}`, func(*entry) {}},
		{`null`, func(*entry) {}},
		{`{"rate": null}`, func(*entry) {}},
		{`{"name_of": "a\nb\u00e9", "rate": 1e-2, "count": 3, "on": true, "wait": "1s"}`, func(e *entry) {
			e.Name, e.Rate, e.Count, e.On, e.Wait = "a\nbé", 0.01, 3, true, component.Duration(1e9)
		}},
		{`{"name_of": ""}`, func(e *entry) { e.Name = "" }},
		{`{"list": ["a", "1", "true"], "rules": [{"key": "x"}, {}]}`, func(e *entry) {
			e.List = []string{"a", "1", "true"}
			e.Rules = append(e.Rules, struct {
				Key string `yaml:"key" doc:"a text"`
			}{"x"}, struct {
				Key string `yaml:"key" doc:"a text"`
			}{})
		}},
		// A variable is no business of who reads this: the host put it in.
		{`{"name_of": "${HOME}"}`, func(e *entry) { e.Name = "${HOME}" }},
		// What is passed on keeps its form, its order and its numbers.
		{`{"more": {"b": [1.10, -2e3, 12345678901234567890], "a": {"x": null, "y": "1.10", "z": false}}}`, func(e *entry) {
			e.More = `{"b":[1.10,-2e3,12345678901234567890],"a":{"x":null,"y":"1.10","z":false}}`
		}},
		{`{"more": "<&>\u2028"}`, func(e *entry) { e.More = `"\u003c\u0026\u003e\u2028"` }},
	} {
		decode, err := config.DecodeJSON([]byte(test.data))
		if err != nil {
			t.Errorf("%s: %v", test.data, err)
			continue
		}
		got, want := defaults, defaults
		test.want(&want)
		if err := decode(&got); err != nil {
			t.Errorf("%s: %v", test.data, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", test.data, diff)
		}
	}
}

// Every mistake has a path, and the words of a file.
func TestDecodeJSONMistakes(t *testing.T) {
	for _, test := range []struct {
		data string
		want []string
	}{
		{`{"raet": 1}`, []string{`raet: unknown key (did you mean "rate"?)`}},
		{`{"rate": "0.1"}`, []string{`rate: `}},
		{`{"count": 1.5, "on": "true", "wait": 1}`, []string{`count: `, `on: `, `wait: `}},
		{`{"rules": [{"key": "x"}, {"ky": "y"}]}`, []string{`rules[1].ky: unknown key`}},
		{`[]`, []string{``}},
		{`"text"`, []string{``}},
	} {
		decode, err := config.DecodeJSON([]byte(test.data))
		if err != nil {
			t.Errorf("%s: %v", test.data, err)
			continue
		}
		var into entry
		errs := component.FieldErrors(decode(&into))
		if len(errs) != len(test.want) {
			t.Errorf("%s: %v, want %d mistakes", test.data, errs, len(test.want))
			continue
		}
		for i, e := range errs {
			if got := e.Path + ": " + e.Err.Error(); !strings.HasPrefix(got, test.want[i]) {
				t.Errorf("%s: %s, want %s", test.data, got, test.want[i])
			}
		}
	}
}

func TestNotJSON(t *testing.T) {
	for data, want := range map[string]string{
		`{`:                          "EOF",
		`{"rate": }`:                 "invalid",
		`{} {}`:                      "something follows the value",
		`{}]`:                        "something follows the value",
		`{"rate": 1, "rate": 2}`:     `the key "rate" is there twice`,
		`{"a": {"b": 1, "b": null}}`: `the key "b" is there twice`,
		"rate: 1":                    "invalid",
		strings.Repeat("[", 100_000): "nested deeper than",
	} {
		_, err := config.DecodeJSON([]byte(data))
		if err == nil || !strings.HasPrefix(err.Error(), "not JSON: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %q", data, err, want)
		}
	}
}

// FuzzDecodeJSON: whatever a host sends, a component can be asked, and what it
// passes on is the same JSON.
func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `{"rate": 1e-2, "more": {"a": [1.10, "x", true, null]}}`, `{"more": "\ud800"}`, `{"rules": [{"ky": 1}]}`,
		`{"rate": 1, "rate": 2}`, `[[[]]]`, `{"more": 1E400}`, `{"more": "yes"}`, `{"more": ""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		decode, err := config.DecodeJSON(data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "not JSON: ") {
				t.Errorf("%v", err)
			}
			return
		}
		var into entry
		for _, e := range component.FieldErrors(decode(&into)) {
			if e.Err == nil || strings.TrimSpace(e.Err.Error()) == "" {
				t.Errorf("a mistake without words: %q", e.Path)
			}
		}
		// All of it, passed on, means what it meant.
		if len(strings.TrimSpace(string(data))) == 0 {
			return
		}
		wrapped, err := config.DecodeJSON(append(append([]byte(`{"more": `), data...), '}'))
		if err != nil {
			return // nested too deep by now
		}
		var all entry
		if err := wrapped(&all); err != nil {
			t.Fatal(err)
		}
		if all.More == "" {
			return // null: nothing is set
		}
		if diff := cmp.Diff(values(t, data), values(t, []byte(all.More))); diff != "" {
			t.Errorf("(-sent +passed on)\n%s", diff)
		}
	})
}

// values is what JSON means, with numbers as they are written.
func values(t *testing.T, data []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(errors.Join(err, errors.New(string(data))))
	}
	return v
}
