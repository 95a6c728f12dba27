package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/delivery/redact"
	"github.com/riffletrace/riffle/core/match"
)

// of is a span of a trace, below a local parent or not.
func of(id byte, name string, root bool) sdktrace.ReadOnlySpan {
	stub := tracetest.SpanStub{
		Name:        name,
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{id}, SpanID: trace.SpanID{1}}),
	}
	if !root {
		stub.Parent = trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{id}, SpanID: trace.SpanID{2}})
	}
	return stub.Snapshot()
}

// names are what a backend got, sorted.
func names(b *backend) (all []string) {
	for name, n := range b.received() {
		for range n {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

func TestFilter(t *testing.T) {
	all := []sdktrace.ReadOnlySpan{
		of(1, "a", false), of(2, "x", false), of(1, "gold b", true), of(2, "y", true), of(2, "late", false), of(1, "late c", false),
		of(3, "gold d", true), of(3, "e", false), of(4, "gold f", false), of(5, "open", false),
	}
	tests := map[delivery.FilterOf][]string{
		"":                    {"gold b", "gold d", "gold f"},
		delivery.FilterSpans:  {"gold b", "gold d", "gold f"},
		delivery.FilterTraces: {"a", "e", "gold b", "gold d", "gold f", "late c"},
	}
	for what, want := range tests {
		for _, together := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/together=%v", what, together), func(t *testing.T) {
				b := &backend{}
				f, l := one(t, b, &journal{}, func(c *delivery.Config) {
					c.Filter = &delivery.Filter{Of: what, Match: &match.Config{Name: "gold*"}}
				})
				for _, s := range all {
					f.HandOver(s)
					if !together {
						if err := l.ForceFlush(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
				}
				shutDown(t, l)
				if diff := cmp.Diff(want, names(b)); diff != "" {
					t.Error(diff)
				}
				s := l.Stats()
				if s.HandedOver != 10 || s.Filtered != uint64(10-len(want)) || s.Waiting != 0 {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

// A match is about each span alone, and its resource.
func TestFilterSeesOneSpan(t *testing.T) {
	server := tracetest.SpanStub{
		Name: "GET /x", SpanKind: trace.SpanKindServer, Status: sdktrace.Status{Code: codes.Error},
		Resource: resource.NewSchemaless(attribute.String("service.name", "shop")),
		Events:   []sdktrace.Event{{Name: "exception", Attributes: []attribute.KeyValue{attribute.String("exception.type", "EOF")}}},
	}
	client := tracetest.SpanStub{
		Name: "query", SpanKind: trace.SpanKindClient, Parent: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}),
		Resource: server.Resource, StartTime: time.Unix(1, 0), EndTime: time.Unix(3, 0),
	}
	for name, tt := range map[string]struct {
		match match.Config
		want  []string
	}{
		"route":    {match.Config{Route: "/x"}, []string{"GET /x"}},
		"kind":     {match.Config{Kind: "client"}, []string{"query"}},
		"status":   {match.Config{Status: "error"}, []string{"GET /x"}},
		"duration": {match.Config{Duration: &match.Durations{Min: new(component.Duration(time.Second))}}, []string{"query"}},
		"resource": {match.Config{Resource: map[string]any{"service.name": "shop"}}, []string{"GET /x", "query"}},
		"service":  {match.Config{Dotted: map[string]any{"service.name": "other"}}, nil},
		"event":    {match.Config{Dotted: map[string]any{"exception.type": "EOF"}}, []string{"GET /x"}},
		"span":     {match.Config{Span: &match.SpanConfig{Kind: "client"}}, []string{"query"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &backend{}
			f, l := one(t, b, &journal{}, func(c *delivery.Config) { c.Filter = &delivery.Filter{Match: &tt.match} })
			f.HandOver(server.Snapshot())
			f.HandOver(client.Snapshot())
			shutDown(t, l)
			if diff := cmp.Diff(tt.want, names(b)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// After a reload, spans of two resources pass the same filter.
func TestFilterSeesEachResource(t *testing.T) {
	b := &backend{}
	f, l := one(t, b, &journal{}, func(c *delivery.Config) {
		c.Filter = &delivery.Filter{Match: &match.Config{Dotted: map[string]any{"service.name": "shop"}}}
	})
	before := resource.NewSchemaless(attribute.String("service.name", "store"))
	after := resource.NewSchemaless(attribute.String("service.name", "shop"))
	for _, s := range []tracetest.SpanStub{{Name: "a", Resource: before}, {Name: "b", Resource: after}, {Name: "c", Resource: before}, {Name: "d", Resource: after}, {Name: "e"}} {
		f.HandOver(s.Snapshot())
	}
	shutDown(t, l)
	if diff := cmp.Diff([]string{"b", "d"}, names(b)); diff != "" {
		t.Error(diff)
	}
}

// Redacted text is in no request and on no disk; a line without rules keeps it.
func TestRedact(t *testing.T) {
	const secret = "bob@example.com"
	emails := &redact.Config{Rules: []redact.Rule{{Presets: []string{"emails"}}}}
	for name, set := range map[string]func(*delivery.Config){
		"own": func(c *delivery.Config) { c.Redact = emails },
		"all": func(c *delivery.Config) { c.RedactAll = emails },
		"both": func(c *delivery.Config) {
			c.RedactAll = &redact.Config{Rules: []redact.Rule{{Value: "bob"}}}
			c.Redact = &redact.Config{Rules: []redact.Rule{{Value: `\*\*\*@example\.com`}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			redacted, whole := dead(), &backend{}
			f, l := one(t, redacted, &journal{}, func(c *delivery.Config) {
				onDisk(dir)(c)
				set(c)
			})
			c := delivery.Defaults()
			c.Batch.MaxSpans, c.Batch.MaxAge = 10, 1e6 // as the other has them
			other := f.Add(whole, c, delivery.Settings{})
			s := of(1, "mail "+secret, true)
			f.HandOver(s)
			until(t, "stored", func() bool { return l.Stats().Stored == 1 })
			until(t, "tried", func() bool { n, _ := redacted.tried(); return n > 0 })
			shutDown(t, l)
			shutDown(t, other)
			if diff := cmp.Diff([]string{s.Name()}, names(whole)); diff != "" {
				t.Errorf("the line without rules: %s", diff)
			}
			later := &backend{}
			_, l = one(t, later, &journal{}, onDisk(dir)) // no rules: what is on the disk is
			until(t, "sent", func() bool { return l.Stats().Sent == 1 })
			if diff := cmp.Diff([]string{"mail ***"}, names(later)); diff != "" {
				t.Error(diff)
			}
			for _, body := range redacted.bodies {
				if strings.Contains(string(body), "bob") {
					t.Errorf("it was sent: %q", body)
				}
			}
		})
	}
}

// Lines share what they encode if they filter and redact alike, and only then.
func TestShapes(t *testing.T) {
	rules := func() *redact.Config { return &redact.Config{Rules: []redact.Rule{{Presets: []string{"emails"}}}} }
	c := delivery.Defaults()
	c.Batch.MaxAge = 1e6
	withRules := c
	withRules.Redact = rules()
	again := c
	again.Redact = rules()
	f := &delivery.Lines{}
	backends := []*backend{{}, {}, {}}
	var lines []*delivery.Line
	for i, c := range []delivery.Config{c, withRules, again} {
		lines = append(lines, f.Add(backends[i], c, delivery.Settings{}))
	}
	f.HandOver(span("a@b.c", 0))
	for _, l := range lines {
		if err := l.ForceFlush(context.Background()); err != nil {
			t.Error(err)
		}
		shutDown(t, l)
	}
	if backends[1].body() != backends[2].body() || backends[0].body() == backends[1].body() {
		t.Error("lines share what they should not, or the other way round")
	}
}

func TestHostMistakes(t *testing.T) {
	c := delivery.Defaults()
	c.Filter = &delivery.Filter{Of: "roots", Match: &match.Config{Kind: "servant"}}
	c.Redact = &redact.Config{Rules: []redact.Rule{{Keys: []string{"a"}, Action: "hide"}}}
	c.Queue.Storage, c.Queue.Fsync, c.Queue.MaxAge = "tape", "5ns", -1
	want := `filter.of: "roots" is not one of spans, traces
filter.match.kind: "servant" is not a kind: known are internal, server, client, producer, consumer
redact.rules[0].action: "hide" is not one of mask, sha256, drop
queue.storage: "tape" is not one of memory, disk
queue.fsync: 5ns is not from 10ms to 1m0s; for less, there is always
queue.max_age: -1ns is negative`
	if diff := cmp.Diff(want, message(c.Validate())); diff != "" {
		t.Error(diff)
	}
	c = delivery.Defaults()
	c.Filter = &delivery.Filter{Match: &match.Config{Parent: "none", Not: &match.Config{AnySpan: &match.SpanConfig{Kind: "client"}}}}
	want = `filter.match.parent: an exporter's filter sees one span at a time
filter.match.not.any_span: an exporter's filter sees one span at a time`
	if diff := cmp.Diff(want, message(c.Validate())); diff != "" {
		t.Error(diff)
	}
	c = delivery.Defaults()
	c.Filter = &delivery.Filter{}
	c.Queue.Dir = "x"
	want = `filter.match: missing: want what spans must match
queue.dir: only a queue with storage: disk has one`
	if diff := cmp.Diff(want, message(c.Validate())); diff != "" {
		t.Error(diff)
	}
	c.Filter, c.Queue.Storage, c.Queue.Dir = nil, delivery.StorageDisk, ""
	if diff := cmp.Diff("queue.dir: missing: storage: disk needs a directory", message(c.Validate())); diff != "" {
		t.Error(diff)
	}
}
