package match_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.yaml.in/yaml/v4"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/match"
)

func read(tb testing.TB, text string) match.Config {
	tb.Helper()
	var c match.Config
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return c
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		match     string
		start, of string // the paths of what is not known at the start, and of a span alone
	}{
		{"{route: /x, kind: server, name: a, scope: b, link: {a.b: 1}, links: {min: 1}, resource: {x: 1}, url.path: /x}", "", ""},
		{"{status: ok}", "status", ""},
		{"{duration: {min: 1s}}", "duration", ""},
		{"{event: {name: x}}", "event", ""},
		{"{parent: none}", "", "parent"},
		{"{spans: {min: 1}}", "spans", "spans"},
		{"{baggage: {tenant: gold}}", "", "baggage"},
		{"{tracestate: {vendor: x}}", "", "tracestate"},
		{"{root: {kind: server}}", "", "root"},
		{"{root: {status: ok, duration: {min: 1s}}}", "root.duration root.status", "root"},
		{"{span: {event: {name: x}}}", "span.event", ""},
		{"{any_span: {status: ok}}", "any_span", "any_span"},
		{"{error.type: x}", `["error.type"]`, ""},
		{"{attributes: {http.response.status_code: 500}}", `attributes["http.response.status_code"]`, ""},
		{"{exception.type: x}", `["exception.type"]`, ""},
		{"{http.response.header.x-cache: hit, http.request.header.x-test: 1}", `["http.response.header.x-cache"]`, ""},
		{"{any: [{kind: server}, {not: {all: [{rpc.grpc.status_code: 5, parent: none}]}}]}", `any[1].not.all[0]["rpc.grpc.status_code"]`, "any[1].not.all[0].parent"},
		{"{span: {any: [{db.response.status_code: x}]}}", `span.any[0]["db.response.status_code"]`, ""},
	} {
		m := compile(t, read(t, tt.match))
		paths := func(at match.Moment) string {
			var all []string
			for _, e := range component.FieldErrors(m.Check(at)) {
				all = append(all, e.Path)
			}
			slices.Sort(all)
			return strings.Join(all, " ")
		}
		if got := paths(match.AtStart); got != tt.start {
			t.Errorf("%s: not known at the start: %s", tt.match, got)
		}
		if got := paths(match.OfSpan); got != tt.of {
			t.Errorf("%s: not known of a span: %s", tt.match, got)
		}
		if paths(match.AtEnd)+paths(match.OfSegment) != "" {
			t.Errorf("%s: not known at the end: %s, %s", tt.match, paths(match.AtEnd), paths(match.OfSegment))
		}
	}
	m := compile(t, match.Config{Status: "ok", Parent: "none", Spans: atLeast(1)})
	want := "spans: a start sampler is asked before a span has ended: use an end or a segment sampler\n" +
		"status: a start sampler is asked before the span has one: use an end or a segment sampler"
	if diff := cmp.Diff(want, fmt.Sprint(m.Check(match.AtStart))); diff != "" {
		t.Error(diff)
	}
	want = "parent: an exporter's filter sees one span at a time\nspans: an exporter's filter sees one span at a time"
	if diff := cmp.Diff(want, fmt.Sprint(m.Check(match.OfSpan))); diff != "" {
		t.Error(diff)
	}
}

func TestNeeds(t *testing.T) {
	for text, want := range map[string][2]bool{
		"{kind: server}":                          {},
		"{not: {any_span: {kind: client}}}":       {true, false},
		"{any: [{baggage: {a: 1}}]}":              {false, true},
		"{any_span: {name: x}, baggage: {a: 1}}":  {true, true},
		"{root: {any: [{kind: server}]}, a.b: 1}": {},
	} {
		m := compile(t, read(t, text))
		if got := [2]bool{m.NeedsEnded(), m.NeedsBaggage()}; got != want {
			t.Errorf("%s needs %v", text, got)
		}
	}
}

func TestWarn(t *testing.T) {
	c := read(t, "{route: /a/<id>, root: {route: [/x, /b/*]}, any_span: {not: {route: /c/<id>}}, all: [{span: {any: [{route: /d/*}]}}]}")
	var got []string
	for _, e := range component.FieldErrors(c.Warn()) {
		got = append(got, e.Path)
	}
	want := []string{"route", "root.route[1]", "any_span.not.route", "all[0].span.any[0].route"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A key with a dot that was meant as the way to another key is an attribute.
func TestWarnOfDots(t *testing.T) {
	for _, tt := range []struct{ match, want string }{
		{"{root.kind: server}", `["root.kind"]: this is about an attribute root.kind: write root: {kind: ...}, or, if the attribute is meant, put it below attributes`},
		{"{not: {duration.min: 1s}}", `not["duration.min"]: this is about an attribute duration.min: write duration: {min: ...}, or, if the attribute is meant, put it below attributes`},
		{"{resource.service.name: shop}", `["resource.service.name"]: this is about an attribute resource.service.name: write resource: {service.name: ...}, or, if the attribute is meant, put it below attributes`},
		{"{any: [{any_span: {attributes.db.system: x}}]}", `any[0].any_span["attributes.db.system"]: this is about an attribute attributes.db.system: write attributes: {db.system: ...}, or, if the attribute is meant, put it below attributes`},
		{"{event: {attributes.a: x}}", `event["attributes.a"]: this is about an attribute attributes.a: write attributes: {a: ...}, or, if the attribute is meant, put it below attributes`},
		{"{attributes: {root.kind: server}, root: {spans.min: 1}, root.cause: x, kind.x: y, db.system: z, any.kind: x, .: y, .kind: x, root.: x}", ""},
	} {
		c := read(t, tt.match)
		got := ""
		if err := c.Warn(); err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.match, diff)
		}
	}
}

// FuzzMatch: whatever is written, there is a mistake with a path, or a matcher that
// answers at each moment and that reads the same when it is written.
func FuzzMatch(f *testing.F) {
	for _, text := range []string{
		"{route: [/a/{id}, GET /b/], kind: server, status: [ok, error], duration: {min: 1s, max: 2m}, parent: remote, spans: {min: 1, max: 3}}",
		"{baggage: {tenant: gold}, tracestate: {vendor: {glob: 'x*'}}, resource: {service.name: shop}, db.system: [mysql, 1, 2.5, true]}",
		"{attributes: {a: {equals: x, one_of: [y], exists: true, glob: '*b', regex: '^a+(b|c)', min: 1, max: '7', ignore_case: true}}}",
		"{event: {name: exc*, exception.type: x}, link: {a.b: 1}, links: {min: 0}, root: {status: error}, span: {name: x}, any_span: {scope: [a, b]}}",
		"{all: [{name: x}], any: [{name: y}, {not: {route: /}}], not: {root: {any: [{kind: client}]}}}",
		"{ot: 1, a: {b: c}, x.y: {regex: '('}}",
	} {
		f.Add(text)
	}
	g := checkout(f)
	subjects := []func() match.Subject{g.starts, g.queryEnds, g.overdue, g.rootEnded, g.complete, g.delivered}
	f.Fuzz(func(t *testing.T, text string) {
		var c match.Config
		if len(text) > 2000 || yaml.Unmarshal([]byte(text), &c) != nil {
			return
		}
		m, err := c.Compile()
		if err != nil {
			for _, e := range component.FieldErrors(err) {
				if e.Err.Error() == "" {
					t.Errorf("a mistake without a message at %q", e.Path)
				}
			}
			return
		}
		_ = c.Warn()
		var back match.Config
		if err := yaml.Unmarshal([]byte(c.String()), &back); err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		again, err := back.Compile()
		if err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		for i, subject := range subjects {
			s, same := subject(), subject()
			began := time.Now()
			if got, want := again.Match(&same), m.Match(&s); got != want {
				t.Errorf("%s, %d: %v, and %v when it was written", c, i, want, got)
			}
			if s.RootOpen && m.Match(&s) == match.Later {
				continue
			}
			if m.Match(&s) == match.Later || time.Since(began) > time.Second {
				t.Errorf("%s, %d: not at once", c, i)
			}
		}
	})
}

// One matcher serves several resources, and asks each once.
func TestResources(t *testing.T) {
	m := compile(t, match.Config{Resource: object{"service.name": "shop"}, Dotted: object{"service.version": object{"exists": true}}})
	g := checkout(t)
	other := checkout(t)
	other.subject.Resource = nil
	for range 3 {
		for want, s := range map[match.Result]match.Subject{match.Yes: g.complete(), match.No: other.complete()} {
			if got := m.Match(&s); got != want {
				t.Errorf("%v, want %v", got, want)
			}
		}
		another := checkout(t).complete()
		another.Resource = resource.NewSchemaless(attribute.String("service.name", "another"))
		if got := m.Match(&another); got != match.No {
			t.Errorf("%v of another resource", got)
		}
		for range 6 { // more than are remembered
			if n := m.Resources(); n > 4 {
				t.Errorf("%d resources are remembered", n)
			}
			s := checkout(t).complete()
			if got := m.Match(&s); got != match.Yes {
				t.Errorf("%v of a new resource", got)
			}
		}
	}
}

// An any_span is looked for once, also when other spans of the segment are asked about.
func TestAnySpanOnce(t *testing.T) {
	g := checkout(t)
	s := g.complete()
	var some, none []*match.Matcher
	for range 3 {
		some = append(some, compile(t, read(t, "{any_span: {kind: client}}")))
		none = append(none, compile(t, read(t, "{any_span: {kind: producer}}")))
	}
	for range 2 {
		for i := range some {
			if some[i].Match(&s) != match.Yes || none[i].Match(&s) != match.No {
				t.Errorf("the pair %d is wrong", i)
			}
		}
		s.Span, s.IsRoot = match.Span{Recorded: g.query.Snapshot()}, false
		s.Root.Recorded, s.Ended = g.root.Snapshot(), nil
	}
}
