package core_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core"
)

type testConfig struct {
	_       struct{}          `doc:"for tests"`
	Rate    float64           `yaml:"rate" doc:"a share"`
	After   core.Duration     `yaml:"after" doc:"a time"`
	Bytes   core.Size         `yaml:"bytes" doc:"a size"`
	Headers map[string]string `yaml:"headers" doc:"some pairs"`
	Inner   struct {
		On bool `yaml:"on" doc:"a switch"`
	} `yaml:"inner" doc:"a part"`
	Hidden int
}

func (c *testConfig) Validate() error {
	if c.Rate > 1 {
		return &core.FieldError{Path: "rate", Err: errors.New("too much")}
	}
	return nil
}

func testFactory(name string, got *testConfig) core.Factory[core.Sampler] {
	defaults := testConfig{Rate: 0.5, After: core.Duration(30 * time.Second), Bytes: 64 << 20, Headers: map[string]string{"a": "1"}}
	return core.NewFactory(name, defaults, func(_ context.Context, _ core.Settings, c testConfig) (core.Sampler, error) {
		*got = c
		return &answering{}, nil
	})
}

func TestFieldsComeFromTheStruct(t *testing.T) {
	f := testFactory("test", nil)
	want := []core.Field{
		{Key: "rate", Type: "number", Default: "0.5", Doc: "a share"},
		{Key: "after", Type: "duration", Default: "30s", Doc: "a time"},
		{Key: "bytes", Type: "size", Default: "64MiB", Doc: "a size"},
		{Key: "headers", Type: "map of string", Default: "map[a:1]", Doc: "some pairs"},
		{Key: "inner", Type: "section", Doc: "a part", Fields: []core.Field{{Key: "on", Type: "boolean", Default: "false", Doc: "a switch"}}},
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
	var r core.Registry[core.Sampler]
	r.MustAdd(testFactory("test", &got))
	decode := func(into any) error {
		into.(*testConfig).Headers["b"] = "2"
		return nil
	}
	for range 2 {
		if _, err := r.Build(t.Context(), core.Settings{}, core.Component{Type: "test"}); err != nil {
			t.Fatal(err)
		}
		if len(got.Headers) != 1 || got.Rate != 0.5 {
			t.Fatalf("an entry without keys was built from %+v", got)
		}
		if _, err := r.Build(t.Context(), core.Settings{}, core.Component{Type: "test", Decode: decode}); err != nil {
			t.Fatal(err)
		}
		if len(got.Headers) != 2 {
			t.Fatalf("a key beside the default's was lost: %+v", got)
		}
	}
}

func TestRegistryErrors(t *testing.T) {
	var r core.Registry[core.Sampler]
	r.MustAdd(testFactory("test", new(testConfig)))
	build := func(c core.Component) error {
		_, err := r.Build(t.Context(), core.Settings{}, c)
		return err
	}
	type hostKey struct {
		Match string `yaml:"match"`
	}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"unknown", build(core.Component{Type: "tets"}), `type: unknown sampler "tets" (did you mean "test"?): known are test (forgotten import?)`},
		{"far off", build(core.Component{Type: "jaeger-remote"}), `type: unknown sampler "jaeger-remote": known are test (forgotten import?)`},
		{"missing", build(core.Component{}), `type: missing: want one of test`},
		{"empty", new(core.Registry[core.Exporter]).Check(core.Component{Type: "otlp"}), `type: unknown exporter "otlp": none is registered (forgotten import of exporters/standard?)`},
		{"invalid", build(core.Use(testFactory("x", new(testConfig)), "", testConfig{Rate: 2})), `rate: too much`},
		{"wrong struct", build(core.Use(testFactory("x", new(testConfig)), "", struct{ A int }{})), `"x" is configured by core_test.testConfig, not struct { A int }`},
		{"duplicate", r.Add(testFactory("test", nil)), `adding "test": the name is taken`},
		{"host key", r.Add(core.NewFactory("h", hostKey{}, func(context.Context, core.Settings, hostKey) (core.Sampler, error) { return nil, nil })), `adding "h": key "match" of its configuration belongs to the host`},
		{"zero factory", r.Add(core.Factory[core.Sampler]{}), `adding a factory without a name: make it with NewFactory`},
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
	c := core.Use(testFactory("mine", &got), "own", testConfig{Rate: 0.25})
	var empty core.Registry[core.Sampler]
	if _, err := empty.Build(t.Context(), core.Settings{}, c); err != nil {
		t.Fatal(err)
	}
	if got.Rate != 0.25 || got.After != 0 || c.ID() != "own" {
		t.Errorf("built %q from %+v: want what Use was given, as a whole", c.ID(), got)
	}
}

func TestSizeAndDurationText(t *testing.T) {
	sizes := map[string]core.Size{"64MiB": 64 << 20, "5MB": 5e6, "512": 512, "1.5KiB": 1536, "1 GiB": 1 << 30, "0": 0}
	for in, want := range sizes {
		var s core.Size
		if err := s.UnmarshalText([]byte(in)); err != nil || s != want {
			t.Errorf("size %q = %d, %v, want %d", in, s, err, want)
		}
		var again core.Size
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("size %d printed as %q read as %d, %v", s, s, again, err)
		}
	}
	for _, in := range []string{"", "MiB", "-1", "NaN", "1TiB", "9e30", "Inf"} {
		var s core.Size
		if err := s.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("size %q = %d, want an error", in, s)
		}
	}
	durations := map[core.Duration]string{
		core.Duration(30 * time.Second):       "30s",
		core.Duration(time.Minute):            "1m",
		core.Duration(2 * time.Hour):          "2h",
		core.Duration(90 * time.Minute):       "1h30m",
		core.Duration(250 * time.Millisecond): "250ms",
		0:                                     "0s",
	}
	for d, want := range durations {
		if d.String() != want {
			t.Errorf("duration %d = %q, want %q", d, d, want)
		}
	}
}
