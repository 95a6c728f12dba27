package errored_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
	errored "github.com/riffletrace/riffle/samplers/error"
)

// failed is a span with status Error.
type failed struct {
	kind       trace.SpanKind
	status     string
	exceptions []string
	attributes []attribute.KeyValue
	panicked   bool
}

func (f failed) parameters(canceled bool) sampling.EndParameters {
	stub := tracetest.SpanStub{
		Name: "x", SpanKind: f.kind, Attributes: f.attributes, Status: sdktrace.Status{Code: codes.Error, Description: f.status},
	}
	for _, message := range f.exceptions {
		stub.Events = append(stub.Events, sdktrace.Event{Name: "exception", Attributes: []attribute.KeyValue{attribute.String("exception.message", message)}})
	}
	return sampling.EndParameters{Span: stub.Snapshot(), Canceled: canceled, Panicked: f.panicked, Spans: 1}
}

func TestIgnoreCanceled(t *testing.T) {
	const server, client = trace.SpanKindServer, trace.SpanKindClient
	is := func(kvs ...attribute.KeyValue) []attribute.KeyValue { return kvs }
	status := attribute.Key("http.response.status_code")
	for _, tt := range []struct {
		name string
		failed
		// whether it is no error in a request that goes on, and in one that was canceled
		goesOn, canceled bool
	}{
		{"a server", failed{kind: server, attributes: is(status.Int(500))}, false, true},
		{"a server that says 499", failed{kind: server, attributes: is(status.Int(499))}, true, true},
		{"a server that says 499 in a text", failed{kind: server, attributes: is(status.String("499"))}, true, true},
		{"a proxy", failed{kind: server, attributes: is(status.Int(502))}, false, true},
		{"without a word", failed{}, false, true},
		{"another word", failed{status: "conn closed"}, false, true},

		{"the status says so", failed{status: "context canceled"}, true, true},
		{"at the end", failed{status: `Get "https://example.com": context canceled`}, true, true},
		{"in between", failed{status: "query: context canceled (retried)"}, true, true},
		{"at the end of a long text", failed{status: strings.Repeat("x", 1<<20) + "context canceled"}, true, true},
		{"net says so", failed{status: "dial tcp: lookup example.com: operation was canceled"}, true, true},
		{"the exception says so", failed{status: "no orders", exceptions: []string{"context canceled"}}, true, true},
		{"another exception said so", failed{status: "no orders", exceptions: []string{"context canceled", "disk full"}}, false, true},
		{"error.type", failed{attributes: is(attribute.String("error.type", "context.Canceled"))}, true, true},
		{"another error.type", failed{attributes: is(attribute.String("error.type", "500"))}, false, true},

		{"a deadline", failed{status: "context deadline exceeded"}, false, false},
		{"a deadline in an exception", failed{status: "no orders", exceptions: []string{"query: context deadline exceeded"}}, false, false},
		{"a panic", failed{status: "", panicked: true}, false, false},
		{"a panic that says so", failed{status: "context canceled", exceptions: []string{"context canceled"}, panicked: true}, false, false},
		{"a panic that middleware has caught", failed{kind: server, status: "panic: context canceled", attributes: is(status.Int(500))}, false, false},

		{"what an HTTP client was told", failed{kind: client, attributes: is(status.Int(503))}, false, false},
		{"an HTTP client that was told all but the end", failed{kind: client, status: "context canceled", attributes: is(status.Int(200))}, true, true},
		{"SQL", failed{kind: client, status: "duplicate key", attributes: is(attribute.String("db.response.status_code", "23505"))}, false, false},
		{"SQL that was canceled", failed{kind: client, status: "canceling statement due to user request", attributes: is(attribute.String("db.response.status_code", "57014"))}, false, true},
		{"SQL that took too long", failed{kind: client, status: "canceling statement due to statement timeout", attributes: is(attribute.String("db.response.status_code", "57014"))}, false, false},
		{"gRPC", failed{kind: server, status: "disk full", attributes: is(attribute.Int("rpc.grpc.status_code", 13))}, false, false},
		{"gRPC that was canceled", failed{kind: client, attributes: is(attribute.Int("rpc.grpc.status_code", 1))}, true, true},
		{"gRPC that says so with another code", failed{kind: server, status: "query: context canceled", attributes: is(attribute.Int("rpc.grpc.status_code", 13))}, true, true},
		{"gRPC, newer", failed{kind: server, attributes: is(attribute.String("rpc.response.status_code", "INTERNAL"))}, false, false},
		{"gRPC that was canceled, newer", failed{kind: client, attributes: is(attribute.String("rpc.response.status_code", "CANCELLED"), attribute.String("error.type", "CANCELLED"))}, true, true},
		{"two answers", failed{kind: client, attributes: is(attribute.Int("rpc.grpc.status_code", 1), attribute.String("db.response.status_code", "23505"))}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plain, ignoring := newSampler(t, errored.Config{}), newSampler(t, errored.Config{IgnoreCanceled: true})
			for _, canceled := range []bool{false, true} {
				p := tt.parameters(canceled)
				if plain.SampleEnd(p).IsAbstain() {
					t.Error("without ignore_canceled it is no error")
				}
				want := canceled && tt.canceled || !canceled && tt.goesOn
				if got := ignoring.SampleEnd(p).IsAbstain(); got != want {
					t.Errorf("in a request that was canceled (%v) it is no error: %v, want %v", canceled, got, want)
				}
			}
		})
	}
}

// Other things that the sampler looks for are ignored too.
func TestIgnoreCanceledOthers(t *testing.T) {
	s := newSampler(t, errored.Config{IgnoreCanceled: true, Exceptions: true, HTTPStatus: []errored.Codes{{First: 400, Last: 599}}})
	for what, f := range map[string]func(trace.Span){
		"exception": func(span trace.Span) { span.RecordError(errors.New("disk full")) },
		"http":      func(span trace.Span) { span.SetAttributes(attribute.Int("http.response.status_code", 500)) },
	} {
		span := ended(t, func(span trace.Span) { f(span); span.End() })
		if a := s.SampleEnd(sampling.EndParameters{Span: span}); a.IsAbstain() {
			t.Errorf("%s of a request that goes on is ignored", what)
		}
		if a := s.SampleEnd(sampling.EndParameters{Span: span, Canceled: true}); !a.IsAbstain() {
			t.Errorf("%s of a request that was canceled: %v", what, a)
		}
	}
	span := ended(t, func(span trace.Span) { span.RecordError(fmt.Errorf("query: %w", context.Canceled)); span.End() })
	if a := s.SampleEnd(sampling.EndParameters{Span: span}); !a.IsAbstain() {
		t.Errorf("an exception that was canceled: %v", a)
	}
}

func TestSeesCancellation(t *testing.T) {
	for _, ignore := range []bool{false, true} {
		traits := newSampler(t, errored.Config{IgnoreCanceled: ignore}).Traits()
		if traits.SeesCancellation != ignore {
			t.Errorf("ignore_canceled %v: SeesCancellation %v", ignore, traits.SeesCancellation)
		}
	}
}
