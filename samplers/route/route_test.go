package route_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/route"
	"github.com/riffletrace/riffle/samplers/samplertest"
)

var rules = []route.Rule{
	{Route: "/checkout/{id}", Sample: "1.0"},
	{Route: "GET /healthz", Sample: sampling.SampleDrop},
	{Route: "/static/", Sample: "0"},
	{Route: "/static/{dir}/app.js", Sample: "0.25"},
}

func newSampler(tb testing.TB, rules []route.Rule) sampling.StartSampler {
	tb.Helper()
	return samplertest.Plan(component.Use(route.Factory, "", route.Config{Rules: rules}))(tb).(sampling.StartSampler)
}

func request(method, path string) sampling.StartParameters {
	return sampling.StartParameters{
		ParentContext: context.Background(),
		Name:          method,
		Attributes:    []attribute.KeyValue{attribute.String("http.request.method", method), attribute.String("url.path", path)},
	}
}

func TestRoute(t *testing.T) {
	s := newSampler(t, rules)
	withRoute := request("GET", "/checkout/7")
	withRoute.Attributes = append(withRoute.Attributes, attribute.String("http.route", "GET /healthz"))
	for _, tt := range []struct {
		p    sampling.StartParameters
		want string
	}{
		{request("GET", "/healthz"), "drop: rules[1]: GET /healthz"},
		{request("HEAD", "/healthz"), "drop: rules[1]: GET /healthz"},
		{request("POST", "/healthz"), "abstain"},
		{request("PUT", "/checkout/7"), "threshold 0: rules[0]: /checkout/{id}"},
		{request("GET", "/static/x.css"), "threshold never: rules[2]: /static/"},
		{request("GET", "/static/js/app.js"), "threshold c: rules[3]: /static/{dir}/app.js"},
		{request("GET", "/elsewhere"), "abstain"},
		{sampling.StartParameters{Name: "GET /healthz"}, "drop: rules[1]: GET /healthz"},
		{sampling.StartParameters{Name: "consume checkout"}, "abstain"},
		{sampling.StartParameters{}, "abstain"},
		{withRoute, "drop: rules[1]: GET /healthz"},
	} {
		if got := s.SampleStart(tt.p).String(); got != tt.want {
			t.Errorf("%s %v: %s, want %s", tt.p.Name, tt.p.Attributes, got, tt.want)
		}
	}
	if rule := s.SampleStart(request("GET", "/healthz")).Rule(); rule == nil || *rule != "rules[1]: GET /healthz" {
		t.Errorf("the rule is %v", rule)
	}
	if got := s.Traits().Description; got != "route by 4 rules" {
		t.Errorf("Description = %q", got)
	}
	if got := newSampler(t, rules[:1]).Traits().Description; got != "route by /checkout/{id}" {
		t.Errorf("Description = %q", got)
	}
}

// A rule is told as used if it met a request since it was last told.
func TestRulesUsed(t *testing.T) {
	s := newSampler(t, rules)
	user := s.(sampling.RuleUser)
	for _, tt := range []struct {
		paths []string
		want  []string
	}{
		{nil, nil},
		{[]string{"/elsewhere", "/healthz", "/healthz", "/static/js/app.js"}, []string{"rules[1]: GET /healthz", "rules[3]: /static/{dir}/app.js"}},
		{[]string{"/checkout/7"}, []string{"rules[0]: /checkout/{id}"}},
		{nil, nil},
	} {
		for _, path := range tt.paths {
			s.SampleStart(request("GET", path))
		}
		var all, used []string
		user.RulesUsed(func(rule string, is bool) {
			if all = append(all, rule); is {
				used = append(used, rule)
			}
		})
		if diff := cmp.Diff(tt.want, used); diff != "" {
			t.Errorf("after %v (-want +got):\n%s", tt.paths, diff)
		}
		if len(all) != len(rules) {
			t.Errorf("told of %v", all)
		}
	}
}

func TestMayDrop(t *testing.T) {
	for _, tt := range []struct {
		rules []route.Rule
		want  bool
	}{{rules, true}, {rules[1:2], true}, {rules[2:], false}} {
		if got := newSampler(t, tt.rules).Traits().MayDrop; got != tt.want {
			t.Errorf("%v: MayDrop = %v", tt.rules, got)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		rules []route.Rule
		want  string
	}{
		{rules, ""},
		{nil, `rules: missing: want one or more, such as {route: "GET /healthz", sample: drop}`},
		{[]route.Rule{{}, {Route: "GET x", Sample: "2"}}, `rules[0].sample: missing: want drop, or the share of the traces to keep, 0 to 1
rules[0].route: a pattern is missing: want [METHOD ]/path
rules[1].sample: "2" is neither drop nor a number from 0 to 1
rules[1].route: pattern "GET x": the path "x" does not start with a slash`},
		{
			[]route.Rule{{"/", "1"}, {"/a/{x}", "1"}, {"/b", "1"}, {"GET /{y}/b", "drop"}, {"/b", "drop"}},
			`rules[1].route: see rules[3].route, which conflicts with it
rules[3].route: "GET /{y}/b" conflicts with "/a/{x}": both match "GET /a/b" and neither is more specific; see rules[1].route
rules[2].route: see rules[4].route, which conflicts with it
rules[4].route: "/b" matches the same requests as "/b"; see rules[2].route`,
		},
	} {
		c := route.Config{Rules: tt.rules}
		err := c.Validate()
		var got string
		if err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(strings.Split(tt.want, "\n"), strings.Split(got, "\n")); diff != "" {
			t.Errorf("%v:\n%s", tt.rules, diff)
		}
		if _, err := route.New(t.Context(), component.Settings{}, c); (err == nil) != (tt.want == "") {
			t.Errorf("%v: New: %v", tt.rules, err)
		}
	}
}

func TestConformance(t *testing.T) {
	samplertest.Run(t, samplertest.Plan(component.Use(route.Factory, "", route.Config{Rules: rules})),
		request("GET", "/healthz"), request("PUT", "/checkout/7"), sampling.StartParameters{Name: "GET /static/"})
}

func manyRules(n int) []route.Rule {
	all := make([]route.Rule, n)
	for i := range all {
		all[i] = route.Rule{Route: fmt.Sprintf("GET /api/v1/resource%d/{id}", i), Sample: "0.5"}
		if i%10 == 0 {
			all[i].Sample = sampling.SampleDrop
		}
	}
	return all
}

func BenchmarkSampleStart(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		s := newSampler(b, manyRules(n))
		for name, p := range map[string]sampling.StartParameters{
			"drop": request("GET", "/api/v1/resource0/7"),
			"none": request("GET", "/api/v1/elsewhere/7"),
			"routed": {Name: "GET /api/v1/resource0/{id}", Attributes: append(request("GET", "/api/v1/resource0/7").Attributes,
				attribute.String("http.route", "/api/v1/resource0/{id}"))},
		} {
			b.Run(fmt.Sprintf("rules=%d/answer=%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					s.SampleStart(p)
				}
			})
		}
	}
}
