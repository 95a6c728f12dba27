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
	left  bool // out
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
		r := readRule(i, item)
		if r.left || r.when.op != always {
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
	for i, r := range all {
		if r.left {
			c.leftOut(r.name, r.notes)
			continue
		}
		before := slices.DeleteFunc(slices.Clone(all[:i]), func(r refineryRule) bool { return r.left || r.drop })
		after := slices.DeleteFunc(slices.Clone(all[i+1:]), func(r refineryRule) bool { return r.left || r.drop })
		c.writeRule(before, r, after, base)
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

// writeRule writes a rule between those that keep traces.
func (c *config) writeRule(before []refineryRule, r refineryRule, after []refineryRule, base dynamicRate) {
	notes := append([]string{r.name}, r.notes...)
	if r.drop || r.kind == "" && r.rate.share == 0 {
		when := r.when
		var earlier []*expr
		for _, e := range before {
			earlier = append(earlier, e.when)
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
	for _, e := range after {
		later = max(later, e.rate.most())
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
	for _, e := range before {
		if e.rate.most() > share {
			earlier = append(earlier, e.when)
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

// readRule reads a rule.
func readRule(i int, item any) refineryRule {
	o, _ := item.(*object)
	r := refineryRule{name: oneLine(o.text("Name")), drop: o.is("Drop"), rate: dynamicRate{share: 1}}
	if r.name == "" {
		r.name = fmt.Sprintf("rule %d", i+1)
	}
	if o == nil {
		return r.leave("it is no mapping")
	}
	rate, isNumber := o.number("SampleRate")
	sampler := o.object("Sampler")
	switch {
	case r.drop:
	case sampler != nil:
		var settings *object
		if r.kind, settings = chosenKind(sampler); r.kind == "" || r.kind == "RulesBasedSampler" {
			return r.leave("its Sampler is none that can stand there")
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
		return r
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
		return r.leave()
	case never:
		return r.leave("it matches nothing here")
	}
	r.when = when
	return r
}

// leave is the rule, left out.
func (r refineryRule) leave(why ...string) refineryRule {
	r.notes, r.left = append(r.notes, why...), true
	return r
}
