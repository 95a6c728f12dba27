package observability

import (
	"context"
	"maps"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// w3c is how trace context is stored and handed to processes, whatever the
// propagators between services are: both ends are the application's own.
var w3c = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// GetTraceContextEnv returns the environment variables that make another
// process part of the trace in ctx: TRACEPARENT, TRACESTATE and BAGGAGE where
// they are set, OTEL_TRACE_ID and OTEL_SPAN_ID. It is nil without a span.
func GetTraceContextEnv(ctx context.Context) map[string]string {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return nil
	}
	env := map[string]string{"OTEL_TRACE_ID": sc.TraceID().String(), "OTEL_SPAN_ID": sc.SpanID().String()}
	w3c.Inject(ctx, envCarrier(env))
	return env
}

// FlattenEnv returns variables as [os/exec.Cmd] wants them, sorted.
func FlattenEnv(env map[string]string) []string {
	flat := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		flat = append(flat, name+"="+env[name])
	}
	return flat
}

// ContextFromEnv returns ctx with the trace context in environ, such as
// [os.Environ] of a process that was started with [GetTraceContextEnv]. Of
// several values of one variable, the last counts.
func ContextFromEnv(ctx context.Context, environ []string) context.Context {
	env := envCarrier{}
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		switch name {
		case "TRACEPARENT", "TRACESTATE", "BAGGAGE":
			env[name] = value
		}
	}
	return w3c.Extract(ctx, env)
}

// InjectMap returns the trace context in ctx, to be stored with a job or a
// message. It is empty if there is none, and never nil.
func InjectMap(ctx context.Context) map[string]string {
	m := map[string]string{}
	w3c.Inject(ctx, propagation.MapCarrier(m))
	return m
}

// ExtractMap returns ctx with the trace context that [InjectMap] stored: what
// starts in it is below the span that stored it. See [AsLink] for a trace of
// its own.
func ExtractMap(ctx context.Context, m map[string]string) context.Context {
	return w3c.Extract(ctx, propagation.MapCarrier(m))
}

type linkKey struct{}

// AsLink turns the parent in ctx into a link: [StartJobSpan] then starts a new
// trace that is linked to it. That is for jobs that run long after, or that
// many spans have asked for. Baggage stays.
func AsLink(ctx context.Context) context.Context {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return ctx
	}
	ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	return context.WithValue(ctx, linkKey{}, sc)
}

// linkFrom returns what [AsLink] left in ctx, if no span started since.
func linkFrom(ctx context.Context) (trace.SpanContext, bool) {
	if trace.SpanContextFromContext(ctx).IsValid() {
		return trace.SpanContext{}, false
	}
	sc, ok := ctx.Value(linkKey{}).(trace.SpanContext)
	return sc, ok
}

// envCarrier holds trace context under the names of environment variables.
//
// Source: https://opentelemetry.io/docs/specs/otel/context/env-carriers/
type envCarrier map[string]string

func (c envCarrier) Get(key string) string { return c[strings.ToUpper(key)] }
func (c envCarrier) Set(key, value string) { c[strings.ToUpper(key)] = value }
func (c envCarrier) Keys() []string        { return slices.Collect(maps.Keys(c)) }

var _ propagation.TextMapCarrier = envCarrier{}
