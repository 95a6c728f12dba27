package core

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/riffletrace/riffle/core/units"
)

// FieldError is a mistake in a configuration entry.
type FieldError = units.FieldError

// FieldErrors takes a joined error apart. An error that is no [FieldError]
// becomes one about the entry as a whole.
func FieldErrors(err error) []*FieldError {
	if err == nil {
		return nil
	}
	if fe, ok := err.(*FieldError); ok { //nolint:errorlint // a wrapped one has lost its place to stand
		return []*FieldError{fe}
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // likewise
		var all []*FieldError
		for _, e := range joined.Unwrap() {
			all = append(all, FieldErrors(e)...)
		}
		return all
	}
	return []*FieldError{{Err: err}}
}

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
	file, line, col = s, 0, 0
	rest, last, ok := cutLast(s)
	if !ok {
		return file, 0, 0
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
func Nearest(s string, candidates []string) string {
	best, bestDistance := "", max(2, len(s)/3)+1
	for _, c := range candidates {
		if d := editDistance(strings.ToLower(s), c); d < bestDistance && d < len(c) {
			best, bestDistance = c, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions, substitutions and
// transpositions of neighbours between a and b.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

// configErrorsOf places the mistakes of the entry at path.
func configErrorsOf(c Component, path string, err error) ConfigErrors {
	var all ConfigErrors
	for _, fe := range FieldErrors(err) {
		e := &ConfigError{Path: joinPath(path, fe.Path), Err: fe.Err}
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

func joinPath(base, path string) string {
	switch {
	case base == "":
		return path
	case path == "" || path[0] == '[':
		return base + path
	default:
		return base + "." + path
	}
}
