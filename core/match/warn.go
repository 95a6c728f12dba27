package match

import (
	"errors"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/route"
)

// Warn returns what is no mistake, but hardly what was meant: [component.FieldError]s,
// joined.
func (c *Config) Warn() error {
	var w warner
	w.config(c, "")
	return errors.Join(w.errs...)
}

type warner struct{ errs []error }

func (w *warner) config(c *Config, path string) {
	w.route(c.Route, join(path, "route"))
	w.span(c.Root, join(path, "root"))
	w.span(c.Span, join(path, "span"))
	w.span(c.AnySpan, join(path, "any_span"))
	for i := range c.All {
		w.config(&c.All[i], item(join(path, "all"), i))
	}
	for i := range c.Any {
		w.config(&c.Any[i], item(join(path, "any"), i))
	}
	if c.Not != nil {
		w.config(c.Not, join(path, "not"))
	}
}

func (w *warner) span(c *SpanConfig, path string) {
	if c == nil {
		return
	}
	w.route(c.Route, join(path, "route"))
	for i := range c.All {
		w.span(&c.All[i], item(join(path, "all"), i))
	}
	for i := range c.Any {
		w.span(&c.Any[i], item(join(path, "any"), i))
	}
	w.span(c.Not, join(path, "not"))
}

func (w *warner) route(x any, path string) {
	var cc compiler // whose mistakes are told by Compile
	for _, p := range cc.texts(x, path) {
		for _, e := range component.FieldErrors(route.Doubt(p.text)) {
			w.errs = append(w.errs, &component.FieldError{Path: component.JoinPath(p.path, e.Path), Err: e.Err})
		}
	}
}
