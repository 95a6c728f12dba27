package observability

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/internal/bound"
)

// exchange is a request that is served, and its answer. Handlers may hold parts of it
// for longer, so that it is not used again.
type exchange struct {
	metrics  *requestMetrics
	span     trace.Span
	start    time.Time // zero where nothing measures
	name     string    // that the span has
	pattern  string    // that it was made of
	inner    *http.Request
	body     requestBody
	response response
}

// trace serves a request inside a span of riffle's own.
func (m *middleware) trace(w http.ResponseWriter, r *http.Request) {
	ctx := propagator{}.Extract(r.Context(), carrier(r.Header))
	begun := otelhttp.StartTimeFromContext(ctx)
	name := requestName(r)
	ctx, span := startRequest(ctx, r, name, begun)
	m.identify(w.Header(), span)
	measures := m.metrics.enabled(ctx)
	inner := r.WithContext(ctx)
	defer giveBack(r, inner)
	if !measures && !span.IsRecording() {
		defer span.End()
		m.next.ServeHTTP(w, inner)
		return
	}
	e := &exchange{metrics: m.metrics, span: span, name: name, pattern: r.Pattern, inner: inner}
	if measures {
		if e.start = begun; begun.IsZero() {
			e.start = time.Now()
		}
	}
	if r.Body != nil && r.Body != http.NoBody {
		e.body.ReadCloser = r.Body
		inner.Body = &e.body
	}
	e.response.ResponseWriter = w
	defer e.end()
	m.next.ServeHTTP(e.response.writer(), inner)
}

// startRequest starts the span of a request: by the provider of the span that it is
// below, if that is one of this process, else by the global one.
func startRequest(ctx context.Context, r *http.Request, name string, begun time.Time) (context.Context, trace.Span) {
	t := tracer()
	if outer := trace.SpanFromContext(r.Context()); outer.SpanContext().IsValid() && !outer.SpanContext().IsRemote() {
		t = tracerOf(outer.TracerProvider())
	}
	var more []trace.SpanStartOption
	if !begun.IsZero() {
		more = append(more, trace.WithTimestamp(begun))
	}
	if isPublic(ctx) {
		more = append(more, trace.WithNewRoot())
		if sc := trace.SpanContextFromContext(ctx); sc.IsValid() && sc.IsRemote() {
			more = append(more, trace.WithLinks(trace.Link{SpanContext: sc}))
		}
	}
	s := start(trace.SpanKindServer)
	s.describe(r)
	return s.by(ctx, t, trace.SpanKindServer, name, more...)
}

// What the headers are called in an [http.Header].
var (
	traceIDHeader      = http.CanonicalHeaderKey(TraceIDHeader)
	traceSampledHeader = http.CanonicalHeaderKey(TraceSampledHeader)
)

// identify tells the client which trace it is.
func (m *middleware) identify(h http.Header, span trace.Span) {
	sc := span.SpanContext()
	if !sc.IsValid() || m.hidesID && m.hidesSampled {
		return
	}
	values := &[2]string{}
	if !m.hidesID {
		values[0] = sc.TraceID().String()
		h[traceIDHeader] = values[0:1:1]
	}
	if !m.hidesSampled {
		values[1] = sampled(span, sc)
		h[traceSampledHeader] = values[1:2:2]
	}
}

func sampled(span trace.Span, sc trace.SpanContext) string {
	switch {
	case sc.IsSampled():
		return "1"
	case span.IsRecording():
		return "maybe"
	default:
		return "0"
	}
}

// end ends the span, and measures.
func (e *exchange) end() {
	v := recover()
	switch {
	case v != nil:
		if e.span.IsRecording() {
			e.set(start(trace.SpanKindServer))
			recordPanic(e.span, v)
		}
	case e.span.IsRecording():
		e.record()
	}
	e.span.End()
	e.metrics.measure(e, v)
	if v != nil {
		panic(v)
	}
}

// record sets what is known of a request when it is served.
func (e *exchange) record() {
	s := start(trace.SpanKindServer)
	if n := e.body.read.Load(); n > 0 {
		s.add(attribute.Int64("http.request.body.size", n))
	}
	if n := e.response.written.Load(); n > 0 {
		s.add(attribute.Int64("http.response.body.size", n))
	}
	status := e.status()
	s.add(attribute.Int("http.response.status_code", status))
	e.set(s)
	switch {
	case status < 100 || status > 599:
		e.span.SetStatus(codes.Error, "Invalid HTTP status code "+strconv.Itoa(status))
	case status >= 500:
		e.span.SetStatus(codes.Error, "")
	}
}

// set sets these attributes, and the route, after which the span is called too.
// Often the pattern that a mux found is known by now only.
func (e *exchange) set(s *starting) {
	if e.inner.Pattern != "" {
		if e.inner.Pattern != e.pattern {
			e.name = requestName(e.inner)
		}
		e.span.SetName(e.name)
		s.set("http.route", route(e.inner.Pattern))
	}
	e.span.SetAttributes(s.attrs[:s.n]...)
	s.release(trace.SpanKindServer)
}

// status is the one that the client gets, which net/http sends where a handler writes
// nothing.
func (e *exchange) status() int {
	if s := e.response.status.Load(); s != 0 {
		return int(s)
	}
	return http.StatusOK
}

// recordPanic makes a panic part of the span.
func recordPanic(span trace.Span, v any) {
	message := bound.Default.Text(fmt.Sprint(v))
	addException(span, fmt.Sprintf("%T", v), message, bound.Default.Text(string(debug.Stack())))
	span.SetStatus(codes.Error, "panic: "+message)
}

// below serves a request inside of otelhttp's span.
func (m *middleware) below(w http.ResponseWriter, r *http.Request) {
	span := trace.SpanFromContext(r.Context())
	m.identify(w.Header(), span)
	if !span.IsRecording() {
		m.next.ServeHTTP(w, r)
		return
	}
	before := r.Pattern
	defer func() {
		if path := route(r.Pattern); path != "" {
			span.SetAttributes(attribute.String("http.route", path))
		}
		if v := recover(); v != nil {
			if r.Pattern != before {
				span.SetName(requestName(r))
			}
			recordPanic(span, v)
			span.End() // before others add the same exception without its stack
			panic(v)
		}
	}()
	m.next.ServeHTTP(w, r)
}
