package core

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/match"
)

// plan is a spec without mistakes and with its defaults, and what was learnt while
// mistakes were looked for.
type plan struct {
	*Spec
	matchers []*match.Matcher  // by sampler; nil where it has no match
	lines    []delivery.Config // by exporter
}

// check finds every mistake of the spec that can be found without building
// anything. It returns [ConfigErrors].
func (s *Spec) check() (*plan, error) {
	var errs mistakes
	add := func(path string, err error) { errs.add(s, path, err) }
	s.checkScalars(add)
	if s.Redact != nil {
		for _, fe := range component.FieldErrors(s.Redact.Validate()) {
			add(component.JoinPath("redact", fe.Path), fe.Err)
		}
	}
	full := s.withDefaults()
	p := &plan{Spec: &full}
	var ids []string
	for i := range s.Samplers {
		e := &s.Samplers[i]
		matcher, err := e.check()
		p.matchers = append(p.matchers, matcher)
		ids = append(ids, checkEntry(&errs, s, "samplers", ids, e.Type(), e.ID(), errors.Join(err, e.Err())))
	}
	ids = nil
	for i := range s.Exporters {
		e := &s.Exporters[i]
		config, err := e.check()
		p.lines = append(p.lines, config)
		ids = append(ids, checkEntry(&errs, s, "exporters", ids, e.Type(), e.ID(), errors.Join(err, e.Err())))
	}
	return p, errs.sorted()
}

// checkEntry finds the mistakes of the entry that comes after those called ids. It
// returns what this one is called.
func checkEntry(errs *mistakes, s *Spec, list string, ids []string, typ, id string, err error) string {
	path := entryPath(list, len(ids))
	errs.addAll(s, path, err)
	if typ == "" {
		return ""
	}
	if i := slices.Index(ids, id); i >= 0 {
		errs.add(s, component.JoinPath(path, "name"), fmt.Errorf("%s is called %q too: give one of them another name", entryPath(list, i), id))
	}
	return id
}

func entryPath(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// mistakes collects those of a spec.
type mistakes ConfigErrors

// add takes an error about the key at path.
func (m *mistakes) add(s *Spec, path string, err error) {
	if s.Source == nil {
		*m = append(*m, &ConfigError{Path: path, Err: err})
	} else if e := s.Source.Place(path, err); e != nil {
		*m = append(*m, e)
	}
}

// aboutList makes the last mistake, which was placed at an entry, one about the list.
func (m mistakes) aboutList(entry string) {
	if len(m) == 0 {
		return
	}
	last := m[len(m)-1]
	last.Path = strings.TrimSuffix(last.Path, entry[strings.IndexByte(entry, '['):])
}

// addAll takes the [component.FieldError]s of the entry at path.
func (m *mistakes) addAll(s *Spec, path string, err error) {
	for _, fe := range component.FieldErrors(err) {
		m.add(s, component.JoinPath(path, fe.Path), fe.Err)
	}
}

// addBuild takes the error of building the component of the entry at path. One
// that names no key of the entry is about the building itself.
func (m *mistakes) addBuild(s *Spec, path, kind, id string, err error) {
	if fe := (*component.FieldError)(nil); !errors.As(err, &fe) {
		err = fmt.Errorf("building %s %q: %w", kind, id, err)
	}
	m.addAll(s, path, err)
}

// sorted returns the mistakes, nil if there are none.
func (m mistakes) sorted() error {
	if len(m) == 0 {
		return nil
	}
	return ConfigErrors(m).Sorted()
}
