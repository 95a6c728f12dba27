package component_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

type testConfig struct {
	_       struct{}           `doc:"for tests"`
	Rate    float64            `yaml:"rate" doc:"a share"`
	After   component.Duration `yaml:"after" doc:"a time"`
	Bytes   component.Size     `yaml:"bytes" doc:"a size"`
	Headers map[string]string  `yaml:"headers" doc:"some pairs"`
	Inner   struct {
		On bool `yaml:"on" doc:"a switch"`
	} `yaml:"inner" doc:"a part"`
	Hidden int
}

func (c *testConfig) Validate() error {
	if c.Rate > 1 {
		return &component.FieldError{Path: "rate", Err: errors.New("too much")}
	}
	return nil
}

type abstaining struct{}

func (abstaining) Traits() sampling.Traits { return sampling.Traits{Description: "abstains"} }

func testFactory(name string, got *testConfig) component.Factory[sampling.Sampler] {
	defaults := testConfig{Rate: 0.5, After: component.Duration(30 * time.Second), Bytes: 64 << 20, Headers: map[string]string{"a": "1"}}
	return component.NewFactory(name, defaults, func(_ context.Context, _ component.Settings, c testConfig) (sampling.Sampler, error) {
		*got = c
		return abstaining{}, nil
	})
}

func TestFieldsComeFromTheStruct(t *testing.T) {
	f := testFactory("test", nil)
	want := []component.Field{
		{Key: "rate", Schema: component.Schema{Kind: component.Number}, Default: "0.5", Doc: "a share"},
		{Key: "after", Schema: component.Schema{Unit: component.Time}, Default: "30s", Doc: "a time"},
		{Key: "bytes", Schema: component.Schema{Unit: component.Bytes}, Default: "64MiB", Doc: "a size"},
		{Key: "headers", Schema: component.Schema{Kind: component.Map, Elem: &component.Schema{}}, Default: "map[a:1]", Doc: "some pairs"},
		{Key: "inner", Doc: "a part", Schema: component.Schema{Kind: component.Section, Fields: []component.Field{{Key: "on", Schema: component.Schema{Kind: component.Boolean}, Default: "false", Doc: "a switch"}}}},
	}
	if diff := cmp.Diff(want, f.Fields()); diff != "" {
		t.Errorf("Fields() (-want +got):\n%s", diff)
	}
	if f.Doc() != "for tests" {
		t.Errorf("Doc() = %q", f.Doc())
	}
}

func TestDefaultsAreNotShared(t *testing.T) {
	var got testConfig
	r := sampling.NewSamplers()
	r.MustAdd(testFactory("test", &got))
	decode := func(into any) error {
		into.(*testConfig).Headers["b"] = "2"
		return nil
	}
	for range 2 {
		if _, err := r.Plan("test", "", nil).Build(t.Context(), component.Settings{}); err != nil {
			t.Fatal(err)
		}
		if len(got.Headers) != 1 || got.Rate != 0.5 {
			t.Fatalf("an entry without keys was built from %+v", got)
		}
		if _, err := r.Plan("test", "", decode).Build(t.Context(), component.Settings{}); err != nil {
			t.Fatal(err)
		}
		if len(got.Headers) != 2 {
			t.Fatalf("a key beside the default's was lost: %+v", got)
		}
	}
}

func TestRegistryErrors(t *testing.T) {
	r := sampling.NewSamplers()
	r.MustAdd(testFactory("test", new(testConfig)))
	plan := func(typ string) error {
		p := r.Plan(typ, "", nil)
		if _, err := p.Build(t.Context(), component.Settings{}); err == nil {
			t.Errorf("%q was built", typ)
		}
		return p.Err()
	}
	type hostKey struct {
		Match string `yaml:"match"`
	}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"unknown", plan("tets"), `type: unknown sampler "tets" (did you mean "test"?): known are test (forgotten import?)`},
		{"far off", plan("jaeger-remote"), `type: unknown sampler "jaeger-remote": known are test (forgotten import?)`},
		{"plugin", plan("plugin"), `type: this program hosts no plugins: import _ "github.com/riffletrace/riffle/plugins/host"`},
		{"missing", plan(""), `type: missing: want one of test`},
		{"zero plan", component.Plan[sampling.Sampler]{}.Err(), `type: missing`},
		{"missing and empty", component.NewExporters().Plan("", "", nil).Err(), `type: missing, and no exporter is registered (forgotten import of exporters/standard?)`},
		{"plan of a zero factory", component.Factory[sampling.Sampler]{}.Plan("x", nil).Err(), `type: a factory without a name: make it with NewFactory`},
		{"empty", component.NewExporters().Plan("otlp", "", nil).Err(), `type: unknown exporter "otlp": none is registered (forgotten import of exporters/standard?)`},
		{"invalid", component.Use(testFactory("x", new(testConfig)), "", testConfig{Rate: 2}).Err(), `rate: too much`},
		{"wrong struct", component.Use(testFactory("x", new(testConfig)), "", struct{ A int }{}).Err(), `"x" is configured by component_test.testConfig, not struct { A int }`},
		{"duplicate", r.Add(testFactory("test", nil)), `adding "test": the name is taken`},
		{"host key", r.Add(component.NewFactory("h", hostKey{}, func(context.Context, component.Settings, hostKey) (sampling.Sampler, error) { return nil, nil })), `adding "h": key "match" of its configuration belongs to the host`},
		{"zero factory", r.Add(component.Factory[sampling.Sampler]{}), `adding a factory without a name: make it with NewFactory`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.err == nil || tt.err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", tt.err, tt.want)
			}
		})
	}
}

func TestUseNeedsNoRegistry(t *testing.T) {
	var got testConfig
	config := testConfig{Rate: 0.25, Headers: map[string]string{"a": "1"}}
	p := component.Use(testFactory("mine", &got), "own", config)
	config.Headers["a"] = "changed after it was planned"
	if _, err := p.Build(t.Context(), component.Settings{}); err != nil {
		t.Fatal(err)
	}
	if got.Rate != 0.25 || got.After != 0 || got.Headers["a"] != "1" || p.ID() != "own" || p.Type() != "mine" {
		t.Errorf("built %q from %+v: want what Use was given, as a whole", p.ID(), got)
	}
	if c, ok := p.Config().(testConfig); !ok || c.Rate != 0.25 {
		t.Errorf("Config() = %+v", p.Config())
	}
}

// An entry is decoded and validated once, however often it is looked at.
func TestPlanDecodesOnce(t *testing.T) {
	var decoded int
	r := sampling.NewSamplers()
	r.MustAdd(testFactory("test", new(testConfig)))
	p := r.Plan("test", "", func(any) error { decoded++; return nil })
	for range 3 {
		if err := p.Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Build(t.Context(), component.Settings{}); err != nil {
			t.Fatal(err)
		}
	}
	if decoded != 1 {
		t.Errorf("the entry was decoded %d times", decoded)
	}
}

func TestSizeAndDurationText(t *testing.T) {
	sizes := map[string]component.Size{"64MiB": 64 << 20, "5MB": 5e6, "512": 512, "1.5KiB": 1536, "1 GiB": 1 << 30, "0": 0}
	for in, want := range sizes {
		var s component.Size
		if err := s.UnmarshalText([]byte(in)); err != nil || s != want {
			t.Errorf("size %q = %d, %v, want %d", in, s, err, want)
		}
		var again component.Size
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("size %d printed as %q read as %d, %v", s, s, again, err)
		}
	}
	for _, in := range []string{"", "MiB", "-1", "NaN", "1TiB", "9e30", "Inf"} {
		var s component.Size
		if err := s.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("size %q = %d, want an error", in, s)
		}
	}
	durations := map[component.Duration]string{
		component.Duration(30 * time.Second):       "30s",
		component.Duration(time.Minute):            "1m",
		component.Duration(2 * time.Hour):          "2h",
		component.Duration(90 * time.Minute):       "1h30m",
		component.Duration(250 * time.Millisecond): "250ms",
		0: "0s",
	}
	for d, want := range durations {
		if d.String() != want {
			t.Errorf("duration %d = %q, want %q", d, d, want)
		}
	}
}
