package config_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/exporters/sdk"
	"github.com/riffletrace/riffle/exporters/stdout"
	"github.com/riffletrace/riffle/samplers/ratio"
)

var update = flag.Bool("update", false, "write golden files and generated documentation")

// slowConfig and routeConfig are of the shapes that samplers have: a value
// with a unit, and a list of sections.
type slowConfig struct {
	Threshold component.Duration `yaml:"threshold"`
}

type routeConfig struct {
	Rules []struct {
		Route  string `yaml:"route"`
		Sample string `yaml:"sample"`
	} `yaml:"rules"`
}

// pluginConfig has keys that a section sets for all entries.
type pluginConfig struct {
	Plugin string `yaml:"plugin"`
	Dir    string `yaml:"dir" shared:"plugins"`
	Loose  bool   `yaml:"allow_unpinned" shared:"plugins"`
}

func noSampler[C any](context.Context, component.Settings, C) (sampling.Sampler, error) {
	return nil, errors.New("not built here")
}

// samplersWithout is a registry of all samplers of the tests but some.
func samplersWithout(names ...string) *component.Registry[sampling.Sampler] {
	samplers := sampling.NewSamplers()
	for _, f := range []component.Factory[sampling.Sampler]{
		ratio.Factory,
		component.NewFactory("plugin", pluginConfig{}, noSampler[pluginConfig]),
		component.NewFactory("slow", slowConfig{}, noSampler[slowConfig]),
		component.NewFactory("route", routeConfig{}, noSampler[routeConfig]),
	} {
		if !slices.Contains(names, f.Name()) {
			samplers.MustAdd(f)
		}
	}
	return samplers
}

// registries hold real components and fake ones.
func registries(tb testing.TB) []config.Option {
	tb.Helper()
	exporters := component.NewExporters()
	for _, f := range []component.Factory[sdktrace.SpanExporter]{otlp.Factory, stdout.Factory, sdk.GRPC} {
		exporters.MustAdd(f)
	}
	return []config.Option{config.Samplers(samplersWithout()), config.Exporters(exporters)}
}

// parse reads text with an environment of its own.
func parse(tb testing.TB, text string, env ...string) (core.Spec, error) {
	tb.Helper()
	opts := append(registries(tb), config.App("fluxbase"), config.File("fluxbase.yaml"), config.Environ(env))
	return config.Parse([]byte(text), opts...)
}

// warnings are all but that of a service without a name, which most tests are about.
func warnings(spec core.Spec) core.ConfigErrors {
	return slices.DeleteFunc(slices.Clone(spec.Source.Warnings()), func(e *core.ConfigError) bool {
		return strings.HasPrefix(e.Err.Error(), "not set: backends")
	})
}

// tracing puts lines into the section.
func tracing(lines ...string) string {
	return "observability:\n  tracing:\n    " + strings.Join(lines, "\n    ") + "\n"
}

func mustParse(tb testing.TB, text string, env ...string) core.Spec {
	tb.Helper()
	spec, err := parse(tb, text, env...)
	if err != nil {
		tb.Fatal(err)
	}
	return spec
}

// decoded is the configuration of an entry.
func decoded[C any](tb testing.TB, plan interface{ Config() any }) C {
	tb.Helper()
	c, ok := plan.Config().(C)
	if !ok {
		tb.Fatalf("the configuration is a %T", plan.Config())
	}
	return c
}

// TestBroken compares the message about each broken configuration with a
// golden file. A comment "# env:" at its top sets variables.
func TestBroken(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d broken configurations, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var env []string
			if rest, ok := bytes.CutPrefix(data, []byte("# env: ")); ok {
				line, _, _ := bytes.Cut(rest, []byte("\n"))
				env = strings.Fields(string(line))
			}
			opts := append(registries(t), config.App("fluxbase"), config.File("fluxbase.yaml"), config.Environ(env))
			spec, err := config.Parse(data, opts...)
			if err == nil {
				t.Fatalf("no error; spec %+v", spec)
			}
			var all core.ConfigErrors
			if !errors.As(err, &all) {
				t.Errorf("%T is not ConfigErrors", err)
			}
			for _, e := range all {
				if e.Position == "" {
					t.Errorf("%q has no position", e)
				}
			}
			got := err.Error() + "\n"
			if strings.Contains(got, "s3cret") {
				t.Error("a secret is quoted")
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".golden", got)
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fluxbase.yaml")
	text := tracing("enabled: true") + strings.Repeat("# filler\n", 10<<20/9)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(path, append(registries(t), config.Environ(nil))...)
	if want := path + ": the file is larger than 1 MiB"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestManyMistakes: files that are nothing but mistakes are answered at once.
func TestManyMistakes(t *testing.T) {
	// The race detector makes it ten times slower, and there are no goroutines here.
	size := 1 << 20
	if raceEnabled {
		size >>= 3
	}
	repeat := func(before, text, after string) string {
		var b strings.Builder
		b.WriteString(before)
		for i := 0; b.Len() < size-2*len(text)-len(after)-16; i++ {
			b.WriteString(strings.ReplaceAll(text, "#", strconv.Itoa(i)))
		}
		return b.String() + after
	}
	for name, text := range map[string]string{
		"unknown keys":   repeat(tracing(""), "    k#:\n", ""),
		"in one line":    repeat("observability: {tracing: {", "k#: 1,", "}}"),
		"duplicate keys": repeat(tracing("resource:"), "      k:\n", ""),
		"entries":        repeat(tracing("samplers:"), "    - {}\n", ""),
		"no entries":     repeat(tracing("exporters:"), "    - x\n", ""),
		"variables":      repeat(tracing("propagators:"), "    - ${X#}\n", ""),
		"values":         repeat(tracing("resource:"), "      k#: []\n", ""),
		"secrets":        repeat(tracing(""), "    k#: a1b2c3d4e5f6#\n", ""),
		"long secrets":   repeat(tracing("")+strings.Repeat("    k: [a]\n    sample_rate: x1x2x3x4x5x6\n", 60), "    k#: "+strings.Repeat("a1B2c3", 1000)+"#\n", ""),
		"long scalar":    repeat(tracing("endpoint: >"), "      a${b\n", ""),
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, err := parse(t, text)
			var all core.ConfigErrors
			if !errors.As(err, &all) || len(all) > 101 {
				t.Errorf("%d mistakes are reported", len(all))
			}
			// It takes two seconds at most; what grows with the square takes many minutes.
			if took := time.Since(began); took > 2*time.Minute {
				t.Errorf("took %v", took)
			}
			t.Logf("%v, %d bytes of message", time.Since(began), len(err.Error()))
		})
	}
}

func TestMissingFile(t *testing.T) {
	_, err := config.Load(filepath.Join(t.TempDir(), "none.yaml"), config.Environ(nil))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

func TestShortForm(t *testing.T) {
	spec := mustParse(t, tracing(
		"enabled: true",
		"endpoint: collector:4317",
		"service_name: fluxbase",
		"environment: production",
		"sample_rate: 0",
		"insecure: true",
	))
	if !spec.Enabled || spec.ServiceName != "fluxbase" || spec.Environment != "production" || spec.ServiceNamespace != "fluxbase" {
		t.Errorf("spec = %+v", spec)
	}
	if len(spec.Samplers) != 1 || spec.Samplers[0].Type() != "ratio" {
		t.Fatalf("samplers = %+v", spec.Samplers)
	}
	if rate := rateOf(t, spec.Samplers[0]); rate != 0 {
		t.Errorf("rate = %v, want 0", rate)
	}
	if len(spec.Exporters) != 1 || spec.Exporters[0].Type() != "otlp" {
		t.Fatalf("exporters = %+v", spec.Exporters)
	}
	c := decoded[otlp.Config](t, spec.Exporters[0])
	if c.Endpoint != "collector:4317" || c.Insecure == nil || !*c.Insecure {
		t.Errorf("otlp = %+v", c)
	}
}

func rateOf(tb testing.TB, e core.SamplerEntry) float64 {
	tb.Helper()
	return decoded[ratio.Config](tb, e).Rate
}

// TestSection: riffle's section may stand in the application's file.
func TestSection(t *testing.T) {
	const nothing = "fluxbase.yaml:1:1: nothing in it is for riffle: "
	for _, tt := range []struct {
		name, text string
		enabled    bool
		warning    string
	}{
		{name: "siblings", text: "server: {port: 80, x: \"${NOT_OURS}\"}\nobservability:\n  metrics: [1]\n  tracing: {enabled: true}\n", enabled: true},
		{name: "json", text: `{"observability": {"tracing": {"enabled": true}}}`, enabled: true},
		{name: "byte order mark", text: "\ufeff" + tracing("enabled: true"), enabled: true},
		{name: "crlf", text: strings.ReplaceAll(tracing("enabled: true", "sample_rate: 1"), "\n", "\r\n"), enabled: true},
		{name: "no section", text: "server: 1\n", warning: nothing + "it has no observability.tracing; its keys are server\nserver: 1\n^"},
		{name: "other signals", text: "observability:\n  metrics: [1]\n  logs: [2]\n", warning: nothing + "it has no observability.tracing; its keys are observability\nobservability:\n^"},
		{name: "null", text: "observability:\n", warning: nothing + "it has no observability.tracing; its keys are observability\nobservability:\n^"},
		{name: "null section", text: "observability:\n  tracing:\n", warning: "fluxbase.yaml:2:3: nothing in it is for riffle: observability.tracing is empty\n  tracing:\n  ^"},
		{name: "empty section", text: "observability:\n  tracing: {}\n", warning: "fluxbase.yaml:2:3: nothing in it is for riffle: observability.tracing is empty\n  tracing: {}\n  ^"},
		{name: "anchor", text: "base: &b {tracing: {enabled: true}}\nobservability: *b\n", enabled: true},
		{name: "merge", text: "base: &b {tracing: {enabled: true}}\nobservability:\n  <<: *b\n", enabled: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := mustParse(t, tt.text)
			if spec.Enabled != tt.enabled {
				t.Errorf("enabled = %v, want %v", spec.Enabled, tt.enabled)
			}
			if diff := cmp.Diff(tt.warning, warnings(spec).Error()); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestValues(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		env        []string
		want       map[string]string
	}{
		{name: "text of numbers", text: "{a: 1.10, b: true, c: 0x1F}", want: map[string]string{"a": "1.10", "b": "true", "c": "0x1F"}},
		{name: "default", text: `{a: "${X:-b c}", b: "${X:-}"}`, want: map[string]string{"a": "b c", "b": ""}},
		{name: "set", text: `{a: "<${X}${X:-no}>"}`, env: []string{"X=y=z"}, want: map[string]string{"a": "<y=zy=z>"}},
		{name: "empty takes the default", text: `{a: "${X:-d}", b: "${X}"}`, env: []string{"X="}, want: map[string]string{"a": "d", "b": ""}},
		{name: "dollars", text: `{a: $$X, b: "$${X}", c: cost $5}`, want: map[string]string{"a": "$X", "b": "${X}", "c": "cost $5"}},
		{name: "no second look", text: `{a: "${X}"}`, env: []string{"X=${Y}$$"}, want: map[string]string{"a": "${Y}$$"}},
		{name: "no structure", text: "\n      a: ${X}", env: []string{"X={b: 1}\nc: 2"}, want: map[string]string{"a": "{b: 1}\nc: 2"}},
		{name: "block", text: "\n      a: |-\n        x ${X}", env: []string{"X=1"}, want: map[string]string{"a": "x 1"}},
		{name: "tags", text: "{a: !!str 5, b: !!int 5}", want: map[string]string{"a": "5", "b": "5"}},
		{name: "merge", text: "\n      <<: [{a: 1, b: 1}, {b: 2, c: 2}]\n      a: 0", want: map[string]string{"a": "0", "b": "1", "c": "2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := mustParse(t, tracing("enabled: true", "resource: "+tt.text), tt.env...)
			if diff := cmp.Diff(tt.want, spec.Resource); diff != "" {
				t.Errorf("resource (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTypeAfterSubstitution: an unquoted scalar gets its type when its
// variables are in, a quoted one stays a string.
func TestTypeAfterSubstitution(t *testing.T) {
	text := tracing("enabled: ${ON:-true}", "sample_rate: 0.${DIGITS}", "service_version: ${VERSION}", "insecure: ${UNSET:-}")
	spec := mustParse(t, text, "DIGITS=25", "VERSION=1.10")
	if !spec.Enabled || spec.ServiceVersion != "1.10" {
		t.Errorf("spec = %+v", spec)
	}
	if rate := rateOf(t, spec.Samplers[0]); rate != 0.25 {
		t.Errorf("rate = %v, want 0.25", rate)
	}
	if c := decoded[otlp.Config](t, spec.Exporters[0]); c.Insecure != nil {
		t.Error("an empty variable sets insecure")
	}
	if _, err := parse(t, tracing(`sample_rate: "${RATE}"`), "RATE=0.5"); err == nil {
		t.Error("a quoted variable is a number")
	}
}

// TestPlace: what others find out later can be told with its position.
func TestPlace(t *testing.T) {
	spec := mustParse(t, tracing(
		"enabled: true",
		"service_name: x",
		"propagators: [b3,",
		"  jaeger]",
		"resource: {a.b: c}",
		"samplers:",
		"  - type: route",
		"    rules:",
		"      - route: /a",
		"      - {sample: drop, route: /b}",
	), "FLUXBASE_OBSERVABILITY_TRACING_SERVICE_NAME=y")
	for path, want := range map[string]string{
		"enabled":                     "fluxbase.yaml:3:5",
		"service_name":                "FLUXBASE_OBSERVABILITY_TRACING_SERVICE_NAME",
		"propagators[1]":              "fluxbase.yaml:6:7",
		`resource["a.b"]`:             "fluxbase.yaml:7:16",
		"samplers[0].rules[1].sample": "fluxbase.yaml:12:14",
		"samplers[0].rules[7].sample": "fluxbase.yaml:10:9",
		"nowhere":                     "fluxbase.yaml:3:5",
	} {
		e := spec.Source.Place(path, errors.New("wrong"))
		if e.Position != want || e.Path != "observability.tracing."+path {
			t.Errorf("%s is placed at %s, as %s, want %s", path, e.Position, e.Path, want)
		}
	}
	e := spec.Source.Place("samplers[0].rules[0].route", errors.New("wrong"))
	if want := "fluxbase.yaml:11:13: observability.tracing.samplers[0].rules[0].route: wrong\n          - route: /a\n            ^"; e.Error() != want {
		t.Errorf("got %s\nwant %s", e, want)
	}
}

// everything has a field of each kind that a configuration struct can have.
type everything struct {
	Text    string             `yaml:"text"`
	Int     int8               `yaml:"int"`
	Uint    uint16             `yaml:"uint"`
	Float   *float32           `yaml:"float"`
	Bool    bool               `yaml:"bool"`
	Wait    component.Duration `yaml:"wait"`
	Size    component.Size     `yaml:"size"`
	Secret  component.Secret   `yaml:"secret"`
	List    []section          `yaml:"list"`
	Numbers map[string]float64 `yaml:"numbers"`
	Codes   map[int]string     `yaml:"codes"`
	Section *section           `yaml:"section"`
	Any     any                `yaml:"any"`
	inline  `yaml:"-"`
	Inline  inline `yaml:",inline"`
	Ignored string
}

type (
	section struct {
		A string `yaml:"a"`
		B string `yaml:"b"`
	}
	inline struct {
		Deep []string `yaml:"deep"`
	}
)

func TestDecode(t *testing.T) {
	defaults := everything{
		Text: "default", Int: 1, Wait: 1,
		Section: &section{A: "default", B: "default"},
		List:    []section{{A: "default"}, {A: "default"}, {A: "default"}},
	}
	exporters := component.NewExporters()
	exporters.MustAdd(component.NewFactory("everything", defaults, func(context.Context, component.Settings, everything) (sdktrace.SpanExporter, error) {
		return tracetest.NewNoopExporter(), nil
	}))
	data, err := os.ReadFile("testdata/good/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	spec, err := config.Parse(data, config.Exporters(exporters), config.Environ(nil))
	if err != nil {
		t.Fatal(err)
	}
	got := decoded[everything](t, spec.Exporters[0])
	half := float32(0.5)
	want := everything{
		Text:    "default",
		Int:     -128,
		Uint:    65535,
		Float:   &half,
		Bool:    true,
		Wait:    component.Duration(90e9),
		Size:    64 << 20,
		Secret:  "hush",
		List:    []section{{A: "1"}, {B: "2"}},
		Numbers: map[string]float64{"one": 1, "half": 0.5},
		Codes:   map[int]string{404: "not found"},
		Section: &section{A: "default", B: "set"},
		Any: map[string]any{
			"list": []any{1, "two", 2.5, true, nil, "3"},
			"map":  map[string]any{"k": "v"},
		},
		Inline: inline{Deep: []string{"x", "y"}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(everything{})); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
}
