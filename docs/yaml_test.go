package docs

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// valueOf is a YAML document as an editor gives it to a JSON Schema: with the types of
// YAML 1.2's core schema. ok tells that it is YAML, and
// of a size to be looked at.
// Source: https://yaml.org/spec/1.2.2/#103-core-schema
func valueOf(tb testing.TB, text string) (value any, ok bool) {
	tb.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil || len(doc.Content) == 0 {
		return nil, false
	}
	left := 10_000
	value = nodeValue(doc.Content[0], &left)
	return value, left > 0
}

// nodeValue takes from left, since aliases can make a document endless.
func nodeValue(n *yaml.Node, left *int) any {
	if *left--; *left <= 0 {
		return nil
	}
	switch n.Kind {
	case yaml.AliasNode:
		return nodeValue(n.Alias, left)
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			list = append(list, nodeValue(item, left))
		}
		return list
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Tag != "!!merge" {
				object[n.Content[i].Value] = nodeValue(n.Content[i+1], left)
				continue
			}
			merged, _ := nodeValue(n.Content[i+1], left).(map[string]any)
			for key, v := range merged {
				if _, own := object[key]; !own {
					object[key] = v
				}
			}
		}
		return object
	}
	const quotes = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	if tagged := n.Style&yaml.TaggedStyle != 0; tagged && n.ShortTag() == "!!str" || !tagged && n.Style&quotes != 0 {
		return n.Value
	}
	return plainValue(n.Value)
}

func plainValue(s string) any {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return nil
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	case ".nan", ".NaN", ".NAN":
		return math.NaN()
	}
	if i, err := strconv.ParseInt(s, 0, 64); err == nil && !strings.ContainsAny(s, "_bB") {
		return float64(i)
	}
	if strings.Trim(s, "0123456789.eE+-") == "" {
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return f
		}
	}
	return s
}
