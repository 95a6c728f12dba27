//go:build linux

package rivals

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/DataDog/datadog-go/v5/statsd"
	"github.com/DataDog/dd-trace-go/v2/ddtrace/ext"
	ddtracer "github.com/DataDog/dd-trace-go/v2/ddtrace/tracer"
	"go.opentelemetry.io/otel/attribute"
)

// datadogEnvironment switches off what is no tracing and asks the network, and
// the limit of 100 sampled traces a second.
var datadogEnvironment = map[string]string{
	"DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
	"DD_REMOTE_CONFIGURATION_ENABLED":      "false",
	"DD_TRACE_RATE_LIMIT":                  "1000000000",
}

var (
	serverOptions = datadogOptions(serverName, ext.SpanTypeWeb, ext.SpanKindServer, serverAttributes)
	queryOptions  = datadogOptions(queryName, ext.SpanTypeSQL, ext.SpanKindClient, queryAttributes)
)

func datadogOptions(resource, spanType, kind string, attributes []attribute.KeyValue) []ddtracer.StartSpanOption {
	opts := []ddtracer.StartSpanOption{ddtracer.ResourceName(resource), ddtracer.SpanType(spanType), ddtracer.Tag(ext.SpanKind, kind)}
	for _, kv := range attributes {
		opts = append(opts, ddtracer.Tag(string(kv.Key), kv.Value.AsInterface()))
	}
	return opts
}

// datadogTrace makes the same trace as otelTrace.
func datadogTrace(ctx context.Context) {
	server, ctx := ddtracer.StartSpanFromContext(ctx, "http.request", serverOptions...)
	query, _ := ddtracer.StartSpanFromContext(ctx, "postgresql.query", queryOptions...)
	query.Finish()
	server.SetTag(string(statusAttribute.Key), statusAttribute.Value.AsInterface())
	server.Finish()
}

// The span pool is off by default: with it, a span must not be touched after
// its end. The option stands above DD_TRACER_EXPERIMENTAL_SPAN_POOL_ENABLED.
var (
	datadog       = datadogWith(ddtracer.WithSpanPool(false))
	datadogPooled = datadogWith(ddtracer.WithSpanPool(true))
)

// datadogWith returns what starts Datadog's tracer with more options.
func datadogWith(more ...ddtracer.StartOption) func(testing.TB, string, float64) *tracer {
	return func(tb testing.TB, address string, rate float64) *tracer {
		tb.Helper()
		must(tb, ddtracer.Start(append([]ddtracer.StartOption{
			ddtracer.WithAgentAddr(address),
			ddtracer.WithService(serviceName),
			ddtracer.WithSamplerRate(rate),
			ddtracer.WithStatsdClient(&statsd.NoOpClientDirect{}),
			ddtracer.WithLogStartup(false),
		}, more...)...))
		made, before := int64(0), datadogCount(tb, address)
		return &tracer{
			trace: func(ctx context.Context) {
				datadogTrace(ctx)
				made++
			},
			// Its Flush also sends statistics, which it does every ten seconds
			// otherwise. Its queue takes 1,000 traces and drops more, so that the
			// goroutine that empties it must have its turn.
			flush: func(context.Context) error { return nil },
			yield: runtime.Gosched,
			stop: func(context.Context) error {
				ddtracer.Stop()
				// A machine that takes the cores away for a moment makes it drop some.
				if sent := datadogCount(tb, address) - before; rate == 1 && sent < made-made/100 {
					return fmt.Errorf("%d of %d traces were sent: two processors must be idle", sent, made)
				}
				return nil
			},
		}
	}
}

// With the pool, the spans of a trace are not allocated anew.
func TestSpanPool(t *testing.T) {
	_, address := startPart(t, "receiver") // where it allocates does not count
	without, with := datadogAllocations(t, datadog, address), datadogAllocations(t, datadogPooled, address)
	if saved := without - with; saved < 2 {
		t.Errorf("a trace of two spans takes %.1f allocations without the pool, %.1f with it", without, with)
	}
}

// datadogAllocations is how many allocations a trace takes, of which 1 % is
// sent.
func datadogAllocations(t *testing.T, start func(testing.TB, string, float64) *tracer, address string) float64 {
	t.Helper()
	const traces = 20_000
	tracer := start(t, address, 0.01)
	tracer.run(t, 1000) // fills the pool
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	tracer.run(t, traces)
	runtime.ReadMemStats(&after)
	must(t, tracer.stop(t.Context()))
	return float64(after.Mallocs-before.Mallocs) / traces
}
