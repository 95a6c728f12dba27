package match_test

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/match"
)

func durations(least, most time.Duration) *match.Durations {
	d := &match.Durations{}
	if least > 0 {
		d.Min = new(component.Duration(least))
	}
	if most > 0 {
		d.Max = new(component.Duration(most))
	}
	return d
}

func atLeast(n int) *match.Counts { return &match.Counts{Min: &n} }
func atMost(n int) *match.Counts  { return &match.Counts{Max: &n} }

var begin = time.Unix(1_700_000_000, 0)

// segment is a request to /checkout/7 that failed after 300 ms, with a query below it
// that threw.
type segment struct {
	root, query tracetest.SpanStub
	subject     match.Subject // of what the spans have in common
}

func checkout(tb testing.TB) segment {
	tb.Helper()
	member, err := baggage.NewMember("tenant", "gold")
	if err != nil {
		tb.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		tb.Fatal(err)
	}
	state, err := trace.ParseTraceState("vendor=x,ot=rv:0123456789abcd")
	if err != nil {
		tb.Fatal(err)
	}
	link := sdktrace.Link{Attributes: []attribute.KeyValue{attribute.String("messaging.system", "kafka")}}
	return segment{
		root: tracetest.SpanStub{
			Name: "GET /checkout/{id}", SpanKind: trace.SpanKindServer, StartTime: begin, EndTime: begin.Add(300 * time.Millisecond),
			Attributes: []attribute.KeyValue{
				attribute.String("http.request.method", "GET"), attribute.String("url.path", "/checkout/7"), attribute.Int("http.response.status_code", 500),
			},
			Status: sdktrace.Status{Code: codes.Error, Description: "no"}, InstrumentationScope: instrumentation.Scope{Name: "net/http"},
			Links: []sdktrace.Link{link},
		},
		query: tracetest.SpanStub{
			Name: "SELECT orders", SpanKind: trace.SpanKindClient, StartTime: begin, EndTime: begin.Add(20 * time.Millisecond),
			Attributes: []attribute.KeyValue{attribute.String("db.system", "postgresql"), attribute.String("service.version", "of the span")},
			Status:     sdktrace.Status{Code: codes.Ok}, InstrumentationScope: instrumentation.Scope{Name: "github.com/jackc/pgx"},
			Events: []sdktrace.Event{
				{Name: "retry"},
				{Name: "exception", Attributes: []attribute.KeyValue{attribute.String("exception.type", "pq.TimeoutError")}},
				{Name: "exception", Attributes: []attribute.KeyValue{attribute.String("exception.type", "EOF")}},
			},
		},
		subject: match.Subject{
			Spans: 2, RemoteParent: true, TraceState: state, Baggage: bag,
			Resource: resource.NewSchemaless(attribute.String("service.name", "shop"), attribute.String("service.version", "1.2")),
		},
	}
}

// The questions about a segment.
func (g segment) starts() match.Subject {
	s := g.subject
	s.IsRoot, s.Spans = true, 0
	s.Span = match.Span{Name: g.root.Name, Kind: g.root.SpanKind, Attributes: g.root.Attributes[:2], Scope: g.root.InstrumentationScope.Name}
	for _, l := range g.root.Links {
		s.Span.Links = append(s.Span.Links, trace.Link{Attributes: l.Attributes})
	}
	return s
}

func (g segment) openRoot() sdktrace.ReadOnlySpan {
	open := g.root
	open.EndTime = time.Time{}
	return open.Snapshot()
}

func (g segment) queryEnds() match.Subject {
	s := g.subject
	s.Span.Recorded, s.Root.Recorded, s.RootOpen, s.Spans = g.query.Snapshot(), g.openRoot(), true, 1
	return s
}

// overdue asks about the query for the last time, while the local root is open.
func (g segment) overdue() match.Subject {
	s := g.queryEnds()
	s.RootOpen, s.RootDuration = false, 400*time.Millisecond
	s.Ended = []sdktrace.ReadOnlySpan{s.Span.Recorded}
	return s
}

func (g segment) rootEnded() match.Subject {
	s := g.subject
	s.Span.Recorded, s.Root.Recorded = g.query.Snapshot(), g.root.Snapshot()
	s.Ended = []sdktrace.ReadOnlySpan{s.Span.Recorded, s.Root.Recorded}
	return s
}

func (g segment) complete() match.Subject {
	s := g.subject
	s.Span.Recorded, s.IsRoot = g.root.Snapshot(), true
	s.Ended = []sdktrace.ReadOnlySpan{g.query.Snapshot(), s.Span.Recorded}
	return s
}

// delivered is the query alone, as a filter sees it.
func (g segment) delivered() match.Subject {
	return match.Subject{Span: match.Span{Recorded: g.query.Snapshot()}, IsRoot: true, Resource: g.subject.Resource}
}

const (
	no    = match.No
	yes   = match.Yes
	later = match.Later
)

func TestEachKeyAtEachMoment(t *testing.T) {
	span := func(c match.SpanConfig) match.Config { return match.Config{Span: &c} }
	root := func(c match.SpanConfig) match.Config { return match.Config{Root: &c} }
	anySpan := func(c match.SpanConfig) match.Config { return match.Config{AnySpan: &c} }
	dotted := func(key string, x any) match.Config { return match.Config{Dotted: object{key: x}} }
	zero := 0
	g := checkout(t)
	moments := []struct {
		name    string
		subject match.Subject
	}{
		{"the local root starts", g.starts()},
		{"a query ends", g.queryEnds()},
		{"the query, overdue", g.overdue()},
		{"the query, when the local root ended", g.rootEnded()},
		{"the segment is complete", g.complete()},
		{"the query is delivered", g.delivered()},
	}
	for _, tt := range []struct {
		config match.Config
		want   [6]match.Result // by moment
	}{
		{match.Config{Route: "/checkout/{id}"}, [6]match.Result{yes, later, yes, yes, yes, no}},
		{match.Config{Route: list{"/ws/", "POST /checkout/{id}"}}, [6]match.Result{no, later, no, no, no, no}},
		{match.Config{Not: &match.Config{Route: "/ws/"}}, [6]match.Result{yes, later, yes, yes, yes, yes}},
		{match.Config{Kind: "server"}, [6]match.Result{yes, yes, yes, yes, yes, no}},
		{match.Config{Status: "error"}, [6]match.Result{no, later, yes, yes, yes, no}},
		{match.Config{Status: list{"unset", "ok"}}, [6]match.Result{no, later, no, no, no, yes}},
		{match.Config{Duration: durations(100*time.Millisecond, 0)}, [6]match.Result{no, later, yes, yes, yes, no}},
		{match.Config{Duration: durations(0, 350*time.Millisecond)}, [6]match.Result{no, later, no, yes, yes, yes}},
		{match.Config{Parent: "remote"}, [6]match.Result{yes, yes, yes, yes, yes, no}},
		{match.Config{Parent: "none"}, [6]match.Result{no, no, no, no, no, yes}},
		{match.Config{Spans: atLeast(1)}, [6]match.Result{no, yes, yes, yes, yes, no}},
		{match.Config{Spans: atLeast(2)}, [6]match.Result{no, later, no, yes, yes, no}},
		{match.Config{Spans: atMost(1)}, [6]match.Result{yes, later, yes, no, no, yes}},
		{match.Config{Spans: atMost(0)}, [6]match.Result{yes, no, no, no, no, yes}},
		{match.Config{Baggage: object{"tenant": "gold"}}, [6]match.Result{yes, yes, yes, yes, yes, no}},
		{match.Config{Baggage: object{"user": object{"exists": false}}}, [6]match.Result{yes, yes, yes, yes, yes, yes}},
		{match.Config{Tracestate: object{"vendor": object{"glob": "x*"}}}, [6]match.Result{yes, yes, yes, yes, yes, no}},
		{match.Config{Tracestate: object{"other": "x"}}, [6]match.Result{}},
		{match.Config{Resource: object{"service.name": "shop"}}, [6]match.Result{yes, yes, yes, yes, yes, yes}},
		{match.Config{Resource: object{"service.version": "of the span"}}, [6]match.Result{}},
		{match.Config{Resource: object{"region": object{"exists": false}}}, [6]match.Result{yes, yes, yes, yes, yes, yes}},

		{dotted("db.system", "postgresql"), [6]match.Result{no, yes, yes, yes, no, yes}},
		{attributes("url.path", object{"glob": "/check*"}), [6]match.Result{yes, no, no, no, yes, no}},
		{dotted("service.name", "shop"), [6]match.Result{yes, yes, yes, yes, yes, yes}},
		{dotted("service.name", object{"exists": false}), [6]match.Result{}},
		{dotted("service.version", "1.2"), [6]match.Result{yes, no, no, no, yes, no}},
		{dotted("service.version", "of the span"), [6]match.Result{no, yes, yes, yes, no, yes}},
		{dotted("exception.type", object{"glob": "*Timeout*"}), [6]match.Result{no, yes, yes, yes, no, yes}},
		{dotted("exception.type", object{"exists": false}), [6]match.Result{yes, no, no, no, yes, no}},
		{dotted("exception.message", object{"exists": true}), [6]match.Result{}},
		{dotted("http.response.status_code", "500"), [6]match.Result{no, no, no, no, yes, no}},
		{match.Config{Name: "SELECT *"}, [6]match.Result{no, yes, yes, yes, no, yes}},
		{match.Config{Scope: "github.com/*"}, [6]match.Result{no, yes, yes, yes, no, yes}},
		{match.Config{Scope: list{"net/*", "x"}}, [6]match.Result{yes, no, no, no, yes, no}},
		{match.Config{Event: &match.Event{Name: "retry"}}, [6]match.Result{no, yes, yes, yes, no, yes}},
		{match.Config{Event: &match.Event{Name: "retry", Dotted: object{"exception.type": "EOF"}}}, [6]match.Result{}},
		{match.Config{Event: &match.Event{Attributes: object{"exception.type": "EOF"}}}, [6]match.Result{no, yes, yes, yes, no, yes}},
		{match.Config{Event: &match.Event{Name: "exc*", Dotted: object{"service.name": "shop"}}}, [6]match.Result{}},
		{match.Config{Link: &match.Link{Dotted: object{"messaging.system": "kafka"}}}, [6]match.Result{yes, no, no, no, yes, no}},
		{match.Config{Link: &match.Link{Attributes: object{"messaging.system": "nats"}}}, [6]match.Result{}},
		{match.Config{Links: &match.Counts{Max: &zero}}, [6]match.Result{no, yes, yes, yes, no, yes}},
		{match.Config{Links: atLeast(1)}, [6]match.Result{yes, no, no, no, yes, no}},

		{root(match.SpanConfig{Kind: "server"}), [6]match.Result{yes, yes, yes, yes, yes, no}},
		{root(match.SpanConfig{Scope: "net/http"}), [6]match.Result{yes, yes, yes, yes, yes, no}},
		{root(match.SpanConfig{Name: "GET *"}), [6]match.Result{yes, later, yes, yes, yes, no}},
		{root(match.SpanConfig{Dotted: object{"http.response.status_code": 500}}), [6]match.Result{no, later, yes, yes, yes, no}},
		{root(match.SpanConfig{Link: &match.Link{Dotted: object{"messaging.system": "kafka"}}}), [6]match.Result{yes, later, yes, yes, yes, no}},
		{root(match.SpanConfig{Event: &match.Event{Name: "*"}}), [6]match.Result{no, later, no, no, no, yes}},
		{root(match.SpanConfig{Links: atLeast(1)}), [6]match.Result{yes, later, yes, yes, yes, no}},
		{root(match.SpanConfig{Kind: "client", Status: "error"}), [6]match.Result{}},
		{root(match.SpanConfig{Any: []match.SpanConfig{{Kind: "server"}, {Status: "ok"}}}), [6]match.Result{yes, yes, yes, yes, yes, yes}},
		{root(match.SpanConfig{All: []match.SpanConfig{{Kind: "server"}, {Not: &match.SpanConfig{Status: "ok"}}}}), [6]match.Result{yes, later, yes, yes, yes, no}},
		{span(match.SpanConfig{Kind: "client"}), [6]match.Result{no, yes, yes, yes, no, yes}},
		{span(match.SpanConfig{Status: "ok"}), [6]match.Result{no, yes, yes, yes, no, yes}},
		{span(match.SpanConfig{Duration: durations(0, 20*time.Millisecond)}), [6]match.Result{no, yes, yes, yes, no, yes}},
		{span(match.SpanConfig{Route: "/checkout/"}), [6]match.Result{yes, no, no, no, yes, no}},
		{anySpan(match.SpanConfig{Kind: "client", Status: "ok"}), [6]match.Result{no, later, yes, yes, yes, no}},
		{anySpan(match.SpanConfig{Kind: "client", Status: "error"}), [6]match.Result{no, later, no, no, no, no}},
		{anySpan(match.SpanConfig{Kind: "server", Duration: durations(350*time.Millisecond, 0)}), [6]match.Result{no, later, yes, no, no, no}},
		{match.Config{Not: &match.Config{AnySpan: &match.SpanConfig{Dotted: object{"db.system": "mysql"}}}}, [6]match.Result{yes, later, yes, yes, yes, yes}},

		{match.Config{Kind: "server", Dotted: object{"db.system": "mysql"}}, [6]match.Result{}},
		{match.Config{Status: "error", Dotted: object{"db.system": "postgresql"}}, [6]match.Result{no, later, yes, yes, no, no}},
		{match.Config{Any: []match.Config{{Status: "error"}, dotted("db.system", "postgresql")}}, [6]match.Result{no, yes, yes, yes, yes, yes}},
		{match.Config{Any: []match.Config{{Status: "ok"}, {Kind: "client"}}}, [6]match.Result{no, later, no, no, no, yes}},
		{match.Config{All: []match.Config{{Status: "ok"}, {Kind: "client"}}}, [6]match.Result{no, no, no, no, no, yes}},
	} {
		m := compile(t, tt.config)
		for i, at := range moments {
			s := at.subject
			if got := m.Match(&s); got != tt.want[i] {
				t.Errorf("%s, %s: %v, want %v", tt.config, at.name, got, tt.want[i])
			}
		}
	}
}
