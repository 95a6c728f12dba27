package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/plugins"
	"github.com/riffletrace/riffle/plugins/internal/wire"
	"github.com/riffletrace/riffle/plugins/pin"
)

// tryOpen starts a plugin that plays a part.
func tryOpen(tb testing.TB, part string, l timing) (*Plugin, *logs, error) {
	tb.Helper()
	return tryProgram(tb, program(tb, "test", part), "test", l)
}

// tryProgram starts the plugin of that name in a directory.
func tryProgram(tb testing.TB, dir, name string, l timing) (*Plugin, *logs, error) {
	tb.Helper()
	logs := &logs{}
	copied, err := pin.Copy(dir, wire.Prefix+name, "", true)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := open(tb.Context(), copied, dir, OpenOptions{Logger: logs.logger()}, l)
	return p, logs, err
}

// serveHere serves components in this process.
func serveHere(tb testing.TB, components ...plugins.Component) *Plugin {
	tb.Helper()
	pipe := wire.NewPipe()
	stop, err := plugins.Serve(pipe, slog.New(slog.DiscardHandler), components...)
	if err != nil {
		tb.Fatal(err)
	}
	p := newPlugin("here", slog.New(slog.DiscardHandler), defaultTiming)
	p.dial = func(context.Context) (*connection, error) {
		conn, err := pipe.Connect()
		return &connection{
			conn: conn, gone: make(chan struct{}), why: func() string { return "stopped" }, kill: func() {},
			stop: func(ctx context.Context) error { return errors.Join(conn.Close(), stop(ctx)) },
		}, err
	}
	if p, err = p.begin(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return p
}

// settings are those of an instance in a test.
func settings(logs *logs) component.Settings {
	return component.Settings{ID: "instance", Logger: logs.logger()}
}

// start is a local root with a tenant.
func start(tenant string) sampling.StartParameters {
	return sampling.StartParameters{
		ParentContext: context.Background(), Name: "GET /", Kind: trace.SpanKindServer,
		Attributes: []attribute.KeyValue{attribute.String("http.request.method", "GET"), attribute.String("tenant", tenant), attribute.String("plan", "pro")},
	}
}

// answered asks a sampler until it has an answer.
func answered(tb testing.TB, s sampling.StartSampler, p sampling.StartParameters) sampling.Answer {
	tb.Helper()
	var a sampling.Answer
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

// serviceSpans are what a service makes of requests: a server's span with a
// query, a call of another service and a step of its own below it, whose IDs,
// times and values differ as in life, so that they are as hard to compress.
func serviceSpans(n int) []sdktrace.ReadOnlySpan {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	http, db, own := provider.Tracer("otelhttp"), provider.Tracer("pgx"), provider.Tracer("shop")
	for len(recorder.Ended()) < n {
		id := rand.IntN(1_000_000)
		ctx, server := http.Start(context.Background(), "GET /checkout/{id}", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			attribute.String("http.request.method", "GET"), attribute.String("http.route", "/checkout/{id}"),
			attribute.String("url.path", fmt.Sprint("/checkout/", id)), attribute.String("server.address", "shop.example.com"),
			attribute.String("client.address", fmt.Sprintf("203.0.113.%d", rand.IntN(256))), attribute.Int("client.port", rand.IntN(1<<16)),
			attribute.String("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0)"), attribute.String("tenant", fmt.Sprint("tenant ", rand.IntN(100)))))
		_, query := db.Start(ctx, "SELECT orders", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
			attribute.String("db.system.name", "postgresql"), attribute.String("db.namespace", "shop"), attribute.String("db.operation.name", "SELECT"),
			attribute.String("db.query.text", "SELECT id, state, total FROM orders WHERE id = $1"), attribute.String("server.address", "10.0.0.3"), attribute.Int("server.port", 5432)))
		query.SetAttributes(attribute.Int("db.response.returned_rows", rand.IntN(50)))
		query.End()
		_, call := http.Start(ctx, "POST", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
			attribute.String("http.request.method", "POST"), attribute.String("url.full", fmt.Sprint("http://payments.example.com/charge?order=", id)),
			attribute.String("server.address", "payments.example.com"), attribute.Int("http.response.status_code", 200)))
		call.End()
		_, step := own.Start(ctx, "reserve stock", trace.WithAttributes(attribute.Int("order.id", id), attribute.Float64("order.total", rand.Float64()*1000)))
		step.End()
		server.SetAttributes(attribute.Int("http.response.status_code", 200), attribute.Int("http.response.body.size", rand.IntN(20_000)))
		server.End()
	}
	return recorder.Ended()[:n]
}

func privateDirs(tb testing.TB, dir string) []string {
	tb.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "riffle-plugin-*"))
	if err != nil {
		tb.Fatal(err)
	}
	return all
}
