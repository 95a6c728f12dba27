package importer

import (
	"fmt"
	"slices"
)

// refineryRule is a rule, read.
type refineryRule struct {
	name  string
	when  *expr // without unknowns
	drop  bool
	kind  string // of its sampler; "" is none
	rate  dynamicRate
	notes []string
}

// rules translates a list of which the first that matches decides. Since riffle's
// samplers are all asked, a rule that keeps less than one that stands behind it is
// also written as a bound; and a bound is not about what a rule before it keeps.
func (c *config) rules(o *object) {
	if o.is("CheckNestedFields") {
		c.note("CheckNestedFields: riffle does not look into the values of attributes.")
	}
	var all []refineryRule
	base := dynamicRate{share: 1} // what no rule is about is kept
	baseName := "no rule"
	baseKind := ""
	for i, item := range o.list("Rules") {
		r, ok := c.refineryRule(i, item)
		if !ok {
			continue
		}
		if r.when.op != always {
			all = append(all, r)
			continue
		}
		if rest := len(o.list("Rules")) - i - 1; rest > 0 {
			c.note("The last %d of the rules are left out: %s before them matches every trace.", rest, r.name)
		}
		base, baseName, baseKind = r.rate, r.name, r.kind
		base.notes = append(r.notes, base.notes...)
		if r.drop {
			base.share = 0
		}
		break
	}
	for i := range all {
		c.writeRule(all, i, base)
	}
	switch {
	case baseKind != "":
		c.dynamic(baseName, baseKind, base, nil, nil)
	default:
		c.raise(base.share, baseName)
		if len(base.notes) > 0 {
			c.samplers = append(c.samplers, entry{notes: append([]string{baseName}, base.notes...)})
		}
	}
}

// most is the greatest share that a sampler of Refinery's keeps of something.
func (d dynamicRate) most() float64 {
	if d.goal > 0 {
		return 1
	}
	return d.share
}

// writeRule writes the i-th of the rules.
func (c *config) writeRule(all []refineryRule, i int, base dynamicRate) {
	r := all[i]
	notes := append([]string{r.name}, r.notes...)
	if r.drop || r.kind == "" && r.rate.share == 0 {
		when := r.when
		var earlier []*expr
		for _, before := range all[:i] {
			if !before.drop {
				earlier = append(earlier, before.when)
			}
		}
		if len(earlier) > 0 {
			when = allOf(when, negate(anyOf(earlier...)))
		}
		notes[0] += " (drop)"
		c.discard(r.name, when, notes)
		return
	}
	share := r.rate.most()
	later := base.most()
	for _, after := range all[i+1:] {
		if !after.drop {
			later = max(later, after.rate.most())
		}
	}
	bound := share < later
	if bound && r.rate.goal == 0 && r.kind != "" && r.kind != "DeterministicSampler" {
		notes = append(notes, r.kind+" keeps more of rare keys and less of frequent ones: here all have its rate as a whole, since a rule behind it keeps more, and what bounds that bounds rare keys too")
		r.kind, r.rate.notes = "", nil
	}
	if dynamic := r.kind != "" && r.kind != "DeterministicSampler"; dynamic || share > base.most() {
		c.dynamic(r.name, r.kind, r.rate, r.when, notes[1:])
		notes = []string{r.name + ": and no more, whatever the rules behind it say"}
	} else if !bound {
		c.samplers = append(c.samplers, entry{notes: append(notes, "the baseline keeps as much")})
	}
	if !bound || r.rate.goal > 0 {
		return
	}
	when := r.when
	var earlier []*expr
	for _, before := range all[:i] {
		if !before.drop && before.rate.most() > share {
			earlier = append(earlier, before.when)
		}
	}
	if len(earlier) > 0 {
		when = allOf(when, negate(anyOf(earlier...)))
	}
	c.samplers = append(c.samplers, entry{notes: notes, keys: fields{
		{"type", "at_most"}, {"name", c.unique(r.name)}, {"match", matchOf(when)}, {"sample", share},
	}})
}

// discard writes a rule that drops.
func (c *config) discard(name string, when *expr, notes []string) {
	if cheap(when) {
		notes = append(notes, "where the local root has this attribute when it starts, a rule of the sampler route or attribute (sample: drop) costs less: the trace is not recorded then")
	}
	c.samplers = append(c.samplers, entry{notes: notes, keys: fields{
		{"type", "discard"}, {"name", c.unique(name)}, {"match", matchOf(when)},
	}})
}

// refineryRule reads a rule; ok is false if it is left out.
func (c *config) refineryRule(i int, item any) (_ refineryRule, ok bool) {
	o, _ := item.(*object)
	r := refineryRule{name: oneLine(o.text("Name")), drop: o.is("Drop"), rate: dynamicRate{share: 1}}
	if r.name == "" {
		r.name = fmt.Sprintf("rule %d", i+1)
	}
	if o == nil {
		c.leftOut(r.name, []string{"it is no mapping"})
		return r, false
	}
	rate, isNumber := o.number("SampleRate")
	sampler := o.object("Sampler")
	switch {
	case r.drop:
	case sampler != nil:
		var settings *object
		if r.kind, settings = chosenKind(sampler); r.kind == "" || r.kind == "RulesBasedSampler" {
			c.leftOut(r.name, []string{"its Sampler is none that can stand there"})
			return r, false
		}
		r.rate = downstream(r.kind, settings)
	case !isNumber || rate < 0:
		r.notes = append(r.notes, fmt.Sprintf("SampleRate %q is no rate: everything is kept", oneLine(o.text("SampleRate"))))
	case rate < 1: // as 0 and as none: Refinery keeps nothing
		r.rate.share = 0
	default:
		r.rate.share = 1 / rate
	}
	scope := o.text("Scope")
	if !slices.Contains([]string{"", "span", "trace"}, scope) {
		r.notes = append(r.notes, fmt.Sprintf("Scope %q is none: Refinery takes the rule for one that always matches", oneLine(scope)))
		r.when = isAlways()
		return r, true
	}
	when, lost := resolve(normal(conditions(o.list("Conditions"), scope == "span"), false), !r.drop && r.rate.most() > 0)
	for _, why := range lost {
		if r.drop {
			r.notes = append(r.notes, lostNote(when, why, "less is dropped: "))
		} else {
			r.notes = append(r.notes, lostNote(when, why, "a condition is left out, so that it is about more: "))
		}
	}
	switch when.op {
	case unknown:
		c.leftOut(r.name, r.notes)
		return r, false
	case never:
		c.leftOut(r.name, append(r.notes, "it matches nothing here"))
		return r, false
	}
	r.when = when
	return r, true
}
