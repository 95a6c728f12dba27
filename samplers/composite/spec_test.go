package composite_test

import (
	"math"
	"regexp"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/samplers/composite"
)

// This is the specification's pseudo-code, as literally as Go allows, and nothing of
// riffle's: what TestSpecification holds the sampler to.
// Source: https://opentelemetry.io/docs/specs/otel/trace/sdk/#compositesampler

// input is what the specification's samplers are told of a span.
type input struct {
	traceID    trace.TraceID
	hasParent  bool // a remote one
	sampled    bool // the parent's flag
	th, rv     *uint64
	kind       trace.SpanKind
	attributes []attribute.KeyValue
}

// intent is a SamplingIntent.
type intent struct {
	threshold  *uint64 // nil is null
	reliable   bool
	attributes []attribute.KeyValue
	// byParent tells that parent_based has asked below a remote parent: see contract.
	byParent bool
}

// result is a SamplingResult.
type result struct {
	sampled    bool
	th         *uint64
	attributes []attribute.KeyValue
}

func (in *input) randomness() uint64 {
	if in.rv != nil {
		return *in.rv
	}
	var r uint64
	for _, b := range in.traceID[9:] { // the rightmost 7 bytes
		r = r<<8 | uint64(b)
	}
	return r
}

func shouldSample(s *composite.Sampler, in *input) result {
	i := getSamplingIntent(s, in)
	if i.threshold == nil {
		return result{}
	}
	r := in.randomness()
	if !i.reliable {
		r = 1<<56 - 1 // any: the threshold is 0 where it is not reliable
	}
	if r < *i.threshold {
		return result{}
	}
	out := result{sampled: true, attributes: i.attributes}
	if i.reliable {
		out.th = i.threshold
	}
	return out
}

func getSamplingIntent(s *composite.Sampler, in *input) intent {
	var always uint64
	switch {
	case s.AlwaysOn != nil:
		return intent{threshold: &always, reliable: true}
	case s.AlwaysOff != nil:
		return intent{}
	case s.Probability != nil:
		return probability(s.Probability.Ratio)
	case s.TraceIDRatioBased != nil: // as the specification lets SDKs replace it
		return probability(s.TraceIDRatioBased.Ratio)
	case s.ParentThreshold != nil:
		switch {
		case !in.hasParent:
			return getSamplingIntent(s.ParentThreshold.Root, in)
		case in.th != nil:
			return intent{threshold: in.th, reliable: true}
		case in.sampled:
			return intent{threshold: &always}
		default:
			return intent{}
		}
	case s.RuleBased != nil:
		for i := range s.RuleBased.Rules {
			if r := &s.RuleBased.Rules[i]; applies(r, in) {
				return getSamplingIntent(r.Sampler, in)
			}
		}
		return intent{}
	case s.Annotating != nil:
		i := getSamplingIntent(s.Annotating.Sampler, in)
		for _, key := range slices.Sorted(func(yield func(string) bool) {
			for key := range s.Annotating.Attributes {
				if !yield(key) {
					return
				}
			}
		}) {
			i.attributes = append(slices.Clip(i.attributes), attribute.String(key, s.Annotating.Attributes[key].(string)))
		}
		return i
	default:
		return parentBased(s.ParentBased, in)
	}
}

func parentBased(s *composite.ParentBased, in *input) intent {
	delegate, otherwise := s.Root, &composite.Sampler{AlwaysOn: &composite.AlwaysOn{}}
	switch {
	case in.hasParent && in.sampled:
		delegate = s.RemoteParentSampled
	case in.hasParent:
		delegate, otherwise = s.RemoteParentNotSampled, &composite.Sampler{AlwaysOff: &composite.AlwaysOff{}}
	}
	if delegate == nil {
		delegate = otherwise
	}
	i := getSamplingIntent(delegate, in)
	i.byParent = i.byParent || in.hasParent
	return i
}

// probability is that of a ratio, by the algorithm that the specification gives in Go.
func probability(ratio *float64) intent {
	p := 1.0
	if ratio != nil {
		p = *ratio
	}
	if p == 0 {
		return intent{}
	}
	_, exp := math.Frexp(p)
	precision := min(14, 4+exp/-4)
	scaled := uint64(math.Round(p * (1 << 56)))
	threshold := uint64(1<<56) - scaled
	if shift := 4 * (14 - precision); shift != 0 {
		threshold += 1 << (shift - 1)
		threshold >>= shift
		threshold <<= shift
	}
	return intent{threshold: &threshold, reliable: true}
}

func applies(r *composite.Rule, in *input) bool {
	if v := r.AttributeValues; v != nil && !anyText(in, v.Key, func(text string) bool { return slices.Contains(v.Values, text) }) {
		return false
	}
	if p := r.AttributePatterns; p != nil && !anyText(in, p.Key, func(text string) bool {
		matches := func(pattern string) bool { return wildcard(pattern).MatchString(text) }
		return (p.Included == nil || slices.ContainsFunc(p.Included, matches)) && !slices.ContainsFunc(p.Excluded, matches)
	}) {
		return false
	}
	if r.SpanKinds != nil && !slices.Contains(r.SpanKinds, composite.Kind(in.kind.String())) {
		return false
	}
	parent := composite.NoParent
	if in.hasParent {
		parent = composite.RemoteParent
	}
	return r.Parent == nil || slices.Contains(r.Parent, parent)
}

// anyText reports whether the text of an attribute, or of an item of it, is as wanted.
func anyText(in *input, key string, is func(string) bool) bool {
	set := attribute.NewSet(in.attributes...)
	v, ok := set.Value(attribute.Key(key))
	switch {
	case !ok:
		return false
	case v.Type() == attribute.STRINGSLICE:
		return slices.ContainsFunc(v.AsStringSlice(), is)
	case v.Type() == attribute.INT64SLICE:
		return slices.ContainsFunc(v.AsInt64Slice(), func(i int64) bool { return is(attribute.Int64Value(i).String()) })
	default:
		return is(v.String())
	}
}

func wildcard(pattern string) *regexp.Regexp {
	text := regexp.QuoteMeta(pattern)
	text = strings.ReplaceAll(text, `\*`, `.*`)
	return regexp.MustCompile(`(?s)^` + strings.ReplaceAll(text, `\?`, `.`) + `$`)
}
