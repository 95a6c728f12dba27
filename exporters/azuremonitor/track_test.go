package azuremonitor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/azuremonitor"
	"github.com/riffletrace/riffle/internal/azuretest"
	"github.com/riffletrace/riffle/internal/otlptest"
)

func TestTrack(t *testing.T) {
	for _, compression := range []delivery.Compression{delivery.None, delivery.Gzip} {
		f := azuretest.New(t)
		c := with(f.Connection())
		c.Compression = compression
		if err := export(t, build(t, c), "a", "b"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int{"a": 1, "b": 1}, f.Accepted()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", compression, diff)
		}
	}
}

// Refusals say what to do. Nothing is lost for what time, or a person, can put
// right; throttling has its own words here.
func TestTrackRefusals(t *testing.T) {
	after := http.Header{"Retry-After": {"7"}}
	tests := []struct {
		status    int
		header    http.Header
		body      string
		want      string
		outcome   delivery.Outcome
		after     time.Duration
		throttled bool
	}{
		{
			status: 400, body: `{"itemsReceived":1,"itemsAccepted":0,"errors":[{"index":0,"statusCode":400,"message":"Invalid instrumentation key ` + strings.ToUpper(azuretest.Key) + `"}]}`, outcome: delivery.Refused,
			want: `refused a request (400 Bad Request: {"itemsReceived":1,"itemsAccepted":0,"errors":[{"index":0,"statusCode":400,"message":"Invalid instrumentation key ***"}]})`,
		},
		{status: 401, want: "wants tokens of Entra ID: set entra: true (401 Unauthorized)", outcome: delivery.Retry},
		{status: 402, header: after, body: "Monthly quota exceeded", want: "takes no more for now: its quota or daily cap is used up (402 Payment Required: Monthly quota exceeded)", outcome: delivery.Retry, after: 7 * time.Second, throttled: true},
		{status: 403, body: "no", want: "does not let this identity send: give it the role Monitoring Metrics Publisher on the Application Insights resource (403 Forbidden: no)", outcome: delivery.Retry},
		{status: 404, want: "is no ingestion endpoint of Application Insights: check connection_string (404 Not Found)", outcome: delivery.Refused},
		{status: 408, want: "sending to %s: 408 Request Timeout", outcome: delivery.Retry},
		{status: 413, want: "sending to %s: 413 Request Entity Too Large", outcome: delivery.TooLarge},
		{status: 429, header: after, want: "sending to %s: 429 Too Many Requests", outcome: delivery.Retry, after: 7 * time.Second, throttled: true},
		{status: 439, header: after, want: "takes no more for now: its quota or daily cap is used up (439 status code 439)", outcome: delivery.Retry, after: 7 * time.Second, throttled: true},
		{status: 500, want: "sending to %s: 500 Internal Server Error", outcome: delivery.Retry},
		{status: 502, body: "no, " + azuretest.Key, want: "sending to %s: 502 Bad Gateway: no, ***", outcome: delivery.Retry},
		{status: 503, header: after, want: "sending to %s: 503 Service Unavailable", outcome: delivery.Retry, after: 7 * time.Second},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status), func(t *testing.T) {
			f := azuretest.New(t)
			f.Respond = func(int, []*azuretest.Item) (int, http.Header, string) { return tt.status, tt.header, tt.body }
			err := export(t, build(t, with(f.Connection())), "a")
			want := f.Listener.Addr().String() + " " + tt.want
			if strings.Contains(tt.want, "%s") {
				want = fmt.Sprintf(tt.want, f.Listener.Addr())
			}
			wantError(t, err, tt.outcome, want)
			if e := (*delivery.ExportError)(nil); errors.As(err, &e) && tt.outcome == delivery.Retry && (e.RetryAfter != tt.after || e.Throttled != tt.throttled) {
				t.Errorf("%+v", e)
			}
		})
	}
}

// troubled are spans with an exception and another event.
func troubled(names ...string) (all []sdktrace.ReadOnlySpan) {
	for _, name := range names {
		all = append(all, tracetest.SpanStub{
			Name: name, SpanContext: id(1), StartTime: time.Now(), EndTime: time.Now(),
			Events: []sdktrace.Event{
				{Name: "exception", Time: time.Now(), Attributes: []attribute.KeyValue{attribute.String("exception.message", name+" failed")}},
				{Name: name + " went on", Time: time.Now()},
			},
		}.Snapshot())
	}
	return all
}

// line starts a line to the fake, whose log can be read when it is shut down.
func line(t *testing.T, c azuremonitor.Config, log *bytes.Buffer, changes ...func(*delivery.Config)) (*delivery.Lines, *delivery.Line) {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(log, nil))
	e, err := component.Use(azuremonitor.Factory, "", c).Build(t.Context(), component.Settings{Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	d := delivery.Defaults()
	d.Send.Backoff = delivery.Backoff{Initial: component.Duration(time.Millisecond), Max: component.Duration(5 * time.Millisecond)}
	for _, change := range changes {
		change(&d)
	}
	lines := &delivery.Lines{}
	return lines, lines.Add(e, d, delivery.Settings{Name: "azure", Logger: logger})
}

// After a 206, only the items that may be taken later are sent again; what is
// refused is counted, and each item comes once.
func TestPartial(t *testing.T) {
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprint("span ", i))
	}
	tests := []struct {
		name     string
		status   func(call int, title string) int
		rejected uint64
		missing  []string
		calls    int
		log      string
	}{
		{name: "throttled", status: func(call int, title string) int {
			if call < 3 && strings.HasPrefix(title, "span 3") {
				return 429
			}
			return 0
		}, calls: 4, log: "did not accept 3 of 30 items (429: 109: no, ***)"},
		{name: "some items of a span", status: func(call int, title string) int {
			if call == 0 && (title == "span 3 failed" || title == "span 4" || title == "span 5 went on") {
				return 503
			}
			return 0
		}, calls: 2, log: "did not accept 3 of 30 items (503: 109: no, ***)"},
		{name: "refused", status: func(_ int, title string) int {
			if title == "span 3" || title == "span 4" {
				return 400
			}
			return 0
		}, rejected: 2, missing: []string{"span 3", "span 4"}, calls: 1, log: "did not accept 2 of 30 items (400: 109: no, ***)"},
		{name: "refused and throttled", status: func(call int, title string) int {
			switch {
			case title == "span 3":
				return 400
			case title == "span 3 failed" && call == 0, title == "span 7" && call < 2:
				return 500
			}
			return 0
		}, rejected: 1, missing: []string{"span 3", "span 3 failed"}, calls: 3, log: "(400: 109: no, ***)"},
		{name: "only an event refused", status: func(_ int, title string) int {
			if title == "span 3 went on" {
				return 400
			}
			return 0
		}, missing: []string{"span 3 went on"}, calls: 1, log: "backend rejected events of spans that it accepted"},
		{name: "everything later", status: func(call int, _ string) int {
			if call < 2 {
				return 439
			}
			return 0
		}, calls: 3, log: "takes no more for now: its quota or daily cap is used up (439"},
		{name: "none taken", status: func(call int, title string) int {
			switch {
			case title == "span 0":
				return 400
			case call == 0:
				return 503
			}
			return 0
		}, rejected: 1, missing: []string{"span 0", "span 0 failed", "span 0 went on"}, calls: 2, log: "did not accept 30 of 30 items (400: 109: no, ***)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := azuretest.New(t)
			f.Respond = func(n int, items []*azuretest.Item) (int, http.Header, string) {
				return f.Part(items, func(title string) int { return tt.status(n, title) })
			}
			var log bytes.Buffer
			lines, l := line(t, with(f.Connection()), &log)
			lines.HandOver(troubled(names...)...)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := l.Shutdown(ctx); err != nil && tt.rejected == 0 {
				t.Error(err)
			}
			if s := l.Stats(); s.Sent != 10-tt.rejected || s.Rejected != tt.rejected || s.Dropped.Total() != 0 || s.Waiting != 0 {
				t.Errorf("%+v", s)
			}
			want := make(map[string]int)
			for _, n := range names {
				want[n], want[n+" failed"], want[n+" went on"] = 1, 1, 1
			}
			for _, n := range tt.missing {
				delete(want, n)
			}
			if diff := cmp.Diff(want, f.Accepted()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			// The line may try what failed with one span first.
			if n := f.Calls(); n < tt.calls || n > tt.calls+1 || n > tt.calls && tt.calls == 1 {
				t.Errorf("%d calls, want %d", n, tt.calls)
			}
			if !strings.Contains(log.String(), tt.log) {
				t.Errorf("the log has no %q:\n%s", tt.log, log.String())
			}
			noSecret(t, log.String())
		})
	}
}

// More items than a request may have are sent in several.
func TestManyItems(t *testing.T) {
	defer func(n int) { *azuremonitor.MaxItems = n }(*azuremonitor.MaxItems)
	*azuremonitor.MaxItems = 200
	f := azuretest.New(t)
	names := make([]string, 100)
	for i := range names {
		names[i] = fmt.Sprint("span ", i)
	}
	lines, l := line(t, with(f.Connection()), &bytes.Buffer{})
	lines.HandOver(troubled(names...)...) // of three items each
	if err := l.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if f.Spans() != 100 || f.Calls() != 2 {
		t.Errorf("%d spans came in %d requests", f.Spans(), f.Calls())
	}
}

// A response that accepts an unknown part means all of it again: twice is better
// than never.
func TestPartialUnknown(t *testing.T) {
	for _, body := range []string{
		"", "garbage", "{}", `{"itemsReceived":1,"itemsAccepted":2}`, `{"itemsReceived":99,"itemsAccepted":1,"errors":[]}`,
		`{"itemsReceived":2,"itemsAccepted":1,"errors":[{"index":7,"statusCode":400}]}`,
	} {
		f := azuretest.New(t)
		f.Respond = func(int, []*azuretest.Item) (int, http.Header, string) {
			return http.StatusPartialContent, http.Header{"Retry-After": {"5"}}, body
		}
		err := export(t, build(t, with(f.Connection())), "a", "b")
		if strings.Contains(body, `"index":7`) {
			if err != nil {
				t.Errorf("an index of no item: %v", err)
			}
			continue
		}
		wantError(t, err, delivery.Retry, f.Listener.Addr().String()+" took a part of a request, and did not say which")
		if e := (*delivery.ExportError)(nil); errors.As(err, &e) && e.RetryAfter != 5*time.Second {
			t.Errorf("%s: after %v", body, e.RetryAfter)
		}
	}
}

// A redirect is not followed, not even to an ingestion endpoint, and what waits stays:
// Application Insights moves resources.
func TestRedirect(t *testing.T) {
	f := azuretest.New(t)
	var status int
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", f.URL+r.URL.Path)
		w.WriteHeader(status)
	}))
	defer old.Close()
	e := build(t, with("InstrumentationKey="+azuretest.Key+";IngestionEndpoint="+old.URL))
	for _, status = range []int{http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		wantError(t, export(t, e, "a"), delivery.Retry, fmt.Sprintf("sending to %s: %d %s: it sends elsewhere, to %s/v2.1/track, which is not followed: set endpoint to where the receiver is",
			old.Listener.Addr(), status, http.StatusText(status), f.URL))
	}
	if f.Calls() > 0 {
		t.Error("it was followed")
	}
}

// What waited for too long is not sent: the backend would refuse it.
func TestAge(t *testing.T) {
	f := azuretest.New(t)
	lines, l := line(t, with(f.Connection()), &bytes.Buffer{})
	lines.HandOver(otlptest.SpansAt(time.Now().Add(-72*time.Hour), "old")...)
	lines.HandOver(otlptest.SpansAt(time.Now().Add(5*time.Hour), "new")...)
	lines.HandOver(otlptest.SpansAt(time.Now(), "now")...)
	_ = l.Shutdown(t.Context())
	if s := l.Stats(); s.Sent != 1 || s.Dropped.TooOld != 1 || s.Dropped.TooNew != 1 {
		t.Errorf("%+v", s)
	}
	if diff := cmp.Diff(map[string]int{"now": 1}, f.Accepted()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
