package core_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/samplers/discard"
	errorsampler "github.com/riffletrace/riffle/samplers/error"
	"github.com/riffletrace/riffle/samplers/ratio"
	"github.com/riffletrace/riffle/samplers/route"
)

var onlyGold = &match.Config{Attributes: map[string]any{"tier": "gold"}}

// What a start sampler behind one that always answers is good for.
func TestUnreached(t *testing.T) {
	base := core.UseSampler(ratio.Factory, "base", ratio.Config{Rate: 0.1})
	some := base
	some.Match = onlyGold
	keeps := core.UseSampler(route.Factory, "", route.Config{Rules: []route.Rule{{Route: "/x", Sample: "1"}}})
	drops := core.UseSampler(route.Factory, "", route.Config{Rules: []route.Rule{{Route: "/x", Sample: sampling.SampleDrop}}})
	failed := core.UseSampler(errorsampler.Factory, "", errorsampler.Config{})
	second := core.UseSampler(ratio.Factory, "second", ratio.Config{Rate: 0.2})
	for _, tt := range []struct {
		name     string
		samplers []core.SamplerEntry
		want     string
	}{
		{"in order", []core.SamplerEntry{keeps, failed, base}, ""},
		{"a match does not always hold", []core.SamplerEntry{some, keeps, base}, ""},
		{"an end sampler is asked anyway", []core.SamplerEntry{base, failed}, ""},
		{"a route behind", []core.SamplerEntry{base, keeps}, `samplers[1]: never asked: samplers[0] ("base") before it always answers: move this one before it, or leave it out`},
		{"two baselines", []core.SamplerEntry{failed, base, second}, `samplers[2]: never asked: samplers[1] ("base") before it always answers: move this one before it, or leave it out`},
		{"drop rules behind", []core.SamplerEntry{base, drops}, `samplers[1]: only asked about requests of services that decided themselves: for all others samplers[0] ("base") before it always answers: move this one before it`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trial, err := core.Try(t.Context(), core.Spec{Samplers: tt.samplers})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, trial.Warnings.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(trial.Samplers) != len(tt.samplers) || trial.Samplers[0] == "" {
				t.Errorf("described as %q", trial.Samplers)
			}
		})
	}
}

type remoteConfig struct {
	Wrong bool `yaml:"wrong"`
}

func (*remoteConfig) BuiltToCheck() {}

// Try builds what is to be built, finds what only shows then beside the other mistakes,
// and releases it.
func TestTry(t *testing.T) {
	built, released := 0, 0
	remote := component.NewFactory("remote", remoteConfig{}, func(_ context.Context, _ component.Settings, c remoteConfig) (sdktrace.SpanExporter, error) {
		if c.Wrong {
			return nil, &component.FieldError{Path: "wrong", Err: errors.New("it is wrong")}
		}
		built++
		return counted{&released}, nil
	})
	never := component.NewFactory("never", struct{}{}, func(context.Context, component.Settings, struct{}) (sdktrace.SpanExporter, error) {
		t.Error("built")
		return nil, errors.New("built")
	})
	spec := core.Spec{
		Samplers: []core.SamplerEntry{
			core.UseSampler(route.Factory, "", route.Config{}), // a mistake of its own
			core.UseSampler(errorsampler.Factory, "", errorsampler.Config{}),
		},
		Exporters: []core.ExporterEntry{
			core.UseExporter(never, "", struct{}{}), core.UseExporter(remote, "a", remoteConfig{}), core.UseExporter(remote, "b", remoteConfig{Wrong: true}),
			core.UseExporter(otlp.Factory, "", otlp.Config{Protocol: "no"}),
		},
	}
	trial, err := core.Try(t.Context(), spec)
	if err == nil || err.Error() != "exporters[2].wrong: it is wrong" {
		t.Errorf("got %v", err)
	}
	if built != 1 || released != 1 {
		t.Errorf("%d built, %d released", built, released)
	}
	if trial.Samplers[0] != "" || trial.Samplers[1] == "" {
		t.Errorf("described as %q", trial.Samplers)
	}
}

type counted struct{ released *int }

func (counted) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (c counted) Shutdown(context.Context) error                           { *c.released++; return nil }

// Doubts are found in every place that has them, and not where there are mistakes.
func TestSpecWarnings(t *testing.T) {
	sampler := core.UseSampler(route.Factory, "", route.Config{Rules: []route.Rule{{Route: "/a/:id", Sample: "1"}}})
	sampler.Match = &match.Config{Any: []match.Config{{Route: []any{"/x", "/b/*"}}, {Not: &match.Config{Route: "/c/<id>"}}}}
	spec := core.Spec{
		Samplers:  []core.SamplerEntry{sampler, core.UseSampler(route.Factory, "r", route.Config{Rules: []route.Rule{{Route: "/a/:id", Sample: "2"}}})},
		Exporters: []core.ExporterEntry{core.UseExporter(otlp.Factory, "", otlp.Config{Endpoint: "collector:4318"})},
	}
	var paths []string
	for _, w := range spec.Warnings() {
		paths = append(paths, w.Path)
	}
	want := []string{"samplers[0].match.any[0].route[1]", "samplers[0].match.any[1].not.route", "samplers[0].rules[0].route", "exporters[0].endpoint"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("(-want +got):\n%s", strings.TrimSpace(diff))
	}
}

// A vendor that makes figures of what it gets is warned of where something is left out, and
// where it is told to.
func TestSampleWarnings(t *testing.T) {
	all, some := core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 1}), core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0.1})
	failed, discarded := core.UseSampler(errorsampler.Factory, "", errorsampler.Config{}), core.UseSampler(discard.Factory, "", discard.Config{})
	budget := &core.BudgetConfig{TracesPerSecond: 10}
	off, on := map[string]component.Secret{"Compute_Stats": "false"}, map[string]component.Secret{"Compute_Stats": "True"}
	for _, tt := range []struct {
		name     string
		samplers []core.SamplerEntry
		budget   *core.BudgetConfig
		preset   string
		headers  map[string]component.Secret
		want     string
	}{
		{"all is kept", []core.SamplerEntry{all}, nil, "datadog", nil, ""},
		{"without a sampler", nil, nil, "datadog", nil, ""},
		{"a share", []core.SamplerEntry{some}, nil, "datadog", nil, "exporters[0].preset"},
		{"errors and all", []core.SamplerEntry{failed, all}, nil, "datadog", nil, ""},
		{"all but what is discarded", []core.SamplerEntry{failed, discarded, all}, nil, "datadog", nil, "exporters[0].preset"},
		{"errors and a share", []core.SamplerEntry{failed, some}, nil, "datadog", nil, "exporters[0].preset"},
		{"a budget", []core.SamplerEntry{all}, budget, "datadog", nil, "exporters[0].preset"},
		{"no figures", []core.SamplerEntry{some}, nil, "datadog", off, ""},
		{"figures that are asked for", []core.SamplerEntry{some}, nil, "datadog", on, "exporters[0].preset"},
		{"another vendor", []core.SamplerEntry{some}, nil, "honeycomb", nil, ""},
		{"no vendor", []core.SamplerEntry{some}, nil, "", map[string]component.Secret{"compute_stats": "true"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := otlp.Config{Preset: tt.preset, Headers: tt.headers}
			if tt.preset != "" {
				c.Key = "s3cret"
			}
			spec := core.Spec{Samplers: tt.samplers, Budget: tt.budget, Exporters: []core.ExporterEntry{core.UseExporter(otlp.Factory, "", c)}}
			got := ""
			for _, w := range spec.Warnings() {
				got += w.Path
				if remedy := `headers: {compute_stats: "false"}`; !strings.Contains(w.Err.Error(), remedy) || !strings.Contains(w.Err.Error(), "span_metrics") {
					t.Errorf("%v names no remedy", w)
				}
			}
			if got != tt.want {
				t.Errorf("warned of %q, want %q: %v", got, tt.want, spec.Warnings())
			}
		})
	}
}
