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

	"github.com/riffletrace/riffle/core/internal/outside"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/bound"
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
// see. It is kept whatever its randomness is, so that its spans count as one each.
// Providers other than riffle's sample it as any request. An empty secret forces
// nothing. Handlers do not see the header.
func WithForceHeader(name, secret string) MiddlewareOption {
	return func(m *middleware) {
		if secret != "" {
			m.forceHeader, m.forceSecret = http.CanonicalHeaderKey(name), sha256.Sum256([]byte(secret))
		}
	}
}

// WithPublicEndpoint is for requests of clients that nobody trusts, whatever
// remote_parent says: the trace of the client is not continued. A new one begins, with a
// link to what the client sent, without its tracestate, and none of its flags goes on to
// other services. Its baggage does.
func WithPublicEndpoint() MiddlewareOption {
	return WithPublicEndpointFn(func(*http.Request) bool { return true })
}

// WithPublicEndpointFn does so for the requests that f picks. It is called once for each
// request, before the span starts, and may be called from several goroutines.
func WithPublicEndpointFn(f func(*http.Request) bool) MiddlewareOption {
	return func(m *middleware) { m.isPublic = f }
}

// WithoutTraceIDHeader leaves [TraceIDHeader] out of answers.
func WithoutTraceIDHeader() MiddlewareOption {
	return func(m *middleware) { m.hidesID = true }
}

// WithoutTraceSampledHeader leaves [TraceSampledHeader] out of answers, so that clients
// do not learn what is kept.
func WithoutTraceSampledHeader() MiddlewareOption {
	return func(m *middleware) { m.hidesSampled = true }
}

// WithMux names the mux that routes the requests where other handlers stand between it
// and the middleware, so that its pattern is known when a span starts, and is not lost
// where one of them replaces the request. None of them may change the path, as
// [http.StripPrefix] does: the mux is asked about the path that the middleware sees.
func WithMux(mux *http.ServeMux) MiddlewareOption {
	return func(m *middleware) { m.mux = mux }
}

type middleware struct {
	isPublic              func(*http.Request) bool // nil: none is
	hidesID, hidesSampled bool

	leftOut     []string
	forceHeader string
	forceSecret [sha256.Size]byte
	next        http.Handler
	mux         *http.ServeMux // nil: none that is known
	traced      http.Handler
}

// Middleware traces the requests that next serves. It stands on otelhttp; a
// span has its attributes, and is called after the pattern that [http.ServeMux]
// found, which is also its http.route. If next is a ServeMux, or [WithMux] names it,
// that is known when the span starts. A status of 500 or more is an error; a
// panic is recorded, makes the span an error, and goes on. The answer has
// [TraceIDHeader] and [TraceSampledHeader].
//
// What a client says of its trace is trusted as far as the provider's remote_parent
// says; for a service on the internet that is ignore or restart, or
// [WithPublicEndpoint] here.
//
// Without WithMux, nothing may replace the request between the middleware and the mux
// (as [http.Request.WithContext] does), or the pattern is lost.
func Middleware(next http.Handler, opts ...MiddlewareOption) http.Handler {
	m := &middleware{leftOut: []string{"/health", "/ready", "/metrics"}, next: next}
	m.mux, _ = next.(*http.ServeMux)
	for _, opt := range opts {
		opt(m)
	}
	m.traced = otelhttp.NewHandler(http.HandlerFunc(m.serve), "",
		otelhttp.WithPropagators(propagator{}),
		otelhttp.WithPublicEndpointFn(func(r *http.Request) bool { return isPublic(r.Context()) }))
	return m
}

func (m *middleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m.isPublic != nil && m.isPublic(r) {
		r = r.WithContext(context.WithValue(r.Context(), publicKey{}, true))
	}
	if slices.Contains(m.leftOut, r.URL.Path) {
		m.next.ServeHTTP(w, r.WithContext(untraced(r)))
		return
	}
	if m.forces(r) {
		r = r.Clone(sampling.ContextWithForce(r.Context()))
		r.Header.Del(m.forceHeader)
	}
	m.route(r)
	m.traced.ServeHTTP(w, r)
}

// route sets the pattern that the mux will find, as the mux does it itself when it
// serves. A copy of the request would hide from net/http which files it has to remove.
func (m *middleware) route(r *http.Request) {
	if m.mux == nil || r.RequestURI == "*" { // which no mux routes
		return
	}
	if _, pattern := m.mux.Handler(r); pattern != "" {
		r.Pattern = pattern
	}
}

// publicKey marks the context of a request of a client that nobody trusts.
type publicKey struct{}

func isPublic(ctx context.Context) bool { return ctx.Value(publicKey{}) != nil }

// propagator is the global one, which takes less from public requests.
type propagator struct{}

func (propagator) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	p := otel.GetTextMapPropagator()
	if !isPublic(ctx) {
		return p.Extract(ctx, carrier)
	}
	ctx = outside.Propagator(p).Extract(ctx, carrier)
	if sc := trace.SpanContextFromContext(ctx); sc.IsRemote() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, sc.WithTraceState(trace.TraceState{}))
	}
	return ctx
}

func (propagator) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	otel.GetTextMapPropagator().Inject(ctx, carrier)
}

func (propagator) Fields() []string { return otel.GetTextMapPropagator().Fields() }

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

// untraced is a context in which no span is recorded: by riffle since it says so, and
// by other providers since it has a parent that is not sampled, of the trace that the
// request belongs to, or of one that nobody has.
func untraced(r *http.Request) context.Context {
	ctx := propagator{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() || isPublic(ctx) {
		var id trace.TraceID
		binary.BigEndian.PutUint64(id[:8], rand.Uint64())
		binary.BigEndian.PutUint64(id[8:], rand.Uint64()|1)
		sc = trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID(id[8:])})
	}
	return trace.ContextWithSpanContext(sampling.ContextWithDrop(ctx), sc.WithRemote(false).WithTraceFlags(sc.TraceFlags().WithSampled(false)))
}

// serve serves a request inside its span.
func (m *middleware) serve(w http.ResponseWriter, r *http.Request) {
	span := trace.SpanFromContext(r.Context())
	if sc := span.SpanContext(); sc.IsValid() {
		h := w.Header()
		if !m.hidesID {
			h.Set(TraceIDHeader, sc.TraceID().String())
		}
		if !m.hidesSampled {
			h.Set(TraceSampledHeader, sampled(span))
		}
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
	message := bound.Default.Text(fmt.Sprint(v))
	if route := route(r.Pattern); route != "" {
		span.SetName(strings.ToUpper(r.Method) + " " + route)
	}
	addException(span, fmt.Sprintf("%T", v), message, bound.Default.Text(string(debug.Stack())))
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
