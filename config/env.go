package config

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/riffletrace/riffle/core/component"
)

// environment holds variables by name.
type environment map[string]string

func newEnvironment(environ []string) environment {
	env := environment{}
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok {
			env[name] = value
		}
	}
	return env
}

// reference is a part of a scalar that stands for something else. What looks
// like one and is not, is a mistake.
var reference = regexp.MustCompile(`\$\$|\$\{[^}]*\}?`)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// absentText stands for what a variable would hold that is not there.
const absentText = "x"

// substitute replaces ${NAME}, ${NAME:-default} and $$ in a scalar. What a
// variable holds is not looked at again; substituted tells that some stands in it, and
// missing are the variables that are not set.
func (env environment) substitute(text string) (_ string, substituted bool, missing, errs []error) {
	out := reference.ReplaceAllStringFunc(text, func(ref string) string {
		if ref == "$$" {
			return "$"
		}
		inner, closed := strings.CutSuffix(ref[len("${"):], "}")
		name, fallback, hasDefault := strings.Cut(inner, ":-")
		value, set := env[name]
		if ref = "${"; variableName.MatchString(name) && closed {
			ref += name
		}
		switch {
		case !closed:
			errs = append(errs, fmt.Errorf("%s is not closed (a $ that is meant is written $$)", ref))
		case strings.Contains(fallback, "${"):
			errs = append(errs, fmt.Errorf("%s: a default cannot hold another variable", ref))
		case !variableName.MatchString(name):
			errs = append(errs, fmt.Errorf("%s: want ${NAME} or ${NAME:-default} (a $ that is meant is written $$)", ref))
		case set && (value != "" || !hasDefault):
			substituted = substituted || value != ""
			return value
		case hasDefault:
			return fallback
		default:
			missing = append(missing, fmt.Errorf("%s is not set: set it, or write ${%s:-default}", name, name))
			return absentText
		}
		return ""
	})
	return out, substituted, missing, errs
}

// variables lists the keys that have a variable: the scalars.
func variables() []string {
	var keys []string
	fields, _ := component.FieldsOf(section{})
	for _, f := range fields {
		switch f.Schema.Kind {
		case component.Text, component.Boolean, component.Integer, component.Number:
			keys = append(keys, f.Key)
		default:
		}
	}
	return keys
}

// appTree reads the application's variables.
func (r *reader) appTree() *node {
	tree := &node{kind: mapping}
	if r.options.app == "" {
		return tree
	}
	for _, key := range variables() {
		name := r.prefix() + strings.ToUpper(key)
		tree.setText(key, name, r.env[name])
	}
	return tree
}

// setText adds the value of a variable; an empty one counts as not set.
func (n *node) setText(key, variable, text string) {
	if text = strings.TrimSpace(text); text == "" {
		return
	}
	n.set(member{key: key, pos: variable, value: &node{kind: scalar, text: text, pos: variable}})
}

// checkVariables warns about the application's variables that are not read.
func (r *reader) checkVariables() {
	if r.options.app == "" {
		return
	}
	lead := r.prefix()
	known, all := variables(), keysOf(reflect.TypeFor[section]())
	for _, name := range slices.Sorted(maps.Keys(r.env)) {
		key, ok := strings.CutPrefix(name, lead)
		if !ok {
			continue
		}
		key = strings.ToLower(key)
		near := component.Nearest(key, known)
		switch {
		case name == lead+strings.ToUpper(key) && slices.Contains(known, key):
		case slices.Contains(all, key) && !slices.Contains(known, key):
			r.warn(name, "not read: %s is set in the file, where ${NAME} stands for a variable", key)
		case near != "":
			r.warn(name, "unknown variable (did you mean %s%s?)", lead, strings.ToUpper(near))
		default:
			r.warn(name, "unknown variable")
		}
	}
}
