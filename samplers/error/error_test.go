package errored_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	errored "github.com/riffletrace/riffle/samplers/error"
	"github.com/riffletrace/riffle/samplers/samplertest"
)

func newSampler(tb testing.TB, c errored.Config) sampling.EndSampler {
	tb.Helper()
	s, err := errored.New(tb.Context(), component.Settings{}, c)
	if err != nil {
		tb.Fatal(err)
	}
	return s.(sampling.EndSampler)
}

// ended returns the span that the SDK hands over after f, which ends it.
func ended(tb testing.TB, f func(trace.Span)) sdktrace.ReadOnlySpan {
	tb.Helper()
	span, _ := endedBy(tb, f)
	return span
}

// endedBy also tells whether f has panicked.
func endedBy(tb testing.TB, f func(trace.Span)) (ended sdktrace.ReadOnlySpan, panicked bool) {
	tb.Helper()
	var got last
	tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(&got))
	_, span := tp.Tracer("").Start(tb.Context(), "span")
	func() {
		defer func() { panicked = recover() != nil }()
		f(span)
	}()
	if got.span == nil {
		tb.Fatal("the span did not end")
	}
	return got.span, panicked
}

type last struct{ span sdktrace.ReadOnlySpan }

func (*last) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (l *last) OnEnd(s sdktrace.ReadOnlySpan)                 { l.span = s }
func (*last) Shutdown(context.Context) error                  { return nil }
func (*last) ForceFlush(context.Context) error                { return nil }

func TestError(t *testing.T) {
	status := func(code codes.Code, description string) func(trace.Span) {
		return func(s trace.Span) { s.SetStatus(code, description); s.End() }
	}
	response := func(key attribute.Key, code int) func(trace.Span) {
		return func(s trace.Span) { s.SetAttributes(key.Int(code)); s.End() }
	}
	recorded := func(s trace.Span) { s.RecordError(errors.New("no rows")); s.End() }
	panics := func(s trace.Span) { defer s.End(); panic("net/http: abort Handler") }
	panicsAfterError := func(s trace.Span) { defer s.End(); s.RecordError(errors.New("no rows")); panic("disk") }

	http := errored.Config{HTTPStatus: []errored.Codes{{First: 500, Last: 599}, {First: 429, Last: 429}}}
	exceptions := errored.Config{Exceptions: true}
	ignore := func(patterns ...string) errored.Config { return errored.Config{Ignore: patterns} }
	exceptionsBut := func(patterns ...string) errored.Config {
		return errored.Config{Exceptions: true, Ignore: patterns}
	}

	tests := []struct {
		name   string
		config errored.Config
		span   func(trace.Span)
		reason string // "" abstains
	}{
		{"unset", errored.Config{}, func(s trace.Span) { s.End() }, ""},
		{"ok", errored.Config{}, status(codes.Ok, ""), ""},
		{"status", errored.Config{}, status(codes.Error, ""), "status Error"},
		{"ok after error", errored.Config{}, func(s trace.Span) { s.SetStatus(codes.Error, ""); s.SetStatus(codes.Ok, ""); s.End() }, ""},

		{"panic", errored.Config{}, panics, "panic"},
		{"panic after a recorded error", errored.Config{}, panicsAfterError, "panic"},
		{"panic ignored", ignore("net/http: abort*"), panics, ""},
		{"panic not ignored", ignore("no rows"), panicsAfterError, "panic"},
		{"recovered before the end", errored.Config{}, func(s trace.Span) {
			func() { defer func() { _ = recover() }(); panic("") }()
			s.End()
		}, ""},
		{"an exception as late as the end", errored.Config{}, func(s trace.Span) {
			now := time.Now() // a coarse clock
			s.RecordError(errors.New("no rows"), trace.WithTimestamp(now))
			s.End(trace.WithTimestamp(now))
		}, ""},
		{"panic, ended with a later time", errored.Config{}, func(s trace.Span) {
			defer s.End(trace.WithTimestamp(time.Now().Add(time.Hour)))
			panic("")
		}, "panic"},
		{"panic that middleware has caught", errored.Config{}, status(codes.Error, "panic: net/http: abort Handler"), "status Error"},
		{"panic that middleware has caught, ignored", ignore("net/http: abort*"), status(codes.Error, "panic: net/http: abort Handler"), ""},

		{"recorded", errored.Config{}, recorded, ""},
		{"exceptions: recorded", exceptions, recorded, "exception"},
		{"exceptions: panic", exceptions, panics, "panic"},
		{"exceptions: ignored", exceptionsBut("no rows"), recorded, ""},
		{"exceptions: one ignored", exceptionsBut("no rows"), func(s trace.Span) {
			s.RecordError(errors.New("no rows"))
			s.RecordError(errors.New("timeout"))
			s.RecordError(errors.New("no rows"))
			s.End()
		}, "exception"},

		{"http_status: within", http, response("http.response.status_code", 503), "http status 500-599"},
		{"http_status: single", http, response("http.response.status_code", 429), "http status 429"},
		{"http_status: older name", http, response("http.status_code", 599), "http status 500-599"},
		{"http_status: outside", http, response("http.response.status_code", 499), ""},
		{"http_status: in a text", http, func(s trace.Span) { s.SetAttributes(attribute.String("http.status_code", "503")); s.End() }, "http status 500-599"},
		{"http_status: with a fraction", http, func(s trace.Span) { s.SetAttributes(attribute.Float64("http.status_code", 503)); s.End() }, "http status 500-599"},
		{"http_status: a long text", http, func(s trace.Span) { s.SetAttributes(attribute.String("http.status_code", "000000503")); s.End() }, ""},
		{"http_status: no number", http, func(s trace.Span) { s.SetAttributes(attribute.String("http.status_code", "5xx")); s.End() }, ""},
		{"http_status: no code", http, func(s trace.Span) { s.SetAttributes(attribute.Float64("http.status_code", 503.5)); s.End() }, ""},
		{"http_status: not asked", errored.Config{}, response("http.response.status_code", 503), ""},

		{"ignored", ignore("context canceled"), status(codes.Error, "context canceled"), ""},
		{"ignored: the whole must match", ignore("context canceled"), status(codes.Error, "query: context canceled"), "status Error"},
		{"ignored: any of the patterns", ignore("EOF", "*context canceled"), status(codes.Error, "query: context canceled"), ""},
		{"ignored: not without a description", ignore("context canceled"), status(codes.Error, ""), "status Error"},
		{
			"ignored: the http status still counts",
			errored.Config{Ignore: []string{"*"}, HTTPStatus: http.HTTPStatus},
			func(s trace.Span) {
				s.SetStatus(codes.Error, "gone")
				s.SetAttributes(attribute.Int("http.response.status_code", 500))
				s.End()
			},
			"http status 500-599",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			span, panicked := endedBy(t, tt.span)
			a := newSampler(t, tt.config).SampleEnd(sampling.EndParameters{Span: span, Panicked: panicked, Spans: 1})
			want := sampling.Abstain()
			if tt.reason != "" {
				want = sampling.At(sampling.Always).Because(tt.reason)
			}
			if got := a.String(); got != want.String() {
				t.Errorf("answer = %s, want %s", got, want)
			}
		})
	}
}

func TestOpenSpan(t *testing.T) {
	_, span := sdktrace.NewTracerProvider().Tracer("").Start(t.Context(), "root")
	defer span.End()
	ask := func(c errored.Config) string {
		return newSampler(t, c).SampleEnd(sampling.EndParameters{Span: span.(sdktrace.ReadOnlySpan), LocalRoot: true, Open: true}).String()
	}
	span.RecordError(errors.New("no rows"))
	if got := ask(errored.Config{}); got != "abstain" {
		t.Errorf("recorded error: %s: an open span has no end time that the event could lie after", got)
	}
	if got := ask(errored.Config{Exceptions: true}); got != "threshold 0: exception" {
		t.Errorf("exceptions: %s", got)
	}
	span.SetStatus(codes.Error, "")
	if got := ask(errored.Config{}); got != "threshold 0: status Error" {
		t.Errorf("status: %s", got)
	}
}

func TestGlobs(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"abc", "abc", true},
		{"abc", "abcd", false},
		{"abc", "ab", false},
		{"*", "", true},
		{"*", "anything", true},
		{"a*", "a", true},
		{"a*", "ba", false},
		{"*c", "abc", true},
		{"*c", "abcd", false},
		{"a*c", "abc", true},
		{"a*c", "ac", true},
		{"ab*bc", "abc", false},
		{"a*b*c", "axxbxxc", true},
		{"a*b*c", "axxcxxb", false},
		{"*x*", "axb", true},
		{"*ab*ab", "ab", false},
		{"*ab", "abab", true},
		{"a**b", "ab", true},
		{"a.c", "abc", false},
		{"a/*", "a/b/c", true},
	} {
		span := ended(t, func(s trace.Span) { s.SetStatus(codes.Error, tt.text); s.End() })
		a := newSampler(t, errored.Config{Ignore: []string{tt.pattern}}).SampleEnd(sampling.EndParameters{Span: span})
		if got := a.IsAbstain(); got != tt.want {
			t.Errorf("%q matches %q = %v, want %v", tt.pattern, tt.text, got, tt.want)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		text, want, message string
	}{
		{"500-599", "500-599", ""},
		{" 500 - 599", "500-599", ""},
		{"404", "404", ""},
		{"404-404", "404", ""},
		{"5xx", "", "is no status code"},
		{"", "", "is no status code"},
		{"500-", "", "is no status code"},
		{"599-500", "", "from the lower to the higher"},
		{"-1", "", "is no status code"},
		{"99", "", "from 100 to 999"},
		{"500-1000", "", "from 100 to 999"},
	} {
		var r errored.Codes
		err := r.UnmarshalText([]byte(tt.text))
		switch {
		case tt.message == "" && (err != nil || r.String() != tt.want):
			t.Errorf("%q = %v, %v, want %s", tt.text, r, err, tt.want)
		case tt.message != "" && (err == nil || !strings.Contains(err.Error(), tt.message)):
			t.Errorf("%q: error %v, want one with %q", tt.text, err, tt.message)
		}
	}
	err := (&errored.Config{HTTPStatus: []errored.Codes{{First: 500, Last: 599}, {}}, Ignore: []string{""}}).Validate()
	got := component.FieldErrors(err)
	if len(got) != 2 || got[0].Path != "http_status[1]" || got[1].Path != "ignore[0]" {
		t.Errorf("errors = %v", err)
	}
}

func TestDescription(t *testing.T) {
	for want, c := range map[string]errored.Config{
		"error": {},
		`error, exceptions, http status 500-599, but not ["*canceled"]`: {
			Exceptions: true, HTTPStatus: []errored.Codes{{First: 500, Last: 599}}, Ignore: []string{"*canceled"},
		},
	} {
		if got := newSampler(t, c).Traits().Description; got != want {
			t.Errorf("description = %s, want %s", got, want)
		}
	}
}

func BenchmarkAbstain(b *testing.B) {
	s := newSampler(b, errored.Config{Exceptions: true, HTTPStatus: []errored.Codes{{First: 500, Last: 599}}, Ignore: []string{"*canceled"}})
	p := sampling.EndParameters{Span: unremarkable(b), LocalRoot: true, Spans: 1}
	b.ReportAllocs()
	for b.Loop() {
		s.SampleEnd(p)
	}
}

// unremarkable is a span in which there is much to look at and nothing wrong.
func unremarkable(tb testing.TB) sdktrace.ReadOnlySpan {
	tb.Helper()
	return ended(tb, func(s trace.Span) {
		s.SetAttributes(attribute.String("http.request.method", "GET"), attribute.Int("http.response.status_code", 200))
		s.AddEvent("cache miss")
		s.RecordError(errors.New("context canceled"))
		s.SetStatus(codes.Error, "context canceled")
		s.End()
	})
}

func TestConformance(t *testing.T) {
	samplertest.Run(t, samplertest.Plan(component.Use(errored.Factory, "", errored.Config{
		Exceptions: true, HTTPStatus: []errored.Codes{{First: 500, Last: 599}}, Ignore: []string{"*canceled"},
	})))
}
