package observability

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/observability/internal/limit"
	"github.com/riffletrace/riffle/core/sampling"
)

// What [Middleware] answers.
const (
	// TraceIDHeader has the trace ID of the request in hex.
	TraceIDHeader = "X-Trace-ID"
	// TraceSampledHeader tells whether the trace is kept: "1" if it is, "0" if it
	// is not recorded, "maybe" if it is recorded and decided when it is complete.
	TraceSampledHeader = "X-Trace-Sampled"
)

// MiddlewareOption changes what [Middleware] does.
type MiddlewareOption func(*middleware)

// WithPathsLeftOut leaves out requests to exactly these paths, instead of
// /health, /ready and /metrics. Nothing below them is traced either.
func WithPathsLeftOut(paths ...string) MiddlewareOption {
	return func(m *middleware) { m.leftOut = paths }
}

// WithForceHeader keeps a request in full, whatever the samplers say, if its
// header name has the value secret: for the one request that somebody wants to
// see. Its probability is unknown, so it is in no weighted figure. Providers
// other than riffle's sample it as any request. An empty secret forces
// nothing. Handlers do not see the header.
func WithForceHeader(name, secret string) MiddlewareOption {
	return func(m *middleware) {
		if secret != "" {
			m.forceHeader, m.forceSecret = http.CanonicalHeaderKey(name), sha256.Sum256([]byte(secret))
		}
	}
}

type middleware struct {
	leftOut     []string
	forceHeader string
	forceSecret [sha256.Size]byte
	next        http.Handler
	traced      http.Handler
}

// Middleware traces the requests that next serves. It stands on otelhttp; a
// span has its attributes, and is called after the pattern that [http.ServeMux]
// found, which is also its http.route. A status of 500 or more is an error; a
// panic is recorded, makes the span an error, and goes on. The answer has
// [TraceIDHeader] and [TraceSampledHeader].
//
// Between the middleware and the mux, nothing may replace the request (as
// [http.Request.WithContext] does), or the pattern is lost.
func Middleware(next http.Handler, opts ...MiddlewareOption) http.Handler {
	m := &middleware{leftOut: []string{"/health", "/ready", "/metrics"}, next: next}
	for _, opt := range opts {
		opt(m)
	}
	m.traced = otelhttp.NewHandler(http.HandlerFunc(m.serve), "")
	return m
}

func (m *middleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if slices.Contains(m.leftOut, r.URL.Path) {
		m.next.ServeHTTP(w, r.WithContext(untraced(r)))
		return
	}
	if m.forces(r) {
		r = r.Clone(sampling.ContextWithForce(r.Context()))
		r.Header.Del(m.forceHeader)
	}
	m.traced.ServeHTTP(w, r)
}

// forces compares in constant time, which does not tell how long the secret is.
func (m *middleware) forces(r *http.Request) bool {
	if m.forceHeader == "" {
		return false
	}
	value := r.Header.Get(m.forceHeader)
	if value == "" {
		return false
	}
	got := sha256.Sum256([]byte(value))
	return subtle.ConstantTimeCompare(got[:], m.forceSecret[:]) == 1
}

// untraced is a context in which no span is recorded: it has a parent that is
// none, of the trace that the request belongs to, or of one that nobody has.
func untraced(r *http.Request) context.Context {
	ctx := otel.GetTextMapPropagator().Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		var id trace.TraceID
		binary.BigEndian.PutUint64(id[:8], rand.Uint64())
		binary.BigEndian.PutUint64(id[8:], rand.Uint64()|1)
		sc = trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID(id[8:])})
	}
	return trace.ContextWithSpanContext(ctx, sc.WithRemote(false).WithTraceFlags(sc.TraceFlags().WithSampled(false)))
}

// serve serves a request inside its span.
func (m *middleware) serve(w http.ResponseWriter, r *http.Request) {
	span := trace.SpanFromContext(r.Context())
	if sc := span.SpanContext(); sc.IsValid() {
		h := w.Header()
		h.Set(TraceIDHeader, sc.TraceID().String())
		h.Set(TraceSampledHeader, sampled(span))
	}
	if !span.IsRecording() {
		m.next.ServeHTTP(w, r)
		return
	}
	defer func() {
		if route := route(r.Pattern); route != "" {
			span.SetAttributes(attribute.String("http.route", route))
		}
		if v := recover(); v != nil {
			recordPanic(span, r, v)
			panic(v)
		}
	}()
	m.next.ServeHTTP(w, r)
}

// recordPanic makes a panic part of the span and ends it, before others add
// the same exception without its stack.
func recordPanic(span trace.Span, r *http.Request, v any) {
	message := limit.String(fmt.Sprint(v))
	if route := route(r.Pattern); route != "" {
		span.SetName(strings.ToUpper(r.Method) + " " + route)
	}
	addException(span, fmt.Sprintf("%T", v), message, limit.String(string(debug.Stack())))
	span.SetStatus(codes.Error, "panic: "+message)
	span.End()
}

func sampled(span trace.Span) string {
	switch {
	case span.SpanContext().IsSampled():
		return "1"
	case span.IsRecording():
		return "maybe"
	default:
		return "0"
	}
}

// route is the path of a mux's pattern, which may begin with a method and a
// host.
func route(pattern string) string {
	if i := strings.IndexByte(pattern, '/'); i >= 0 {
		return pattern[i:]
	}
	return ""
}

// Transport traces the requests of an HTTP client and hands them the trace
// context; base may be nil for [http.DefaultTransport]. It is otelhttp's.
func Transport(base http.RoundTripper) http.RoundTripper { return otelhttp.NewTransport(base) }
