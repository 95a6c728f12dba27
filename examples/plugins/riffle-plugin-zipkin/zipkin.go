package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
)

// Config is what users set.
type Config struct {
	_        struct{}                    `doc:"sends to anything that takes Zipkin v2 JSON over HTTP"`
	Endpoint string                      `yaml:"endpoint" doc:"URL that spans are posted to"`
	Headers  map[string]component.Secret `yaml:"headers" doc:"headers of each request, such as an API key"`
	Timeout  component.Duration          `yaml:"timeout" doc:"longest time for one attempt"`
}

// Validate checks the values.
func (c *Config) Validate() error {
	var errs []error
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		errs = append(errs, &component.FieldError{Path: "endpoint", Err: fmt.Errorf("%q is no URL to post to: want one such as http://localhost:9411/api/v2/spans", c.Endpoint)})
	}
	if c.Timeout <= 0 {
		errs = append(errs, &component.FieldError{Path: "timeout", Err: fmt.Errorf("%v is no time: want more than 0s", c.Timeout)})
	}
	return errors.Join(errs...)
}

// Factory makes the exporter.
var Factory = component.NewFactory("zipkin", Config{
	Endpoint: "http://localhost:9411/api/v2/spans",
	Timeout:  component.Duration(10 * time.Second),
}, New)

// New builds the exporter. It connects when there is something to send.
func New(_ context.Context, s component.Settings, c Config) (sdktrace.SpanExporter, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	e := &exporter{
		config: c,
		logger: s.Logger,
		// One of its own, whose connections nobody else uses.
		transport: http.DefaultTransport.(*http.Transport).Clone(),
	}
	e.client = http.Client{
		Transport: e.transport,
		// Headers, which may be secret, are for the one they were given for.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e, nil
}

type exporter struct {
	config    Config
	logger    *slog.Logger
	transport *http.Transport
	client    http.Client

	// ctx ends when a shutdown has no more time for attempts.
	ctx    context.Context //nolint:containedctx // it is the exporter's life, not a call's
	cancel context.CancelFunc

	mu       sync.Mutex
	closed   bool
	attempts sync.WaitGroup // under way
}

var errShutDown = errors.New("the exporter is shut down")

// ExportSpans makes one attempt. Its errors tell the host whether another is
// worth it.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return errShutDown
	}
	e.attempts.Add(1)
	e.mu.Unlock()
	defer e.attempts.Done()

	body, left, err := encode(spans)
	if err != nil {
		return err
	}
	if left > 0 {
		// A backend refuses the whole batch for one of them.
		e.logger.Warn("spans without an ID are left out", "spans", left)
	}
	if left == len(spans) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(e.config.Timeout))
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()
	return e.post(ctx, body)
}

func (e *exporter) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.config.Endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for key, value := range e.config.Headers {
		req.Header.Set(key, string(value))
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := e.client.Do(req)
	if err != nil {
		return &delivery.ExportError{Outcome: delivery.Retry, Err: err}
	}
	defer resp.Body.Close()
	const maxAnswer = 1 << 10
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // it only explains
	if resp.StatusCode/100 == 2 {
		return nil
	}
	failure := &delivery.ExportError{Outcome: delivery.Refused, Err: fmt.Errorf("%s: %s: %s",
		req.URL.Redacted(), resp.Status, strings.Join(strings.Fields(string(answer)), " "))}
	switch resp.StatusCode {
	case http.StatusRequestEntityTooLarge:
		failure.Outcome = delivery.TooLarge
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		failure.Outcome = delivery.Retry
		failure.Throttled = resp.StatusCode == http.StatusTooManyRequests
		if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 31); err == nil {
			failure.RetryAfter = time.Duration(seconds) * time.Second
		}
	}
	return failure
}

// Shutdown waits for the attempts under way, cancels them when ctx is done, and
// closes the connections.
func (e *exporter) Shutdown(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	defer context.AfterFunc(ctx, e.cancel)()
	e.attempts.Wait()
	e.cancel()
	e.transport.CloseIdleConnections()
	return nil
}

// Interface guards.
var _ sdktrace.SpanExporter = (*exporter)(nil)
