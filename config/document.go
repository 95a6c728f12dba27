package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"github.com/riffletrace/riffle/core"
)

// maxDepth bounds how deeply the values of a file are nested.
const maxDepth = 64

// document is a parsed file.
type document struct {
	name string
	data []byte
	root *yaml.Node

	mu     sync.Mutex
	hidden map[int]int // from which column on a line is not to be quoted
}

// newDocument parses a file that holds one YAML document.
func newDocument(name string, data []byte) (*document, core.ConfigErrors) {
	d := &document{name: name, data: bytes.TrimPrefix(data, []byte("\ufeff")), hidden: map[int]int{}}
	fail := func(line, col int, format string, args ...any) (*document, core.ConfigErrors) {
		e := &core.ConfigError{Position: name, Err: fmt.Errorf(format, args...)}
		if line > 0 {
			e.Position = d.position(line, col)
		}
		return d, core.ConfigErrors{e}
	}
	if len(data) > maxFile {
		return fail(0, 0, "the file is larger than 1 MiB")
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return fail(1, 1, "the file is UTF-16: want UTF-8")
	}
	for i, line := range d.lines() {
		if !utf8.Valid(line) {
			return fail(i+1, utf8.RuneCount(validPrefix(line))+1, "the file is not UTF-8")
		}
		if at := bytes.IndexFunc(line, isControl); at >= 0 {
			r, _ := utf8.DecodeRune(line[at:])
			return fail(i+1, utf8.RuneCount(line[:at])+1, "control character %U", r)
		}
	}
	if len(bytes.TrimSpace(d.data)) == 0 {
		return fail(1, 1, "the file is empty")
	}
	loader, err := yaml.NewLoader(bytes.NewReader(d.data), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		return fail(0, 0, "%w", err)
	}
	var doc, second yaml.Node
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0:
		return fail(1, 1, "the file holds nothing but comments")
	case err != nil:
		line, col, err := d.locateError(err)
		return fail(line, col, "%w", err)
	}
	d.root = doc.Content[0]
	switch err := loader.Load(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		line, col, err := d.locateError(err)
		return fail(line, col, "%w", err)
	default:
		return fail(second.Line, second.Column, "a second YAML document: want one in the file")
	}
	return d, nil
}

// bareReference finds ${NAME} without quotes inside { } or [ ], where YAML
// takes its braces for its own.
var bareReference = regexp.MustCompile(`[{\[].*\$\{`)

// locateError turns an error of the parser into a position and a sentence.
func (d *document) locateError(err error) (line, col int, _ error) {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		return 0, 0, fmt.Errorf("not YAML: %w", err)
	}
	line, col = load.Mark.Line, load.Mark.Column
	if strings.TrimSpace(d.line(line)) == "" {
		// The end of the file has nothing to show; where the trouble began has.
		line, col = load.ContextMark.Line, load.ContextMark.Column
	}
	if strings.TrimSpace(d.line(line)) == "" {
		end := bytes.TrimSpace(d.data)
		line = bytes.Count(end, []byte("\n")) + 1
		col = utf8.RuneCountInString(d.line(line)) + 1
	}
	text := d.line(line)
	indent := text[:len(text)-len(strings.TrimLeftFunc(text, unicode.IsSpace))]
	switch {
	case strings.Contains(load.Message, "exceeded max depth"):
		return line, col, fmt.Errorf("nested deeper than %d levels", maxDepth)
	case strings.Contains(indent, "\t") || strings.Contains(load.Message, "tab character"):
		return line, strings.IndexByte(text, '\t') + 1, errors.New("a tab: YAML is indented with spaces")
	case strings.HasPrefix(load.Message, "unknown anchor "): // and its name, which may be a secret
		return line, col, errors.New("not YAML: unknown anchor (a value that begins with * needs quotes)")
	case bareReference.MatchString(text):
		return line, col, fmt.Errorf("not YAML: %s (inside { } and [ ], ${...} needs quotes)", load.Message)
	case load.ContextMsg != "":
		return line, col, fmt.Errorf("not YAML: %s: %s", load.ContextMsg, load.Message)
	default:
		return line, col, fmt.Errorf("not YAML: %s", load.Message)
	}
}

func (d *document) at(y *yaml.Node) string { return d.position(y.Line, y.Column) }

func (d *document) position(line, col int) string {
	return fmt.Sprintf("%s:%d:%d", d.name, line, col)
}

func (d *document) lines() [][]byte {
	return bytes.Split(d.data, []byte("\n"))
}

// line returns a line, numbered from 1; "" if there is none.
func (d *document) line(n int) string {
	rest := d.data
	for ; n > 1 && rest != nil; n-- {
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return strings.TrimSuffix(string(line), "\r")
}

// hide keeps the value at a position, a secret, out of quotes.
func (d *document) hide(position string) {
	name, line, col := core.SplitPosition(position)
	if name != d.name || line == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if before, ok := d.hidden[line]; !ok || col < before {
		d.hidden[line] = col
	}
}

// looksSecret finds a key that may have a secret as its value, on a line that
// is quoted without anybody knowing what its keys mean. A comment may hold anything.
var looksSecret = regexp.MustCompile(`(?i)(?:` + secretKeys + `)[^:=]*[:=]\s*()|://()[^/\s@]+@|(?:^|[\s{,])key["']?:\s*()[^\[\s]|(?:^|\s)#()`)

const secretKeys = `secret|token|passw|passphrase|pwd|salt|credential|auth|api[-_.]?key|access[-_.]?key|private|header|cookie|connection|\benv\b`

var (
	holdsSecrets = regexp.MustCompile(`(?i)(?:` + secretKeys + `)[^:=]*:`)
	lineValue    = regexp.MustCompile(`^\s*(?:-\s+)?(?:[^:]*:(?:\s+|$))?`)
)

// belowSecrets reports whether a line belongs to a key above it that looks like one
// with secrets.
func (d *document) belowSecrets(n int) bool {
	lines := d.lines()
	inside, item := indentOf(lines[n-1]), bytes.HasPrefix(bytes.TrimSpace(lines[n-1]), []byte("-"))
	for i := n - 2; i >= 0 && (inside > 0 || item); i-- {
		by := indentOf(lines[i])
		text := bytes.TrimSpace(lines[i])
		// The items of a list may stand right below its key.
		if len(text) == 0 || by > inside || by == inside && (!item || text[0] == '-') {
			continue
		}
		if holdsSecrets.Match(lines[i]) {
			return true
		}
		inside, item = by, text[0] == '-'
	}
	return false
}

func indentOf(line []byte) int { return len(line) - len(bytes.TrimLeft(line, " \t")) }

const (
	// maxQuote is how many characters of a line are quoted.
	maxQuote = 100
	// maxLine is how long a line can be that is quoted from.
	maxLine = 4096
)

// quote returns the line at a position, and a caret below the column.
func (d *document) quote(position string) string {
	name, line, col := core.SplitPosition(position)
	if name != d.name || line < 1 || col < 1 {
		return ""
	}
	whole := d.line(line)
	if whole == "" || len(whole) > maxLine {
		return ""
	}
	text := []rune(whole)
	d.mu.Lock()
	from, secret := d.hidden[line]
	d.mu.Unlock()
	if at := looksSecret.FindStringSubmatchIndex(whole); at != nil {
		if n := utf8.RuneCountInString(whole[:max(at[2], at[4], at[6], at[8])]) + 1; !secret || n < from {
			from, secret = n, true
		}
	}
	if d.belowSecrets(line) {
		if n := utf8.RuneCountInString(lineValue.FindString(whole)) + 1; !secret || n < from {
			from, secret = n, true
		}
	}
	if n := plainUntil(whole); n < len(whole) {
		if n = utf8.RuneCountInString(whole[:n]) + 1; !secret || n < from {
			from, secret = n, true
		}
	}
	if secret && from <= len(text) {
		text = append(slices.Clone(text[:from-1]), []rune("***")...)
		col = min(col, from)
	}
	col = min(col, len(text)+1)
	if start := col - maxQuote/2; start > 1 && len(text) > maxQuote {
		text = append([]rune("..."), text[start:]...)
		col -= start - 3
	}
	if len(text) > maxQuote {
		text = append(slices.Clone(text[:maxQuote]), []rune("...")...)
	}
	caret := make([]rune, col-1)
	for i := range caret {
		caret[i] = ' '
		if text[i] == '\t' {
			caret[i] = '\t'
		}
	}
	for i, r := range text {
		if isControl(r) {
			text[i] = utf8.RuneError
		}
	}
	return string(text) + "\n" + string(caret) + "^"
}

func isControl(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\r' && r != '\u0085' }

// validPrefix returns what comes before the first byte that is not UTF-8.
func validPrefix(line []byte) []byte {
	for i := 0; i < len(line); {
		r, n := utf8.DecodeRune(line[i:])
		if r == utf8.RuneError && n == 1 {
			return line[:i]
		}
		i += n
	}
	return line
}
