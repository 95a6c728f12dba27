package slow_test

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/samplertest"
	"github.com/riffletrace/riffle/samplers/slow"
)

func newSampler(tb testing.TB, c slow.Config) sampling.EndSampler {
	tb.Helper()
	if c.Spans == "" {
		c.Spans = slow.LocalRoot
	}
	s, err := slow.New(tb.Context(), component.Settings{}, c)
	if err != nil {
		tb.Fatal(err)
	}
	return s.(sampling.EndSampler)
}

const second = component.Duration(time.Second)

func TestSlow(t *testing.T) {
	const long, short = time.Second, time.Second - 1
	for _, tt := range []struct {
		name  string
		spans slow.Spans
		p     sampling.EndParameters
		keep  bool
	}{
		{"root at the threshold", slow.LocalRoot, sampling.EndParameters{LocalRoot: true, Duration: long}, true},
		{"root below it", slow.LocalRoot, sampling.EndParameters{LocalRoot: true, Duration: short}, false},
		{"open root, from its age", slow.LocalRoot, sampling.EndParameters{LocalRoot: true, Open: true, Duration: long}, true},
		{"another span", slow.LocalRoot, sampling.EndParameters{Duration: long}, false},
		{"any: root", slow.Any, sampling.EndParameters{LocalRoot: true, Duration: long}, true},
		{"any: another span", slow.Any, sampling.EndParameters{Duration: long}, true},
		{"any: below", slow.Any, sampling.EndParameters{Duration: short}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newSampler(t, slow.Config{Threshold: second, Spans: tt.spans}).SampleEnd(tt.p)
			want := "abstain"
			if tt.keep {
				want = "threshold 0: took 1s or longer"
			}
			if got := a.String(); got != want {
				t.Errorf("answer = %s, want %s", got, want)
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	s := newSampler(t, slow.Config{Threshold: second, Spans: slow.Any, Routes: []slow.Route{
		{Route: "/reports/", Threshold: 20 * second},
		{Route: "GET /reports/{id}/summary", Threshold: 5 * second},
		{Route: "/quick", Threshold: second / 10},
	}})
	for _, tt := range []struct {
		name  string // of the span
		attrs []attribute.KeyValue
		root  bool
		took  component.Duration
		want  string // "" abstains
	}{
		{"GET /users/{id}", nil, true, second, "1s"},
		{"GET /users/{id}", nil, true, second - 1, ""},
		{"work", nil, true, second, "1s"},
		{"POST", []attribute.KeyValue{attribute.String("url.path", "/reports/7")}, true, 20*second - 1, ""},
		{"POST", []attribute.KeyValue{attribute.String("url.path", "/reports/7")}, true, 20 * second, "20s"},
		{"GET", []attribute.KeyValue{attribute.String("http.route", "/reports/{id}/summary")}, true, 5 * second, "5s"},
		{"POST", []attribute.KeyValue{attribute.String("http.route", "/reports/{id}/summary")}, true, 5 * second, ""},
		{"GET /quick", nil, true, second / 10, "100ms"},
		{"GET /quick", nil, true, second/10 - 1, ""},
		// Below the root, a route is that of another service.
		{"GET /quick", nil, false, second / 10, ""},
		{"GET /reports/7", nil, false, second, "1s"},
	} {
		span := tracetest.SpanStub{Name: tt.name, Attributes: tt.attrs}.Snapshot()
		a := s.SampleEnd(sampling.EndParameters{Span: span, LocalRoot: tt.root, Duration: time.Duration(tt.took)})
		want := "abstain"
		if tt.want != "" {
			want = "threshold 0: took " + tt.want + " or longer"
		}
		if got := a.String(); got != want {
			t.Errorf("%s %v, root %v, %v: answer = %s, want %s", tt.name, tt.attrs, tt.root, tt.took, got, want)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config slow.Config
		errors []string
	}{
		{"complete", slow.Config{Threshold: second, Spans: slow.Any}, nil},
		{"no threshold", slow.Config{Spans: slow.Any}, []string{"threshold: missing"}},
		{"below 0", slow.Config{Threshold: -second, Spans: slow.Any}, []string{"threshold: -1s is no time to wait for"}},
		{"spans", slow.Config{Threshold: second, Spans: "root"}, []string{`spans: "root" is not one of local_root, any`}},
		{"routes", slow.Config{Threshold: second, Spans: slow.Any, Routes: []slow.Route{
			{Route: "/x/{id}", Threshold: second}, {Route: "x", Threshold: second}, {Route: "/x/{name}", Threshold: -second}, {Route: "/y"},
		}}, []string{
			`routes[1].route: pattern "x"`,
			`routes[2].route: "/x/{name}" matches the same requests as "/x/{id}"`,
			"routes[2].threshold: -1s",
			"routes[3].threshold: missing",
		}},
		{"bands", slow.Config{Threshold: second, Below: 2 * second, Spans: slow.Any, Routes: []slow.Route{{Route: "/a", Threshold: second}}}, nil},
		{"wrong bands", slow.Config{Threshold: second, Below: second, Spans: slow.Any, Routes: []slow.Route{
			{Route: "/a", Threshold: second, Below: -1}, {Route: "/b", Below: second / 2},
		}}, []string{
			"below: 1s is not above the threshold, 1s", "routes[0].below: -1ns is no time", "routes[1].threshold: missing",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := component.FieldErrors(tt.config.Validate())
			if len(got) != len(tt.errors) {
				t.Fatalf("errors = %v, want %q", got, tt.errors)
			}
			for i := range got {
				if !strings.HasPrefix(got[i].Error(), tt.errors[i]) {
					t.Errorf("error = %v, want %q", got[i], tt.errors[i])
				}
			}
		})
	}
}

func TestDescription(t *testing.T) {
	for want, c := range map[string]slow.Config{
		"slow from 1s":                            {Threshold: second},
		"slow from 250ms, any span":               {Threshold: second / 4, Spans: slow.Any},
		"slow from 1s to below 5s":                {Threshold: second, Below: 5 * second},
		"slow from 1s, 2 routes from 500ms to 1m": {Threshold: second, Routes: []slow.Route{{Route: "/a", Threshold: 60 * second}, {Route: "/b", Threshold: second / 2}}},
	} {
		if got := newSampler(t, c).Traits().Description; got != want {
			t.Errorf("description = %s, want %s", got, want)
		}
	}
}

// How long it waits is bounded by when open segments are decided.
func TestLongestWait(t *testing.T) {
	for _, tt := range []struct {
		below component.Duration
		route slow.Route
		want  time.Duration
		path  string
	}{
		{0, slow.Route{}, time.Second, "threshold"},
		{0, slow.Route{Threshold: second / 2}, time.Second, "threshold"},
		{0, slow.Route{Threshold: 20 * second}, 20 * time.Second, "routes[0].threshold"},
		{30 * second, slow.Route{Threshold: 20 * second}, 30 * time.Second, "below"},
		{30 * second, slow.Route{Threshold: 20 * second, Below: 40 * second}, 40 * time.Second, "routes[0].below"},
	} {
		c := slow.Config{Threshold: second, Below: tt.below}
		if tt.route.Threshold > 0 {
			tt.route.Route = "/x"
			c.Routes = []slow.Route{tt.route}
		}
		traits := newSampler(t, c).Traits()
		if traits.LongestWait != tt.want || traits.LongestWaitPath != tt.path {
			t.Errorf("%+v: longest wait = %v of %s, want %v of %s", c, traits.LongestWait, traits.LongestWaitPath, tt.want, tt.path)
		}
	}
}

func TestBands(t *testing.T) {
	routes := []slow.Route{{Route: "/reports/", Threshold: 20 * second, Below: 30 * second}, {Route: "/uploads/", Threshold: 10 * second}}
	for _, tt := range []struct {
		name  string
		spans slow.Spans
		p     sampling.EndParameters
		want  string // "" abstains
	}{
		{"work", slow.LocalRoot, sampling.EndParameters{LocalRoot: true, Duration: time.Second - 1}, ""},
		{"work", slow.LocalRoot, sampling.EndParameters{LocalRoot: true, Duration: time.Second}, "from 1s to below 5s"},
		{"work", slow.LocalRoot, sampling.EndParameters{LocalRoot: true, Duration: 5*time.Second - 1}, "from 1s to below 5s"},
		{"work", slow.LocalRoot, sampling.EndParameters{LocalRoot: true, Duration: 5 * time.Second}, ""},
		{"work", slow.LocalRoot, sampling.EndParameters{LocalRoot: true, Duration: 2 * time.Second, Open: true}, ""},
		{"work", slow.Any, sampling.EndParameters{Duration: 2 * time.Second}, "from 1s to below 5s"},
		{"work", slow.Any, sampling.EndParameters{Duration: 6 * time.Second}, ""},
		{"GET /reports/7", slow.LocalRoot, sampling.EndParameters{LocalRoot: true, Duration: 2 * time.Second}, ""},
		{"GET /reports/7", slow.LocalRoot, sampling.EndParameters{LocalRoot: true, Duration: 25 * time.Second}, "from 20s to below 30s"},
		{"GET /reports/7", slow.LocalRoot, sampling.EndParameters{LocalRoot: true, Duration: 30 * time.Second}, ""},
		{"GET /uploads/7", slow.LocalRoot, sampling.EndParameters{LocalRoot: true, Duration: time.Hour}, "10s or longer"},
		{"GET /uploads/7", slow.LocalRoot, sampling.EndParameters{LocalRoot: true, Duration: 10 * time.Second, Open: true}, "10s or longer"},
	} {
		tt.p.Span = tracetest.SpanStub{Name: tt.name}.Snapshot()
		a := newSampler(t, slow.Config{Threshold: second, Below: 5 * second, Spans: tt.spans, Routes: routes}).SampleEnd(tt.p)
		want := "abstain"
		if tt.want != "" {
			want = "threshold 0: took " + tt.want
		}
		if got := a.String(); got != want {
			t.Errorf("%s, %v, open %v: answer = %s, want %s", tt.name, tt.p.Duration, tt.p.Open, got, want)
		}
	}
}

func TestConformance(t *testing.T) {
	for _, spans := range []slow.Spans{slow.LocalRoot, slow.Any} {
		samplertest.Run(t, samplertest.Plan(component.Use(slow.Factory, "", slow.Config{
			Threshold: second, Below: 1000 * second, Spans: spans, Routes: []slow.Route{{Route: "GET /", Threshold: second / 2}},
		})))
	}
}

// rooted is a root that takes long enough to be looked at.
func rooted() sampling.EndParameters {
	span := tracetest.SpanStub{Name: "GET /users/{id}", Attributes: []attribute.KeyValue{
		attribute.String("http.request.method", "GET"), attribute.String("http.route", "/users/{id}"),
	}}.Snapshot()
	return sampling.EndParameters{Span: span, LocalRoot: true, Duration: time.Second * 3 / 4}
}

func BenchmarkAbstain(b *testing.B) {
	for name, routes := range map[string][]slow.Route{
		"none": nil, "one": {{Route: "/users/{id}", Threshold: second}, {Route: "/quick", Threshold: second / 2}},
	} {
		b.Run("routes="+name, func(b *testing.B) {
			s, p := newSampler(b, slow.Config{Threshold: second, Routes: routes}), rooted()
			b.ReportAllocs()
			for b.Loop() {
				s.SampleEnd(p)
			}
		})
	}
}
