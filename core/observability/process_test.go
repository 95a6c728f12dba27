package observability_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/observability"
	"github.com/riffletrace/riffle/core/observability/internal/functiontest"
	"github.com/riffletrace/riffle/core/observability/internal/spantest"
)

func TestFunctionsInProcesses(t *testing.T) {
	for name, function := range functiontest.Commands(t) {
		t.Run(name, func(t *testing.T) {
			cmd := function(t)
			spans := spantest.Record(t)
			server := httptest.NewServer(observability.Middleware(http.NotFoundHandler()))
			defer server.Close()

			ctx, span := observability.StartFunctionSpan(t.Context(), observability.FunctionSpanConfig{Name: "f"})
			cmd.Env = append(os.Environ(), functiontest.Callback+"="+server.URL+"/callback")
			cmd.Env = append(cmd.Env, observability.FlattenEnv(observability.GetTraceContextEnv(ctx))...)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			span.End()
			callback := spans.One("GET")
			if callback.Parent.SpanID() != span.SpanContext().SpanID() || callback.SpanContext.TraceID() != span.SpanContext().TraceID() {
				t.Errorf("the call has the parent %v, want %v", callback.Parent, span.SpanContext())
			}
		})
	}
}

func TestTraceContextEnv(t *testing.T) {
	if env := observability.GetTraceContextEnv(t.Context()); env != nil {
		t.Errorf("without a span: %v", env)
	}
	state, err := trace.ParseTraceState("ot=th:8")
	if err != nil {
		t.Fatal(err)
	}
	member, err := baggage.NewMember("tenant", "gold")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, TraceState: state})
	ctx := baggage.ContextWithBaggage(trace.ContextWithSpanContext(t.Context(), sc), bag)
	want := map[string]string{
		"TRACEPARENT":   "00-01000000000000000000000000000000-0200000000000000-01",
		"TRACESTATE":    "ot=th:8",
		"BAGGAGE":       "tenant=gold",
		"OTEL_TRACE_ID": "01000000000000000000000000000000",
		"OTEL_SPAN_ID":  "0200000000000000",
	}
	env := observability.GetTraceContextEnv(ctx)
	if diff := cmp.Diff(want, env); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	flat := observability.FlattenEnv(env)
	if !slices.IsSorted(flat) || len(flat) != len(want) {
		t.Errorf("flat: %q", flat)
	}
	back := observability.ContextFromEnv(t.Context(), append([]string{"TRACEPARENT=nonsense", "OTHER", "=C:=x"}, flat...))
	if got := trace.SpanContextFromContext(back); !got.Equal(sc.WithRemote(true)) {
		t.Errorf("back: %v", got)
	}
	if got := baggage.FromContext(back).Member("tenant").Value(); got != "gold" {
		t.Errorf("baggage %q", got)
	}
	if got := observability.ContextFromEnv(t.Context(), append(flat, "TRACEPARENT=nonsense")); trace.SpanContextFromContext(got).IsValid() {
		t.Error("the last value does not count")
	}
}

func TestMaps(t *testing.T) {
	if m := observability.InjectMap(t.Context()); m == nil || len(m) != 0 {
		t.Errorf("without a span: %#v", m)
	}
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	m := observability.InjectMap(trace.ContextWithSpanContext(t.Context(), sc))
	if diff := cmp.Diff([]string{"traceparent"}, slices.Collect(maps.Keys(m))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := trace.SpanContextFromContext(observability.ExtractMap(t.Context(), m)); !got.Equal(sc.WithRemote(true)) {
		t.Errorf("back: %v", got)
	}
	if got := observability.ExtractMap(t.Context(), nil); trace.SpanContextFromContext(got).IsValid() {
		t.Error("nothing stored gives a span")
	}
}

func TestAsLink(t *testing.T) {
	spans := spantest.Record(t)
	request, span := observability.StartSpan(t.Context(), "request")
	span.End()
	ctx := observability.AsLink(observability.ExtractMap(t.Context(), observability.InjectMap(request)))
	outer, job := observability.StartJobSpan(ctx, observability.JobSpanConfig{JobName: "outer"})
	_, inner := observability.StartJobSpan(outer, observability.JobSpanConfig{JobName: "inner"})
	inner.End()
	job.End()

	got := spans.One("job.outer")
	if got.Parent.IsValid() || got.SpanContext.TraceID() == span.SpanContext().TraceID() {
		t.Error("the job is not the root of a trace of its own")
	}
	if len(got.Links) != 1 || got.Links[0].SpanContext.SpanID() != span.SpanContext().SpanID() {
		t.Errorf("links %v", got.Links)
	}
	if got := spans.One("job.inner"); len(got.Links) != 0 || got.Parent.SpanID() != job.SpanContext().SpanID() {
		t.Errorf("the job inside has links %v and the parent %v", got.Links, got.Parent)
	}
	if ctx := t.Context(); observability.AsLink(ctx) != ctx {
		t.Error("without a span, the context is another")
	}
}
