package redact

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/match"
)

// Config is what users set.
type Config struct {
	_     struct{}         `doc:"what must not leave the process"`
	Salt  component.Secret `yaml:"salt" doc:"key of sha256, so that nobody can try out what was hashed"`
	Rules []Rule           `yaml:"rules" doc:"what to take out, in this order"`
}

// Rule finds text and says what becomes of it.
type Rule struct {
	Keys    []string `yaml:"keys" doc:"attributes by their keys, in any case; * stands for any text, ? for one character; none: every attribute and every other text of a span"`
	Value   string   `yaml:"value" doc:"what to take out of text, a regular expression (RE2); without it and presets, all of the value"`
	Presets []string `yaml:"presets" enum:"bearer_tokens,credit_cards,emails,url_credentials" doc:"what to take out of text: emails, bearer_tokens, credit_cards or url_credentials"`
	Action  Action   `yaml:"action" doc:"mask (the default) writes *** in its place, sha256 a hash, drop nothing: it deletes attributes as a whole"`
}

// Action is what becomes of what a rule has found.
type Action string

// The actions. Where there is no attribute to drop, Drop deletes the text.
const (
	Mask   Action = "mask"
	SHA256 Action = "sha256"
	Drop   Action = "drop"
)

// ConfigSchema lists the values.
func (Action) ConfigSchema() component.Schema { return component.Enum(Mask, SHA256, Drop) }

const masked = "***"

// minSalt keeps a salt from being guessed; maxRules is what a set of rules
// holds.
const (
	minSalt  = 8
	maxRules = 64
)

// Validate finds every mistake. Its errors are [component.FieldError]s, joined.
func (c *Config) Validate() error {
	_, err := c.Compile()
	return err
}

// Compile returns the redactor for texts of which none was cut, nil if there are no
// rules. Its errors are those of Validate.
func (c *Config) Compile() (*Redactor, error) { return New(Cut{}, c) }

// New returns a redactor with the rules of several configurations, in that order,
// nil if there are none. Its errors are [component.FieldError]s, joined.
func New(cut Cut, configs ...*Config) (*Redactor, error) {
	r := &Redactor{cut: cut}
	var errs []error
	for _, c := range configs {
		rules, err := c.compile()
		r.rules = append(r.rules, rules...)
		errs = append(errs, err)
	}
	if len(r.rules) > maxRules {
		errs = append(errs, &component.FieldError{Path: "rules", Err: fmt.Errorf("%d rules, where each preset counts, are more than %d: write some as one", len(r.rules), maxRules)})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(r.rules) == 0 {
		return nil, nil
	}
	r.prepare()
	return r, nil
}

func (c *Config) compile() (rules []compiled, err error) {
	if c == nil {
		return nil, nil
	}
	var errs []error
	fail := func(path, format string, args ...any) {
		errs = append(errs, &component.FieldError{Path: path, Err: fmt.Errorf(format, args...)})
	}
	hashes := false
	for i, rule := range c.Rules {
		at := func(key string) string { return fmt.Sprintf("rules[%d].%s", i, key) }
		switch rule.Action {
		case "", Mask, Drop:
		case SHA256:
			hashes = true
		default:
			fail(at("action"), "%s is not one of %s, %s, %s", component.Shown(string(rule.Action)), Mask, SHA256, Drop)
		}
		if len(rule.Keys) == 0 && rule.Value == "" && len(rule.Presets) == 0 {
			fail(fmt.Sprintf("rules[%d]", i), "want one or more of keys, value, presets")
		}
		base := compiled{action: rule.Action, salt: []byte(c.Salt)}
		for j, k := range rule.Keys {
			if k == "" {
				fail(fmt.Sprintf("rules[%d].keys[%d]", i, j), "an empty key matches nothing")
			}
			base.keys = append(base.keys, match.Glob(strings.ToLower(k)))
		}
		var finders []finder
		for j, name := range rule.Presets {
			f, ok := presets[name]
			if !ok {
				fail(fmt.Sprintf("rules[%d].presets[%d]", i, j), "%s is not one of %s", component.Shown(name), strings.Join(presetNames, ", "))
				continue
			}
			finders = append(finders, f)
		}
		if rule.Value != "" {
			f, err := newPattern(rule.Value)
			if err != nil {
				fail(at("value"), "%w", err)
			} else {
				finders = append(finders, f)
			}
		}
		if len(finders) == 0 && len(rule.Keys) > 0 {
			finders = []finder{nil}
		}
		for _, f := range finders {
			rule := base
			rule.finder = f
			rules = append(rules, rule)
		}
	}
	if hashes && len(c.Salt) < minSalt {
		fail("salt", "sha256 needs one of %d characters or more: without it, everybody can find out what was hashed by trying", minSalt)
	}
	return rules, errors.Join(errs...)
}

// newPattern compiles a regular expression that users wrote.
func newPattern(expr string) (finder, error) {
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("a regular expression of RE2: %w", err)
	}
	if re.MatchString("") {
		return nil, errors.New("it matches where there is nothing")
	}
	needs, err := needsOf(expr)
	return &pattern{re, prefix(expr), needs}, err
}

var presetNames = func() []string {
	names := make([]string, 0, len(presets))
	for name := range presets {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}()
