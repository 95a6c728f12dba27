package observability

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"

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

// WithOtelhttp has otelhttp's handler make the span, in place of riffle's own, which
// makes the same one at a fraction of the cost. It is for what only otelhttp has: options
// of its own, such as filters, names, read and write events and the server's name, its
// Labeler, and metrics with server.address and server.port. What WithPropagators and
// WithPublicEndpointFn of otelhttp say does not count.
func WithOtelhttp(opts ...otelhttp.Option) MiddlewareOption {
	return func(m *middleware) {
		m.traced = otelhttp.NewHandler(http.HandlerFunc(m.below), "", append(slices.Clip(opts),
			otelhttp.WithPropagators(propagator{}),
			otelhttp.WithPublicEndpointFn(func(r *http.Request) bool { return isPublic(r.Context()) }))...)
	}
}

type middleware struct {
	isPublic              func(*http.Request) bool // nil: none is
	hidesID, hidesSampled bool

	leftOut     []string
	forceHeader string
	forceSecret [sha256.Size]byte
	next        http.Handler
	mux         *http.ServeMux // nil: none that is known
	traced      http.Handler   // otelhttp's, nil without it
	metrics     *requestMetrics
}

// Middleware traces the requests that next serves, by the semantic conventions of HTTP
// servers. A span is called after the pattern that [http.ServeMux]
// found, which is also its http.route. If next is a ServeMux, or [WithMux] names it,
// that is known when the span starts. A status of 500 or more is an error; a
// panic is recorded, makes the span an error, and goes on. The answer has
// [TraceIDHeader] and [TraceSampledHeader].
//
// The global MeterProvider has http.server.request.duration, http.server.request.body.size
// and http.server.response.body.size of each request.
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
	if m.traced == nil {
		m.metrics = newRequestMetrics(otel.GetMeterProvider())
	}
	return m
}

func (m *middleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	given := r
	if m.isPublic != nil && m.isPublic(r) {
		r = r.WithContext(context.WithValue(r.Context(), publicKey{}, true))
	}
	leftOut := slices.Contains(m.leftOut, r.URL.Path)
	switch {
	case leftOut:
		r = r.WithContext(untraced(r))
	case m.forces(r):
		r = r.Clone(sampling.ContextWithForce(r.Context()))
		r.Header.Del(m.forceHeader)
	}
	if r != given {
		defer giveBack(given, r)
	}
	if leftOut {
		m.next.ServeHTTP(w, r)
		return
	}
	m.route(r)
	if m.traced != nil {
		m.traced.ServeHTTP(w, r)
		return
	}
	m.trace(w, r)
}

// giveBack lets net/http know which files it has to remove, which a copy of its request
// was given.
func giveBack(to, from *http.Request) {
	if from.MultipartForm != nil {
		to.MultipartForm = from.MultipartForm
	}
}

// route sets the pattern that the mux will find, as the mux does it itself when it
// serves.
func (m *middleware) route(r *http.Request) {
	if m.mux == nil || r.RequestURI == "*" { // which no mux routes
		return
	}
	if _, pattern := m.mux.Handler(r); pattern != "" {
		r.Pattern = pattern
	}
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

// Transport traces the requests of an HTTP client and hands them the trace
// context; base may be nil for [http.DefaultTransport]. It is otelhttp's.
func Transport(base http.RoundTripper) http.RoundTripper { return otelhttp.NewTransport(base) }
