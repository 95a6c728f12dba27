package host

import (
	"context"
	"log/slog"
	"testing"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/samplers/ratio"
)

// The status of a provider tells of the plugins that serve its components, each once.
func TestStatusOfPlugins(t *testing.T) {
	dir := program(t, "told", "good")
	var entries []core.SamplerEntry
	for _, name := range []string{"one", "two"} {
		c := SamplerConfig{Config: Config{Plugin: "told", StartTimeout: startDefaults.StartTimeout, Component: "tier", Dir: dir, AllowUnpinned: true}, MaxLeases: 10}
		entries = append(entries, core.UseSampler(SamplerFactory, name, c))
	}
	p, err := core.New(t.Context(), core.Spec{
		Enabled: true, Samplers: append(entries, core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 1})),
	}, core.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown(context.Background())
	s := p.Status()
	if len(s.Plugins) != 1 || s.Plugins[0].Name != "told" || s.Plugins[0].State != string(Running) || len(s.Problems) != 0 {
		t.Errorf("%+v, %+v", s.Plugins, s.Problems)
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if s = p.Status(); len(s.Plugins) != 1 || s.Plugins[0].State != string(Stopped) || len(s.Problems) != 0 {
		t.Errorf("after Shutdown: %+v, %+v", s.Plugins, s.Problems)
	}
}

// Interface guards.
var (
	_ component.PluginUser = (*startClient)(nil)
	_ component.PluginUser = (*bothClient)(nil)
	_ component.PluginUser = (*segmentClient)(nil)
	_ component.PluginUser = (*exporterClient)(nil)
)
