package redact

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"math/bits"
	"slices"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/riffletrace/riffle/core/match"
)

// Redactor takes out of spans what its rules find. Make one with
// [Config.Compile]; a nil *Redactor takes out nothing. It is safe for concurrent
// use.
type Redactor struct {
	rules []compiled
	salt  []byte

	// Sets of rules are bits.
	whole ruleSet // those that look at keys only
	free  ruleSet // those without keys
	cards ruleSet // those that also look at numbers

	// Bit i of features[b] tells that b is in the i-th of the sets of bytes that
	// rules need. possible[j][f] are the rules that can find something in a text
	// whose features 8j to 8j+7 are f.
	features [256]uint64
	possible [][256]ruleSet
	length   int // of the shortest text in which anything can be found

	// cache are the rules about keys, at the first free place after their hash.
	cache []atomic.Pointer[keyRules]

	resource atomic.Pointer[redactedResource] // the last one
}

type ruleSet = uint64

// compiled is a rule with one finder at most.
type compiled struct {
	keys   []match.Glob // none: any
	finder finder       // nil: the whole value
	action Action
	length int // of the shortest text in which it can find anything
}

// keyRules are the rules about a key.
type keyRules struct {
	key   attribute.Key
	rules ruleSet
}

type redactedResource struct{ from, to *resource.Resource }

// What is remembered about keys is bounded, should somebody make them up.
const (
	cacheSlots = 1 << 12
	cacheTries = 4
)

func (r *Redactor) prepare() {
	var sets []byteSet
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

// about returns the rules about an attribute.
func (r *Redactor) about(key attribute.Key) ruleSet {
	if len(r.rules) == bits.OnesCount64(r.free) {
		return r.free
	}
	hash := hashOf(string(key))
	for i := range uint64(cacheTries) {
		slot := &r.cache[(hash+i)%cacheSlots]
		c := slot.Load()
		if c == nil {
			c = &keyRules{attribute.Key(strings.Clone(string(key))), r.matching(key)}
			slot.CompareAndSwap(nil, c)
			return c.rules
		}
		if c.key == key {
			return c.rules
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

// matching is about without a memory.
func (r *Redactor) matching(key attribute.Key) ruleSet {
	rules := r.free
	for i, rule := range r.rules {
		if slices.ContainsFunc(rule.keys, func(g match.Glob) bool { return g.Match(string(key)) }) {
			rules |= 1 << i
		}
	}
	return rules
}

// inText reports whether any of the rules finds anything in a text.
func (r *Redactor) inText(s string, rules ruleSet) bool {
	if len(s) < r.length || rules == 0 {
		return false
	}
	features := r.featuresOf(s)
	for j := range r.possible {
		rules &= r.possible[j][byte(features>>(8*j))]
	}
	for rules &^= r.whole; rules != 0; rules &= rules - 1 {
		rule := &r.rules[bits.TrailingZeros64(rules)]
		if len(s) >= rule.length && rule.finder.in(s) {
			return true
		}
	}
	return false
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

// inValue is inText for the value of an attribute.
func (r *Redactor) inValue(v *attribute.Value, rules ruleSet) bool {
	if rules&r.whole != 0 {
		return true
	}
	switch v.Type() {
	case attribute.STRING:
		return r.inText(v.AsString(), rules)
	case attribute.INT64:
		return rules&r.cards != 0 && cardNumber(v.AsInt64())
	case attribute.STRINGSLICE:
		return slices.ContainsFunc(v.AsStringSlice(), func(s string) bool { return r.inText(s, rules) })
	case attribute.INT64SLICE:
		return rules&r.cards != 0 && slices.ContainsFunc(v.AsInt64Slice(), cardNumber)
	case attribute.SLICE:
		return slices.ContainsFunc(v.AsSlice(), func(v attribute.Value) bool { return r.inValue(&v, rules) })
	case attribute.MAP:
		return slices.ContainsFunc(v.AsMap(), func(kv attribute.KeyValue) bool {
			return r.inValue(&kv.Value, rules|r.about(kv.Key))
		})
	default:
		return false
	}
}

func (r *Redactor) inAttributes(attrs []attribute.KeyValue) bool {
	for i := range attrs {
		if r.inValue(&attrs[i].Value, r.about(attrs[i].Key)) {
			return true
		}
	}
	return false
}

// text returns what the rules leave of a text that is no attribute's.
func (r *Redactor) text(s string) string {
	for i := range r.rules {
		if rule := &r.rules[i]; r.free&(1<<i) != 0 && rule.finder.in(s) {
			s = r.replace(rule, s)
		}
	}
	return s
}

// replace applies a rule to a text in which it finds something.
func (r *Redactor) replace(rule *compiled, s string) string {
	var b strings.Builder
	from := 0
	for _, at := range rule.finder.all(s) {
		b.WriteString(s[from:at[0]])
		b.WriteString(r.instead(rule, s[at[0]:at[1]]))
		from = at[1]
	}
	b.WriteString(s[from:])
	return b.String()
}

func (r *Redactor) instead(rule *compiled, s string) string {
	switch rule.action {
	case SHA256:
		h := hmac.New(sha256.New, r.salt)
		_, _ = h.Write([]byte(s)) // a hash takes everything
		return hex.EncodeToString(h.Sum(nil))
	case Drop:
		return ""
	default:
		return masked
	}
}

// attributes returns what the rules leave of attributes.
func (r *Redactor) attributes(attrs []attribute.KeyValue) []attribute.KeyValue {
	return r.entries(attrs, 0)
}

// entries does the same for those of a map, to which also the rules about the
// map apply.
func (r *Redactor) entries(attrs []attribute.KeyValue, outer ruleSet) []attribute.KeyValue {
	left := make([]attribute.KeyValue, 0, len(attrs))
	for _, kv := range attrs {
		if rules := outer | r.about(kv.Key); r.inValue(&kv.Value, rules) {
			var ok bool
			if kv.Value, ok = r.value(kv.Value, rules); !ok {
				continue
			}
		}
		left = append(left, kv)
	}
	return left
}

// elements does the same for those of a list.
func (r *Redactor) elements(all []attribute.Value, rules ruleSet) []attribute.Value {
	left := make([]attribute.Value, 0, len(all))
	for _, v := range all {
		if v, ok := r.value(v, rules); ok {
			left = append(left, v)
		}
	}
	return left
}

// value returns what the rules leave of a value; not ok, if it is dropped.
func (r *Redactor) value(v attribute.Value, rules ruleSet) (left attribute.Value, ok bool) {
	whole := rules & r.whole
	switch t := v.Type(); {
	case t == attribute.MAP && whole == 0:
		return attribute.MapValue(r.entries(v.AsMap(), rules)...), true
	case t == attribute.SLICE && whole == 0:
		return attribute.SliceValue(r.elements(v.AsSlice(), rules)...), true
	case t == attribute.MAP, t == attribute.SLICE:
		rules &= -(whole & -whole) // what those before would find goes with the rest
	}
	for ; rules != 0; rules &= rules - 1 {
		i := bits.TrailingZeros64(rules)
		rule := &r.rules[i]
		if !r.inValue(&v, 1<<i) {
			continue
		}
		if rule.action == Drop {
			return v, false
		}
		v = r.apply(rule, v)
	}
	return v, true
}

// apply applies a rule to a value in which it finds something.
func (r *Redactor) apply(rule *compiled, v attribute.Value) attribute.Value {
	if rule.finder == nil {
		return attribute.StringValue(r.instead(rule, v.String()))
	}
	one := func(s string) string {
		if rule.finder.in(s) {
			return r.replace(rule, s)
		}
		return s
	}
	switch v.Type() {
	case attribute.STRING:
		return attribute.StringValue(one(v.AsString()))
	case attribute.STRINGSLICE:
		all := v.AsStringSlice()
		for i, s := range all {
			all[i] = one(s)
		}
		return attribute.StringSliceValue(all)
	case attribute.INT64:
		if cardNumber(v.AsInt64()) {
			return attribute.StringValue(r.instead(rule, v.String()))
		}
	case attribute.INT64SLICE:
		all := v.AsInt64Slice()
		if rule.finder == presets["credit_cards"] && slices.ContainsFunc(all, cardNumber) {
			texts := make([]string, len(all))
			for i, n := range all {
				texts[i] = one(attribute.Int64Value(n).String())
			}
			return attribute.StringSliceValue(texts)
		}
	}
	return v
}
