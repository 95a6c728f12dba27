package observability

import (
	"context"
	"maps"
	"reflect"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/internal/bound"
)

// ScopeName is the instrumentation scope of the helpers' spans.
const ScopeName = "github.com/riffletrace/riffle/core/observability"

// providerTracer is the tracer of the last provider.
type providerTracer struct {
	provider trace.TracerProvider
	tracer   trace.Tracer
}

var lastTracer atomic.Pointer[providerTracer]

// tracer is the global provider's.
func tracer() trace.Tracer { return tracerOf(otel.GetTracerProvider()) }

// tracerOf is a provider's, without asking it each time.
func tracerOf(p trace.TracerProvider) trace.Tracer {
	if last := lastTracer.Load(); last != nil && last.provider == p {
		return last.tracer
	}
	t := p.Tracer(ScopeName)
	if reflect.TypeOf(p).Kind() == reflect.Pointer { // others may not be comparable
		lastTracer.Store(&providerTracer{p, t})
	}
	return t
}

// maxStartAttributes is how many attributes a helper sets at most when a span
// starts.
const maxStartAttributes = 13

// starting is a span that is about to start. It is used again and again, with
// the options that hold its attributes made once: tracers read options while
// Start runs and copy what they keep, so a start allocates only what they do.
type starting struct {
	n       int
	attrs   [maxStartAttributes]attribute.KeyValue
	options [maxStartAttributes + 1][2]trace.SpanStartOption // by n
}

var startings [trace.SpanKindConsumer + 1]sync.Pool

func start(kind trace.SpanKind) *starting {
	s, ok := startings[kind].Get().(*starting)
	if !ok {
		s = &starting{}
	}
	return s
}

// with are the options for so many attributes as there are.
func (s *starting) with(kind trace.SpanKind) []trace.SpanStartOption {
	o := &s.options[s.n]
	if o[0] == nil {
		*o = [2]trace.SpanStartOption{trace.WithSpanKind(kind), trace.WithAttributes(s.attrs[:s.n]...)}
	}
	return o[:]
}

// set sets an attribute, unless it is empty.
func (s *starting) set(key attribute.Key, value string) {
	if value != "" {
		s.add(key.String(bound.Default.Text(value)))
	}
}

func (s *starting) add(kv attribute.KeyValue) {
	s.attrs[s.n] = kv
	s.n++
}

// span starts the span; s must not be used any more.
func (s *starting) span(ctx context.Context, kind trace.SpanKind, name string) (context.Context, trace.Span) {
	return s.by(ctx, tracer(), kind, name)
}

// linked starts the span as the root of a trace that is linked to another.
func (s *starting) linked(ctx context.Context, kind trace.SpanKind, name string, to trace.SpanContext) (context.Context, trace.Span) {
	return s.by(ctx, tracer(), kind, name, trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: to}))
}

// by starts the span with that tracer, and with more options.
func (s *starting) by(ctx context.Context, t trace.Tracer, kind trace.SpanKind, name string, more ...trace.SpanStartOption) (context.Context, trace.Span) {
	ctx, span := t.Start(ctx, name, append(s.with(kind), more...)...)
	s.release(kind)
	return ctx, span
}

func (s *starting) release(kind trace.SpanKind) {
	clear(s.attrs[:s.n])
	s.n = 0
	startings[kind].Put(s)
}

// nameParts are what a span's name is made of.
type nameParts struct{ prefix, namespace, name string }

// maxNames bounds the names that are remembered; they are few, unless somebody
// puts an ID into one.
const maxNames = 1024

var (
	names      atomic.Pointer[map[nameParts]string]
	namesWrite sync.Mutex
)

// spanName is prefix.namespace.name, or prefix.name without a namespace. A
// name that was made before is not made again.
func spanName(prefix, namespace, name string) string {
	parts := nameParts{prefix, namespace, name}
	if known := names.Load(); known != nil {
		if s, ok := (*known)[parts]; ok {
			return s
		}
	}
	s := prefix + "." + name
	if namespace != "" {
		s = prefix + "." + namespace + "." + name
	}
	remember(parts, s)
	return s
}

func remember(parts nameParts, s string) {
	namesWrite.Lock()
	defer namesWrite.Unlock()
	next := map[nameParts]string{}
	if known := names.Load(); known != nil {
		if len(*known) >= maxNames {
			return
		}
		maps.Copy(next, *known)
	}
	next[parts] = s
	names.Store(&next)
}
