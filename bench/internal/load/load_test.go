package load

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, h http.HandlerFunc) (string, *Client) {
	t.Helper()
	s := httptest.NewServer(h)
	c := NewClient()
	t.Cleanup(func() {
		c.Close()
		s.Close()
	})
	return s.URL, c
}

func TestClosedLoop(t *testing.T) {
	var posts atomic.Int64
	url, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts.Add(1)
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	o, err := c.Run(t.Context(), Order{URL: url, Requests: []Request{{Path: "/"}, {Method: http.MethodPost, Path: "/", Body: "x"}}, Workers: 3, Count: 41})
	if err != nil {
		t.Fatal(err)
	}
	if o.Requests != 41 || o.Errors != 20 || posts.Load() != 20 || o.Latency.Total() != 41 {
		t.Errorf("%d requests, %d errors, %d posts, %d timed", o.Requests, o.Errors, posts.Load(), o.Latency.Total())
	}
}

// Coordinated omission: one slow answer makes those late that were due
// meanwhile, and they are timed from when they were due, though each itself is
// answered at once.
func TestOpenLoopCountsTheWait(t *testing.T) {
	const stall = 200 * time.Millisecond
	var n atomic.Int64
	url, c := serve(t, func(http.ResponseWriter, *http.Request) {
		if n.Add(1) == 1 {
			time.Sleep(stall)
		}
	})
	o, err := c.Run(t.Context(), Order{URL: url, Requests: []Request{{Path: "/"}}, Workers: 1, Count: 20, Rate: 100})
	if err != nil {
		t.Fatal(err)
	}
	if o.Requests != 20 {
		t.Fatalf("%d requests", o.Requests)
	}
	// About ten were due during the stall, and waited half of it on average.
	if half := o.Latency.Quantile(0.5); half < stall/20 {
		t.Errorf("the median is %v: the wait of those that were due is not in it", half)
	}
}

func TestNoAnswer(t *testing.T) {
	c := NewClient()
	defer c.Close()
	if _, err := c.Run(t.Context(), Order{URL: "http://127.0.0.1:1", Requests: []Request{{Path: "/"}}, Workers: 2, Count: 4}); err == nil {
		t.Error("no error")
	}
}
