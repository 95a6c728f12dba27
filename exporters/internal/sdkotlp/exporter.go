package sdkotlp

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/network"
	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/internal/otlpstatus"
)

// exporter is one of the SDK's whose errors say what they mean, and what to do. The
// SDK tells its causes in text, and makes an error of a success that rejects no span;
// so what the backend answers is noted below it, and kept from it.
type exporter struct {
	sdktrace.SpanExporter
	resolved *otlpclient.Resolved
	logger   *slog.Logger
	worked   atomic.Bool
	warnedAt atomic.Int64 // when a hint of the backend was last logged
}

// ExportSpans sends spans.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	last := &outcome{}
	err := e.SpanExporter.ExportSpans(context.WithValue(ctx, outcomeKey{}, last), spans)
	resp, failure := last.get()
	if err != nil {
		switch {
		case failure != nil:
			failure.Err = cmp.Or(failure.Err, err)
			err = failure
		case isTooLarge(err):
			err = &delivery.ExportError{Outcome: delivery.TooLarge, Err: err}
		}
		return e.resolved.Fail(err, e.worked.Load())
	}
	e.worked.Store(true)
	if resp.Rejected > 0 {
		return e.resolved.Rejected(resp, len(spans))
	}
	if resp.Message != "" {
		e.warn(resp.Message)
	}
	return nil
}

// Traits tell where spans go.
func (e *exporter) Traits() delivery.Traits { return delivery.Traits{Endpoint: e.resolved.Endpoint()} }

// warn logs, at most once a minute, what a backend says of spans that it accepted: an
// error would have them counted as lost.
func (e *exporter) warn(message string) {
	now, last := time.Now().Unix(), e.warnedAt.Load()
	if now-last >= 60 && e.warnedAt.CompareAndSwap(last, now) {
		e.logger.Warn("backend warns about a batch that it accepted", "message", message)
	}
}

// isTooLarge recognizes what the SDK says of a request above its own limit, which it
// does not send.
func isTooLarge(err error) bool {
	text := err.Error()
	return strings.Contains(text, "request body too large: exceeded ") || strings.Contains(text, "request message too large: exceeded ")
}

// outcome is what became of the last attempt of an export, of which the SDK may make
// several.
type outcome struct {
	mu      sync.Mutex
	resp    delivery.Response
	failure *delivery.ExportError // nil: accepted, or none was made; without Err, it is the SDK's
}

type outcomeKey struct{}

// note is for an attempt of the context's export.
func note(ctx context.Context, resp delivery.Response, failure *delivery.ExportError) {
	o, ok := ctx.Value(outcomeKey{}).(*outcome)
	if !ok {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.resp, o.failure = resp, failure
}

func (o *outcome) get() (delivery.Response, *delivery.ExportError) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.resp, o.failure
}

// noteCall is a [grpc.UnaryClientInterceptor].
func noteCall(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	note(ctx, delivery.Response{}, nil)
	err := invoke(ctx, method, req, reply, cc, opts...)
	msg, ok := reply.(*coltracepb.ExportTraceServiceResponse)
	switch {
	case network.IsLargeResponse(err):
		note(ctx, delivery.Response{Message: otlpstatus.Unread}, nil)
		return nil
	case err != nil:
		note(ctx, delivery.Response{}, otlpstatus.Error(err))
	case ok:
		partial := msg.GetPartialSuccess()
		note(ctx, delivery.Response{Rejected: partial.GetRejectedSpans(), Message: partial.GetErrorMessage()}, nil)
		msg.PartialSuccess = nil
	}
	return err
}

// noted is the transport of otlptracehttp.
type noted struct {
	next     http.RoundTripper
	url      *url.URL // the SDK has the path unescaped, and no query
	resolved *otlpclient.Resolved
}

// RoundTrip makes an attempt.
func (t *noted) RoundTrip(r *http.Request) (*http.Response, error) {
	note(r.Context(), delivery.Response{}, nil)
	to := r.Clone(r.Context())
	to.URL = t.url
	resp, err := t.next.RoundTrip(to)
	if err != nil {
		note(r.Context(), delivery.Response{}, &delivery.ExportError{Outcome: delivery.Retry})
		return nil, err
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, otlpstatus.MaxResponse+1))
	_ = resp.Body.Close()
	kind := resp.Header.Get("Content-Type")
	if resp.StatusCode/100 != 2 {
		note(r.Context(), delivery.Response{}, otlpstatus.OTLP.Response(resp, otlpstatus.Message(kind, body, t.resolved.Mask), time.Now()))
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return resp, nil
	}
	accepted, ok := otlpstatus.Accepted(kind, body)
	if !ok {
		page := &otlpstatus.WebPageError{Status: otlpstatus.StatusText(resp)}
		note(r.Context(), delivery.Response{}, &delivery.ExportError{Outcome: delivery.Refused, Err: page})
		return nil, page
	}
	accepted.Message = t.resolved.Mask(accepted.Message)
	note(r.Context(), accepted, nil)
	resp.Body = http.NoBody
	return resp, nil
}

// Interface guards.
var _ delivery.Exporter = (*exporter)(nil)
