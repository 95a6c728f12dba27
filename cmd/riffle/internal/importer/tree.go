package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// Bounds of what is read.
const (
	maxNodes = 200_000 // with every alias in full
	maxDepth = 100
)

// object is a mapping. Values are nil, bool, int64, float64, string, []any and *object.
type object struct {
	keys   []string
	values map[string]any
	read   map[string]bool // keys that were looked at
}

func (o *object) get(key string) any {
	if o == nil {
		return nil
	}
	o.look(key)
	return o.values[key]
}

func (o *object) look(key string) {
	if o.read == nil {
		o.read = map[string]bool{}
	}
	o.read[key] = true
}

// unread are the keys that nobody has looked at.
func (o *object) unread() (keys []string) {
	for _, key := range o.names() {
		if !o.read[key] {
			keys = append(keys, key)
		}
	}
	return keys
}

func (o *object) has(key string) bool {
	if o == nil {
		return false
	}
	_, ok := o.values[key]
	return ok
}

// names are its keys, in their order.
func (o *object) names() []string {
	if o == nil {
		return nil
	}
	return o.keys
}

func (o *object) set(key string, v any) {
	if _, ok := o.values[key]; !ok {
		o.keys = append(o.keys, key)
	}
	o.values[key] = v
}

func (o *object) object(key string) *object {
	v, _ := o.get(key).(*object)
	return v
}

// list is the value of a key as a list: what is none is a list of one.
func (o *object) list(key string) []any {
	switch v := o.get(key).(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

func (o *object) text(key string) string { return text(o.get(key)) }

// texts are the elements of a list, as text.
func (o *object) texts(key string) []string {
	var all []string
	for _, v := range o.list(key) {
		all = append(all, text(v))
	}
	return all
}

// number is the value of a key; ok tells that it is one, or absent.
func (o *object) number(key string) (n float64, ok bool) {
	switch v := o.get(key).(type) {
	case nil:
		return 0, true
	case int64:
		return float64(v), true
	case float64:
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	case string:
		n, err := strconv.ParseFloat(strings.ReplaceAll(strings.TrimSpace(v), "_", ""), 64)
		return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
	default:
		return 0, false
	}
}

// is reports whether a key is set to true.
func (o *object) is(key string) bool {
	switch v := o.get(key).(type) {
	case bool:
		return v
	case string:
		b, _ := strconv.ParseBool(v)
		return b
	default:
		return false
	}
}

// text is a scalar as text; of anything else it is "".
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		if math.Abs(v) >= 1e-6 && math.Abs(v) < 1e15 {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	default:
		return ""
	}
}

var errTooLarge = errors.New("the file is too large, or its aliases are")

// documents reads YAML, or JSON.
func documents(data []byte) ([]any, error) {
	d, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		return nil, err
	}
	r := reader{left: maxNodes}
	var all []any
	for {
		var n yaml.Node
		err := d.Load(&n)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the file as YAML: %s", oneLine(err.Error()))
		}
		v, err := r.value(&n, 0)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
}

// reader counts what it reads, since aliases can make a document endless.
type reader struct{ left int }

func (r *reader) value(n *yaml.Node, depth int) (any, error) {
	if r.left--; r.left < 0 || depth > maxDepth {
		return nil, errTooLarge
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 0 {
			return nil, nil
		}
		return r.value(n.Content[0], depth+1)
	case yaml.AliasNode:
		return r.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			v, err := r.value(item, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.MappingNode:
		return r.object(n, depth)
	case yaml.ScalarNode:
		return scalar(n), nil
	}
	return nil, nil
}

func (r *reader) object(n *yaml.Node, depth int) (*object, error) {
	o := &object{values: map[string]any{}}
	var merged []any
	for i := 0; i+1 < len(n.Content); i += 2 {
		v, err := r.value(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		if n.Content[i].ShortTag() == "!!merge" {
			merged = append(merged, v)
			continue
		}
		o.set(n.Content[i].Value, v)
	}
	for _, m := range merged {
		list, ok := m.([]any)
		if !ok {
			list = []any{m}
		}
		for _, m := range list {
			from, _ := m.(*object)
			for _, key := range from.names() {
				if !o.has(key) {
					o.set(key, from.get(key))
				}
			}
		}
	}
	return o, nil
}

func scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		switch strings.ToLower(n.Value) {
		case "true":
			return true
		case "false":
			return false
		}
	case "!!int":
		if i, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 0, 64); err == nil {
			return i
		}
		fallthrough
	case "!!float":
		if f, err := strconv.ParseFloat(strings.ReplaceAll(n.Value, "_", ""), 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f
		}
	}
	return n.Value
}
