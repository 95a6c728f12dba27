package standard_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/adaptive"
	atmost "github.com/riffletrace/riffle/samplers/at_most"
	fixed "github.com/riffletrace/riffle/samplers/attribute"
	"github.com/riffletrace/riffle/samplers/composite"
	"github.com/riffletrace/riffle/samplers/discard"
	errored "github.com/riffletrace/riffle/samplers/error"
	"github.com/riffletrace/riffle/samplers/jaegerremote"
	"github.com/riffletrace/riffle/samplers/rare"
	"github.com/riffletrace/riffle/samplers/ratio"
	"github.com/riffletrace/riffle/samplers/route"
	"github.com/riffletrace/riffle/samplers/slow"
	"github.com/riffletrace/riffle/samplers/spans"
	_ "github.com/riffletrace/riffle/samplers/standard"
)

// plans has a configuration of every sampler that looks at as much as it can.
var plans = map[string]func(context.Context, component.Settings) (sampling.Sampler, error){
	"ratio": func(ctx context.Context, s component.Settings) (sampling.Sampler, error) {
		return ratio.New(ctx, s, ratio.Config{Rate: 0.1})
	},
	"adaptive": func(ctx context.Context, s component.Settings) (sampling.Sampler, error) {
		return adaptive.New(ctx, s, adaptive.Config{
			TargetPerSecond: 1, Window: component.Duration(time.Second),
			Key: []string{"route", "name", "http.route", "user_agent.original", "url.path", "http.request.header.x"},
		})
	},
	"at_most": func(ctx context.Context, s component.Settings) (sampling.Sampler, error) {
		return atmost.New(ctx, s, atmost.Config{})
	},
	"rare": func(ctx context.Context, s component.Settings) (sampling.Sampler, error) {
		s.Logger = slog.New(slog.DiscardHandler)
		return rare.New(ctx, s, rare.Config{
			First: 1, Window: component.Duration(time.Hour),
			Key: []string{"route", "name", "status", "fingerprint", "user_agent.original", "url.path", "http.request.header.x"},
		})
	},
	"route": func(ctx context.Context, s component.Settings) (sampling.Sampler, error) {
		return route.New(ctx, s, route.Config{Rules: []route.Rule{
			{Route: "/static/", Sample: "drop"}, {Route: "/{x}", Sample: "1"}, {Route: "GET /api/{x}/orders/{rest...}", Sample: "0.5"},
		}})
	},
	"attribute": func(ctx context.Context, s component.Settings) (sampling.Sampler, error) {
		return fixed.New(ctx, s, fixed.Config{At: fixed.End})
	},
	"jaeger_remote": func(ctx context.Context, s component.Settings) (sampling.Sampler, error) {
		c, ok := jaegerremote.Factory.Plan("", nil).Config().(jaegerremote.Config)
		if !ok {
			return nil, errors.New("it has no defaults")
		}
		c.Endpoint, c.Service, s.Logger = "http://127.0.0.1:1", "x", slog.New(slog.DiscardHandler)
		return jaegerremote.New(ctx, s, c)
	},
	"error": func(ctx context.Context, s component.Settings) (sampling.Sampler, error) {
		return errored.New(ctx, s, errored.Config{
			Exceptions: true, HTTPStatus: []errored.Codes{{First: 500, Last: 599}}, Ignore: []string{"*bot*", "*a?a?a?a?a?b*", "a*%2541*c"},
			IgnoreCanceled: true,
		})
	},
	"slow": func(ctx context.Context, s component.Settings) (sampling.Sampler, error) {
		return slow.New(ctx, s, slow.Config{Threshold: component.Duration(time.Second), Below: component.Duration(10 * time.Hour), Spans: slow.LocalRoot, Routes: []slow.Route{
			{Route: "/static/", Threshold: component.Duration(time.Minute)}, {Route: "/{x}", Threshold: component.Duration(time.Minute)},
		}})
	},
	"spans": func(ctx context.Context, s component.Settings) (sampling.Sampler, error) {
		return spans.New(ctx, s, spans.Config{Min: 1})
	},
	"discard": func(ctx context.Context, s component.Settings) (sampling.Sampler, error) {
		return discard.New(ctx, s, discard.Config{})
	},
	"composite": func(ctx context.Context, s component.Settings) (sampling.Sampler, error) {
		rules := &composite.RuleBased{}
		on := &composite.Sampler{AlwaysOn: &composite.AlwaysOn{}}
		for _, key := range []string{"url.path", "user_agent.original", "http.request.header.x"} {
			rules.Rules = append(rules.Rules,
				composite.Rule{AttributeValues: &composite.Values{Key: key, Values: []string{"a", "b"}}, Sampler: on},
				composite.Rule{AttributePatterns: &composite.Patterns{Key: key, Included: []string{"*bot*", "*a?a?a?b*"}, Excluded: []string{"*c?d*"}}, Sampler: on},
			)
		}
		return composite.New(ctx, s, composite.Config{Sampler: composite.Sampler{RuleBased: rules}})
	},
	"match": func(context.Context, component.Settings) (sampling.Sampler, error) { return newMatching() },
}

// matching stands for the host, which asks about what the entry's match selects.
type matching struct{ matcher *match.Matcher }

func newMatching() (matching, error) {
	m, err := match.Config{Any: []match.Config{
		{Name: "*a?a?a?a?a?a?b*"},
		{Route: []any{"/static/", "/{x}/orders/{id}"}},
		{Attributes: map[string]any{"user_agent.original": map[string]any{"glob": "*bot*"}}},
		{Attributes: map[string]any{"url.path": map[string]any{"one_of": []any{"/a", "/b"}}}},
		{Attributes: map[string]any{"url.path": map[string]any{"glob": "*bo?bo?bo?t*"}}},
		{Attributes: map[string]any{"http.request.header.x": map[string]any{"glob": "*bot*"}}},
		{Attributes: map[string]any{"user_agent.original": map[string]any{"regex": "(bo|o)+t|a.*a.*b", "ignore_case": true}}},
		{Attributes: map[string]any{"url.path": map[string]any{"glob": "*bo?t", "ignore_case": true}}},
		{Attributes: map[string]any{"http.route": map[string]any{"min": 1}}},
	}}.Compile()
	return matching{m}, err
}

func (matching) Traits() sampling.Traits { return sampling.Traits{} }

func (m matching) SampleStart(p sampling.StartParameters) sampling.Answer {
	m.matcher.Match(&match.Subject{Span: match.Span{Name: p.Name, Kind: p.Kind, Attributes: p.Attributes}, IsRoot: true})
	return sampling.Abstain()
}

// No sampler's call costs more for what a client writes than for 16 KiB of it.
func TestCostIsBounded(t *testing.T) {
	const bound, long = match.MaxText, 1 << 20
	for _, name := range sampling.Samplers.Names() {
		if plans[name] == nil {
			t.Errorf("%s is not here", name)
		}
	}
	for name, plan := range plans {
		s, err := plan(t.Context(), component.Settings{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s, ok := s.(component.Shutdowner); ok {
			t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
		}
		for _, unit := range []string{"a", "%2541", "bo", "/%2541", "/", "a1", "?", " ", "é"} {
			for _, place := range places {
				short, whole := place(strings.Repeat(unit, bound/len(unit))), place(strings.Repeat(unit, long/len(unit)))
				var few, many time.Duration
				for range 5 { // others use the machine too
					if few, many = cost(s, short), cost(s, whole); many <= 8*few+20*time.Microsecond {
						break
					}
				}
				if many > 8*few+20*time.Microsecond {
					t.Errorf("%s, %.20s: %v for 16 KiB, %v for 1 MiB", name, whole.Name+" "+fmt.Sprint(whole.Attributes), few, many)
				}
			}
		}
	}
}

// places are where a client's text can stand.
var places = []func(text string) tracetest.SpanStub{
	func(text string) tracetest.SpanStub { return tracetest.SpanStub{Name: text} },
	func(text string) tracetest.SpanStub { return tracetest.SpanStub{Name: "GET " + text} },
	func(text string) tracetest.SpanStub { return stub(attribute.String("url.path", "/"+text)) },
	func(text string) tracetest.SpanStub { return stub(attribute.String("url.full", "https://h/"+text)) },
	func(text string) tracetest.SpanStub { return stub(attribute.String("url.full", text)) },
	func(text string) tracetest.SpanStub { return stub(attribute.String("http.target", "/"+text)) },
	func(text string) tracetest.SpanStub { return stub(attribute.String("http.route", "/"+text)) },
	func(text string) tracetest.SpanStub { return stub(attribute.String("http.request.method", text)) },
	func(text string) tracetest.SpanStub { return stub(attribute.String("user_agent.original", text)) },
	func(text string) tracetest.SpanStub {
		return stub(attribute.StringSlice("http.request.header.x", []string{text, text, text}))
	},
	func(text string) tracetest.SpanStub {
		return tracetest.SpanStub{Name: "a", Status: sdktrace.Status{Code: codes.Error, Description: text}}
	},
	func(text string) tracetest.SpanStub {
		return tracetest.SpanStub{Name: "a", Events: []sdktrace.Event{{Name: "exception", Attributes: []attribute.KeyValue{attribute.String("exception.message", text)}}}}
	},
}

func stub(kv attribute.KeyValue) tracetest.SpanStub {
	return tracetest.SpanStub{Name: "GET", SpanKind: trace.SpanKindServer, Attributes: []attribute.KeyValue{kv}}
}

// cost is the least of several calls.
func cost(s sampling.Sampler, stub tracetest.SpanStub) time.Duration {
	start := sampling.StartParameters{ParentContext: context.Background(), Name: stub.Name, Kind: stub.SpanKind, Attributes: stub.Attributes}
	span := stub.Snapshot()
	end := sampling.EndParameters{Span: span, Root: span, LocalRoot: true, Duration: time.Hour, Spans: 1}
	best := time.Hour
	for range 5 {
		began := time.Now()
		if s, ok := s.(sampling.StartSampler); ok {
			s.SampleStart(start)
		}
		if s, ok := s.(sampling.EndSampler); ok {
			s.SampleEnd(end)
		}
		if s, ok := s.(sampling.SegmentSampler); ok {
			s.SampleSegments(start.ParentContext, []sampling.Segment{{Root: span, Spans: []sdktrace.ReadOnlySpan{span}, Complete: true}}, make([]sampling.Answer, 1))
		}
		best = min(best, time.Since(began))
	}
	return best
}
