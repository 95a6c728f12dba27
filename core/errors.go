package core

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/riffletrace/riffle/core/internal/nearest"
	"github.com/riffletrace/riffle/core/units"
)

// FieldError is a mistake in a configuration entry.
type FieldError = units.FieldError

// FieldErrors takes a joined error apart. An error that is no [FieldError]
// becomes one about the entry as a whole.
func FieldErrors(err error) []*FieldError { return units.FieldErrors(err) }

// ConfigError is one mistake in a configuration: where it stands, which key
// it is about, and what to do.
type ConfigError struct {
	Position string // "fluxbase.yaml:12:9", the name of a variable, or "" when made in Go
	Path     string // "observability.tracing.samplers[1].rate"; "" is the whole
	Err      error
	Snippet  string // the quoted line with a caret below; "" if there is none
}

func (e *ConfigError) Error() string {
	var b strings.Builder
	for _, s := range []string{e.Position, e.Path} {
		if s != "" {
			b.WriteString(s)
			b.WriteString(": ")
		}
	}
	b.WriteString(e.Err.Error())
	if e.Snippet != "" {
		b.WriteByte('\n')
		b.WriteString(e.Snippet)
	}
	return b.String()
}

func (e *ConfigError) Unwrap() error { return e.Err }

// ConfigErrors are all the mistakes of a configuration.
type ConfigErrors []*ConfigError

func (es ConfigErrors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes [errors.As] find each of them.
func (es ConfigErrors) Unwrap() []error {
	errs := make([]error, len(es))
	for i, e := range es {
		errs[i] = e
	}
	return errs
}

// Sorted returns the errors by file, line and column, nil if there are none.
func (es ConfigErrors) Sorted() error {
	if len(es) == 0 {
		return nil
	}
	slices.SortStableFunc(es, func(a, b *ConfigError) int {
		fileA, lineA, colA := SplitPosition(a.Position)
		fileB, lineB, colB := SplitPosition(b.Position)
		return cmp.Or(strings.Compare(fileA, fileB), lineA-lineB, colA-colB)
	})
	return es
}

// SplitPosition takes "file:line:col" apart; line and column are 0 if s has
// none.
func SplitPosition(s string) (file string, line, col int) {
	rest, last, ok := cutLast(s)
	if !ok {
		return s, 0, 0
	}
	if r, l, ok := cutLast(rest); ok {
		return r, l, last
	}
	return rest, last, 0
}

func cutLast(s string) (before string, n int, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, 0, false
	}
	n, err := strconv.Atoi(s[i+1:])
	return s[:i], n, err == nil
}

// Nearest returns the candidate that s was probably meant to be, or "".
func Nearest(s string, candidates []string) string { return nearest.Of(s, candidates) }

// configErrorsOf places the mistakes of the entry at path.
func configErrorsOf(c Component, path string, err error) ConfigErrors {
	var all ConfigErrors
	for _, fe := range FieldErrors(err) {
		e := &ConfigError{Path: units.JoinPath(path, fe.Path), Err: fe.Err}
		if c.Locate != nil {
			e.Position = c.Locate(fe.Path)
		}
		all = append(all, e)
	}
	return all
}

// buildErrors places the error of building the entry at path. An error that
// names no key of the entry is about the building itself.
func buildErrors(c Component, path, kind string, err error) ConfigErrors {
	if fe := (*FieldError)(nil); !errors.As(err, &fe) {
		err = fmt.Errorf("building %s %q: %w", kind, c.ID(), err)
	}
	return configErrorsOf(c, path, err)
}
