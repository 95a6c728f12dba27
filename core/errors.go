package core

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

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

// Sorted returns the errors by file, line and column.
func (es ConfigErrors) Sorted() ConfigErrors {
	return slices.SortedStableFunc(slices.Values(es), func(a, b *ConfigError) int {
		fileA, lineA, colA := SplitPosition(a.Position)
		fileB, lineB, colB := SplitPosition(b.Position)
		return cmp.Or(strings.Compare(fileA, fileB), lineA-lineB, colA-colB)
	})
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
