package core

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// plan is a spec without mistakes and with its defaults, and what was learnt while
// mistakes were looked for.
type plan struct {
	*Spec
	matchers []*match.Matcher  // by sampler; nil where it has no match
	lines    []delivery.Config // by exporter

	// attributes of the resource that come from the environment, and warnings about
	// it, of a spec that was made in Go.
	attributes map[string]string
	warnings   []*component.FieldError
	// unfit are the entries with mistakes, by path. There are none in a plan that is
	// built to run.
	unfit map[string]bool
}

// check finds every mistake of the spec that can be found without building
// anything. It returns [ConfigErrors].
func (s *Spec) check() (*plan, error) {
	errs := mistakes{source: s.Source}
	s.checkScalars(errs.add)
	var redactErr error
	if s.Redact != nil {
		redactErr = s.Redact.Validate()
		errs.addAll("redact", redactErr)
	}
	if s.SpanMetrics != nil {
		errs.addAll("span_metrics", s.SpanMetrics.Check())
	}
	full := s.withDefaults()
	p := &plan{Spec: &full, unfit: map[string]bool{}}
	p.readEnv()
	cut := full.Limits.cut()
	var ids []string
	for i := range s.Samplers {
		e := &s.Samplers[i]
		matcher, err := e.check()
		p.matchers = append(p.matchers, matcher)
		p.addEntry(&errs, entryPath("samplers", i), errors.Join(err, e.Err()))
		ids = append(ids, e.ID())
		errs.addTwice("samplers", ids)
	}
	ids = nil
	for i := range s.Exporters {
		e := &s.Exporters[i]
		line, warnings, err := e.check()
		p.warn(warnings)
		line.RedactAll, line.Cut = s.Redact, cut
		if err == nil && redactErr == nil {
			err = line.Validate() // with the rules for all
		}
		p.lines = append(p.lines, line)
		p.addEntry(&errs, entryPath("exporters", i), errors.Join(err, e.Err()))
		ids = append(ids, e.ID())
		errs.addTwice("exporters", ids)
	}
	p.warnComponents()
	return p, errs.sorted()
}

// addEntry takes the mistakes of an entry.
func (p *plan) addEntry(errs *mistakes, path string, err error) {
	p.unfit[path] = err != nil
	errs.addAll(path, err)
}

func entryPath(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// mistakes collects those of a spec.
type mistakes struct {
	source Source // of the spec; may be nil
	all    ConfigErrors
}

// add takes an error about the key at path.
func (m *mistakes) add(path string, err error) {
	if m.source == nil {
		m.all = append(m.all, &ConfigError{Path: path, Err: err})
	} else if e := m.source.Place(path, err); e != nil {
		m.all = append(m.all, e)
	}
}

// addAboutList takes an error about a whole list. Its place is that of an entry.
func (m *mistakes) addAboutList(list string, i int, err error) {
	before := len(m.all)
	m.add(entryPath(list, i), err)
	for _, e := range m.all[before:] {
		e.Path = strings.TrimSuffix(e.Path, fmt.Sprintf("[%d]", i))
	}
}

// addAll takes the [component.FieldError]s of what stands at path.
func (m *mistakes) addAll(path string, err error) {
	for _, fe := range component.FieldErrors(err) {
		m.add(component.JoinPath(path, fe.Path), fe.Err)
	}
}

// addBuild takes the error of building the component of the entry at path. What
// names no key of the entry is about the building itself.
func (m *mistakes) addBuild(path, kind, id string, err error) {
	for _, fe := range component.FieldErrors(err) {
		err := untrusted.Error(fe.Err, untrusted.Line)
		if fe.Path == "" {
			m.add(path, fmt.Errorf("building %s %q: %w", kind, id, err))
		} else {
			m.add(component.JoinPath(path, fe.Path), err)
		}
	}
}

// addTwice finds the name of the last entry among those before it.
func (m *mistakes) addTwice(list string, ids []string) {
	last := len(ids) - 1
	if first := slices.Index(ids, ids[last]); first < last && ids[last] != "" {
		m.add(component.JoinPath(entryPath(list, last), "name"),
			fmt.Errorf("%s is called %q too: give one of them another name", entryPath(list, first), ids[last]))
	}
}

// joinMistakes joins mistakes of two sources.
func joinMistakes(a, b error) error {
	var x, y ConfigErrors
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case errors.As(a, &x) && errors.As(b, &y):
		return slices.Concat(x, y).Sorted()
	default:
		return errors.Join(a, b)
	}
}

// sorted returns the mistakes, nil if there are none.
func (m *mistakes) sorted() error {
	if len(m.all) == 0 {
		return nil
	}
	return m.all.Sorted()
}
