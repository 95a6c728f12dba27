package metrics_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/metrics"
)

// port is one that nobody listens at.
func port(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

const openMetrics = "application/openmetrics-text;version=1.0.0"

// scrape reads a page as Prometheus does, in a format that it accepts.
func scrape(t *testing.T, url, accept string) (text string, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), resp.Header
}

// line returns the first line of a page that matches.
func line(page, pattern string) string {
	return regexp.MustCompile("(?m)^" + pattern + ".*$").FindString(page)
}

// A scrape has what riffle counts, what spans took with exemplars of kept traces, and the
// metrics of the service, as soon as Start returns.
func TestPrometheus(t *testing.T) {
	address := port(t)
	p := started(t, fmt.Sprintf("metrics: {exporter: prometheus, listen: %q, path: /m}\nspan_metrics: {}", address))
	counter, err := p.MeterProvider().Meter("shop").Int64Counter("shop.orders", metric.WithUnit("{order}"))
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 3, metric.WithAttributes(attribute.String("shop.kind", "book")))
	ctx, s := p.TracerProvider().Tracer("test").Start(t.Context(), "GET /users/{id}", trace.WithSpanKind(trace.SpanKindServer))
	s.End()
	id := trace.SpanContextFromContext(ctx).TraceID().String()
	page, header := scrape(t, "http://"+address+"/m", openMetrics)
	if got := header.Get("Content-Type"); !strings.HasPrefix(got, "application/openmetrics-text") {
		t.Errorf("it is %s", got)
	}
	for _, want := range []string{
		`target_info\{.*service_name="shop"`,
		`shop_orders_total\{.*shop_kind="book".*\} 3`,
		`riffle_segments_started_total\{.*riffle_outcome="recorded"\} 1`,
		`traces_span_metrics_calls_total\{.*service_name="shop",span_kind="SPAN_KIND_SERVER",span_name="GET /users/\{id\}",status_code="STATUS_CODE_UNSET"\} 1`,
		`traces_span_metrics_duration_milliseconds_bucket\{.*le="\+Inf"\} 1`,
		`traces_span_metrics_duration_milliseconds_bucket\{.*# \{.*trace_id="` + id + `"`,
	} {
		if line(page, want) == "" {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	if plain, _ := scrape(t, "http://"+address+"/m", ""); strings.Contains(plain, id) || line(plain, "shop_orders_total") == "" {
		t.Errorf("a format without exemplars has them, or nothing:\n%s", plain)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if c, err := new(net.Dialer).DialContext(t.Context(), "tcp", address); err == nil {
		_ = c.Close()
		t.Error("the port is open after Shutdown")
	}
}

// Exponential buckets are scraped as native histograms.
func TestExponential(t *testing.T) {
	address := port(t)
	p := started(t, fmt.Sprintf("metrics: {exporter: prometheus, listen: %q}\nspan_metrics: {exponential: true}", address))
	span(t, p, "one")
	const delimited = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
	page, header := scrape(t, "http://"+address+"/metrics", delimited)
	all := expfmt.NewDecoder(strings.NewReader(page), expfmt.ResponseFormat(header))
	found := false
	for {
		var f dto.MetricFamily
		if err := all.Decode(&f); err != nil {
			break
		}
		if f.GetName() == "traces_span_metrics_duration_milliseconds" {
			h := f.GetMetric()[0].GetHistogram()
			found = len(h.GetBucket()) == 0 && len(h.GetPositiveSpan()) > 0 && h.GetSampleCount() == 1
		}
	}
	if !found {
		t.Error("it is not one of exponential buckets")
	}
}

// The SDK leaves apart as many series as span_metrics has, and the one of what does not fit.
func TestMaxSeries(t *testing.T) {
	const series = 3000
	address := port(t)
	p := started(t, fmt.Sprintf("metrics: {exporter: prometheus, listen: %q}\nspan_metrics: {max_series: %d}", address, series))
	for i := range series + 10 {
		span(t, p, fmt.Sprintf("name %d", i))
	}
	page, _ := scrape(t, "http://"+address+"/metrics", "")
	for _, name := range []string{"traces_span_metrics_duration_milliseconds_count", "traces_span_metrics_calls_total"} {
		if got := strings.Count(page, "\n"+name+"{"); got != series {
			t.Errorf("%s: %d series of %d", name, got, series)
		}
	}
	count, overflow := "traces_span_metrics_duration_milliseconds_count", 0
	if _, err := fmt.Sscan(regexp.MustCompile(`^.*\} `).ReplaceAllString(line(page, count+`\{otel_metric_overflow="true"`), ""), &overflow); err != nil || overflow != 11 {
		t.Errorf("%d spans did not fit, want the last 11: %v", overflow, err)
	}
}

// A port that is taken is an error with its place, and a start that fails leaves none open.
func TestPort(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = start(t, fmt.Sprintf("metrics:\n  exporter: prometheus\n  listen: %q", l.Addr().String()))
	if err == nil || !strings.HasPrefix(err.Error(), "shop.yaml:6:3: metrics.listen: ") || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a port that is taken: %v", err)
	}
}

// The service can serve it itself, and finds out where there is nothing.
func TestHandler(t *testing.T) {
	p := started(t, `metrics: {exporter: prometheus, listen: ""}`)
	get := func(h http.Handler) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/any", http.NoBody))
		return w.Code, w.Body.String()
	}
	h := metrics.Handler(p.MeterProvider())
	if code, page := get(h); code != http.StatusOK || line(page, "riffle_segments_started_total") == "" {
		t.Errorf("%d: %s", code, page)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code, page := get(h); code != http.StatusServiceUnavailable || page != "tracing has shut down, and its metrics with it\n" {
		t.Errorf("after Shutdown: %d: %s", code, page)
	}
	none := started(t, "")
	const want = "there is nothing to scrape: the configuration has no metrics: {exporter: prometheus}, or tracing is off\n"
	if code, page := get(metrics.Handler(none.MeterProvider())); code != http.StatusNotFound || page != want {
		t.Errorf("%d: %s", code, cmp.Diff(want, page))
	}
}

// A callback that panics ends no process, and what went wrong is for the log, in a line
// that is bounded, not for who scrapes.
func TestNotCollected(t *testing.T) {
	var said log
	p := started(t, `metrics: {exporter: prometheus, listen: ""}`, said.option())
	page := func() (int, string) {
		w := httptest.NewRecorder()
		metrics.Handler(p.MeterProvider()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
		return w.Code, w.Body.String()
	}
	m := p.MeterProvider().Meter("shop")
	counter, err := m.Int64Counter("shop.orders")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		counter.Add(t.Context(), 1, metric.WithAttributes(attribute.String("shop.kind", fmt.Sprintf("%d\xff%s", i, strings.Repeat("x", 100)))))
	}
	if code, text := page(); code != http.StatusOK || line(text, "riffle_segments_started_total") == "" || strings.Contains(text, "xxx") {
		t.Errorf("where some series cannot be had: %d\n%s", code, text)
	}
	if text := said.String(); !strings.Contains(text, "not valid UTF-8") || len(text) > 4<<10 {
		t.Errorf("the log has %d bytes: %.200s", len(text), text)
	}
	_, err = m.Int64ObservableCounter("shop.stock", metric.WithInt64Callback(func(context.Context, metric.Int64Observer) error { panic("out of stock") }))
	if err != nil {
		t.Fatal(err)
	}
	if code, text := page(); code != http.StatusInternalServerError || strings.Contains(text, "out of stock") || strings.Contains(text, ".go:") {
		t.Errorf("where nothing can be had: %d\n%s", code, text)
	}
}

// unread is what answers a client that does not read.
type unread struct {
	http.ResponseWriter
	writes, read chan struct{}
}

func (u *unread) Write(p []byte) (int, error) {
	u.writes <- struct{}{}
	<-u.read
	return len(p), nil
}

// Pages are large: those that nobody reads are no more than may be made at a time.
func TestUnread(t *testing.T) {
	const most = 4
	h := metrics.Handler(started(t, `metrics: {exporter: prometheus, listen: ""}`).MeterProvider())
	scrape := func(w http.ResponseWriter) {
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	}
	writes, read := make(chan struct{}), make(chan struct{})
	var scraping sync.WaitGroup
	for range most {
		scraping.Go(func() { scrape(&unread{httptest.NewRecorder(), writes, read}) })
		<-writes
	}
	w := httptest.NewRecorder()
	if scrape(w); w.Code != http.StatusServiceUnavailable || w.Body.String() != "4 scrapes are answered already\n" {
		t.Errorf("one more: %d, %d bytes", w.Code, w.Body.Len())
	}
	close(read)
	scraping.Wait()
	w = httptest.NewRecorder()
	if scrape(w); w.Code != http.StatusOK {
		t.Errorf("when they have read: %d", w.Code)
	}
}

// What clients send costs little, and what they do not send no longer than it may.
func TestHostile(t *testing.T) {
	address := port(t)
	started(t, fmt.Sprintf("metrics: {exporter: prometheus, listen: %q}", address))
	tests := []struct {
		name, send, want string
	}{
		{"another path", "GET /metrics/../secret HTTP/1.1\r\nHost: a\r\n\r\n", "404 Not Found"},
		{"another method", "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n", "405 Method Not Allowed"},
		{"large headers", "GET /metrics HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", "431 Request Header Fields Too Large"},
		{"no HTTP", strings.Repeat("\x00\xff", 100) + "\r\n\r\n", "400 Bad Request"},
		{"slow headers", "GET /metrics HTTP/1.1\r\nHost: a\r\nX", "400 Bad Request"}, // after a while
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			if _, err := io.WriteString(c, tt.send); err != nil {
				t.Logf("it does not read it all: %v", err)
			}
			status, err := bufio.NewReader(c).ReadString('\n')
			if !strings.Contains(status, tt.want) {
				t.Errorf("%q, %v", status, err)
			}
		})
	}
}

// Shutdown does not wait for who does not read.
func TestShutdownWhileScraped(t *testing.T) {
	address := port(t)
	p := started(t, fmt.Sprintf("metrics: {exporter: prometheus, listen: %q}", address))
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /metrics HTTP/1.1\r\nHo"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_ = p.Shutdown(ctx) // that somebody waited in vain is told, or he had gone
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := io.ReadAll(c); err != nil {
		if e, ok := err.(net.Error); ok && e.Timeout() { //nolint:errorlint // net's own
			t.Error("the connection is open after Shutdown")
		}
	}
}
