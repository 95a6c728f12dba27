package plugins

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/plugins/pin"
)

// tryOpen starts a plugin that plays a part.
func tryOpen(tb testing.TB, part string, l limits) (*Plugin, *logs, error) {
	tb.Helper()
	logs := &logs{}
	dir := program(tb, "test", part)
	copied, err := pin.Copy(dir, Prefix+"test", "", true)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := open(tb.Context(), copied, dir, OpenSettings{Logger: logs.logger()}, l)
	return p, logs, err
}

// settings are those of an instance in a test.
func settings(logs *logs) core.Settings {
	return core.Settings{ID: "instance", Logger: logs.logger()}
}

// start is a local root with a tenant.
func start(tenant string) core.StartParameters {
	return core.StartParameters{
		ParentContext: context.Background(), Name: "GET /", Kind: trace.SpanKindServer,
		Attributes: []attribute.KeyValue{attribute.String("http.request.method", "GET"), attribute.String("tenant", tenant), attribute.String("plan", "pro")},
	}
}

// answered asks a sampler until it has an answer.
func answered(tb testing.TB, s core.StartSampler, p core.StartParameters) core.Answer {
	tb.Helper()
	var a core.Answer
	eventually(tb, "an answer about "+p.Attributes[1].Value.AsString(), func() bool {
		a = s.SampleStart(p)
		return !a.IsAbstain()
	})
	return a
}

// spans makes spans with distinct IDs.
func spans(first, n int) []sdktrace.ReadOnlySpan {
	stubs := make(tracetest.SpanStubs, n)
	for i := range stubs {
		id := first + i + 1
		stubs[i] = tracetest.SpanStub{
			Name: "span",
			SpanContext: trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: trace.TraceID{1, byte(id >> 16), byte(id >> 8), byte(id)},
				SpanID:  trace.SpanID{2, byte(id >> 16), byte(id >> 8), byte(id)}, TraceFlags: trace.FlagsSampled,
			}),
		}
	}
	return stubs.Snapshots()
}

// shortDir is a temporary directory whose path leaves room for sockets.
func shortDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "rp") //nolint:usetesting // that of the test is too long
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func privateDirs(tb testing.TB, dir string) []string {
	tb.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "riffle-plugin-*"))
	if err != nil {
		tb.Fatal(err)
	}
	return all
}
