package findings_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/findings"
)

// actor is a span of a test: its times are milliseconds, and an end below the start is
// none. Without an ID it has that of its place; without a service it is shop's.
type actor struct {
	trace, id, parent int
	service, name     string
	kind              trace.SpanKind
	from, to          int
	failed            string
	state             string
	attrs             []attribute.KeyValue
	events            []sdktrace.Event
	links             []int
	remote            bool
	scope             string
}

const noEnd = -1

var began = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func spanID(n int) trace.SpanID {
	return trace.SpanID{0xaa, 4: byte(n >> 24), 5: byte(n >> 16), 6: byte(n >> 8), 7: byte(n)}
}

func traceID(n int) trace.TraceID { return trace.TraceID{0xbb, 14: byte(n >> 8), 15: byte(n)} }

func scene(actors ...actor) []sdktrace.ReadOnlySpan {
	stubs := make(tracetest.SpanStubs, 0, len(actors))
	resources := map[string]*resource.Resource{}
	for i, a := range actors {
		if a.id == 0 {
			a.id = i + 1
		}
		if a.service == "" {
			a.service = "shop"
		}
		if resources[a.service] == nil {
			resources[a.service] = resource.NewSchemaless(attribute.String("service.name", a.service), attribute.String("region", "eu-central-7"))
		}
		state, err := trace.ParseTraceState(a.state)
		if err != nil {
			panic(err)
		}
		own := trace.SpanContextConfig{TraceID: traceID(a.trace), SpanID: spanID(a.id), TraceState: state}
		s := tracetest.SpanStub{
			Name: a.name, SpanKind: a.kind, SpanContext: trace.NewSpanContext(own), Attributes: a.attrs, Events: a.events,
			Resource: resources[a.service], StartTime: began.Add(time.Duration(a.from) * time.Millisecond),
		}
		if a.parent != 0 {
			own.SpanID, own.Remote = spanID(a.parent), a.remote
			s.Parent = trace.NewSpanContext(own)
		}
		if a.to != noEnd {
			s.EndTime = began.Add(time.Duration(a.to) * time.Millisecond)
		}
		s.InstrumentationLibrary.Name = a.scope //nolint:staticcheck // as Snapshot wants it
		if a.failed != "" {
			s.Status = sdktrace.Status{Code: codes.Error, Description: a.failed}
		}
		for _, l := range a.links {
			s.Links = append(s.Links, sdktrace.Link{SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID(a.trace), SpanID: spanID(l)})})
		}
		stubs = append(stubs, s)
	}
	return stubs.Snapshots()
}

// query, get and rpc are calls below a parent.
func query(parent, from, to int, statement string, more ...attribute.KeyValue) actor {
	return actor{parent: parent, name: "db.query", kind: trace.SpanKindClient, from: from, to: to, attrs: append([]attribute.KeyValue{
		attribute.String("db.system.name", "postgresql"), attribute.String("server.address", "pg"), attribute.String("db.query.text", statement),
	}, more...)}
}

func get(parent, from, to int, url string, more ...attribute.KeyValue) actor {
	return actor{parent: parent, name: "GET", kind: trace.SpanKindClient, from: from, to: to, attrs: append([]attribute.KeyValue{
		attribute.String("http.request.method", "GET"), attribute.String("url.full", url),
	}, more...)}
}

func request(from, to int) actor {
	return actor{name: "GET /checkout", kind: trace.SpanKindServer, from: from, to: to}
}

// in returns actors with a change.
func in(a actor, change func(*actor)) actor {
	change(&a)
	return a
}

func of(service string, a actor) actor { return in(a, func(a *actor) { a.service = service }) }

func failing(a actor) actor { return in(a, func(a *actor) { a.failed = "no" }) }

func serving(service string, parent, from, to int) actor {
	return actor{service: service, parent: parent, name: "GET /x", kind: trace.SpanKindServer, from: from, to: to, remote: true}
}

// times returns an actor n times, one after another, with so many milliseconds between
// the starts.
func times(n, apart int, a actor) []actor {
	out := make([]actor, 0, n)
	for i := range n {
		out = append(out, in(a, func(a *actor) { a.from += i * apart; a.to += i * apart }))
	}
	return out
}

func all(parts ...any) []actor {
	var out []actor
	for _, p := range parts {
		switch p := p.(type) {
		case actor:
			out = append(out, p)
		case []actor:
			out = append(out, p...)
		}
	}
	return out
}

// told is a finding in short.
func told(f findings.Finding) string {
	return fmt.Sprintf("%s: %s ×%g %gms, %d spans", f.Service, f.Operation, f.Count, f.CostMS, len(f.Spans))
}

type sceneCase struct {
	name   string
	actors []actor
	want   []string
}

// play inspects scenes for one kind.
func play(t *testing.T, kind findings.Kind, cases []sceneCase) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			spans := scene(tt.actors...)
			got := toldOf(kind, findings.Trace(findings.Defaults(), spans))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			slices.Reverse(spans)
			if again := toldOf(kind, findings.Trace(findings.Defaults(), spans)); !slices.Equal(got, again) {
				t.Errorf("of the spans in another order: %s", again)
			}
		})
	}
}

func toldOf(kind findings.Kind, all []findings.Finding) (out []string) {
	for _, f := range all {
		if f.Kind == kind {
			out = append(out, told(f))
		}
	}
	return out
}
