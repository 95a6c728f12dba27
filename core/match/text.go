package match

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// String is the match as one writes it in a configuration, on one line:
// "{attributes: {tenant: gold}}".
func (c Config) String() string {
	var parts []string
	add := func(key string, value any) { parts = append(parts, key+": "+flow(value)) }
	if len(c.Attributes) > 0 {
		add("attributes", c.Attributes)
	}
	if c.Name != "" {
		add("name", c.Name)
	}
	if c.Kind != nil {
		add("kind", c.Kind)
	}
	if c.Route != nil {
		add("route", c.Route)
	}
	if len(c.All) > 0 {
		add("all", c.All)
	}
	if len(c.Any) > 0 {
		add("any", c.Any)
	}
	if c.Not != nil {
		add("not", *c.Not)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// plainText is what needs no quotes in YAML's flow style, whatever comes after it.
var plainText = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./ -]*$`)

// notText are words that YAML takes for something else.
var notText = []string{"true", "false", "null", "yes", "no", "on", "off"}

// flow is a value in YAML's flow style.
func flow(x any) string {
	switch x := x.(type) {
	case string:
		if plainText.MatchString(x) && !strings.HasSuffix(x, " ") && !slices.Contains(notText, strings.ToLower(x)) {
			return x
		}
		return strconv.Quote(x)
	case map[string]any:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(x)) {
			parts = append(parts, flow(key)+": "+flow(x[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		return list(x)
	case []string:
		return list(x)
	case []Config:
		return list(x)
	default:
		return fmt.Sprint(x)
	}
}

func list[T any](all []T) string {
	parts := make([]string, len(all))
	for i, x := range all {
		parts[i] = flow(x)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
