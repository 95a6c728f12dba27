//go:build linux

package rivals

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// slowThreshold is from when on both tiers call a trace slow. A slow request
// is planned to take longer by far.
const slowThreshold = 250 * time.Millisecond

// request is one, as it was planned and as it went.
type request struct {
	fail bool
	work time.Duration

	id       trace.TraceID // zero if the service does not trace
	duration time.Duration
}

// mustArrive reports whether the trace of the request is an error or slow, as
// planned; mayArrive whether it became slow because the machine was.
func (r *request) mustArrive() bool { return r.fail || r.work > slowThreshold }
func (r *request) mayArrive() bool  { return r.mustArrive() || r.duration >= slowThreshold }

// plan plans n requests: 1 % fail, 1 % are slow. The last one fails, so that
// its arrival tells that all before it are decided.
func plan(n int) []request {
	random := rand.New(rand.NewPCG(1, 2))
	requests := make([]request, n)
	for i := range requests {
		switch random.IntN(100) {
		case 0:
			requests[i].fail = true
		case 1:
			requests[i].work = 400 * time.Millisecond
		}
	}
	requests[n-1] = request{fail: true}
	return requests
}

// drive sends the requests, so many a second whatever becomes of them, and
// notes how each went.
func drive(ctx context.Context, address string, requests []request, perSecond int) error {
	const workers = 64
	transport := &http.Transport{MaxIdleConnsPerHost: workers}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	var (
		next atomic.Int64
		wg   sync.WaitGroup
		errs [workers]error
	)
	start := time.Now()
	for w := range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(requests) {
					return
				}
				time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(perSecond))))
				if errs[w] = requests[i].send(ctx, client, fmt.Sprintf("http://%s/users/%d", address, i)); errs[w] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}

func (r *request) send(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set(workHeader, r.work.String())
	req.Header.Set(failHeader, strconv.FormatBool(r.fail))
	start := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	r.duration = time.Since(start)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if failed := resp.StatusCode == http.StatusInternalServerError; failed != r.fail {
		return fmt.Errorf("%s answered %s, planned to fail: %v", url, resp.Status, r.fail)
	}
	if id := resp.Header.Get(traceIDHeader); id != (trace.TraceID{}).String() {
		r.id, err = trace.TraceIDFromHex(id)
	}
	return err
}
