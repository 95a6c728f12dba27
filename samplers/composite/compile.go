package composite

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/sampling"
)

// node decides: by rules, by a pair of which the remote parent's decision is one, or it
// is a leaf.
type node struct {
	rules []rule
	none  *node // if no rule matches
	pair  *pair
	leaf  leaf
}

// leaf is what the tree can answer.
type leaf struct {
	answer    sampling.Answer
	threshold sampling.Threshold // by which a pair is made of two
	number    int                // among those of its part of a pair
}

// pair has the answers for a remote parent that is sampled, or not, of which a sampler
// must not know. All combinations are made when it is built, so that none is while a
// span starts.
type pair struct {
	sampled, unsampled *node
	leaves             []leaf // by the number of the one, and that of the other
	unsampledLeaves    int
}

type rule struct {
	anyKind    bool
	kinds      [trace.SpanKindConsumer + 1]bool
	attributes []*match.TextCondition
	then       *node
}

func (n *node) decide(p *sampling.StartParameters) *leaf {
	for n.rules != nil {
		next := n.none
		for i := range n.rules {
			if r := &n.rules[i]; r.matches(p) {
				next = r.then
				break
			}
		}
		n = next
	}
	if pr := n.pair; pr != nil {
		return &pr.leaves[pr.sampled.decide(p).number*pr.unsampledLeaves+pr.unsampled.decide(p).number]
	}
	return &n.leaf
}

func (r *rule) matches(p *sampling.StartParameters) bool {
	if !r.anyKind && !r.kinds[trace.ValidateSpanKind(p.Kind)] {
		return false
	}
	for i := range r.attributes {
		if !r.attributes[i].Match(p.Attributes) {
			return false
		}
	}
	return true
}

// parent is what is known of the parent where a part of the tree is asked.
type parent uint8

const (
	noParent parent = iota
	remoteParent
	sampledParent
	unsampledParent
)

// compiler makes the nodes of a tree without mistakes.
type compiler struct {
	parent     parent
	attributes []attribute.KeyValue // of what is above
	rules      []string             // that match above
	path       string
}

func compile(s *Sampler, p parent) (*node, error) {
	return compiler{parent: p, path: "sampler"}.node(s)
}

func (c compiler) node(s *Sampler) (*node, error) {
	switch {
	case s == nil || s.AlwaysOn != nil:
		return c.at(sampling.Always), nil
	case s.Probability != nil:
		return c.probability(s.Probability)
	case s.TraceIDRatioBased != nil:
		return c.probability(s.TraceIDRatioBased)
	case s.ParentThreshold != nil:
		switch c.parent {
		case noParent:
			return c.below("parent_threshold.root").node(s.ParentThreshold.Root)
		case sampledParent:
			return c.at(sampling.Always), nil
		case unsampledParent:
			return c.at(sampling.Never), nil
		default:
			return &node{leaf: leaf{answer: c.complete(sampling.FollowParent())}}, nil
		}
	case s.ParentBased != nil:
		return c.below("parent_based").parentBased(s.ParentBased)
	case s.RuleBased != nil:
		return c.below("rule_based").ruleBased(s.RuleBased)
	case s.Annotating != nil:
		var own []attribute.KeyValue
		for _, key := range slices.Sorted(maps.Keys(s.Annotating.Attributes)) {
			kv, _ := attributeOf(key, s.Annotating.Attributes[key]) // it was checked
			own = append(own, kv)
		}
		c.attributes = slices.Concat(own, c.attributes) // of two for a key, the outer one counts
		return c.below("annotating.sampler").node(s.Annotating.Sampler)
	default:
		return c.at(sampling.Never), nil
	}
}

func (c compiler) below(key string) compiler {
	c.path = component.JoinPath(c.path, key)
	return c
}

// complete adds to an answer what is known of where it is given.
func (c *compiler) complete(a sampling.Answer) sampling.Answer {
	return a.Because(strings.Join(c.rules, ".")).WithAttributes(c.attributes...)
}

func (c *compiler) at(t sampling.Threshold) *node {
	return &node{leaf: leaf{answer: c.complete(sampling.At(t)), threshold: t}}
}

func (c *compiler) probability(p *Probability) (*node, error) {
	t, err := p.threshold()
	return c.at(t), err
}

// maxPairs bounds the combinations of what two samplers of parent_based can answer.
const maxPairs = 10_000

func (c compiler) parentBased(s *ParentBased) (*node, error) {
	var err error
	asked := func(s *Sampler, key string, p parent) *node {
		if err != nil {
			return nil
		}
		c := c.below(key)
		c.parent = p
		var n *node
		n, err = c.node(s)
		return n
	}
	unsampled := s.RemoteParentNotSampled
	if unsampled == nil {
		unsampled = &Sampler{AlwaysOff: &AlwaysOff{}}
	}
	switch c.parent {
	case noParent:
		return asked(s.Root, "root", noParent), err
	case sampledParent:
		return asked(s.RemoteParentSampled, "remote_parent_sampled", sampledParent), err
	case unsampledParent:
		return asked(unsampled, "remote_parent_not_sampled", unsampledParent), err
	}
	pr := &pair{
		sampled:   asked(s.RemoteParentSampled, "remote_parent_sampled", sampledParent),
		unsampled: asked(unsampled, "remote_parent_not_sampled", unsampledParent),
	}
	if err != nil {
		return nil, err
	}
	some, others := pr.sampled.leaves(nil), pr.unsampled.leaves(nil)
	if n := len(some) * len(others); n > maxPairs {
		return nil, &component.FieldError{Path: c.path, Err: fmt.Errorf("the samplers for sampled and other remote parents have %d combinations of answers, more than %d", n, maxPairs)}
	}
	pr.unsampledLeaves = len(others)
	for i, a := range some {
		a.number = i
		for j, b := range others {
			b.number = j
			pr.leaves = append(pr.leaves, c.pairOf(a, b))
		}
	}
	return &node{pair: pr}, nil
}

// pairOf combines what is answered below a sampled parent, and below another.
func (c *compiler) pairOf(a, b *leaf) leaf {
	why := a.answer.Reason
	if b.answer.Reason != why {
		why = fmt.Sprintf("%q if the parent is sampled, else %q", a.answer.Reason, b.answer.Reason)
	}
	return leaf{answer: sampling.ByParent(a.threshold, b.threshold).Because(why).WithAttributes(c.attributes...)}
}

// leaves are all that the node can decide.
func (n *node) leaves(all []*leaf) []*leaf {
	if n.rules == nil {
		return append(all, &n.leaf)
	}
	for i := range n.rules {
		all = n.rules[i].then.leaves(all)
	}
	return n.none.leaves(all)
}

func (c compiler) ruleBased(s *RuleBased) (*node, error) {
	none := c
	none.rules = append(slices.Clip(c.rules), "no rule matches")
	n := &node{none: none.at(sampling.Never)}
	for i := range s.Rules {
		r := &s.Rules[i]
		if !c.isAbout(r) {
			continue
		}
		name := fmt.Sprintf("rules[%d]", i)
		inside := c.below(name + ".sampler")
		inside.rules = append(slices.Clip(c.rules), name)
		then, err := inside.node(r.Sampler)
		if err != nil {
			return nil, err
		}
		made := rule{anyKind: len(r.SpanKinds) == 0, then: then}
		for _, kind := range r.SpanKinds {
			made.kinds[trace.SpanKindInternal+trace.SpanKind(slices.Index(kindNames, kind))] = true
		}
		if v := r.AttributeValues; v != nil {
			made.attributes = append(made.attributes, match.AnyText(v.Key, v.Values))
		}
		if p := r.AttributePatterns; p != nil {
			made.attributes = append(made.attributes, match.Globs(p.Key, p.Included, p.Excluded))
		}
		n.rules = append(n.rules, made)
	}
	if n.rules == nil {
		return n.none, nil
	}
	return n, nil
}

// isAbout reports whether the rule is about spans with such a parent.
func (c *compiler) isAbout(r *Rule) bool {
	wanted := RemoteParent
	if c.parent == noParent {
		wanted = NoParent
	}
	return len(r.Parent) == 0 || slices.Contains(r.Parent, wanted)
}
