package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
)

// errPlace asks a source where something stands.
var errPlace = errors.New("here")

// plugin is the type of entries that are programs.
const plugin = "plugin"

// holdPlugins builds the entries that are plugins, those that can be, and returns what
// ends them: their programs run meanwhile, and so each starts once, however often the
// steps build samplers and exporters.
func (x *examination) holdPlugins(ctx context.Context) (release func()) {
	started, cancel := context.WithTimeout(ctx, x.Timeout)
	defer cancel()
	settings := component.Settings{Logger: slog.New(slog.DiscardHandler)}
	var held []component.Shutdowner
	for i := range x.spec.Samplers {
		e := &x.spec.Samplers[i]
		if e.Type() != plugin {
			continue
		}
		if built, err := e.Build(started, settings); err == nil {
			if s, ok := built.(component.Shutdowner); ok {
				held = append(held, s)
			}
		}
	}
	for i := range x.spec.Exporters {
		e := &x.spec.Exporters[i]
		if e.Type() != plugin {
			continue
		}
		if built, err := e.Build(started, settings); err == nil {
			held = append(held, built)
		}
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), x.Timeout)
		defer cancel()
		for _, s := range held {
			_ = s.Shutdown(ctx) // what is wrong with them was told
		}
	}
}

// tryPlugins builds what has to be built to be checked, as validate does: plugins start
// for it, pinned ones, look at their configurations, and end. The results come later in
// the report, but what cannot run has no other fault.
func (x *examination) tryPlugins(ctx context.Context) (results []Result) {
	type entry struct{ path, id string }
	var plugins []entry
	for i := range x.spec.Samplers {
		if e := &x.spec.Samplers[i]; e.Type() == plugin {
			plugins = append(plugins, entry{pathOf("samplers", i), e.ID()})
		}
	}
	for i := range x.spec.Exporters {
		if e := &x.spec.Exporters[i]; e.Type() == plugin {
			plugins = append(plugins, entry{pathOf("exporters", i), e.ID()})
		}
	}
	ctx, cancel := context.WithTimeout(ctx, x.Timeout)
	defer cancel()
	trial, err := core.Try(ctx, x.spec, core.Logger(slog.New(slog.DiscardHandler)))
	for _, w := range trial.Warnings {
		x.results = append(x.results, Result{Check: "config", Status: Warning, Found: withoutSnippet(w)})
	}
	var mistakes core.ConfigErrors
	if err != nil && !errors.As(err, &mistakes) {
		mistakes = core.ConfigErrors{{Err: err}}
	}
	known := map[string]bool{}
	for _, m := range x.inspection.Mistakes {
		known[m.Error()] = true
	}
	for _, m := range mistakes {
		if known[m.Error()] {
			continue
		}
		r := Result{Check: "config", Status: Fault, Found: withoutSnippet(m), Do: x.mend(m)}
		for _, e := range plugins {
			if strings.Contains(m.Path, e.path) {
				r.Check, r.Subject, r.Do = plugin, e.id, x.mendPlugin(m)
				x.unfit[e.path] = true
			}
		}
		if results = append(results, r); r.Check == "config" {
			x.broken = true
		}
	}
	for _, e := range plugins {
		if !x.unfit[e.path] && !x.broken {
			results = append(results, Result{Check: plugin, Subject: e.id, Status: OK, Found: "it is pinned, or need not be, starts and takes its configuration"})
		}
	}
	return results
}

// pathOf is the path of an entry of a list.
func pathOf(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// withoutSnippet is a mistake in one line.
func withoutSnippet(e *core.ConfigError) string {
	shown := *e
	shown.Snippet = ""
	return shown.Error()
}

// mendPlugin is what to do about a plugin that cannot run.
func (x *examination) mendPlugin(m *core.ConfigError) string {
	text := m.Err.Error()
	switch {
	case strings.Contains(text, "plugins.dir is not set"):
		return "set plugins.dir to the directory that has it, or write the path of the program"
	case strings.Contains(text, "there is no "):
		return "put the program into plugins.dir, called riffle-plugin-NAME, or correct the name"
	case strings.Contains(text, "is not pinned"), strings.Contains(text, "is not the file that was pinned"):
		return fmt.Sprintf("if its content is the one that you want: %s plugins pin --dir DIR NAME", x.Program)
	case strings.Contains(text, "belongs to user"), strings.Contains(text, "can be written by"):
		return "change its owner and mode as it says"
	default:
		return fmt.Sprintf("run %s plugins test on the program: it shows what it says", x.Program)
	}
}
