package match

import (
	"errors"
	"strconv"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/route"
)

// Warn returns what is no mistake, but hardly what was meant: [component.FieldError]s,
// joined.
func (c *Config) Warn() error {
	var errs []error
	add := func(path string, err error) {
		for _, e := range component.FieldErrors(err) {
			errs = append(errs, &component.FieldError{Path: component.JoinPath(path, e.Path), Err: e.Err})
		}
	}
	switch r := c.Route.(type) {
	case string:
		add("route", route.Doubt(r))
	case []any:
		for i, item := range r {
			if text, ok := item.(string); ok {
				add("route["+strconv.Itoa(i)+"]", route.Doubt(text))
			}
		}
	}
	for i := range c.All {
		add("all["+strconv.Itoa(i)+"]", c.All[i].Warn())
	}
	for i := range c.Any {
		add("any["+strconv.Itoa(i)+"]", c.Any[i].Warn())
	}
	if c.Not != nil {
		add("not", c.Not.Warn())
	}
	return errors.Join(errs...)
}
