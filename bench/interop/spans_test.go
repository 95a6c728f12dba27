package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle"
	"github.com/riffletrace/riffle/bench/internal/process"
)

const scope = "github.com/riffletrace/riffle/bench/interop"

// TestInteropSpans reads back everything that a span can hold.
func TestInteropSpans(t *testing.T) {
	needsBackends(t)
	b := newBench(t)
	for name, to := range map[string]backend{"Jaeger": b.plainJaeger, "Collector": b.plainCollector} {
		for protocol, key := range map[string]string{"gRPC": "grpc", "HTTP": "http/protobuf"} {
			t.Run(name+"/"+protocol, func(t *testing.T) {
				id := "spans-" + strings.ToLower(protocol)
				want := instrumented(t, fmt.Sprintf(`
observability:
  tracing:
    enabled: true
    service_name: %s
    resource: {%s: %s}
    samplers:
      - {type: ratio, rate: 0.5}
    exporters:
      - {type: otlp, endpoint: "%s", protocol: %s}
`, serviceName, caseKey, id, to.address(strings.TrimSuffix(key, "/protobuf")), key))
				if name == "Jaeger" {
					asJaegerShows(want)
				}
				var got []span
				err := process.Poll(func() (err error) {
					if got, err = to.spans(id); err == nil && len(got) < len(want) {
						err = fmt.Errorf("%d of %d spans have arrived", len(got), len(want))
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				byName := func(a, b span) int { return strings.Compare(a.Name, b.Name) }
				slices.SortFunc(got, byName)
				slices.SortFunc(want, byName)
				if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(span{}, "Resource", "Duration"), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

// instrumented is a small program, and what its spans should look like.
func instrumented(t *testing.T, text string) []span {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fluxbase.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tracing, err := riffle.Start(t.Context(), file, riffle.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	tracer := otel.Tracer(scope)
	var want []span
	expect := func(s trace.Span, w span) {
		w.TraceID, w.ID = s.SpanContext().TraceID().String(), s.SpanContext().SpanID().String()
		w.Service, w.Scope = serviceName, scope
		want = append(want, w)
	}

	// A caller has decided for this one, and has a word for another vendor in
	// its tracestate. The last 56 bits of the trace ID are all ones, which every
	// threshold lets pass.
	const caller = "00f067aa0ba902b7"
	incoming := propagation.MapCarrier{
		"traceparent": fmt.Sprintf("00-%016xa3ffffffffffffff-%s-01", rand.Uint64(), caller),
		"tracestate":  "vendor=a:b,ot=th:c",
	}
	ctx := otel.GetTextMapPropagator().Extract(t.Context(), incoming)
	ctx, server := tracer.Start(ctx, "server: Grüße, 世界", trace.WithSpanKind(trace.SpanKindServer))
	server.SetAttributes(
		attribute.String("string", "Grüße, \"世界\"\n"),
		attribute.String("empty", ""),
		attribute.Bool("bool", true),
		attribute.Int64("int", 1<<53+1),
		attribute.Int64("negative", -1),
		attribute.Float64("float", 0.1),
		attribute.Float64("whole", 3),
		attribute.StringSlice("strings", []string{"a", "ü"}),
		attribute.BoolSlice("bools", []bool{true, false}),
		attribute.Int64Slice("ints", []int64{1, -2}),
		attribute.Float64Slice("floats", []float64{0.5, 2.25}),
	)
	server.SetStatus(codes.Ok, "")
	tracestate := server.SpanContext().TraceState()
	if tracestate.Get("ot") != "th:c" || tracestate.Get("vendor") != "a:b" {
		t.Errorf("tracestate %s", tracestate)
	}
	expect(server, span{
		Name: "server: Grüße, 世界", Kind: "server", Parent: caller, Status: "OK", TraceState: tracestate.String(),
		Attributes: map[string]any{
			"string": "Grüße, \"世界\"\n", "empty": "", "bool": true, "int": int64(1<<53 + 1), "negative": int64(-1), "float": 0.1, "whole": 3.0,
			"strings": []any{"a", "ü"}, "bools": []any{true, false}, "ints": []any{int64(1), int64(-2)}, "floats": []any{0.5, 2.25},
		},
	})
	for _, kind := range []trace.SpanKind{trace.SpanKindInternal, trace.SpanKindClient, trace.SpanKindProducer, trace.SpanKindConsumer} {
		_, s := tracer.Start(ctx, kind.String(), trace.WithSpanKind(kind))
		s.End()
		expect(s, span{Name: kind.String(), Kind: kind.String(), Parent: server.SpanContext().SpanID().String(), TraceState: tracestate.String()})
	}
	_, failing := tracer.Start(ctx, "failing")
	failing.AddEvent("retry", trace.WithAttributes(attribute.Int("attempt", 2), attribute.Float64("after", 0.25), attribute.Bool("last", true)))
	failing.RecordError(errors.New("the disk is full"))
	failing.SetStatus(codes.Error, "could not store: the disk is full")
	failing.End()
	expect(failing, span{
		Name: "failing", Kind: "internal", Parent: server.SpanContext().SpanID().String(), TraceState: tracestate.String(),
		Status: "ERROR", Description: "could not store: the disk is full",
		Events: []event{
			{Name: "retry", Attributes: map[string]any{"attempt": int64(2), "after": 0.25, "last": true}},
			{Name: "exception", Attributes: map[string]any{"exception.type": "*errors.errorString", "exception.message": "the disk is full"}},
		},
	})
	server.End()

	// For this one, the sampler decides.
	for {
		_, root := tracer.Start(t.Context(), "root", trace.WithLinks(trace.Link{
			SpanContext: server.SpanContext(), Attributes: []attribute.KeyValue{attribute.String("why", "the same order")},
		}))
		root.End()
		if !root.SpanContext().IsSampled() {
			continue
		}
		expect(root, span{
			Name: "root", Kind: "internal", TraceState: "ot=th:8", Attributes: map[string]any{"sampling.sampler": "ratio"},
			Links: []string{server.SpanContext().TraceID().String() + " " + server.SpanContext().SpanID().String()},
		})
		break
	}
	if err := tracing.Shutdown(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
	return want
}

// asJaegerShows changes what Jaeger has no words for.
func asJaegerShows(spans []span) {
	for _, s := range spans {
		for key, value := range s.Attributes {
			if list, ok := value.([]any); ok {
				b, err := json.Marshal(list)
				if err != nil {
					panic(err)
				}
				s.Attributes[key] = string(b)
			}
		}
	}
}
