package redact

import (
	"math/bits"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/match"
)

// keyRules are the rules about an attribute of that key.
type keyRules struct {
	key    attribute.Key
	rules  ruleSet
	secret bool // the rules without keys find something in the key itself
}

// What is remembered about keys is bounded, should somebody make them up.
const (
	cacheSlots = 1 << 12
	cacheTries = 4
	maxKey     = 256 // bytes of a key that is remembered
)

// about returns what the rules are about an attribute.
func (r *Redactor) about(key attribute.Key) *keyRules {
	if len(key) > maxKey {
		return r.matching(key)
	}
	hash := hashOf(string(key))
	for i := range uint64(cacheTries) {
		slot := &r.cache[(hash+i)%cacheSlots]
		c := slot.Load()
		if c == nil {
			found := r.matching(attribute.Key(strings.Clone(string(key))))
			slot.CompareAndSwap(nil, found)
			return found
		}
		if c.key == key {
			return c
		}
	}
	return r.matching(key)
}

// hashOf looks at the length, the first bytes and the last. Keys that are alike in
// all of them take each other's places, which costs time and nothing else.
func hashOf(key string) uint64 {
	const a, b = 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f // odd, half of the bits set
	h := uint64(len(key))
	if len(key) >= 8 {
		h = (h^eight(key))*a ^ eight(key[len(key)-8:])*b
	} else {
		for i := range len(key) {
			h = (h ^ uint64(key[i])) * a
		}
	}
	return h >> 40
}

// eight returns the first eight bytes of a text that has as many: the compiler
// makes one load of them.
func eight(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// matching is about without a memory. A key that is longer than what globs search
// is one of every rule.
func (r *Redactor) matching(key attribute.Key) *keyRules {
	found := &keyRules{key: key, rules: r.free, secret: r.inText(string(key), r.free)}
	lower := strings.ToLower(string(key))
	for i, rule := range r.rules {
		if slices.ContainsFunc(rule.keys, func(g match.Glob) bool { return len(lower) > match.MaxText || g.Match(lower) }) {
			found.rules |= 1 << i
		}
	}
	return found
}

// inKey reports whether any of the rules finds anything in the key of an entry of a
// map.
func (r *Redactor) inKey(k *keyRules, rules ruleSet) bool {
	return k.secret || r.inText(string(k.key), rules&^r.free)
}

// keyOf returns what the rules leave of a key; not ok, if its attribute is dropped.
func (r *Redactor) keyOf(key attribute.Key, rules ruleSet) (left attribute.Key, ok bool) {
	p := r.partOf(string(key))
	if r.settle(&p, rules) {
		return "", false
	}
	for rules &^= r.whole; rules != 0; rules &= rules - 1 {
		i := bits.TrailingZeros64(rules)
		if places := r.find(&p, i); len(places) > 0 {
			if r.rules[i].action == Drop {
				return "", false
			}
			r.replace(&p, &r.rules[i], places)
		}
	}
	return attribute.Key(p.text()), true
}
