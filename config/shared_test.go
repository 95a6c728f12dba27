package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/config"
)

// A section sets the keys of all entries of a type; an entry's own wins.
func TestSharedSection(t *testing.T) {
	spec := mustParse(t, tracing(
		"enabled: true",
		"plugins: {dir: /everywhere, allow_unpinned: true}",
		"samplers:",
		"  - {type: plugin, plugin: a}",
		"  - {type: plugin, name: b, plugin: b, dir: /mine}",
	))
	for i, want := range []pluginConfig{{"a", "/everywhere", true}, {"b", "/mine", true}} {
		if got := decoded[pluginConfig](t, spec.Samplers[i]); got != want {
			t.Errorf("entry %d = %+v, want %+v", i, got, want)
		}
	}
}

func TestSharedSectionMistakes(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{
			"unknown key", tracing("plugins: {dri: /x}"),
			"fluxbase.yaml:3:15: observability.tracing.plugins.dri: unknown key (did you mean \"dir\"?)\n    plugins: {dri: /x}\n              ^",
		},
		{
			"no entry", tracing("plugins: {allow_unpinned: often}"),
			"fluxbase.yaml:3:15: observability.tracing.plugins.allow_unpinned: want true or false, not \"often\"\n    plugins: {allow_unpinned: often}\n              ^",
		},
		{
			"an entry", tracing("plugins: {allow_unpinned: often}", "samplers: [{type: plugin}]"),
			"fluxbase.yaml:3:15: observability.tracing.plugins.allow_unpinned: want true or false, not \"often\"\n    plugins: {allow_unpinned: often}\n              ^",
		},
		{
			"two entries", tracing("plugins: {allow_unpinned: often}", "samplers: [{type: plugin, name: a}, {type: plugin, name: b}]"),
			"fluxbase.yaml:3:15: observability.tracing.plugins.allow_unpinned: want true or false, not \"often\"\n    plugins: {allow_unpinned: often}\n              ^",
		},
		{
			"another key is taken", tracing("plugins: {dir: /x, allow_unpinned: often}", "samplers: [{type: plugin, allow_unpinned: true}]"),
			"fluxbase.yaml:3:24: observability.tracing.plugins.allow_unpinned: want true or false, not \"often\"\n    plugins: {dir: /x, allow_unpinned: often}\n                       ^",
		},
		{
			"unknown key that may hold secrets", tracing("plugins: {headers: {key: secret}}"),
			"fluxbase.yaml:3:15: observability.tracing.plugins.headers: unknown key: known are allow_unpinned, dir\n    plugins: {headers: ***\n              ^",
		},
		{
			"no mapping", tracing("plugins: /x"),
			"fluxbase.yaml:3:5: observability.tracing.plugins: want a mapping, not \"/x\"\n    plugins: /x\n    ^",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, tt.text)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A program that hosts no plugins says so, and how to change it.
func TestNoPluginHost(t *testing.T) {
	opts := []config.Option{config.Samplers(samplersWithout("plugin")), config.File("fluxbase.yaml"), config.Environ(nil)}
	_, err := config.Parse([]byte(tracing("plugins: {dir: /x}", "samplers:", "  - {type: plugin, plugin: a}")), opts...)
	want := `fluxbase.yaml:3:5: observability.tracing.plugins: this program hosts no plugins: import _ "github.com/riffletrace/riffle/plugins/host"
    plugins: ***
    ^
fluxbase.yaml:5:10: observability.tracing.samplers[0].type: this program hosts no plugins: import _ "github.com/riffletrace/riffle/plugins/host"
      - {type: plugin, plugin: a}
         ^`
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
