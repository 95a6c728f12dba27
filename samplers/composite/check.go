package composite

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// What a tree can have.
const (
	maxDepth    = 32
	maxSamplers = 1000
)

// checker finds every mistake of a tree, and what it depends on.
type checker struct {
	errs     []error
	samplers int
	keys     map[attribute.Key]struct{}
	kinds    bool
	parents  bool
}

func (ck *checker) err() error { return errors.Join(ck.errs...) }

func (ck *checker) fail(path, format string, args ...any) {
	ck.errs = append(ck.errs, &component.FieldError{Path: path, Err: fmt.Errorf(format, args...)})
}

func (ck *checker) traits() sampling.Traits {
	t := sampling.Traits{AlwaysAnswers: true, IgnoresName: true, IgnoresKind: !ck.kinds}
	if !ck.parents {
		t.Keyed, t.Keys = true, slices.Sorted(maps.Keys(ck.keys))
	}
	return t
}

// sampler checks a sampler and those below it. byParent tells that it is asked by what
// the remote parent decided.
func (ck *checker) sampler(s *Sampler, path string, depth int, byParent bool) {
	ck.samplers++
	switch {
	case depth > maxDepth:
		ck.fail(path, "samplers are nested deeper than %d", maxDepth)
		return
	case ck.samplers > maxSamplers:
		if ck.samplers == maxSamplers+1 {
			ck.fail(path, "more than %d samplers", maxSamplers)
		}
		return
	}
	key, err := component.Chosen(s)
	if err != nil {
		ck.fail(path, "%w", err)
		return
	}
	path = component.JoinPath(path, key)
	below := func(s *Sampler, key string, byParent bool) {
		if s != nil {
			ck.sampler(s, component.JoinPath(path, key), depth+1, byParent)
		}
	}
	required := func(s *Sampler, key string) {
		if s == nil {
			ck.fail(component.JoinPath(path, key), "missing: want a sampler, such as {always_on: {}}")
		}
		below(s, key, byParent)
	}
	switch {
	case s.Probability != nil:
		ck.probability(s.Probability, path)
	case s.TraceIDRatioBased != nil:
		ck.probability(s.TraceIDRatioBased, path)
	case s.ParentThreshold != nil:
		ck.parents = true
		required(s.ParentThreshold.Root, "root")
	case s.ParentBased != nil:
		ck.parents = true
		below(s.ParentBased.Root, "root", byParent)
		below(s.ParentBased.RemoteParentSampled, "remote_parent_sampled", true)
		below(s.ParentBased.RemoteParentNotSampled, "remote_parent_not_sampled", true)
	case s.RuleBased != nil:
		for i := range s.RuleBased.Rules {
			r, key := &s.RuleBased.Rules[i], fmt.Sprintf("rules[%d]", i)
			ck.rule(r, component.JoinPath(path, key))
			required(r.Sampler, key+".sampler")
		}
	case s.Annotating != nil:
		if byParent {
			ck.fail(path, "what the remote parent decided must not choose attributes: put annotating above parent_based")
		}
		ck.attributes(s.Annotating.Attributes, component.JoinPath(path, "attributes"))
		required(s.Annotating.Sampler, "sampler")
	}
}

func (ck *checker) probability(p *Probability, path string) {
	if _, err := p.threshold(); err != nil {
		ck.fail(component.JoinPath(path, "ratio"), "%w", err)
	}
}

func (p *Probability) ratio() float64 {
	if p.Ratio == nil {
		return 1
	}
	return *p.Ratio
}

func (p *Probability) threshold() (sampling.Threshold, error) {
	return sampling.ThresholdFromProbability(p.ratio())
}

func (ck *checker) rule(r *Rule, path string) {
	at := func(key string) string { return component.JoinPath(path, key) }
	if v := r.AttributeValues; v != nil {
		ck.key(v.Key, at("attribute_values.key"))
		if len(v.Values) == 0 {
			ck.fail(at("attribute_values.values"), "missing: want one or more")
		}
	}
	if p := r.AttributePatterns; p != nil {
		ck.key(p.Key, at("attribute_patterns.key"))
	}
	ck.kinds = ck.kinds || len(r.SpanKinds) > 0
	known(ck, r.SpanKinds, kindNames, at("span_kinds"))
	if len(r.Parent) == 0 {
		return
	}
	ck.parents = true
	known(ck, r.Parent, parentNames, at("parent"))
	if !slices.ContainsFunc(r.Parent, func(p Parent) bool { return p != LocalParent }) {
		ck.fail(at("parent"), "such a rule matches nothing: samplers are asked about local roots, and a span with a local parent belongs to that one's: leave the rule out")
	}
}

func (ck *checker) key(key, path string) {
	if key == "" {
		ck.fail(path, "missing: want an attribute's key")
	}
	ck.keys[attribute.Key(key)] = struct{}{}
}

// known finds words that there are not.
func known[S ~string](ck *checker, words, all []S, path string) {
	for i, w := range words {
		if slices.Contains(all, w) {
			continue
		}
		names := make([]string, len(all))
		for i, s := range all {
			names[i] = string(s)
		}
		hint := ": known are " + strings.Join(names, ", ")
		if near := component.Nearest(string(w), names); near != "" {
			hint = fmt.Sprintf(" (did you mean %q?)", near)
		}
		ck.fail(fmt.Sprintf("%s[%d]", path, i), "unknown %s%s", component.Shown(string(w)), hint)
	}
}

func (ck *checker) attributes(attrs map[string]any, path string) {
	if len(attrs) == 0 {
		ck.fail(path, "missing: want one or more, such as {reason: checkout}")
	}
	for _, key := range slices.Sorted(maps.Keys(attrs)) {
		if _, ok := attributeOf(key, attrs[key]); !ok {
			ck.fail(path+"["+strconv.Quote(key)+"]", "want a string, a boolean, a number, or a list of one kind of these")
		}
	}
}

// attributeOf is an attribute as a configuration writes it.
func attributeOf(key string, value any) (kv attribute.KeyValue, ok bool) {
	k := attribute.Key(key)
	switch v := value.(type) {
	case string:
		return k.String(v), true
	case bool:
		return k.Bool(v), true
	case int:
		return k.Int(v), true
	case int64:
		return k.Int64(v), true
	case float64:
		return k.Float64(v), true
	case []any:
		if len(v) == 0 {
			return kv, false
		}
		switch v[0].(type) {
		case string:
			return list(v, k.StringSlice)
		case bool:
			return list(v, k.BoolSlice)
		case int:
			return list(v, k.IntSlice)
		case int64:
			return list(v, k.Int64Slice)
		case float64:
			return list(v, k.Float64Slice)
		}
	}
	return kv, false
}

func list[T any](items []any, attr func([]T) attribute.KeyValue) (kv attribute.KeyValue, ok bool) {
	all := make([]T, len(items))
	for i, item := range items {
		if all[i], ok = item.(T); !ok {
			return kv, false
		}
	}
	return attr(all), true
}

// describe says in a few words what the sampler is.
func (s *Sampler) describe() string {
	percent := func(p *Probability) string { return strconv.FormatFloat(p.ratio()*100, 'g', 6, 64) + "%" }
	of := func(s *Sampler) string {
		if s == nil {
			return "always_on"
		}
		return s.describe()
	}
	switch {
	case s.AlwaysOn != nil:
		return "always_on"
	case s.Probability != nil:
		return "probability " + percent(s.Probability)
	case s.TraceIDRatioBased != nil:
		return "trace_id_ratio_based " + percent(s.TraceIDRatioBased)
	case s.ParentThreshold != nil:
		return "parent_threshold, " + of(s.ParentThreshold.Root)
	case s.ParentBased != nil:
		return "parent_based, " + of(s.ParentBased.Root)
	case s.RuleBased != nil:
		return fmt.Sprintf("rule_based by %d rules", len(s.RuleBased.Rules))
	case s.Annotating != nil:
		return "annotating, " + of(s.Annotating.Sampler)
	default:
		return "always_off"
	}
}
