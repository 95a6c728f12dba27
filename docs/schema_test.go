package docs

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/riffletrace/riffle/config"
)

const schemaURL = "file:///riffle.schema.json"

// compiled is the schema of all components.
func compiled(tb testing.TB, path string) *jsonschema.Schema {
	tb.Helper()
	text, err := config.Schema(config.Section(path))
	if err != nil {
		tb.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaURL, value); err != nil {
		tb.Fatal(err)
	}
	s, err := c.Compile(schemaURL)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// configurations are all that the pages and the examples show and that are right.
func configurations(tb testing.TB) map[string]string {
	tb.Helper()
	all := map[string]string{}
	add := func(name, text string) {
		if _, err := config.Parse([]byte(text), config.Environ(append(os.Environ(), secrets...))); err == nil {
			all[name] = text
		}
	}
	found, err := filepath.Glob("docs/*.md")
	if err != nil {
		tb.Fatal(err)
	}
	for _, page := range append(found, "README.md") {
		for _, b := range blocksOf(tb, page) {
			if b.language == "yaml" {
				add(fmt.Sprintf("%s:%d", page, b.line), b.text)
			}
		}
	}
	for _, pattern := range []string{"examples/*.yaml", "cmd/riffle/cli/*.yaml", "testdata/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			tb.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				tb.Fatal(err)
			}
			add(file, string(text))
		}
	}
	if len(all) < 50 {
		tb.Fatalf("%d configurations: %v", len(all), slices.Sorted(maps.Keys(all)))
	}
	return all
}

// The schema takes every configuration that is shown.
func TestSchemaTakesPages(t *testing.T) {
	s := compiled(t, config.DefaultSection)
	for name, text := range configurations(t) {
		value, ok := valueOf(t, text)
		if !ok {
			t.Fatalf("%s is not YAML", name)
		}
		if err := s.Validate(value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// unseen are the mistakes that a schema cannot see, by the reason.
var unseen = map[string][]string{
	"it is about values of two keys": {
		"both_endpoint", "both_rate", "both_service_name", "budget_empty", "insecure_contradicts", "insecure_without_otlp", "several_otlp", "several_ratios", "duplicate_names",
	},
	"it is about the environment": {
		"env_bad_rate", "env_wrong_type", "variable_malformed", "variable_structure", "variable_unset", "variable_wrong_type", "variables_several",
	},
	"it is the range or the form of a value, or a file, which the component checks": {
		"bad_port", "bad_port_entry", "bad_scheme", "rate_negative", "rate_too_large", "tls_file", "match_values",
	},
	"it is about YAML, of which a schema sees the values": {
		"complex_key", "deep_nesting_sibling", "duplicate_keys", "duplicate_section", "merge_wrong_type", "two_documents", "utf16",
	},
}

// The schema refuses the mistakes that the messages of package config are tested with.
func TestSchemaRefusesMistakes(t *testing.T) {
	s := compiled(t, config.DefaultSection)
	files, err := filepath.Glob("config/testdata/broken/*.yaml")
	if err != nil || len(files) < 40 {
		t.Fatal(len(files), err)
	}
	reasons := map[string]string{}
	for reason, names := range unseen {
		for _, name := range names {
			reasons[name] = reason
		}
	}
	refused := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "file_format:") {
			continue // OpenTelemetry's own files have a schema of theirs
		}
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		reason, known := reasons[name]
		delete(reasons, name)
		value, ok := valueOf(t, string(text))
		if !ok {
			if known {
				t.Errorf("%s is not YAML, so that %q is no reason", name, reason)
			}
			continue // which the editor says
		}
		switch err := s.Validate(value); {
		case err == nil && !known:
			t.Errorf("%s is taken", name)
		case err != nil && known:
			t.Errorf("%s can be seen: %v", name, err)
		case err != nil:
			refused++
		}
	}
	if len(reasons) > 0 {
		t.Errorf("there is nothing of these names: %v", reasons)
	}
	t.Logf("%d mistakes are refused", refused)
}

// Every default is one that the schema takes.
func TestSchemaDefaults(t *testing.T) {
	text, err := config.Schema(config.App("fluxbase"))
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaURL, value); err != nil {
		t.Fatal(err)
	}
	found := 0
	var walk func(value any, pointer string)
	walk = func(value any, pointer string) {
		switch v := value.(type) {
		case []any:
			for i, item := range v {
				walk(item, fmt.Sprintf("%s/%d", pointer, i))
			}
		case map[string]any:
			if def, ok := v["default"]; ok && !strings.HasSuffix(pointer, "/properties") {
				found++
				if s, err := c.Compile(schemaURL + "#" + pointer); err != nil {
					t.Error(err)
				} else if err := s.Validate(def); err != nil {
					t.Errorf("%s: %v", pointer, err)
				}
			}
			for key, part := range v {
				walk(part, pointer+"/"+key)
			}
		}
	}
	walk(value, "")
	if found < 40 {
		t.Errorf("%d defaults", found)
	}
}

// The section can stand elsewhere.
func TestSchemaSection(t *testing.T) {
	for _, tt := range []struct {
		path, text string
		taken      bool
	}{
		{config.DefaultSection, "observability: {tracing: {enabled: yes}}", false},
		{"", "enabled: yes", false},
		{"", "enabled: true", true},
		{config.DefaultSection, "observability: {tracing: {enabled: true}, metrics: 1}\nserver: {port: 80}", true},
		{"tracing", "tracing: {enabled: yes}", false},
		{"tracing", "tracing: {enabled: true}", true},
		{"tracing", "observability: {tracing: {enabled: yes}}", true},
		{"a.b.c", "a: {b: {c: {enable: true}}}", false},
		{"a.b.c", "a: {b: [c]}", false},
		{"a.b.c", "a:", true},
		{"", "enabled: true\nmetrics:", true}, // as if it were not there
		{"", "enabled: true\nmetrics: ${METRICS:-}", true},
		{"", "enabled: true\nmetrics: prometheus", false},
		{"", "enabled: true\nmetrics: {exporter: prometheus, endpoint: a}", false},
	} {
		value, _ := valueOf(t, tt.text)
		if err := compiled(t, tt.path).Validate(value); (err == nil) != tt.taken {
			t.Errorf("%q, %s: %v", tt.path, tt.text, err)
		}
	}
	if _, err := config.Schema(config.Section("a..b")); err == nil {
		t.Error("a path with a step without a name is one")
	}
}

var schemaMutations = flag.Int("schema-mutations", 5_000, "how many configurations TestSchemaIsNotStricter makes")

// What the schema refuses, package config refuses too.
func TestSchemaIsNotStricter(t *testing.T) {
	s := compiled(t, config.DefaultSection)
	random := rand.New(rand.NewPCG(1, 2))
	shown := configurations(t)
	var seeds []string
	for _, name := range slices.Sorted(maps.Keys(shown)) {
		seeds = append(seeds, shown[name])
	}
	environment := config.Environ(append(slices.Clone(secrets), "ONE=1", "WORD=word", "NOTHING="))
	var taken, refused int
	for range *schemaMutations {
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(seeds[random.IntN(len(seeds))]), &doc); err != nil {
			t.Fatal(err)
		}
		for range 1 + random.IntN(2) {
			mutate(random, &doc)
		}
		text, err := yaml.Marshal(&doc)
		if err != nil {
			continue // nobody can write this
		}
		value, ok := valueOf(t, string(text))
		if !ok {
			continue
		}
		_, mistakes := config.Parse(text, environment)
		switch err := s.Validate(value); {
		case err == nil:
			taken++
		case mistakes == nil:
			t.Fatalf("the schema is stricter: %v\n%s", err, text)
		default:
			refused++
		}
	}
	if taken < *schemaMutations/5 || refused < *schemaMutations/5 {
		t.Errorf("%d are taken and %d refused", taken, refused)
	}
}

// mutate changes one value or key of a document.
func mutate(random *rand.Rand, doc *yaml.Node) {
	var nodes []*yaml.Node
	var collect func(n *yaml.Node)
	collect = func(n *yaml.Node) {
		nodes = append(nodes, n)
		for _, c := range n.Content {
			collect(c)
		}
	}
	collect(doc.Content[0])
	n := nodes[random.IntN(len(nodes))]
	other := nodes[random.IntN(len(nodes))]
	switch size := len(n.Content); {
	case size > 1 && random.IntN(2) == 0: // one is lost, or there twice
		at := random.IntN(size/2) * 2
		if n.Kind == yaml.SequenceNode || random.IntN(2) == 0 {
			n.Content = slices.Delete(slices.Clone(n.Content), at, min(at+2, size))
		} else {
			n.Content[at] = &yaml.Node{Kind: yaml.ScalarNode, Value: words[random.IntN(len(words))]}
		}
	case random.IntN(4) == 0 && other.Kind == yaml.ScalarNode:
		*n = *other
	default:
		*n = yaml.Node{}
		text := values[random.IntN(len(values))]
		if err := yaml.Unmarshal([]byte(text), n); err == nil && len(n.Content) == 1 {
			*n = *n.Content[0]
			return
		}
		*n = yaml.Node{Kind: yaml.ScalarNode, Value: text}
	}
}

var (
	words  = []string{"type", "name", "enabled", "rate", "endpoint", "limit", "headers", "batch", "nonsense", "sample_rate"}
	values = []string{
		"null", "~", "''", "true", "FALSE", "yes", "0", "1", "-1", "+1", "007", "0x1F", "1.5", "1e3", ".5", "1_000", "0x1p-2", "nan", ".inf", "'0'", "'0.5'", "'true'",
		"1s", "1.5h", "0s", "-1s", "1 s", "'0'", "64MiB", "1_0kB", "' 5 MB '", "64mib", "word", "drop", "'${ONE}'", "'${WORD}'", "'${NOTHING}'", "'${UNSET:-}'", "'${UNSET:-2s}'", "'$${ONE}'",
		"[]", "[1]", "[null]", "[word, word]", "{}", "{a: 1}", "{a: null}", "[{}]", "[{type: ratio}]", "otlp", "ratio", "none", "gzip", "2026-01-01", "!!str 1", "!!int '1'", "!!float 1",
	}
)

// The lists of texts that tags name are those that are read.
func TestSchemaEnums(t *testing.T) {
	text, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	for key, lead := range map[string]string{
		"propagators: [nope]":                                                "known are ",
		"exporters: [{type: otlp, preset: nope}]":                            "known are ",
		"exporters: [{type: stdout, format: nope}]":                          "known are ",
		"exporters: [{type: stdout, output: nope}]":                          "is not one of ",
		"exporters: [{type: file, path: x, format: nope}]":                   "known are ",
		"exporters: [{type: otlptracehttp, encoding: nope}]":                 "is not one of ",
		"exporters: [{type: otlptracehttp, compression: nope}]":              "is not one of ",
		"exporters: [{type: otlptracegrpc, compression: nope}]":              "is not one of ",
		"exporters: [{type: otlp, tls: {min_version: nope}}]":                "is not one of ",
		"redact: {rules: [{presets: [nope]}]}":                               "is not one of ",
		"exporters: [{type: xray, region: eu-central-1, compression: zstd}]": "is not one of ",
	} {
		_, err := config.Parse([]byte("observability: {tracing: {enabled: true, "+key+"}}"), config.Environ(nil))
		if err == nil {
			t.Errorf("%s is taken", key)
			continue
		}
		_, list, ok := strings.Cut(err.Error(), lead)
		list = regexp.MustCompile(`^[a-z0-9_., ]*`).FindString(list)
		want := strings.Split(list, ", ")
		slices.Sort(want)
		if !ok || !slices.ContainsFunc(enumsIn(t, text), func(e []string) bool { return slices.Equal(e, want) }) {
			t.Errorf("%s: no enum has %q: %v", key, want, err)
		}
	}
}

// enumsIn are the enums of a schema, sorted.
func enumsIn(t *testing.T, schema []byte) (all [][]string) {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	var walk func(value any)
	walk = func(value any) {
		switch v := value.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			if list, ok := v["enum"].([]any); ok {
				var texts []string
				for _, item := range list {
					if text, ok := item.(string); ok {
						texts = append(texts, text)
					}
				}
				slices.Sort(texts)
				all = append(all, texts)
			}
			for _, part := range v {
				walk(part)
			}
		}
	}
	walk(value)
	return all
}
