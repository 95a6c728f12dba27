package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/riffletrace/riffle/core/component"
)

// DefaultSection is where a file has the section, unless [Section] says otherwise.
const DefaultSection = "observability.tracing"

// Section reads the section at path, keys joined by dots: "tracing" stands at the top
// of a file. Paths in errors begin with it, and so do, behind the application's name,
// variables: those of fluxbase are FLUXBASE_TRACING_*. An empty path makes the whole
// document the section, for a file that holds nothing else; its variables are
// FLUXBASE_TRACING_* too. What [CheckSection] refuses is an error of [Load], [Parse]
// and [FromEnv].
func Section(path string) Option { return func(o *options) { o.section = path } }

// wholeDocument is what variables call a section without a path.
const wholeDocument = "tracing"

// CheckSection tells what is wrong with the path of a section.
func CheckSection(path string) error {
	for _, name := range names(path) {
		switch {
		case name == "":
			return errors.New(component.Shown(path) + " is not the path of a section: there is nothing before, after or between its dots")
		case strings.ContainsFunc(name, func(r rune) bool { return r != '-' && !isWordRune(r) }):
			return fmt.Errorf("%s is not the path of a section: want names of letters, digits, - and _, joined by dots, such as %s", component.Shown(path), DefaultSection)
		}
	}
	return nil
}

func isWordRune(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

// names are the keys that lead to a section.
func names(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(path, ".")
}

// inSection is a path without that of the section.
func (o *options) inSection(path string) string {
	if o.section == "" {
		return path
	}
	rest, ok := strings.CutPrefix(path, o.section)
	if !ok {
		return path
	}
	return strings.TrimPrefix(rest, ".")
}

// prefix leads the names of the application's variables.
func (o *options) prefix() string {
	path := o.section
	if path == "" {
		path = wholeDocument
	}
	return variable(o.app) + "_" + variable(path) + "_"
}

// variable is a text as variables have it in their names.
func variable(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(text))
}
