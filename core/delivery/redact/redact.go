package redact

import (
	"math"
	"math/bits"
	"slices"
	"sync/atomic"

	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/riffletrace/riffle/core/match"
)

// Redactor takes out of spans what its rules find. Make one with
// [Config.Compile]; a nil *Redactor takes out nothing. It is safe for concurrent
// use.
type Redactor struct {
	rules []compiled
	cut   Cut

	// Sets of rules are bits.
	whole ruleSet // those that look at keys only
	free  ruleSet // those without keys
	cards ruleSet // those that also look at numbers

	// Bit i of features[b] tells that b is in the i-th of the sets of bytes that
	// rules need. possible[j][f] are the rules that can find something in a text
	// whose features 8j to 8j+7 are f.
	features [256]uint64
	possible [][256]ruleSet
	length   int    // of the shortest text in which anything can be found
	encoded  uint64 // the features of what percent-encoding is written with

	// cache are the rules about keys, at the first free place after their hash.
	cache []atomic.Pointer[keyRules]

	resource atomic.Pointer[redactedResource] // the last one
}

type ruleSet = uint64

// compiled is a rule with one finder at most.
type compiled struct {
	keys   []match.Glob // in lower case; none: any
	finder finder       // nil: the whole value
	action Action
	salt   []byte
	length int // of the shortest text in which it can find anything
}

type redactedResource struct{ from, to *resource.Resource }

func (r *Redactor) prepare() {
	sets := []byteSet{setOf("%+")}
	r.encoded = 1
	needs := make([]uint64, len(r.rules)) // features
	r.length = math.MaxInt
	for i := range r.rules {
		rule, bit := &r.rules[i], ruleSet(1)<<i
		if len(rule.keys) == 0 {
			r.free |= bit
		}
		if rule.finder == nil {
			r.whole |= bit
			continue
		}
		if rule.finder == presets["credit_cards"] {
			r.cards |= bit
		}
		n := rule.finder.wants()
		rule.length = n.length
		r.length = min(r.length, n.length)
		for _, set := range n.bytes {
			j := slices.Index(sets, set)
			if j < 0 && len(sets) < 64 {
				j = len(sets)
				sets = append(sets, set)
			}
			if j >= 0 {
				needs[i] |= 1 << j
			}
		}
	}
	for j, set := range sets {
		for b, in := range set {
			if in {
				r.features[b] |= 1 << j
			}
		}
	}
	r.possible = make([][256]ruleSet, (len(sets)+7)/8)
	for j := range r.possible {
		for f := range r.possible[j] {
			for i, n := range needs {
				if byte(n>>(8*j))&^byte(f) == 0 {
					r.possible[j][f] |= 1 << i
				}
			}
		}
	}
	r.cache = make([]atomic.Pointer[keyRules], cacheSlots)
}

// inText reports whether any of the rules finds anything in a text, or may, if the
// text was cut.
func (r *Redactor) inText(s string, rules ruleSet) bool {
	if rules &^= r.whole; rules == 0 || s == "" {
		return false
	}
	if r.cut.may(s) {
		if body, _, cut := r.cut.split(s); cut {
			return body != "" // to look for what may go on costs as much as to take it out
		}
	}
	if len(s) < r.length {
		return false
	}
	features := r.featuresOf(s)
	return r.inForm(s, features, rules) || features&r.encoded != 0 && r.inEncoded(s, features, rules)
}

// inForm reports whether any of the rules finds anything in a text as it stands.
func (r *Redactor) inForm(s string, features uint64, rules ruleSet) bool {
	for rules = r.possibleIn(features, rules); rules != 0; rules &= rules - 1 {
		rule := &r.rules[bits.TrailingZeros64(rules)]
		if len(s) >= rule.length && rule.finder.in(s) {
			return true
		}
	}
	return false
}

// possibleIn returns those of the rules that can find something in a text with
// such features.
func (r *Redactor) possibleIn(features uint64, rules ruleSet) ruleSet {
	for j := range r.possible {
		rules &= r.possible[j][byte(features>>(8*j))]
	}
	return rules
}

// inEncoded reports whether any of the rules finds anything in what a text says
// that is, or could be, percent-encoded.
func (r *Redactor) inEncoded(s string, features uint64, rules ruleSet) bool {
	rules = r.possibleIn(r.widened(s, features), rules)
	if rules&r.cards != 0 && !hasDigits(s, minCard) { // an encoded digit is written with one
		rules &^= r.cards
	}
	if rules == 0 {
		return false
	}
	for _, f := range formsOf(s, false)[1:] {
		if r.inForm(f.text, r.featuresOf(f.text), rules) {
			return true
		}
	}
	return false
}

// widened returns the features that any form of a text can have.
func (r *Redactor) widened(s string, features uint64) uint64 {
	features |= r.features[' '] // for +
	whole, left := false, false
	for i := range len(s) {
		b, ok := escaped(s, i)
		switch {
		case ok && b == '%': // encoded twice
			return math.MaxUint64
		case ok:
			features |= r.features[b]
			whole = true
		case s[i] == '%':
			left = true
		}
	}
	if whole && left { // it may be the first of an escape when the others are decoded
		return math.MaxUint64
	}
	return features
}

// featuresOf tells which of the sets have a byte in a text. It is most of what a
// span costs, hence four bytes at a time.
func (r *Redactor) featuresOf(s string) uint64 {
	var a, b, c, d uint64
	f := &r.features
	for len(s) >= 4 {
		a |= f[s[0]]
		b |= f[s[1]]
		c |= f[s[2]]
		d |= f[s[3]]
		s = s[4:]
	}
	for i := range len(s) {
		a |= f[s[i]]
	}
	return a | b | c | d
}
