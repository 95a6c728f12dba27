// Package load drives the demo's service over real sockets and knows the
// truth about every request: it planned it, and it saw the answer. It is not
// instrumented.
package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/cmd/riffle/internal/demo/service"
)

// Slow is the duration from which a request counts as slow. Requests are
// planned to take at least 400 ms or at most 50 ms, so that a busy machine
// seldom changes on which side of it one ends up.
const Slow = 250 * time.Millisecond

// Request is one planned request.
type Request struct {
	Number       int
	Method, Path string
	Route        string // which of the service's the path is of
	Health       bool   // asks for the service's health
	Slow         bool   // takes at least 400 ms
	Fail         bool   // is answered with a server error
	Work         time.Duration
}

// Response is what came of a request.
type Response struct {
	Request
	TraceID trace.TraceID
	Status  int
	// Duration is how long the service took, without what the request waited for before.
	Duration time.Duration
}

// IsError reports whether the service answered with a server error.
func (r *Response) IsError() bool { return r.Status >= http.StatusInternalServerError }

// TookLong reports whether the answer took as long as a slow one.
func (r *Response) TookLong() bool { return r.Duration >= Slow }

// Plan plans n requests: a tenth ask for the service's health, 3 % fail and
// 1 % are slow, but at least one each if there are three or more. The same
// seed gives the same plan.
func Plan(n int, seed uint64) []Request {
	random := rand.New(rand.NewPCG(seed, 0))
	failing, slow, health := max(1, n*3/100), max(1, n/100), max(1, n/10)
	plan := make([]Request, n)
	for i := range plan {
		r := Request{Method: http.MethodGet, Work: between(random, 2*time.Millisecond, 30*time.Millisecond)}
		product := random.IntN(1000) + 1
		if random.IntN(3) > 0 {
			r.Path, r.Route = fmt.Sprintf("/products/%d", product), service.RouteProduct
		} else {
			r.Method, r.Path, r.Route = http.MethodPost, fmt.Sprintf("/checkout/%d", product), service.RouteCheckout
		}
		switch {
		case i < failing:
			r.Fail = true
		case i < failing+slow:
			r.Slow, r.Work = true, between(random, 400*time.Millisecond, 600*time.Millisecond)
		case i < failing+slow+health:
			r = Request{Method: http.MethodGet, Path: "/healthz", Route: service.RouteHealth, Health: true}
		}
		plan[i] = r
	}
	random.Shuffle(n, func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	for i := range plan {
		plan[i].Number = i
	}
	return plan
}

func between(random *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(random.Int64N(int64(high-low)))
}

// Run sends the planned requests to the service at url, so many at a time,
// and calls progress after each, concurrently. When ctx is done it starts no
// more and waits for those under way. It returns the responses by
// number, and an error if a request got none.
func Run(ctx context.Context, url string, plan []Request, concurrency int, progress func()) ([]Response, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: concurrency}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		next      atomic.Int64
		wg        sync.WaitGroup
		mu        sync.Mutex
		responses []Response
		failure   error
	)
	for range concurrency {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(plan) {
					return
				}
				resp, err := send(context.WithoutCancel(ctx), client, url, plan[i])
				mu.Lock()
				if err != nil {
					failure = errors.Join(failure, err)
					cancel(nil)
				} else {
					responses = append(responses, resp)
				}
				mu.Unlock()
				progress()
			}
		})
	}
	wg.Wait()
	slices.SortFunc(responses, func(a, b Response) int { return a.Number - b.Number })
	return responses, failure
}

func send(ctx context.Context, client *http.Client, url string, planned Request) (Response, error) {
	req, err := http.NewRequestWithContext(ctx, planned.Method, url+planned.Path, http.NoBody)
	if err != nil {
		return Response{}, err
	}
	req.Header.Set(service.NumberHeader, strconv.Itoa(planned.Number))
	req.Header.Set(service.WorkHeader, planned.Work.String())
	req.Header.Set(service.FailHeader, strconv.FormatBool(planned.Fail))

	resp, err := client.Do(req)
	if err != nil {
		return Response{}, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return Response{}, err
	}
	id, err := trace.TraceIDFromHex(resp.Header.Get(service.TraceIDHeader))
	if err != nil {
		return Response{}, fmt.Errorf("request %d: header %s of the response: %w", planned.Number, service.TraceIDHeader, err)
	}
	duration, err := time.ParseDuration(resp.Trailer.Get(service.TookTrailer))
	if err != nil {
		return Response{}, fmt.Errorf("request %d: trailer %s of the response: %w", planned.Number, service.TookTrailer, err)
	}
	return Response{Request: planned, TraceID: id, Status: resp.StatusCode, Duration: duration}, nil
}
