package config

import (
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
)

// What of a configuration is shown in messages is decided here, and in
// [component.Shown]:
//
//   - the value of a key that is made for secrets: never;
//   - a value that ${NAME} put in: never, but for four characters or fewer;
//   - any other where it is the wrong one: as [component.Shown] says;
//   - what components, plugins and parsers say of values: all but what is hidden by
//     one of the rules above, or looks neither like words and small numbers nor like
//     the whole path of a file;
//   - lines that are quoted, and keys: as far as they look like words and small
//     numbers; of a line no comment, and nothing that stands behind or below a key
//     that looks like one for secrets.

// what tells the value, for a message that wants another.
func (n *node) what() string {
	switch n.kind {
	case list:
		return "a list"
	case mapping:
		return "a mapping"
	case null:
		return "an empty value"
	}
	text := n.shown()
	if n.quoted && strings.HasPrefix(text, `"`) {
		return "the string " + text
	}
	return text
}

// shown is the text of a scalar, as far as it may be shown.
func (n *node) shown() string {
	if n.hidden || n.substituted && utf8.RuneCountInString(n.text) > 4 {
		return component.Hidden(n.text)
	}
	return component.Shown(n.text)
}

// wrong tells a value where a mapping belongs, and hides its line's rest if it may
// not be shown.
func (r *reader) wrong(n *node) string {
	(&decoder{hide: r.hide}).hideWrong(n)
	return n.what()
}

func (b *builder) wrong(n *node) string {
	hide := func(n *node) { n.hide(func(n *node) { b.doc.hide(n.pos) }) }
	(&decoder{hide: hide}).hideWrong(n)
	return n.what()
}

// hide makes n, and all in it, secret. It tells f of each.
func (n *node) hide(f func(*node)) {
	n.hidden = true
	f(n)
	for _, item := range n.items {
		item.hide(f)
	}
	for _, m := range n.members {
		m.value.hide(f)
	}
}

// isSecret reports whether a type is that of secrets, or of a list or mapping of them.
func isSecret(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return isSecret(t.Elem())
	default:
		return t == reflect.TypeFor[component.Secret]()
	}
}

// holdsSecret reports whether a type has secrets in it anywhere. outer are the types
// around it.
func holdsSecret(t reflect.Type, outer []reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return holdsSecret(t.Elem(), outer)
	case reflect.Struct:
		if slices.Contains(outer, t) {
			return false
		}
		for f := range t.Fields() {
			if f.IsExported() && holdsSecret(f.Type, append(outer, t)) {
				return true
			}
		}
		return false
	default:
		return isSecret(t)
	}
}

// plainWord is a part of a text between what is no letter and no digit.
var plainWord = regexp.MustCompile(`^(?:[\p{Lu}]?[\p{Ll}\p{Lo}]{1,20}(?:\p{Lu}\p{Ll}{1,20}){0,3}[0-9]{0,2}|\p{Lu}{1,16}[0-9]{0,2}|[0-9]{1,10}|[\p{L}0-9]{1,6})$`)

var hasQuery = regexp.MustCompile(`[^\s]\?[^\s]`)

// isPath reports whether a text is the whole path of a file. Where one is wanted, it
// is the most useful thing to be told.
func isPath(text string) bool {
	return filepath.IsAbs(text) && strings.Count(filepath.ToSlash(text), "/") > 1 && !strings.ContainsAny(text, "@?=+") && filepath.Clean(text) == text
}

// isPlain reports whether a text looks like words and small numbers, and so like no
// secret: names, paths, host:port.
func isPlain(text string) bool {
	if strings.Contains(text, "@") || hasQuery.MatchString(text) {
		return false
	}
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if !plainWord.MatchString(word) {
			return false
		}
	}
	return true
}

var (
	// plainReference is what stands for a variable. Its default is looked at.
	plainReference = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*(:-|\})`)
	run            = regexp.MustCompile(`[^\s]+`)
)

// plainUntil returns up to which byte a line can be shown.
func plainUntil(line string) int {
	for _, at := range run.FindAllStringIndex(line, -1) {
		text := plainReference.ReplaceAllString(line[at[0]:at[1]], "")
		if isPlain(text) {
			continue
		}
		// Behind the last separator of keys and values that is followed by what
		// is not plain: of `{a: b` and `key=secret` it is the value.
		whole := line[at[0]:at[1]]
		cut := 0
		for i, r := range whole {
			if strings.ContainsRune("{[,=:\"'", r) && isPlain(whole[:i]) {
				cut = i + utf8.RuneLen(r)
			}
		}
		return at[0] + cut
	}
	return len(line)
}

// shownKey returns a key of a path as it may be shown.
func shownKey(key string) string {
	if utf8.RuneCountInString(key) > 64 || !isPlain(key) || mixed.MatchString(key) {
		return "a key of " + strconv.Itoa(utf8.RuneCountInString(key)) + " characters"
	}
	return key
}

// shownQuoted is a key for a message.
func shownQuoted(key string) string {
	if shown := shownKey(key); shown != key {
		return shown
	}
	return "the key " + strconv.Quote(key)
}

// mixed are letters and digits that are more than an abbreviation.
var mixed = regexp.MustCompile(`(?:[A-Za-z]{6,}[0-9]|[A-Za-z]+[0-9]+[A-Za-z]{4,})`)

// shownPath is a path whose keys may be shown.
func shownPath(path string) string {
	out := ""
	for path != "" {
		var key string
		var index int
		key, index, path = cutPath(path)
		switch shown := shownKey(key); {
		case index >= 0:
			out = indexPath(out, index)
		case shown != key:
			out += "[" + shown + "]"
		default:
			out = keyPath(out, key)
		}
	}
	return out
}

const (
	// leastOwn is how many characters in a row a message may have in common with
	// a hidden value that it is about, less one; leastOther likewise with hidden
	// values that stand elsewhere.
	leastOwn   = 5
	leastOther = 8
	// maxOwn bounds how many values a mistake is about, and maxOwnText how much of
	// one; what else may be secret of them is found with that which stands elsewhere.
	maxOwn, maxOwnText = 256, 4096
	// leastAtAll is for values that are shorter: these would be found in any word.
	leastAtAll = 4
)

// conceal takes out of a mistake what may not be shown.
func (r *reader) conceal(e *core.ConfigError) {
	if e.Err == nil {
		return
	}
	said := e.Err.Error()
	text := said
	own := map[string]bool{}
	if path := r.inSection(e.Path); path != "" && !isEntry(path) {
		for _, n := range r.nodesAt(path) {
			n.each(func(n *node) {
				switch {
				case len(own) > maxOwn || !n.hidden && isPath(n.text):
				case n.substituted && utf8.RuneCountInString(n.text) > 4:
					own[n.text[:min(len(n.text), maxOwnText)]] = true
				case n.hidden || !isPlain(n.text) || mixed.MatchString(n.text):
					text := n.private()
					own[text[:min(len(text), maxOwnText)]] = true
					r.hideLine(n)
				case strings.Contains(said, component.Hidden(n.text)): // nor does the line show it
					r.hideLine(n)
				}
			})
		}
	}
	for name, value := range r.env {
		if r.speaksFor(name) && (name == e.Position || strings.Contains(text, name)) && (!isPlain(value) || mixed.MatchString(value)) {
			own[value] = true
		}
	}
	for _, secret := range byLength(own) {
		text = without(text, secret, leastOwn)
	}
	text = r.hiddenParts().without(text)
	if text != said {
		e.Err = &concealed{text, e.Err}
	}
	e.Path = shownPath(e.Path)
}

// private is what of a text that is not plain may be secret: of a plain path with a
// query, the query. A pattern of routes can be told without it.
func (n *node) private() string {
	if path, query, ok := strings.Cut(n.text, "?"); ok && !n.hidden && !n.substituted && isPlain(path) && !mixed.MatchString(path) {
		return query
	}
	return n.text
}

// concealed is an error without what may not be shown.
type concealed struct {
	text  string
	cause error
}

func (e *concealed) Error() string { return e.text }
func (e *concealed) Unwrap() error { return e.cause }

// isEntry reports whether a path is that of an entry as a whole, about which is said
// what happened when it was built.
func isEntry(path string) bool {
	_, _, rest := cutPath(path)
	_, index, rest := cutPath(rest)
	return rest == "" && index >= 0
}

// speaksFor reports whether a variable is one that riffle reads.
func (r *reader) speaksFor(name string) bool {
	return strings.HasPrefix(name, "OTEL_") || r.options.app != "" && strings.HasPrefix(name, r.prefix())
}

// nodesAt returns what stands at a path, in any source.
func (r *reader) nodesAt(path string) []*node {
	trees := []*node{r.app, r.file, r.otel, r.otelFile}
	var found []*node
	if key, _, rest := cutPath(path); rest != "" {
		if _, i, inside := cutPath(rest); i >= 0 && i < len(r.lists[key]) {
			path, trees = inside, []*node{r.lists[key][i]}
		}
	}
	for _, tree := range trees {
		if n := tree.at(path); n != nil {
			found = append(found, n)
		}
	}
	return found
}

// at returns what stands at a path; nil if nothing does.
func (n *node) at(path string) *node {
	for n != nil && path != "" {
		var key string
		var index int
		key, index, path = cutPath(path)
		switch {
		case n.kind == list && index >= 0 && index < len(n.items):
			n = n.items[index]
		case n.kind == mapping && index < 0:
			n = n.member(key).value
		case n.kind == scalar:
			return n // a path goes on where the value was to be a mapping
		default:
			return nil
		}
	}
	return n
}

// each calls f with every scalar.
func (n *node) each(f func(*node)) {
	if n.kind == scalar {
		f(n)
	}
	for _, item := range n.items {
		item.each(f)
	}
	for _, m := range n.members {
		m.value.each(f)
	}
}

// parts are what the values anywhere are made of that may be secret: whatever of a
// message is none of them has no more than a few characters of one.
type parts struct {
	long  map[[leastOther]byte]bool
	short []string // whole values
}

// hiddenParts are known when the sources are decoded.
func (r *reader) hiddenParts() *parts {
	if r.secrets != nil {
		return r.secrets
	}
	r.secrets = &parts{long: map[[leastOther]byte]bool{}}
	short := map[string]bool{}
	add := func(value string) {
		value = withoutScheme(value)
		switch n := len(value); {
		case n < leastAtAll:
		case n < leastOther:
			short[value] = true
		default:
			for i := range n - leastOther + 1 {
				r.secrets.long[[leastOther]byte([]byte(value[i:i+leastOther]))] = true
			}
		}
	}
	scalar := func(n *node) {
		if n.hidden || !isPlain(n.text) && !isPath(n.text) {
			add(n.private())
		}
	}
	for _, tree := range []*node{r.otelFile, r.otel, r.file, r.app} {
		if tree != nil {
			tree.each(scalar)
		}
	}
	for _, entries := range r.lists {
		for _, n := range entries {
			n.each(scalar)
		}
	}
	for name, value := range r.env { // components read some themselves
		if r.speaksFor(name) && (!isPlain(value) || mixed.MatchString(value)) {
			add(value)
		}
	}
	r.secrets.short = byLength(short)
	return r.secrets
}

// without takes the parts out of a text.
func (p *parts) without(text string) string {
	for _, value := range p.short {
		text = strings.ReplaceAll(text, value, "***")
	}
	var b strings.Builder
	shown := 0 // up to where it is shown, or hidden
	for i := 0; i+leastOther <= len(text); i++ {
		if !p.long[[leastOther]byte([]byte(text[i:i+leastOther]))] {
			continue
		}
		if i > shown || b.Len() == 0 {
			b.WriteString(text[shown:max(i, shown)])
			b.WriteString("***")
		}
		shown = i + leastOther
	}
	b.WriteString(text[shown:])
	return b.String()
}

// byLength sorts texts, the longest first, so that none is taken apart by one that
// is a part of it.
func byLength(texts map[string]bool) []string {
	return slices.SortedFunc(maps.Keys(texts), func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
}

// without takes a value out of a text: the whole of it, and every part of least
// bytes or more.
func without(text, value string, least int) string {
	if value == "" {
		return text
	}
	text = strings.ReplaceAll(text, strconv.Quote(value), component.Hidden(value))
	value = withoutScheme(value)
	if least = min(least, len(value)); least < leastAtAll {
		return text
	}
	var b strings.Builder
	rest := text
	for len(rest) > 0 {
		n := common(rest, value, least)
		if n == 0 {
			_, width := utf8.DecodeRuneInString(rest)
			b.WriteString(rest[:width])
			rest = rest[width:]
			continue
		}
		if !strings.HasSuffix(b.String(), "***") {
			b.WriteString("***")
		}
		rest = rest[n:]
	}
	return b.String()
}

// withoutScheme cuts off what every URL begins with.
func withoutScheme(value string) string {
	if _, rest, ok := strings.Cut(value, "://"); ok && rest != "" {
		return rest
	}
	return value
}

// common is the length of the longest beginning of text that is in value, if it is
// least or more; else 0.
func common(text, value string, least int) int {
	if least == 0 || len(text) < least {
		return 0
	}
	n := 0
	for i := strings.Index(value, text[:least]); i >= 0; {
		m := least
		for m < len(text) && i+m < len(value) && text[m] == value[i+m] {
			m++
		}
		n = max(n, m)
		next := strings.Index(value[i+1:], text[:least])
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return n
}
