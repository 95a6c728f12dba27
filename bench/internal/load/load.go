// Package load sends requests to a service and times the answers. It is not
// instrumented, and runs in a process of its own.
package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riffletrace/riffle/bench/internal/stats"
)

// Request is one that is sent.
type Request struct {
	Method string            `json:"method,omitempty"` // GET, if empty
	Path   string            `json:"path"`
	Body   string            `json:"body,omitempty"`
	Header map[string]string `json:"header,omitempty"`
}

// Order says how to load a service. The requests are sent in turn, again and
// again.
type Order struct {
	URL      string    `json:"url"`
	Requests []Request `json:"requests"`
	// First is where to begin in Requests.
	First int `json:"first,omitempty"`
	// Traced gives each request a parent that is sampled, of a trace of its own, as from
	// a client that traces too.
	Traced bool `json:"traced,omitempty"`
	// Workers is how many requests may be under way at once.
	Workers int `json:"workers"`
	// Count ends the load after so many requests; 0: Duration alone does.
	Count    int           `json:"count,omitempty"`
	Duration time.Duration `json:"duration,omitempty"` // 0: Count alone does
	// Rate makes it an open loop of so many requests a second: each has the time
	// at which it is due, and is timed from then, however late it was sent. So
	// the wait that a slow answer causes to others is in their times. 0 makes it
	// a closed loop: a worker sends the next request after an answer.
	Rate float64 `json:"rate,omitempty"`
}

// Outcome is what came of an [Order].
type Outcome struct {
	Requests int             `json:"requests"` // answered
	Errors   int             `json:"errors"`   // of those, with a status of 500 or more
	Elapsed  time.Duration   `json:"elapsed"`
	Latency  stats.Histogram `json:"latency"`
}

// Client keeps connections between orders.
type Client struct{ http *http.Client }

// NewClient returns a client with no connections yet.
func NewClient() *Client {
	return &Client{&http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true},
		Timeout:   30 * time.Second,
	}}
}

// Close ends the connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Run executes an order. A request without an answer ends it with an error.
func (c *Client) Run(ctx context.Context, o Order) (Outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		next  atomic.Int64
		wg    sync.WaitGroup
		mu    sync.Mutex
		sum   Outcome
		began = time.Now()
	)
	due := func(i int64) time.Time { return began.Add(time.Duration(float64(i) / o.Rate * float64(time.Second))) }
	for range o.Workers {
		wg.Go(func() {
			var own Outcome
			for ctx.Err() == nil {
				i := next.Add(1) - 1
				start := time.Now()
				if o.Rate > 0 {
					start = due(i)
					time.Sleep(time.Until(start))
				}
				// The first is sent however late it is: a load without any says nothing.
				if o.Count > 0 && i >= int64(o.Count) || o.Duration > 0 && i > 0 && start.Sub(began) >= o.Duration {
					break
				}
				status, err := c.send(ctx, &o, &o.Requests[(int64(o.First)+i)%int64(len(o.Requests))])
				if err != nil {
					cancel(err)
					break
				}
				own.Latency.Add(time.Since(start))
				own.Requests++
				if status >= http.StatusInternalServerError {
					own.Errors++
				}
			}
			mu.Lock()
			defer mu.Unlock()
			sum.Requests += own.Requests
			sum.Errors += own.Errors
			sum.Latency.Merge(own.Latency)
		})
	}
	wg.Wait()
	sum.Elapsed = time.Since(began)
	return sum, context.Cause(ctx)
}

func (c *Client) send(ctx context.Context, o *Order, r *Request) (status int, err error) {
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	var body io.Reader = http.NoBody
	if r.Body != "" {
		body = strings.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, method, o.URL+r.Path, body)
	if err != nil {
		return 0, err
	}
	for name, value := range r.Header {
		req.Header.Set(name, value)
	}
	if o.Traced {
		req.Header.Set("traceparent", fmt.Sprintf("00-%016x%016x-%016x-01", rand.Uint64()|1, rand.Uint64(), rand.Uint64()|1))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, fmt.Errorf("the service under test: %w", err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}
