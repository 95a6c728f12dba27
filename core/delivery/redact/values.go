package redact

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// part is a text while rules apply to it in turn.
type part struct {
	body string
	end  string // what stands behind it, and is settled
	cut  bool

	// Of body: its forms, and the rules that can find something in one of them.
	forms    []form
	possible ruleSet
}

func (r *Redactor) partOf(s string) part {
	body, marker, cut := r.cut.split(s)
	p := part{end: marker, cut: cut}
	r.set(&p, body)
	return p
}

// numberOf returns the part of a number, at which only rules about numbers look. No
// number is cut.
func (r *Redactor) numberOf(s string) (p part) {
	r.set(&p, s)
	p.possible &= r.cards
	return p
}

func (r *Redactor) set(p *part, body string) {
	p.body, p.forms = body, formsOf(body, false)
	p.possible = r.possibleIn(r.widened(body, r.featuresOf(body)), math.MaxUint64)
}

func (p *part) text() string { return p.body + p.end }

// find returns what the i-th rule finds.
func (r *Redactor) find(p *part, i int) []place {
	if p.possible>>i&1 == 0 {
		return nil
	}
	return find(r.rules[i].finder, p.forms)
}

// settle takes what may go on behind the end of a text that was cut off the text,
// before rules apply to it: what the first of them takes out of the end could be
// what the next needs to see. It reports whether a rule drops it.
func (r *Redactor) settle(p *part, rules ruleSet) (dropped bool) {
	if !p.cut {
		return false
	}
	p.cut = false
	forms := formsOf(p.body, true)
	start, by := len(p.body), (*compiled)(nil)
	for more := rules &^ r.whole; more != 0; more &= more - 1 {
		rule := &r.rules[bits.TrailingZeros64(more)]
		if i := open(rule.finder, forms); i < len(p.body) {
			start = min(start, i)
			dropped = dropped || rule.action == Drop
			if by == nil {
				by = rule
			}
		}
	}
	if by == nil {
		return false
	}
	// What is found across the start goes with the rest, else only a part of it
	// would be there for its rule.
	var all []place
	for more := p.possible & rules &^ r.whole; more != 0; more &= more - 1 {
		all = append(all, find(r.rules[bits.TrailingZeros64(more)].finder, forms)...)
	}
	for again := true; again; {
		again = false
		for _, at := range all {
			if at.start < start && at.end > start {
				start, again = at.start, true
			}
		}
	}
	p.end = by.instead(p.body[start:]) + p.end
	r.set(p, p.body[:start])
	return dropped
}

// replace does with places what a rule says.
func (r *Redactor) replace(p *part, rule *compiled, places []place) {
	var b strings.Builder
	from := 0
	for _, at := range places {
		b.WriteString(p.body[from:at.start])
		b.WriteString(rule.instead(at.says))
		from = at.end
	}
	b.WriteString(p.body[from:])
	r.set(p, b.String())
}

// instead is what stands in the place of a text.
func (rule *compiled) instead(s string) string {
	switch rule.action {
	case SHA256:
		h := hmac.New(sha256.New, rule.salt)
		_, _ = h.Write([]byte(s)) // a hash takes everything
		return hex.EncodeToString(h.Sum(nil))
	case Drop:
		return ""
	default:
		return masked
	}
}

// text returns what the rules without keys leave of a text that is no attribute's.
func (r *Redactor) text(s string) string {
	if !r.inText(s, r.free) {
		return s
	}
	p := r.partOf(s)
	r.settle(&p, r.free)
	for rules := r.free; rules != 0; rules &= rules - 1 {
		i := bits.TrailingZeros64(rules)
		if places := r.find(&p, i); len(places) > 0 {
			r.replace(&p, &r.rules[i], places)
		}
	}
	return p.text()
}

// inValue is inText for the value of an attribute.
func (r *Redactor) inValue(v *attribute.Value, rules ruleSet) bool {
	if rules&r.whole != 0 {
		return true
	}
	switch v.Type() {
	case attribute.STRING, attribute.BYTESLICE:
		return r.inText(v.AsString(), rules)
	case attribute.INT64:
		return rules&r.cards != 0 && cardNumber(v.AsInt64())
	case attribute.FLOAT64:
		return rules&r.cards != 0 && cardFloat(v.AsFloat64())
	case attribute.FLOAT64SLICE:
		return rules&r.cards != 0 && slices.ContainsFunc(v.AsFloat64Slice(), cardFloat)
	case attribute.STRINGSLICE:
		return slices.ContainsFunc(v.AsStringSlice(), func(s string) bool { return r.inText(s, rules) })
	case attribute.INT64SLICE:
		return rules&r.cards != 0 && slices.ContainsFunc(v.AsInt64Slice(), cardNumber)
	case attribute.SLICE:
		return slices.ContainsFunc(v.AsSlice(), func(v attribute.Value) bool { return r.inValue(&v, rules) })
	case attribute.MAP:
		return slices.ContainsFunc(v.AsMap(), func(kv attribute.KeyValue) bool {
			k := r.about(kv.Key)
			return r.inKey(k, rules) || r.inValue(&kv.Value, rules|k.rules)
		})
	default:
		return false
	}
}

func (r *Redactor) inAttributes(attrs []attribute.KeyValue) bool {
	for i := range attrs {
		if k := r.about(attrs[i].Key); k.secret || r.inValue(&attrs[i].Value, k.rules) {
			return true
		}
	}
	return false
}

func (r *Redactor) inSet(set *attribute.Set) bool {
	for it := set.Iter(); it.Next(); {
		kv := it.Attribute()
		if k := r.about(kv.Key); k.secret || r.inValue(&kv.Value, k.rules) {
			return true
		}
	}
	return false
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
		k := r.about(kv.Key)
		var ok bool
		// What is nested is looked at once, when it is taken apart.
		nested := kv.Value.Type() == attribute.MAP || kv.Value.Type() == attribute.SLICE
		if rules := outer | k.rules; nested || r.inValue(&kv.Value, rules) {
			if kv.Value, ok = r.value(kv.Value, rules); !ok {
				continue
			}
		}
		if r.inKey(k, outer) {
			if kv.Key, ok = r.keyOf(kv.Key, outer|r.free); !ok {
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
	parts := r.partsOf(v)
	if whole == 0 {
		changed := false
		for i := range parts {
			changed = changed || parts[i].cut
			if r.settle(&parts[i], rules) {
				return v, false
			}
		}
		if changed {
			v = valueOf(parts, v.Type())
		}
	}
	for ; rules != 0; rules &= rules - 1 {
		n := bits.TrailingZeros64(rules)
		rule := &r.rules[n]
		if rule.finder == nil {
			if rule.action == Drop {
				return v, false
			}
			v = attribute.StringValue(rule.instead(v.String()))
			parts = []part{{}}
			r.set(&parts[0], v.AsString())
			continue
		}
		found := false
		for i := range parts {
			places := r.find(&parts[i], n)
			if len(places) == 0 {
				continue
			}
			if rule.action == Drop {
				return v, false
			}
			r.replace(&parts[i], rule, places)
			found = true
		}
		if found {
			v = valueOf(parts, v.Type())
		}
	}
	return v, true
}

// partsOf returns the texts of a value that is no list of values and no map.
func (r *Redactor) partsOf(v attribute.Value) (parts []part) {
	switch v.Type() {
	case attribute.STRING, attribute.BYTESLICE:
		parts = append(parts, r.partOf(v.AsString()))
	case attribute.STRINGSLICE:
		for _, s := range v.AsStringSlice() {
			parts = append(parts, r.partOf(s))
		}
	case attribute.INT64:
		parts = append(parts, r.numberOf(v.String()))
	case attribute.FLOAT64:
		parts = append(parts, r.numberOf(decimal(v.AsFloat64())))
	case attribute.INT64SLICE:
		for _, n := range v.AsInt64Slice() {
			parts = append(parts, r.numberOf(strconv.FormatInt(n, 10)))
		}
	case attribute.FLOAT64SLICE:
		for _, f := range v.AsFloat64Slice() {
			parts = append(parts, r.numberOf(decimal(f)))
		}
	}
	return parts
}

// decimal is a number without an exponent.
func decimal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// valueOf returns the value of that type with other texts. What were numbers are
// texts.
func valueOf(parts []part, t attribute.Type) attribute.Value {
	switch t {
	case attribute.STRING, attribute.INT64, attribute.FLOAT64:
		return attribute.StringValue(parts[0].text())
	case attribute.BYTESLICE:
		return attribute.ByteSliceValue([]byte(parts[0].text()))
	default:
		all := make([]string, len(parts))
		for i := range parts {
			all[i] = parts[i].text()
		}
		return attribute.StringSliceValue(all)
	}
}
