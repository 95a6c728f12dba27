package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
)

type kind uint8

const (
	null kind = iota
	scalar
	list
	mapping
	// broken stands where a mistake has been reported already.
	broken
)

// node is a value with the place it came from.
type node struct {
	kind   kind
	pos    string // "fluxbase.yaml:12:9", or the name of a variable
	text   string // of a scalar
	quoted bool   // a scalar that can be nothing but a string
	// substituted tells of a scalar that a variable stands in it, hidden that it
	// may be a secret.
	substituted, hidden bool
	// path is where it stands in an OpenTelemetry file; "" elsewhere.
	path string
	// absent tells of a scalar that a variable in it is not set, and that this is to be
	// taken as if it were. raw is how a scalar with variables in it was written.
	absent bool
	raw    string

	items   []*node
	members []member
}

type member struct {
	key   string
	from  string // the key it had in the short form, if it had another
	pos   string // of the key
	value *node
}

func (n *node) member(key string) member {
	if n == nil {
		return member{}
	}
	for _, m := range n.members {
		if m.key == key {
			return m
		}
	}
	return member{}
}

// has reports whether the mapping sets the key.
func (n *node) has(key string) bool {
	if n == nil {
		return false
	}
	m := n.member(key)
	return m.value != nil && m.value.kind != null
}

// entries are the items of a list in the mapping; nil if there is none.
func (n *node) entries(key string) []*node {
	if m := n.member(key); m.value != nil && m.value.kind == list {
		return append([]*node{}, m.value.items...)
	}
	return nil
}

// set adds a member, in place of one with its key.
func (n *node) set(m member) {
	for i := range n.members {
		if n.members[i].key == m.key {
			n.members[i] = m
			return
		}
	}
	n.members = append(n.members, m)
}

// without returns a copy of the mapping without a member.
func (n *node) without(key string) *node {
	c := *n
	c.members = slices.DeleteFunc(slices.Clone(n.members), func(m member) bool { return m.key == key })
	return &c
}

// with returns a copy of the mapping with other members.
func (n *node) with(members ...member) *node {
	c := *n
	c.members = slices.Clone(n.members)
	for _, m := range members {
		c.set(m)
	}
	return &c
}

// locate tells where a path stands: where its key is, or its item. What is
// not there stands where the nearest thing around it does.
func (n *node) locate(path string) string {
	pos, _ := n.find(path)
	return pos
}

func (n *node) find(path string) (pos string, ok bool) {
	if n == nil {
		return "", false
	}
	pos = n.pos
	for path != "" {
		var key string
		var index int
		key, index, path = cutPath(path)
		switch {
		case n.kind == list && index >= 0 && index < len(n.items):
			n = n.items[index]
			pos = n.pos
		case n.kind == mapping && index < 0:
			m := n.member(key)
			if m.value == nil {
				return pos, false
			}
			n, pos = m.value, m.pos
		default:
			return pos, false
		}
	}
	return pos, true
}

// cutPath takes the first step from a path: a key, or an index, which is -1
// for a key.
func cutPath(path string) (key string, index int, rest string) {
	if in, ok := strings.CutPrefix(path, "["); ok {
		if q, err := strconv.QuotedPrefix(in); err == nil {
			key, _ = strconv.Unquote(q)
			rest = strings.TrimPrefix(in[len(q):], "]")
			return key, -1, strings.TrimPrefix(rest, ".")
		}
		number, rest, _ := strings.Cut(in, "]")
		index, err := strconv.Atoi(number)
		if err != nil {
			return number, -1, ""
		}
		return "", index, strings.TrimPrefix(rest, ".")
	}
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		return path, -1, ""
	}
	return path[:end], -1, strings.TrimPrefix(path[end:], ".")
}

// keyPath adds a key to a path; one that is no identifier in brackets.
func keyPath(base, key string) string {
	name := strings.TrimSuffix(key, experimental)
	plain := name != "" && strings.IndexFunc(name, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) < 0
	if plain {
		return component.JoinPath(base, key)
	}
	return base + "[" + strconv.Quote(key) + "]"
}

func indexPath(base string, i int) string { return base + "[" + strconv.Itoa(i) + "]" }

// maxAliased bounds how many values the aliases of a file expand to.
const maxAliased = 10_000

// builder turns parsed YAML into a tree: aliases and merge keys are expanded,
// variables substituted, duplicate keys found.
type builder struct {
	doc *document
	// substitute replaces what stands for variables in a scalar; missing are those that
	// are not set.
	substitute     func(text string) (_ string, substituted bool, missing, errs []error)
	otel           bool   // the file is OpenTelemetry's: its nodes know their paths
	path           string // of the section
	absent         bool   // variables that are not set are taken as if they were
	errs, warnings core.ConfigErrors

	open    map[*yaml.Node]bool // anchors around the node that is being built
	inside  int                 // aliases around it
	aliased int                 // nodes built inside aliases
}

func (b *builder) fail(y *yaml.Node, path, format string, args ...any) *node {
	if len(b.errs) <= maxMistakes {
		b.errs = append(b.errs, &core.ConfigError{Position: b.doc.at(y), Path: path, Err: fmt.Errorf(format, args...)})
	}
	n := &node{kind: broken, pos: b.doc.at(y)}
	if b.otel {
		n.path = path
	}
	return n
}

// section returns the tree of the section, nil if the file has none.
func (b *builder) section() *node {
	y, path := b.doc.root, ""
	for _, key := range names(b.path) {
		if y = target(y); y.Kind != yaml.MappingNode {
			if y.Tag != "!!null" {
				b.fail(y, path, "want a mapping, not %s", b.wrong(b.node(y, path)))
			} else {
				b.nothingRead()
			}
			return nil
		}
		path = component.JoinPath(path, key)
		child := b.child(y, key, path)
		if child == nil {
			b.nothingRead()
			return nil
		}
		y = child
	}
	n := b.node(y, path)
	switch n.kind {
	case mapping:
		if len(n.members) == 0 && len(b.errs) == 0 {
			b.nothingRead()
		}
		return n
	case null:
		b.nothingRead()
	case broken:
	default:
		b.fail(y, path, "want a mapping, not %s", b.wrong(n))
	}
	return nil
}

// child returns the value of a key on the way to the section.
func (b *builder) child(y *yaml.Node, key, path string) *yaml.Node {
	var first, value *yaml.Node
	var merged []*yaml.Node
	for i := 0; i+1 < len(y.Content); i += 2 {
		switch k := y.Content[i]; {
		case k.Tag == mergeTag:
			merged = append(merged, y.Content[i+1])
		case k.Value != key:
		case first != nil:
			b.fail(k, path, "duplicate key (it is in line %d already)", first.Line)
			b.doc.hide(b.doc.at(y.Content[i+1]))
		default:
			first, value = k, y.Content[i+1]
		}
	}
	for _, m := range merged {
		if m = target(m); value == nil && m.Kind == yaml.MappingNode && m != y {
			for i := 0; i+1 < len(m.Content); i += 2 {
				if m.Content[i].Value == key {
					value = m.Content[i+1]
				}
			}
		}
	}
	return value
}

const mergeTag = "!!merge"

// unsupportedTag does not name the tag: an unquoted secret that begins with ! is one.
const unsupportedTag = "the tag is not supported (a value that begins with ! needs quotes)"

// target follows aliases; the parser makes no cycles of them alone.
func target(y *yaml.Node) *yaml.Node {
	if y.Kind == yaml.AliasNode {
		return y.Alias
	}
	return y
}

// node builds the tree of y, which stands at path.
func (b *builder) node(y *yaml.Node, path string) *node {
	n := &node{kind: broken, pos: b.doc.at(y)}
	if b.otel {
		n.path = path
	}
	if b.inside > 0 {
		if b.aliased++; b.aliased > maxAliased {
			return n
		}
	}
	if y.Anchor != "" && y.Kind != yaml.AliasNode {
		if b.open == nil {
			b.open = map[*yaml.Node]bool{}
		}
		b.open[y] = true
		defer delete(b.open, y)
	}
	tag := y.ShortTag()
	switch {
	case y.Kind == yaml.AliasNode:
		return b.alias(n, y, path)
	case y.Kind == yaml.ScalarNode:
		return b.scalar(n, y, path)
	case y.Style&yaml.TaggedStyle != 0 && tag != "!!seq" && tag != "!!map":
		return b.fail(y, path, unsupportedTag)
	case y.Kind == yaml.MappingNode:
		n.kind = mapping
		b.mapping(n, y, path)
	default:
		n.kind = list
		for i, item := range y.Content {
			n.items = append(n.items, b.node(item, indexPath(path, i)))
		}
	}
	return n
}

func (b *builder) alias(n *node, y *yaml.Node, path string) *node {
	if b.open[y.Alias] {
		return b.fail(y, path, "the alias stands inside of what it names")
	}
	within := b.aliased <= maxAliased
	b.inside++
	expanded := *b.node(y.Alias, path)
	b.inside--
	expanded.pos = n.pos
	if b.aliased > maxAliased {
		if within && b.inside == 0 {
			return b.fail(y, path, "aliases expand to more than %d values", maxAliased)
		}
		return n
	}
	return &expanded
}

func (b *builder) mapping(n *node, y *yaml.Node, path string) {
	lines := map[string]int{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		switch {
		case k.Tag == mergeTag:
			merges = append(merges, v)
			continue
		case target(k).Kind != yaml.ScalarNode:
			b.fail(k, path, "a key must be a plain word")
			continue
		}
		key := target(k).Value
		at := component.JoinPath(path, shownPath(keyPath("", key)))
		if line, ok := lines[key]; ok {
			b.fail(k, at, "duplicate key (it is in line %d already)", line)
			b.doc.hide(b.doc.at(v)) // nobody asks whether it is a secret
			continue
		}
		lines[key] = k.Line
		n.members = append(n.members, member{key: key, pos: b.doc.at(k), value: b.node(v, at)})
	}
	for _, v := range merges {
		sources := []*node{b.node(v, path)}
		if sources[0].kind == list {
			sources = sources[0].items
		}
		for _, s := range sources {
			if s.kind != mapping && s.kind != broken {
				s.hide(func(n *node) { b.doc.hide(n.pos) }) // the mapping around it may be one of secrets
				b.fail(v, path, "<< wants a mapping, not %s", s.what())
			}
			for _, m := range s.members {
				if _, ok := lines[m.key]; !ok {
					lines[m.key] = v.Line
					n.members = append(n.members, m)
				}
			}
		}
	}
}

func (b *builder) scalar(n *node, y *yaml.Node, path string) *node {
	n.kind = scalar
	const quotes = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	n.quoted = y.Style&quotes != 0
	if y.Style&yaml.TaggedStyle != 0 {
		switch y.ShortTag() {
		case "!!str":
			n.quoted = true
		case "!!bool", "!!int", "!!float", "!!null":
			n.quoted = false
		default:
			return b.fail(y, path, unsupportedTag)
		}
	}
	text, substituted, missing, errs := b.substitute(y.Value)
	if b.absent {
		n.absent = len(missing) > 0
	} else {
		errs = append(errs, missing...)
	}
	for _, err := range errs {
		b.fail(y, path, "%w", err)
	}
	if len(errs) > 0 {
		n.kind = broken
		return n
	}
	n.text, n.substituted = text, substituted
	if plainReference.MatchString(y.Value) {
		n.raw = y.Value
	}
	if !n.quoted && slices.Contains([]string{"", "~", "null", "Null", "NULL"}, n.text) {
		n.kind = null
	}
	return n
}

func newError(position, format string, args ...any) *core.ConfigError {
	return &core.ConfigError{Position: position, Err: fmt.Errorf(format, args...)}
}
