package match_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/match"
)

// Random matches are compared with what they mean, said in the simplest way.

var (
	modelKeys   = []string{"a.x", "a.y", "exception.type"}
	modelValues = []string{"u", "v"}
	modelNames  = []string{"GET /r/1", "GET /q", "job"}
	modelScopes = []string{"pgx", "http"}
	statuses    = map[string]codes.Code{"ok": codes.Ok, "error": codes.Error, "unset": codes.Unset}
	kinds       = map[string]trace.SpanKind{"server": trace.SpanKindServer, "client": trace.SpanKindClient}
)

func pick[T any](r *rand.Rand, all []T) T { return all[r.IntN(len(all))] }

func randomSpan(r *rand.Rand) tracetest.SpanStub {
	attrs := func() (all []attribute.KeyValue) {
		for range r.IntN(3) {
			all = append(all, attribute.String(pick(r, modelKeys), pick(r, modelValues)))
		}
		return all
	}
	s := tracetest.SpanStub{
		Name: pick(r, modelNames), SpanKind: trace.SpanKind(r.IntN(5)), Attributes: attrs(),
		StartTime: begin, EndTime: begin.Add(time.Duration(r.IntN(4)) * time.Second),
		Status: sdktrace.Status{Code: codes.Code(r.IntN(3))}, InstrumentationScope: instrumentation.Scope{Name: pick(r, modelScopes)},
	}
	for range r.IntN(2) {
		s.Links = append(s.Links, sdktrace.Link{Attributes: attrs()})
	}
	for range r.IntN(3) {
		s.Events = append(s.Events, sdktrace.Event{Name: pick(r, []string{"exception", "retry"}), Attributes: attrs()})
	}
	return s
}

func randomCondition(r *rand.Rand) any {
	switch r.IntN(4) {
	case 0:
		return object{"exists": r.IntN(2) == 0}
	case 1:
		return list{"u", "w"}
	default:
		return pick(r, modelValues)
	}
}

func randomSpanConfig(r *rand.Rand, depth int) match.SpanConfig {
	var c match.SpanConfig
	switch n := r.IntN(13); {
	case n == 0:
		c.Attributes = object{pick(r, modelKeys): randomCondition(r)}
	case n == 1:
		c.Dotted = object{pick(r, modelKeys): randomCondition(r)}
	case n == 2:
		c.Name = pick(r, []string{"GET *", "job"})
	case n == 3:
		c.Scope = pick(r, modelScopes)
	case n == 4:
		c.Event = &match.Event{Name: pick(r, []string{"", "retry"}), Dotted: object{pick(r, modelKeys): randomCondition(r)}}
	case n == 5:
		c.Link = &match.Link{Dotted: object{pick(r, modelKeys): randomCondition(r)}}
	case n == 6:
		c.Links = pick(r, []*match.Counts{atLeast(1), atMost(0)})
	case n == 7:
		c.Route = pick(r, []any{"/r/{id}", list{"/q", "POST /"}})
	case n == 8:
		c.Kind = pick(r, []string{"server", "client"})
	case n == 9:
		c.Status = pick(r, []string{"ok", "error", "unset"})
	case n == 10 || depth == 0:
		c.Duration = pick(r, []*match.Durations{durations(2*time.Second, 0), durations(0, time.Second)})
	case n == 11:
		not := randomSpanConfig(r, depth-1)
		c.Not = &not
	default:
		for range 1 + r.IntN(3) {
			c.Any = append(c.Any, randomSpanConfig(r, depth-1))
		}
	}
	return c
}

func randomConfig(r *rand.Rand, depth int) match.Config {
	var c match.Config
	inner := randomSpanConfig(r, depth)
	switch n := r.IntN(12); {
	case n < 3 && inner.Any == nil && inner.Not == nil:
		c = match.Config{
			Attributes: inner.Attributes, Dotted: inner.Dotted, Name: inner.Name, Scope: inner.Scope, Event: inner.Event, Link: inner.Link,
			Links: inner.Links, Route: inner.Route, Kind: inner.Kind, Status: inner.Status, Duration: inner.Duration,
		}
	case n <= 3:
		c.Root = &inner
	case n == 4:
		c.Span = &inner
	case n == 5:
		c.AnySpan = &inner
	case n == 6:
		c.Parent = pick(r, []string{"none", "remote"})
	case n == 7:
		c.Spans = pick(r, []*match.Counts{atLeast(2), atMost(2)})
	case n == 8:
		c.Resource = object{"a.x": randomCondition(r)}
	case depth == 0:
		c.Kind = "server"
	case n == 9:
		not := randomConfig(r, depth-1)
		c.Not = &not
	case n == 10:
		for range 1 + r.IntN(3) {
			c.Any = append(c.Any, randomConfig(r, depth-1))
		}
	default:
		for range 1 + r.IntN(3) {
			c.All = append(c.All, randomConfig(r, depth-1))
		}
		c.Span = &match.SpanConfig{Name: "*"}
	}
	return c
}

// model is what is known.
type model struct {
	span, root tracetest.SpanStub
	isRoot     bool
	open       bool // the local root, and it is not the last time
	ended      []tracetest.SpanStub
	remote     bool
	resource   []attribute.KeyValue
}

func randomModel(r *rand.Rand) model {
	m := model{
		span: randomSpan(r), root: randomSpan(r), isRoot: r.IntN(3) == 0, remote: r.IntN(2) == 0,
		resource: []attribute.KeyValue{attribute.String("a.x", "u")}[:r.IntN(2)],
	}
	m.open = !m.isRoot && r.IntN(2) == 0
	if m.isRoot {
		m.root = m.span
	}
	m.ended = append(m.ended, m.span)
	if !m.open && !m.isRoot {
		m.ended = append(m.ended, m.root)
	}
	for range r.IntN(3) {
		m.ended = append(m.ended, randomSpan(r))
	}
	return m
}

func (m *model) subject() *match.Subject {
	root := m.root
	s := &match.Subject{IsRoot: m.isRoot, RootOpen: m.open, Spans: len(m.ended), RemoteParent: m.remote, Resource: resource.NewSchemaless(m.resource...)}
	if m.open {
		root.EndTime = time.Time{}
	} else {
		for _, e := range m.ended {
			s.Ended = append(s.Ended, e.Snapshot())
		}
	}
	s.Span.Recorded, s.Root.Recorded = m.span.Snapshot(), root.Snapshot()
	return s
}

func (m *model) config(c *match.Config) match.Result {
	all := []match.Result{yes}
	add := func(r match.Result) { all = append(all, r) }
	about := func(of *tracetest.SpanStub, open bool, c match.SpanConfig) {
		add(m.spanConfig(of, open, &c))
	}
	about(&m.root, m.open, match.SpanConfig{Route: c.Route, Kind: c.Kind, Status: c.Status, Duration: c.Duration})
	about(&m.span, false, match.SpanConfig{
		Attributes: c.Attributes, Dotted: c.Dotted, Name: c.Name, Scope: c.Scope, Event: c.Event, Link: c.Link, Links: c.Links,
	})
	if c.Parent != "" {
		add(yesIf(m.remote == (c.Parent == "remote")))
	}
	if c.Spans != nil {
		n := len(m.ended)
		switch most := c.Spans.Max; {
		case most != nil && m.open && n <= *most, most == nil && m.open && n < *c.Spans.Min:
			add(later)
		case most != nil:
			add(yesIf(n <= *most))
		default:
			add(yesIf(n >= *c.Spans.Min))
		}
	}
	for key, want := range c.Resource {
		add(yesIf(meets(want, valuesOf(m.resource, key))))
	}
	if c.Root != nil {
		about(&m.root, m.open, *c.Root)
	}
	if c.Span != nil {
		about(&m.span, false, *c.Span)
	}
	if c.AnySpan != nil && m.open {
		add(later)
	} else if c.AnySpan != nil {
		add(yesIf(slices.ContainsFunc(m.ended, func(s tracetest.SpanStub) bool { return m.spanConfig(&s, false, c.AnySpan) == yes })))
	}
	for i := range c.All {
		add(m.config(&c.All[i]))
	}
	if len(c.Any) > 0 {
		var some []match.Result
		for i := range c.Any {
			some = append(some, negate(m.config(&c.Any[i])))
		}
		add(negate(conjunction(some)))
	}
	if c.Not != nil {
		add(negate(m.config(c.Not)))
	}
	return conjunction(all)
}

func (m *model) spanConfig(s *tracetest.SpanStub, open bool, c *match.SpanConfig) match.Result {
	fixed, all := []match.Result{yes}, []match.Result{yes}
	add := func(b bool) { all = append(all, yesIf(b)) }
	if c.Kind != nil {
		fixed = append(fixed, yesIf(kinds[c.Kind.(string)] == s.SpanKind))
	}
	if c.Scope != nil {
		fixed = append(fixed, yesIf(c.Scope == s.InstrumentationScope.Name))
	}
	for _, conditions := range []object{c.Attributes, c.Dotted} {
		for key, want := range conditions {
			values := valuesOf(s.Attributes, key)
			if len(values) == 0 && key == "exception.type" {
				for _, e := range s.Events {
					if e.Name == "exception" {
						values = append(values, valuesOf(e.Attributes, key)...)
					}
				}
			}
			if len(values) == 0 {
				values = valuesOf(m.resource, key)
			}
			add(meets(want, values))
		}
	}
	if c.Name != "" {
		add(c.Name == "*" || c.Name == s.Name || c.Name == "GET *" && s.Name != "job")
	}
	if c.Event != nil {
		add(slices.ContainsFunc(s.Events, func(e sdktrace.Event) bool {
			return (c.Event.Name == "" || c.Event.Name == e.Name) && meetAll(c.Event.Dotted, e.Attributes)
		}))
	}
	if c.Link != nil {
		add(slices.ContainsFunc(s.Links, func(l sdktrace.Link) bool { return meetAll(c.Link.Dotted, l.Attributes) }))
	}
	if c.Links != nil {
		add((c.Links.Min != nil) == (len(s.Links) > 0))
	}
	if c.Route != nil {
		add(s.Name == map[bool]string{true: "GET /r/1", false: "GET /q"}[c.Route == "/r/{id}"])
	}
	if c.Status != nil {
		add(statuses[c.Status.(string)] == s.Status.Code)
	}
	if c.Duration != nil {
		d := s.EndTime.Sub(s.StartTime)
		add(c.Duration.Min != nil && d >= 2*time.Second || c.Duration.Max != nil && d <= time.Second)
	}
	result := conjunction(all)
	if open && len(all) > 1 {
		result = later
	}
	all = append(fixed, result)
	if len(c.Any) > 0 {
		var some []match.Result
		for i := range c.Any {
			some = append(some, negate(m.spanConfig(s, open, &c.Any[i])))
		}
		all = append(all, negate(conjunction(some)))
	}
	if c.Not != nil {
		all = append(all, negate(m.spanConfig(s, open, c.Not)))
	}
	return conjunction(all)
}

func yesIf(b bool) match.Result {
	if b {
		return yes
	}
	return no
}

func negate(r match.Result) match.Result {
	return map[match.Result]match.Result{yes: no, no: yes, later: later}[r]
}

func conjunction(all []match.Result) match.Result {
	switch {
	case slices.Contains(all, no):
		return no
	case slices.Contains(all, later):
		return later
	default:
		return yes
	}
}

// valuesOf are those that count: the last, or none.
func valuesOf(attrs []attribute.KeyValue, key string) (values []string) {
	for _, kv := range attrs {
		if string(kv.Key) == key {
			values = []string{kv.Value.AsString()}
		}
	}
	return values
}

func meets(want any, values []string) bool {
	switch want := want.(type) {
	case object:
		return want["exists"] == (len(values) > 0)
	case list:
		return slices.ContainsFunc(values, func(v string) bool { return slices.Contains(want, any(v)) })
	default:
		return slices.ContainsFunc(values, func(v string) bool { return v == want })
	}
}

func meetAll(conditions object, attrs []attribute.KeyValue) bool {
	for key, want := range conditions {
		if !meets(want, valuesOf(attrs, key)) {
			return false
		}
	}
	return true
}

func TestMatchIsWhatItSays(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var seen [3]int
	for range 40_000 {
		c, m := randomConfig(r, 3), randomModel(r)
		got, want := compile(t, c).Match(m.subject()), m.config(&c)
		if got != want {
			t.Fatalf("%s of %+v: %v, want %v", c, m, got, want)
		}
		seen[got]++
		if !m.open || got == later {
			continue
		}
		// What is known does not change, whatever becomes of the local root.
		m.open = false
		root := randomSpan(r)
		root.SpanKind, root.InstrumentationScope = m.root.SpanKind, m.root.InstrumentationScope
		m.root = root
		for range 1 + r.IntN(3) {
			m.ended = append(m.ended, randomSpan(r))
		}
		if end := compile(t, c).Match(m.subject()); end != got {
			t.Fatalf("%s: %v when %+v ended, before it %v", c, end, m, got)
		}
	}
	for result, n := range seen {
		if n < 3000 {
			t.Errorf("only %d are %v", n, match.Result(result))
		}
	}
}
