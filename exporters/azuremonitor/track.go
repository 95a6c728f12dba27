package azuremonitor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/internal/otlpsend"
	"github.com/riffletrace/riffle/internal/otlpstatus"
	"github.com/riffletrace/riffle/internal/untrusted"
)

const trackPath = "/v2.1/track"

// maxItems is how many a request may have. Tests have a smaller one.
var maxItems = 64_000

// limits are those of the time of an item.
var limits = delivery.Limits{MaxStartAge: 48 * time.Hour, MaxAhead: 2 * time.Hour}

// tracker sends telemetry items to Application Insights.
type tracker struct {
	*destination
	sender   *otlpsend.Exporter
	logger   *slog.Logger
	warnedAt atomic.Int64 // when items of spans that were taken were last spoken of
}

func newTracker(d *destination, logger *slog.Logger) *tracker {
	e := &tracker{destination: d, logger: logger}
	e.sender = otlpsend.New(d.resolved, otlpsend.Options{
		Backend:     otlpstatus.AzureMonitor,
		ContentType: "application/x-json-stream",
		Authorize:   d.authorize,
		Classify:    e.classifyTrack,
		Accepted:    accepted,
		Close:       d.close,
	})
	return e
}

// rest is a span of which only some items are still to be sent.
type rest struct {
	sdktrace.ReadOnlySpan
	parts []int
}

// item is a telemetry item of a span.
type item struct {
	span, part int
	json       []byte
}

func (e *tracker) items(spans []sdktrace.ReadOnlySpan) (all []item) {
	for i, s := range spans {
		of, only := s, []int(nil)
		if r, ok := s.(*rest); ok {
			of, only = r.ReadOnlySpan, r.parts
		}
		for part, b := range convert(of, e.key) {
			if only == nil || slices.Contains(only, part) {
				all = append(all, item{i, part, b})
			}
		}
	}
	return all
}

// ExportSpans makes one attempt.
func (e *tracker) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(spans) == 0 {
		return nil
	}
	items := e.items(spans)
	if len(items) > maxItems {
		return &delivery.ExportError{Outcome: delivery.TooLarge, Err: fmt.Errorf("%d items are too many for a request", len(items))}
	}
	var body bytes.Buffer
	for _, i := range items {
		body.Write(i.json)
		body.WriteByte('\n')
	}
	r := delivery.Request{Body: e.sender.Traits().Compression.Compress(body.Bytes()), Spans: len(spans)}
	_, err := e.sender.ExportRequest(ctx, r)
	if tr := (*trackError)(nil); errors.As(err, &tr) {
		return e.partialSuccess(spans, items, tr)
	}
	return err
}

// Shutdown waits for the attempt under way.
func (e *tracker) Shutdown(ctx context.Context) error { return e.sender.Shutdown(ctx) }

// Traits tell where spans go, and what the backend takes of them.
func (e *tracker) Traits() delivery.Traits {
	return delivery.Traits{Endpoint: e.resolved.Endpoint(), Limits: limits}
}

// classifyTrack corrects what a refusal means.
func (e *tracker) classifyTrack(resp *http.Response, message string, f *delivery.ExportError) {
	switch resp.StatusCode {
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		// Application Insights moves resources so. What waits is not lost until a
		// person has set the endpoint.
		f.Outcome = delivery.Retry
	case http.StatusBadRequest:
		switch tr := refusal(resp); {
		case tr == nil: // it is about the request
		case slices.ContainsFunc(tr.Errors, func(r itemError) bool { return retryable(r.StatusCode) }):
			f.Outcome, f.Err = delivery.Retry, tr
			return
		default: // each item was judged by itself: halves would fare no better
			f.Outcome = delivery.Refused
		}
	}
	e.classify(resp, message, f)
}

// trackError is a response that does not accept everything.
type trackError struct {
	Received int         `json:"itemsReceived"`
	Accepted int         `json:"itemsAccepted"`
	Errors   []itemError `json:"errors"`

	after      time.Duration
	unreadable bool
}

// itemError is why an item is not accepted.
type itemError struct {
	Index      int    `json:"index"`
	StatusCode int    `json:"statusCode"`
	Message    string `json:"message"`
}

func (tr *trackError) Error() string {
	return fmt.Sprintf("accepted %d of %d items", tr.Accepted, tr.Received)
}

// accepted reads a response that accepts at least a part.
func accepted(resp *http.Response, body []byte) (delivery.Response, error) {
	tr := &trackError{after: otlpstatus.RetryAfter(resp, time.Now())}
	err := json.Unmarshal(body, tr)
	tr.unreadable = err != nil || tr.Received < tr.Accepted || tr.Received == 0
	if resp.StatusCode != http.StatusPartialContent && (tr.unreadable || len(tr.Errors) == 0) {
		return delivery.Response{}, nil
	}
	return delivery.Response{}, tr
}

// refusal reads a response that accepts nothing: its status is that of the first
// item, and others may have been refused for what is retryable. It is nil unless the
// response is about items.
func refusal(resp *http.Response) *trackError {
	tr := &trackError{after: otlpstatus.RetryAfter(resp, time.Now())}
	if json.NewDecoder(resp.Body).Decode(tr) != nil || tr.Accepted != 0 || len(tr.Errors) == 0 || len(tr.Errors) != tr.Received {
		return nil //nolint:nilerr // a response that cannot be read says nothing about items
	}
	return tr
}

// retryable tells which items are worth another attempt.
func retryable(code int) bool { return otlpstatus.AzureMonitor.HTTP(code).Outcome == delivery.Retry }

// partialSuccess tells the spans of a response apart.
func (e *tracker) partialSuccess(spans []sdktrace.ReadOnlySpan, items []item, tr *trackError) error {
	if tr.unreadable || tr.Received != len(items) {
		return &delivery.ExportError{Outcome: delivery.Retry, RetryAfter: tr.after, Err: e.advised("took a part of a request, and did not say which")}
	}
	f := &delivery.ExportError{Outcome: delivery.Retry, RetryAfter: tr.after, PartialSuccess: &delivery.PartialSuccess{}}
	retry := make(map[int][]int) // parts to send again, by span
	refused := make(map[int]bool)
	var events int
	var why string
	for _, r := range tr.Errors {
		if r.Index < 0 || r.Index >= len(items) {
			continue
		}
		i := items[r.Index]
		if why == "" {
			why = e.said(r)
		}
		switch {
		case retryable(r.StatusCode):
			retry[i.span] = append(retry[i.span], i.part)
			f.Throttled = f.Throttled || otlpstatus.AzureMonitor.HTTP(r.StatusCode).Throttled
		case i.part == 0:
			if len(refused) == 0 {
				why = e.said(r) // it costs most
			}
			refused[i.span] = true
		default:
			events++
		}
	}
	for i, s := range spans {
		switch {
		case refused[i]:
			f.PartialSuccess.Rejected++
		case retry[i] != nil:
			of := s
			if r, ok := s.(*rest); ok {
				of = r.ReadOnlySpan
			}
			slices.Sort(retry[i])
			f.PartialSuccess.Remaining = append(f.PartialSuccess.Remaining, &rest{of, slices.Compact(retry[i])})
		}
	}
	if events > 0 {
		e.warnEvents(events, why)
	}
	if f.PartialSuccess.Rejected == 0 && len(f.PartialSuccess.Remaining) == 0 {
		return nil
	}
	f.Err = e.advised("did not accept %d of %d items (%s)", len(tr.Errors), len(items), why)
	return f
}

// said is why an item is not accepted, for people.
func (e *tracker) said(r itemError) string {
	return untrusted.Text(fmt.Sprintf("%d: %s", r.StatusCode, e.public(r.Message)), maxText)
}

// warnEvents speaks, at most once a minute, of events that were refused while
// their spans were taken.
func (e *tracker) warnEvents(n int, why string) {
	now, last := time.Now().Unix(), e.warnedAt.Load()
	if now-last >= 60 && e.warnedAt.CompareAndSwap(last, now) {
		e.logger.Warn("backend rejected events of spans that it accepted", "events_rejected", n, "message", why)
	}
}

// Interface guards.
var _ delivery.Exporter = (*tracker)(nil)
