package importer

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// fields is a mapping that is written, in its order. Values are bool, int64, float64,
// string, [variable], []any and fields.
type fields []field

type field struct {
	key   string
	value any
}

func (f fields) get(key string) any {
	for _, x := range f {
		if x.key == key {
			return x.value
		}
	}
	return nil
}

// with returns the mapping with one key more.
func (f fields) with(key string, value any) fields {
	return append(slices.Clip(f), field{key, value})
}

// variable is a value in which ${NAME} stands for a variable.
type variable string

// oneLine is text of a file as a part of a comment or a name: without control
// characters, and of a length that can be read.
func oneLine(s string) string {
	const most = 500
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "?") {
		if !unicode.IsGraphic(r) || r == '\ufeff' {
			r = ' '
		}
		b.WriteRune(r)
		if b.Len() > most {
			b.WriteString("...")
			break
		}
	}
	return strings.TrimSpace(b.String())
}

// write returns the file.
func (c *config) write() ([]byte, error) {
	c.fold()
	if note := c.olderNames(); note != "" {
		c.note("%s", note)
	}
	var b bytes.Buffer
	comments(&b, "", append([]string{"Made by riffle import from " + oneLine(c.options.File) + "."}, unique(c.notes)...))
	indent := ""
	for key := range strings.SplitSeq(c.options.Section, ".") {
		if key == "" {
			continue
		}
		fmt.Fprintf(&b, "%s%s:\n", indent, key)
		indent += "  "
	}
	if err := block(&b, indent, append(fields{{"enabled", !c.off}}, c.keys...)); err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, "%ssamplers:\n", indent)
	for _, e := range c.samplers {
		if err := e.write(&b, indent); err != nil {
			return nil, err
		}
	}
	if !c.complete {
		if err := c.lastEntry().write(&b, indent); err != nil {
			return nil, err
		}
	}
	if len(c.budget) > 0 {
		if err := block(&b, indent, fields{{"budget", c.budget}}); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// lastEntry is the baseline.
func (c *config) lastEntry() entry {
	e := entry{keys: fields{{"type", "ratio"}, {"rate", c.baseline}}}
	switch {
	case len(c.baselines) > 0:
		e.notes = []string{"baseline: " + strings.Join(c.baselines, ", ")}
	case c.baseline == 0:
		e.notes = []string{"nothing else is kept"}
	}
	return e
}

func (e entry) write(b *bytes.Buffer, indent string) error {
	comments(b, indent+"  ", unique(e.notes))
	if e.keys == nil {
		return nil
	}
	var item bytes.Buffer
	if err := block(&item, "", e.keys); err != nil {
		return err
	}
	lead := indent + "  - "
	for line := range strings.Lines(item.String()) {
		b.WriteString(lead + line)
		lead = indent + "    "
	}
	return nil
}

// comments writes lines, broken so that they can be read.
func comments(b *bytes.Buffer, indent string, lines []string) {
	for _, line := range lines {
		first := true
		var out string
		for word := range strings.FieldsSeq(oneLine(line)) {
			if out != "" && len(out)+1+len(word) > 96 {
				fmt.Fprintf(b, "%s# %s\n", indent, out)
				out = ""
			}
			switch {
			case out != "":
				out += " " + word
			case first:
				out = word
			default:
				out = "  " + word
			}
			first = false
		}
		if out != "" {
			fmt.Fprintf(b, "%s# %s\n", indent, out)
		}
	}
}

// block writes a mapping in block style; what is short within it is on one line.
func block(b *bytes.Buffer, indent string, f fields) error {
	n := nodeOf(short(f).(fields))
	n.Style = 0
	for _, child := range n.Content {
		unfold(child)
	}
	var text bytes.Buffer
	d, err := yaml.NewDumper(&text, yaml.WithIndent(2), yaml.WithLineWidth(-1))
	if err != nil {
		return err
	}
	if err := d.Dump(n); err != nil {
		return err
	}
	if err := d.Close(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		b.WriteString(indent + line)
	}
	return nil
}

// short writes attributes with a dot in their keys without the key attributes.
func short(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = short(x)
		}
		return out
	case fields:
		var out, rest fields
		for _, f := range v {
			inner, ok := f.value.(fields)
			if !ok || f.key != "attributes" {
				out = append(out, field{f.key, short(f.value)})
				continue
			}
			for _, a := range inner {
				if strings.Contains(a.key, ".") {
					out = append(out, a)
				} else {
					rest = append(rest, a)
				}
			}
			if len(rest) > 0 {
				out = append(out, field{f.key, rest})
			}
		}
		return out
	}
	return v
}

// unfold takes the flow style from what is too long for one line.
func unfold(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode || length(n) <= 80 {
		return
	}
	n.Style = 0
	for _, child := range n.Content {
		unfold(child)
	}
}

// length is about how long a node is on one line.
func length(n *yaml.Node) int {
	sum := len(n.Value) + 2
	for _, child := range n.Content {
		sum += length(child)
	}
	return sum
}

func nodeOf(v any) *yaml.Node {
	switch v := v.(type) {
	case fields:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: yaml.FlowStyle}
		for _, f := range v {
			n.Content = append(n.Content, stringNode(f.key), nodeOf(f.value))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
		for _, item := range v {
			n.Content = append(n.Content, nodeOf(item))
		}
		return n
	case variable:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: string(v), Style: yaml.DoubleQuotedStyle}
	case string:
		v = strings.ReplaceAll(v, "$$", "$$$$")
		return stringNode(strings.ReplaceAll(v, "${", "$${"))
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: fmt.Sprintf("%.0f", v)}
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: text(v)}
	default:
		n := &yaml.Node{}
		_ = n.Encode(v) // int64 and bool: it cannot fail
		return n
	}
}

// stringNode is quoted where it has to be, and where it looks like something else.
func stringNode(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.ToValidUTF8(s, "\ufffd")}
	if !plain(s) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

var (
	plainText     = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*$`)
	plainDuration = regexp.MustCompile(`^(?:[0-9]+(?:\.[0-9]+)?(?:h|m|s|ms|µs|ns))+$`)
)

// plain reports whether a text needs no quotes. What looks like a value of another type
// is quoted by the encoder, but for what only older versions of YAML take for one.
func plain(s string) bool {
	return !strings.EqualFold(s, "y") && !strings.EqualFold(s, "n") && (plainText.MatchString(s) || plainDuration.MatchString(s))
}
