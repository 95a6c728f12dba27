package match_test

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/match"
)

// subjectOf is a match, and what it is asked about.
type subjectOf struct {
	matcher *match.Matcher
	subject match.Subject
}

func attributesOf(key, text string) match.Span {
	return match.Span{Attributes: []attribute.KeyValue{attribute.String(key, text)}}
}

const userAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"

// realistic are matches with regular expressions as people write them, one for the
// start and one for the end, and spans for which all of them must be looked at.
func realistic(tb testing.TB) (start, end subjectOf) {
	tb.Helper()
	conditions := object{
		"url.path":            object{"regex": "^/api/v[0-9]+/"},
		"user_agent.original": object{"regex": "(?i)bot|crawler|spider"},
		"http.route":          object{"regex": "^GET /users/[^/]+$"},
		"exception.message":   object{"regex": ".*timeout.*"},
		"tenant.tier":         object{"regex": "^(gold|silver)$"},
	}
	var not []match.Config
	for _, key := range []string{"user_agent.original", "exception.message"} {
		not = append(not, match.Config{Dotted: object{key: conditions[key]}})
		delete(conditions, key)
	}
	c := match.Config{Kind: "server", Dotted: conditions, Resource: object{"service.name": "shop"}, Not: &match.Config{Any: not}}
	attrs := []attribute.KeyValue{
		attribute.String("http.request.method", "GET"),
		attribute.String("url.path", "/api/v2/users/7"),
		attribute.String("user_agent.original", userAgent),
		attribute.String("http.route", "GET /users/{id}"),
		attribute.String("exception.message", "context canceled while waiting for the connection"),
		attribute.String("tenant.tier", "silver"),
		attribute.Int("http.response.status_code", 503),
	}
	r := resource.NewSchemaless(attribute.String("service.name", "shop"))
	start = subjectOf{compile(tb, c), match.Subject{
		Span:   match.Span{Name: "GET", Kind: trace.SpanKindServer, Attributes: attrs},
		IsRoot: true, Resource: r,
	}}
	begin := time.Now()
	span := tracetest.SpanStub{
		Name: "GET", SpanKind: trace.SpanKindServer, Attributes: attrs, StartTime: begin, EndTime: begin.Add(time.Second),
		Status: sdktrace.Status{Code: codes.Error},
	}.Snapshot()
	c.Status, c.Duration = "error", durations(100*time.Millisecond, 0)
	end = subjectOf{compile(tb, c), match.Subject{
		Span: match.Span{Recorded: span}, Root: match.Span{Recorded: span}, Spans: 7, Resource: r,
	}}
	for _, tt := range []subjectOf{start, end} {
		if got := tt.matcher.Match(&tt.subject); got != match.Yes {
			tb.Fatalf("%v", got)
		}
	}
	return start, end
}

// typical are matches of an end sampler with as much in them as most have.
func typical(tb testing.TB) map[string]subjectOf {
	tb.Helper()
	_, end := realistic(tb)
	all := map[string]subjectOf{}
	for name, text := range map[string]string{
		"of=values":      `{kind: server, status: error, duration: {min: 100ms}, tenant.tier: silver, http.response.status_code: {min: 500}}`,
		"of=a_regex":     `{status: error, duration: {min: 100ms}, url.path: {regex: "^/api/v[0-9]+/"}}`,
		"of=two_regexes": `{kind: server, status: error, service.name: shop, url.path: {regex: "^/api/v[0-9]+/"}, not: {user_agent.original: {regex: "(?i)bot|crawler|spider"}}}`,
		"of=a_route":     `{status: error, route: "/users/{id}", url.path: {regex: "^/api/v[0-9]+/"}}`,
	} {
		all[name] = subjectOf{compile(tb, read(tb, text)), end.subject}
		if s := end.subject; all[name].matcher.Match(&s) != match.Yes {
			tb.Fatalf("%s does not match", name)
		}
	}
	return all
}

func BenchmarkTypicalEnd(b *testing.B) {
	for name, tt := range typical(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s := tt.subject
				tt.matcher.Match(&s)
			}
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	start, end := realistic(b)
	for name, tt := range map[string]subjectOf{"at=start": start, "at=end": end} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s := tt.subject
				tt.matcher.Match(&s)
			}
		})
	}
}

func BenchmarkRegex(b *testing.B) {
	for _, tt := range []struct{ expr, text string }{
		{"^/api/v[0-9]+/", "/api/v2/users/7"},
		{"(?i)bot|crawler|spider", userAgent},
		{"^GET /users/[^/]+$", "GET /users/12345"},
		{".*timeout.*", "context canceled while waiting for the connection"},
		{"^(gold|silver)$", "silver"},
		{"a.*b.*c", "what has the letters a, b and no other"},
	} {
		m := compile(b, attributes("k", object{"regex": tt.expr}))
		s := match.Subject{Span: attributesOf("k", tt.text), IsRoot: true}
		b.Run("regex="+tt.expr, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.Match(&s)
			}
		})
	}
}
