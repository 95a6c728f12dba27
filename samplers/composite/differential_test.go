package composite_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/composite"
)

// outcome is what came of a local root.
type outcome struct {
	Sampled    bool
	TraceState string // th and rv of it
	Attributes map[attribute.Key]string
}

// TestSpecification holds what the recorder does under remote_parent: ask to the
// specification's pseudo-code, with random trees about random local roots.
//
// riffle differs where the law wants it, that a span has one threshold, and is kept with
// it exactly if the randomness reaches it:
//
//   - A parent's th counts only if it agrees with the parent's sampled flag, and says no
//     less than one in 2^20: see [input.trusted]. The specification compares it with the
//     randomness whatever the flag is.
//   - What parent_based keeps below a sampled parent has the greater of the parent's
//     threshold and the sampler's, and below any other parent none: see
//     [result.contract]. The specification writes down the sampler's alone, which is
//     too small a weight.
func TestSpecification(t *testing.T) {
	trees := 4000
	if testing.Short() {
		trees = 400
	}
	met := map[string]int{}
	for seed := range uint64(trees) {
		d := dice{rand.New(rand.NewPCG(seed, 1))}
		tree := d.sampler(4, false)
		r := newRecorder(t, tree)
		for range 20 {
			in := d.input()
			got := r.start(&in)
			trusted := in.trusted()
			literal := shouldSample(&tree, &trusted)
			want := literal.contract(&tree, &trusted).outcome(&in)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("seed %d: (-the specification +riffle)\n%s\ninput %v\ntree %s", seed, diff, in, show(&tree))
			}
			met[fmt.Sprintf("parent %v, sampled %v", in.hasParent, got.Sampled)]++
			if strings.Contains(got.TraceState, "th:") && !strings.Contains(got.TraceState, "th:0") {
				met["threshold"]++
			}
			if got.Sampled && len(got.Attributes) > len(in.attributes) {
				met["annotated"]++
			}
			if untrusted := shouldSample(&tree, &in); cmp.Diff(want, untrusted.outcome(&in)) != "" {
				met["by contract"]++
			}
		}
	}
	t.Log(met)
	for _, what := range []string{
		"parent false, sampled false", "parent false, sampled true", "parent true, sampled false", "parent true, sampled true",
		"threshold", "annotated", "by contract",
	} {
		if met[what] < trees/10 {
			t.Errorf("%q was met %d times", what, met[what])
		}
	}
}

// trusted is what riffle takes of the parent's threshold.
func (in *input) trusted() input {
	out := *in
	if in.th != nil && (in.sampled != (in.randomness() >= *in.th) || *in.th > 1<<56-1<<36) {
		out.th = nil
	}
	return out
}

// contract is the result with the threshold that riffle says where parent_based chose
// the sampler.
func (r result) contract(tree *composite.Sampler, in *input) result {
	if !r.sampled || !getSamplingIntent(tree, in).byParent {
		return r
	}
	switch {
	case !in.sampled || in.th == nil:
		r.th = nil
	case r.th != nil && *in.th > *r.th:
		r.th = in.th
	}
	return r
}

func (r result) outcome(in *input) outcome {
	o := outcome{Sampled: r.sampled}
	var members []string
	if r.th != nil {
		th := strings.TrimRight(fmt.Sprintf("%014x", *r.th), "0")
		members = append(members, "th:"+th+strings.Repeat("0", max(0, 1-len(th))))
	}
	if in.rv != nil {
		members = append(members, fmt.Sprintf("rv:%014x", *in.rv))
	}
	o.TraceState = strings.Join(members, ";")
	if r.sampled {
		o.Attributes = map[attribute.Key]string{}
		for _, kv := range append(r.attributes, in.attributes...) { // as the SDK sets them
			o.Attributes[kv.Key] = kv.Value.String()
		}
	}
	return o
}

// recorder records local roots with one composite sampler.
type recorder struct {
	*record.TracerProvider
	id   trace.TraceID
	kept []sdktrace.ReadOnlySpan
}

func newRecorder(t *testing.T, tree composite.Sampler) *recorder {
	s, err := composite.New(t.Context(), component.Settings{}, composite.Config{Sampler: tree})
	if err != nil {
		t.Fatalf("%v\ntree %s", err, show(&tree))
	}
	r := &recorder{}
	c := record.Config{
		IDGenerator: r, RemoteParent: record.Ask, Limits: sdktrace.NewSpanLimits(),
		Deliver: func(k record.Kept) { r.kept = append(r.kept, k.Spans...) },
	}
	c.Samplers.Add(s, record.Entry{Name: "composite"})
	r.TracerProvider = record.NewTracerProvider(c)
	t.Cleanup(func() {
		if err := r.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *recorder) NewIDs(context.Context) (trace.TraceID, trace.SpanID) {
	return r.id, trace.SpanID{1}
}

func (*recorder) NewSpanID(context.Context, trace.TraceID) trace.SpanID { return trace.SpanID{1} }

func (r *recorder) start(in *input) outcome {
	r.id, r.kept = in.traceID, nil
	c := trace.SpanContextConfig{TraceState: in.traceState()}
	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(c))
	if in.hasParent {
		c.TraceID, c.SpanID, c.TraceFlags = in.traceID, trace.SpanID{2}, trace.TraceFlags(0).WithSampled(in.sampled)
		ctx = trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(c))
	}
	_, span := r.Tracer("").Start(ctx, "root", trace.WithSpanKind(in.kind), trace.WithAttributes(in.attributes...))
	span.End()
	o := outcome{Sampled: span.SpanContext().IsSampled(), TraceState: span.SpanContext().TraceState().Get("ot")}
	for _, s := range r.kept {
		o.Attributes = map[attribute.Key]string{}
		for _, kv := range s.Attributes() {
			if kv.Key != sampling.SamplerKey && kv.Key != sampling.ParentMissingKey { // riffle's own
				o.Attributes[kv.Key] = kv.Value.String()
			}
		}
	}
	return o
}

func (in *input) traceState() (ts trace.TraceState) {
	var members []string
	if in.th != nil {
		th := strings.TrimRight(fmt.Sprintf("%014x", *in.th), "0")
		members = append(members, "th:"+th+strings.Repeat("0", max(0, 1-len(th))))
	}
	if in.rv != nil {
		members = append(members, fmt.Sprintf("rv:%014x", *in.rv))
	}
	if len(members) == 0 {
		return ts
	}
	ts, err := trace.ParseTraceState("ot=" + strings.Join(members, ";"))
	if err != nil {
		panic(err)
	}
	return ts
}

// show is a tree for people.
func show(s *composite.Sampler) string {
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// dice makes random trees and inputs.
type dice struct{ *rand.Rand }

func oneOf[T any](d dice, all ...T) T { return all[d.IntN(len(all))] }

func (d dice) some(all ...string) (some []string) {
	for _, s := range all {
		if d.IntN(3) == 0 {
			some = append(some, s)
		}
	}
	return some
}

func (d dice) input() input {
	in := input{hasParent: d.IntN(3) > 0, kind: trace.SpanKind(1 + d.IntN(5))}
	binary.BigEndian.PutUint64(in.traceID[:], d.Uint64()|1)
	binary.BigEndian.PutUint64(in.traceID[8:], d.randomness()|d.Uint64()<<56)
	if d.IntN(3) == 0 {
		rv := d.randomness()
		in.rv = &rv
	}
	if in.hasParent {
		in.sampled = d.IntN(2) == 0
		if d.IntN(2) == 0 {
			th := oneOf[uint64](d, 0, 1<<55, 1<<54, 0xe66640_00000000, 1<<56-1<<36, 1<<56-1<<36+1, d.randomness())
			in.th = &th
			if d.IntN(4) > 0 { // as an honest parent has it
				in.sampled = in.randomness() >= th
			}
		}
	}
	for _, key := range d.some("a", "b", "c") {
		k := attribute.Key(key)
		in.attributes = append(in.attributes, oneOf(d,
			k.String(oneOf(d, "x", "xy", "yx", "404", "X", "")), k.Int(oneOf(d, 404, 200, -1)), k.Bool(true), k.Float64(oneOf(d, 1, 2.5, 1e21)),
			k.StringSlice(d.some("x", "xy", "z")), k.IntSlice([]int{404, 7}[:d.IntN(3)]),
		))
	}
	return in
}

// randomness is often near the thresholds of the trees.
func (d dice) randomness() uint64 {
	near := oneOf[uint64](d, 0, 1<<55, 1<<54, 1<<56-1<<36, 0xe66640_00000000, d.Uint64()>>8, d.Uint64()>>8, 1<<56-1)
	return (near + uint64(d.IntN(3)) - 1) & (1<<56 - 1)
}

func (d dice) probability() *composite.Probability {
	ratios := []float64{0, 1, 0.5, 0.75, 0.25, 0.1, 1.0 / 3, 0.001, 1e-9}
	if i := d.IntN(len(ratios) + 1); i < len(ratios) {
		return &composite.Probability{Ratio: &ratios[i]}
	}
	return &composite.Probability{}
}

// sampler is a tree. byParent tells that it is asked by what the parent decided.
func (d dice) sampler(depth int, byParent bool) (s composite.Sampler) {
	below := func(byParent bool) *composite.Sampler {
		s := d.sampler(depth-1, byParent)
		return &s
	}
	perhaps := func(byParent bool) *composite.Sampler {
		if d.IntN(3) == 0 {
			return nil
		}
		return below(byParent)
	}
	n := d.IntN(10)
	if depth == 0 {
		n = d.IntN(4)
	}
	switch {
	case n == 0:
		s.AlwaysOn = &composite.AlwaysOn{}
	case n == 1:
		s.AlwaysOff = &composite.AlwaysOff{}
	case n == 2:
		s.Probability = d.probability()
	case n == 3:
		s.TraceIDRatioBased = d.probability()
	case n == 4:
		s.ParentThreshold = &composite.ParentThreshold{Root: below(byParent)}
	case n == 5:
		s.ParentBased = &composite.ParentBased{Root: perhaps(byParent), RemoteParentSampled: perhaps(true), RemoteParentNotSampled: perhaps(true)}
	case n == 6 && !byParent:
		s.Annotating = &composite.Annotating{Sampler: below(byParent), Attributes: map[string]any{oneOf(d, "a", "n", "m"): oneOf(d, "1", "2")}}
	default:
		s.RuleBased = &composite.RuleBased{}
		for range d.IntN(4) {
			s.RuleBased.Rules = append(s.RuleBased.Rules, d.rule(below(byParent)))
		}
	}
	return s
}

func (d dice) rule(s *composite.Sampler) composite.Rule {
	r := composite.Rule{Sampler: s}
	if d.IntN(2) == 0 {
		r.AttributeValues = &composite.Values{Key: oneOf(d, "a", "b"), Values: append(d.some("x", "404", "true", "2.5"), "xy")}
	}
	if d.IntN(2) == 0 {
		r.AttributePatterns = &composite.Patterns{Key: oneOf(d, "a", "b"), Included: d.some("x*", "4?4", "?", "*"), Excluded: d.some("*y", "", "404")}
	}
	if d.IntN(3) == 0 {
		r.SpanKinds = []composite.Kind{"server", oneOf[composite.Kind](d, "internal", "client", "producer", "consumer")}
	}
	if d.IntN(3) == 0 {
		r.Parent = []composite.Parent{oneOf(d, composite.NoParent, composite.RemoteParent), oneOf(d, composite.NoParent, composite.LocalParent)}
	}
	return r
}
