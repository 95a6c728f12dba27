package composite_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	_ "github.com/riffletrace/riffle/exporters/standard"
	"github.com/riffletrace/riffle/samplers/composite"
	"github.com/riffletrace/riffle/samplers/samplertest"
)

// shop is a tree as one writes it.
const shop = `
parent_threshold:
  root:
    rule_based:
      rules:
        - attribute_patterns: {key: url.path, included: ["/health*"]}
          sampler: {always_off: }
        - attribute_values: {key: http.response.status_code, values: ["404", "true"]}
          span_kinds: [server, client]
          sampler: {annotating: {sampler: {always_on: }, attributes: {why: looked for, codes: [1, 2], good: true}}}
        - sampler:
            rule_based:
              rules:
                - {span_kinds: [producer], sampler: {probability: {ratio: 0.25}}}
        - {sampler: {always_on: }}
`

// decoded is the plan of an entry with the tree.
func decoded(t testing.TB, tree string) component.Plan[sampling.Sampler] {
	t.Helper()
	spec, err := config.Parse([]byte(entry(tree)), config.Environ(nil))
	if err != nil {
		t.Fatal(err)
	}
	return spec.Samplers[0].Plan
}

func entry(tree string) string {
	return "observability:\n  tracing:\n    enabled: true\n    samplers:\n      - type: composite\n        sampler:\n" +
		strings.ReplaceAll("\n"+strings.TrimSpace(tree), "\n", "\n          ")
}

func TestAnswers(t *testing.T) {
	var codes []int
	for i := range 2000 {
		codes = append(codes, i+1000)
	}
	code := attribute.Key("http.response.status_code")
	for _, tt := range []struct {
		tree  string
		below bool
		kind  trace.SpanKind
		attrs []attribute.KeyValue
		want  string
	}{
		{tree: shop, want: "threshold never: rules[2].no rule matches"},
		{tree: shop, kind: trace.SpanKindProducer, want: "threshold c: rules[2].rules[0]"},
		{tree: shop, below: true, kind: trace.SpanKindProducer, want: "as the parent decided"},
		{tree: shop, attrs: []attribute.KeyValue{attribute.String("url.path", "/healthz")}, want: "threshold never: rules[0]"},
		{tree: shop, attrs: []attribute.KeyValue{attribute.String("url.path", "/Healthz")}, want: "threshold never: rules[2].no rule matches"},
		{tree: shop, attrs: []attribute.KeyValue{attribute.String("url.path", "/healthz"), attribute.String("url.path", "/")}, want: "threshold never: rules[2].no rule matches"},
		{tree: shop, kind: trace.SpanKindServer, attrs: []attribute.KeyValue{code.Int(404)}, want: `threshold 0: rules[1] codes=[1,2] good=true why=looked for`},
		{tree: shop, kind: trace.SpanKindServer, attrs: []attribute.KeyValue{code.Bool(true)}, want: `threshold 0: rules[1] codes=[1,2] good=true why=looked for`},
		{tree: shop, kind: trace.SpanKindServer, attrs: []attribute.KeyValue{code.IntSlice([]int{1, 404})}, want: `threshold 0: rules[1] codes=[1,2] good=true why=looked for`},
		{
			tree: shop, kind: trace.SpanKindServer,
			attrs: []attribute.KeyValue{code.Slice(attribute.IntValue(7), attribute.BoolValue(true))},
			want:  `threshold 0: rules[1] codes=[1,2] good=true why=looked for`,
		},
		{tree: shop, kind: trace.SpanKindServer, attrs: []attribute.KeyValue{code.IntSlice(append(codes, 404))}, want: "threshold never: rules[2].no rule matches"},
		{tree: shop, kind: trace.SpanKindInternal, attrs: []attribute.KeyValue{code.Int(404)}, want: "threshold never: rules[2].no rule matches"},

		{tree: "always_on:", want: "threshold 0"},
		{tree: "always_on:", below: true, want: "threshold 0"},
		{tree: "always_off: {}", want: "threshold never"},
		{tree: "probability:", want: "threshold 0"},
		{tree: "probability: {ratio: 0}", want: "threshold never"},
		{tree: "trace_id_ratio_based: {ratio: 0.5}", below: true, want: "threshold 8"},
		{tree: "rule_based:", want: "threshold never: no rule matches"},
		{tree: "parent_based:", want: "threshold 0"},
		{tree: "parent_based:", below: true, want: "as the parent decided"},
		{tree: "parent_based: {root: {always_off: }}", want: "threshold never"},
		{
			tree: "parent_based: {remote_parent_sampled: {probability: {ratio: 0.5}}, remote_parent_not_sampled: {always_on: }}", below: true,
			want: "threshold 8 below a sampled parent, 0 below another",
		},
		{
			tree: "parent_based: {remote_parent_sampled: {parent_based: }, remote_parent_not_sampled: {rule_based: {rules: [{sampler: {probability: {ratio: 0.5}}}]}}}", below: true,
			want: `threshold 0 below a sampled parent, 8 below another: "" if the parent is sampled, else "rules[0]"`,
		},
		{
			tree: "annotating: {attributes: {a: 1, b: 2}, sampler: {annotating: {attributes: {b: 3}, sampler: {parent_threshold: {root: {always_on: }}}}}}", below: true,
			want: "as the parent decided b=3 a=1 b=2",
		},
		{tree: "rule_based: {rules: [{parent: [none, local], sampler: {always_on: }}, {parent: [remote], sampler: {always_off: }}]}", want: "threshold 0: rules[0]"},
		{tree: "rule_based: {rules: [{parent: [none, local], sampler: {always_on: }}, {parent: [remote], sampler: {always_off: }}]}", below: true, want: "threshold never: rules[1]"},
		{tree: "rule_based: {rules: [{parent: [none], sampler: {always_on: }}]}", below: true, want: "threshold never: no rule matches"},
		{
			tree:  `rule_based: {rules: [{attribute_patterns: {key: a, excluded: ["2.?"]}, sampler: {always_on: }}]}`,
			attrs: []attribute.KeyValue{attribute.Float64("a", 2.5)}, want: "threshold never: no rule matches",
		},
		{
			tree:  `rule_based: {rules: [{attribute_patterns: {key: a, excluded: ["2.?"]}, sampler: {always_on: }}]}`,
			attrs: []attribute.KeyValue{attribute.Float64Slice("a", []float64{2.5, 1})}, want: "threshold 0: rules[0]",
		},
	} {
		s, err := decoded(t, tt.tree).Build(t.Context(), component.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		a := s.(sampling.StartSampler).SampleStart(sampling.StartParameters{
			ParentContext: context.Background(), Kind: tt.kind, Attributes: tt.attrs, RemoteParent: tt.below,
		})
		got := a.String()
		for _, kv := range a.Attributes() {
			got += fmt.Sprintf(" %s=%s", kv.Key, kv.Value.String())
		}
		if got != tt.want {
			t.Errorf("%s\nbelow a remote parent %v, %v, %.80v:\ngot  %s\nwant %s", tt.tree, tt.below, tt.kind, tt.attrs, got, tt.want)
		}
	}
}

func TestTraits(t *testing.T) {
	for tree, want := range map[string]sampling.Traits{
		shop: {Description: "composite: parent_threshold, rule_based by 4 rules", IgnoresName: true, AlwaysAnswers: true},
		"rule_based: {rules: [{attribute_values: {key: b, values: [x]}, attribute_patterns: {key: a}, sampler: {always_on: }}]}": {
			Description: "composite: rule_based by 1 rules", Keyed: true, Keys: []attribute.Key{"a", "b"}, IgnoresName: true, IgnoresKind: true, AlwaysAnswers: true,
		},
		"rule_based: {rules: [{span_kinds: [server], sampler: {always_on: }}]}": {
			Description: "composite: rule_based by 1 rules", Keyed: true, IgnoresName: true, AlwaysAnswers: true,
		},
		"rule_based: {rules: [{parent: [none], sampler: {always_on: }}]}": {
			Description: "composite: rule_based by 1 rules", IgnoresName: true, IgnoresKind: true, AlwaysAnswers: true,
		},
		"annotating: {sampler: {trace_id_ratio_based: {ratio: 0.125}}, attributes: {a: [x]}}": {
			Description: "composite: annotating, trace_id_ratio_based 12.5%", Keyed: true, IgnoresName: true, IgnoresKind: true, AlwaysAnswers: true,
		},
		"parent_based: {remote_parent_sampled: {probability: {ratio: 0.5}}}": {
			Description: "composite: parent_based, always_on", IgnoresName: true, IgnoresKind: true, AlwaysAnswers: true,
		},
	} {
		build := samplertest.Plan(decoded(t, tree))
		if diff := cmp.Diff(want, build(t).Traits()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tree, diff)
		}
		samplertest.Run(t, build,
			sampling.StartParameters{Kind: trace.SpanKindServer, Attributes: []attribute.KeyValue{attribute.Int("http.response.status_code", 404)}},
			sampling.StartParameters{Kind: trace.SpanKindProducer, RemoteParent: true},
		)
	}
}

func TestMistakes(t *testing.T) {
	const missing = "missing: want one of always_on, always_off, probability, trace_id_ratio_based, parent_threshold, parent_based, rule_based, annotating"
	for tree, want := range map[string]string{
		"{}":                              "sampler: " + missing,
		"always_of:":                      `sampler.always_of: unknown key (did you mean "always_on"?)`,
		"probability: {ratio: 2}":         "sampler.probability.ratio: 2 is not a probability: want a number from 0 to 1",
		"{always_on: , probability: }":    "sampler: has always_on and probability, and wants one of them",
		"parent_threshold: ":              "sampler.parent_threshold.root: missing: want a sampler, such as {always_on: {}}",
		"parent_threshold: {root: {}}":    "sampler.parent_threshold.root: " + missing,
		"rule_based: {rules: [{}]}":       "sampler.rule_based.rules[0].sampler: missing: want a sampler, such as {always_on: {}}",
		"parent_based: {root: {alway: }}": `sampler.parent_based.root.alway: unknown key: known are always_off, always_on, annotating, parent_based, parent_threshold, probability, rule_based, trace_id_ratio_based`,
		`
rule_based:
  rules:
    - {attribute_values: {}, attribute_patterns: {}, span_kinds: [servr], parent: [remot], sampler: {always_on: }}
    - {parent: [local], sampler: {always_on: }}`: `sampler.rule_based.rules[0].attribute_values.key: missing: want an attribute's key
sampler.rule_based.rules[0].attribute_values.values: missing: want one or more
sampler.rule_based.rules[0].attribute_patterns.key: missing: want an attribute's key
sampler.rule_based.rules[0].span_kinds[0]: unknown "servr" (did you mean "server"?)
sampler.rule_based.rules[0].parent[0]: unknown "remot" (did you mean "remote"?)
sampler.rule_based.rules[1].parent: such a rule matches nothing: samplers are asked about local roots, and a span with a local parent belongs to that one's: leave the rule out`,
		"annotating: ": `sampler.annotating.attributes: missing: want one or more, such as {reason: checkout}
sampler.annotating.sampler: missing: want a sampler, such as {always_on: {}}`,
		"annotating: {sampler: {always_on: }, attributes: {a: {b: c}, d: [1, x], e: []}}": `sampler.annotating.attributes.a: want a string, a boolean, a number, or a list of one kind of these
sampler.annotating.attributes.d: want a string, a boolean, a number, or a list of one kind of these
sampler.annotating.attributes.e: want a string, a boolean, a number, or a list of one kind of these`,
		"parent_based: {remote_parent_sampled: {rule_based: {rules: [{sampler: {annotating: {sampler: {always_on: }, attributes: {a: b}}}}]}}}": "sampler.parent_based.remote_parent_sampled.rule_based.rules[0].sampler.annotating: " +
			"what the remote parent decided must not choose attributes: put annotating above parent_based",
	} {
		_, err := config.Parse([]byte(entry(tree)), config.Environ(nil))
		if err == nil {
			t.Errorf("%s: no error", tree)
			continue
		}
		var got []string
		for line := range strings.Lines(err.Error()) {
			if _, message, ok := strings.Cut(line, "observability.tracing.samplers[0]."); ok {
				got = append(got, strings.TrimSpace(message))
			}
		}
		slices.Sort(got)
		wanted := strings.Split(want, "\n")
		slices.Sort(wanted)
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s\n%v", tree, diff, err)
		}
	}
}

func TestBounds(t *testing.T) {
	on := &composite.Sampler{AlwaysOn: &composite.AlwaysOn{}}
	rules := func(n int) *composite.Sampler {
		s := &composite.Sampler{RuleBased: &composite.RuleBased{}}
		for range n {
			s.RuleBased.Rules = append(s.RuleBased.Rules, composite.Rule{Sampler: on})
		}
		return s
	}
	nested := func(n int) *composite.Sampler {
		s := on
		for range n - 1 {
			s = &composite.Sampler{ParentThreshold: &composite.ParentThreshold{Root: s}}
		}
		return s
	}
	pairs := func(n int) *composite.Sampler {
		return &composite.Sampler{ParentBased: &composite.ParentBased{RemoteParentSampled: rules(n), RemoteParentNotSampled: rules(n)}}
	}
	for _, tt := range []struct {
		tree *composite.Sampler
		want string
	}{
		{nested(32), ""},
		{nested(33), "samplers are nested deeper than 32"},
		{rules(999), ""},
		{rules(2000), "more than 1000 samplers"},
		{pairs(99), ""},
		{pairs(100), "sampler.parent_based: the samplers for sampled and other remote parents have 10201 combinations of answers, more than 10000"},
	} {
		err := (&composite.Config{Sampler: *tt.tree}).Validate()
		if got := fmt.Sprint(err); err == nil && tt.want != "" || err != nil && (tt.want == "" || !strings.HasSuffix(got, tt.want)) {
			t.Errorf("error %v, want %q", err, tt.want)
		}
	}
}
