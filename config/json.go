package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/riffletrace/riffle/core/component"
)

// DecodeJSON returns what decodes a configuration that is JSON, as a program gets
// it that serves components to another. It is as strict as a file, and the
// mistakes have the same words. Empty data leaves the defaults.
func DecodeJSON(data []byte) (component.Decode, error) {
	root := &node{kind: mapping}
	if len(bytes.TrimSpace(data)) > 0 {
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		var err error
		if root, err = readJSON(d, 0); err == nil {
			if _, after := d.Token(); !errors.Is(after, io.EOF) {
				err = errors.New("something follows the value")
			}
		}
		if err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
	}
	return func(into any) error {
		d := decoder{hide: func(n *node) { n.hide(func(*node) {}) }}
		d.decode(root, into)
		return errors.Join(d.errs...)
	}, nil
}

// readJSON reads one value.
func readJSON(d *json.Decoder, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case nil:
		return &node{kind: null}, nil
	case bool:
		return &node{kind: scalar, text: strconv.FormatBool(t)}, nil
	case json.Number:
		return &node{kind: scalar, text: t.String()}, nil
	case string:
		return &node{kind: scalar, text: t, quoted: true}, nil
	}
	n := &node{kind: list}
	if token == json.Delim('{') {
		n.kind = mapping
	}
	for d.More() {
		var m member
		if n.kind == mapping {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			m.key, _ = key.(string)
		}
		if m.value, err = readJSON(d, depth+1); err != nil {
			return nil, err
		}
		switch {
		case n.kind == list:
			n.items = append(n.items, m.value)
		case n.member(m.key).value != nil:
			return nil, fmt.Errorf("%s is there twice", shownQuoted(m.key))
		default:
			n.members = append(n.members, m)
		}
	}
	_, err = d.Token() // the end
	return n, err
}

// appendJSON writes n as JSON. Numbers keep their form, so that "1.10" is not
// lost on somebody who wants a string.
func (n *node) appendJSON(dst []byte) []byte {
	switch n.kind {
	case list:
		dst = append(dst, '[')
		for i, item := range n.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.appendJSON(dst)
		}
		return append(dst, ']')
	case mapping:
		dst = append(dst, '{')
		for i, m := range n.members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSONString(dst, m.key)
			dst = append(dst, ':')
			dst = m.value.appendJSON(dst)
		}
		return append(dst, '}')
	case scalar:
		if b, ok := yamlBool(n.text); n.isPlain() && ok {
			return strconv.AppendBool(dst, b)
		}
		if n.isPlain() && isJSONNumber(n.text) {
			return append(dst, n.text...)
		}
		return appendJSONString(dst, n.text)
	default:
		return append(dst, "null"...)
	}
}

// isJSONNumber tells whether a plain scalar is a number in JSON too. YAML's
// other numbers, .inf and 0x1f among them, are passed on as strings.
func isJSONNumber(s string) bool {
	return s != "" && (s[0] == '-' || s[0] >= '0' && s[0] <= '9') && json.Valid([]byte(s))
}

func appendJSONString(dst []byte, s string) []byte {
	b, _ := json.Marshal(s) //nolint:errchkjson // a string has no error
	return append(dst, b...)
}
