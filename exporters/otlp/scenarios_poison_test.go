package otlp_test

import (
	"context"
	"math/bits"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/otlp"
)

// A poison is a span for whose sake a backend fails, again and again, as if it were
// away: one that crashes it, or that it hangs on.
const poison = "poison"

// unavailableFor answers like a backend that is away to what holds a poison.
func unavailableFor(names []string) verdict {
	if slices.ContainsFunc(names, isPoison) {
		return verdict{status: http.StatusServiceUnavailable, message: "upstream connect error"}
	}
	return verdict{}
}

func hangsOn(names []string) verdict { return verdict{hang: slices.ContainsFunc(names, isPoison)} }

func isPoison(name string) bool { return strings.HasPrefix(name, poison) }

// healthyWait is the longest that a healthy span may wait for the sake of poisons:
// its batch fills, fails, and is halved until the span is apart from them. Each of
// these attempts waits for at most four of the first back-offs and, where the
// backend hangs, takes a timeout. With the defaults these are 27 s.
func healthyWait(c *delivery.Config, attempt time.Duration) time.Duration {
	const slack = 2 * time.Second // what a busy machine adds
	wait := time.Duration(c.Batch.MaxAge) + slack
	for range 1 + bits.Len(uint(c.Batch.MaxSpans-1)) {
		wait += 4*time.Duration(c.Send.Backoff.Initial) + attempt
	}
	return wait
}

func TestPoison(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		poisons int
		judge   func([]string) verdict
		at      func(i, poisons, spans int) bool // whether the span at i is one
		timeout time.Duration
	}{
		{"3", 3, unavailableFor, spread, 0},
		{"10", 10, unavailableFor, spread, 0},
		{"50", 50, unavailableFor, spread, 0},
		{"hangs", 3, hangsOn, spread, 200 * time.Millisecond},
	}
	for _, tt := range tests {
		if tt.name == "10" && !*defaultSettings {
			continue // between the others
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			protocols(t, func(t *testing.T, protocol otlp.Protocol) {
				t.Parallel()
				testPoison(t, protocol, tt.poisons, tt.judge, tt.at, tt.timeout)
			})
		})
	}
}

// spread lays the poisons evenly over the first two thirds of the spans, so that
// the backend is seen to work after the last.
func spread(i, poisons, spans int) bool {
	every := spans * 2 / 3 / poisons
	return i%every == every/2 && i/every < poisons
}

// Where half of a batch is to blame, it looks as if the backend were overloaded: a few of
// the spans that stand beside them wait with them, and no others.
func TestPoisonsInARow(t *testing.T) {
	protocols(t, func(t *testing.T, protocol otlp.Protocol) {
		t.Parallel()
		r := startReceiver(t, protocol, unavailableFor)
		l := startLine(t, newExporter(t, protocol, r.address), nil)
		const spans, portion, poisons, beside = 4000, 20, 50, 50
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for i := 0; i < spans; i += portion {
			<-tick.C
			names := numbered(i, i+portion)
			for j := range names {
				if i+j >= spans/3 && i+j < spans/3+poisons {
					names[j] = poison + names[j]
				}
			}
			l.handOver(names...)
		}
		if !eventually(2*time.Minute, func() bool { return r.distinct() >= spans-poisons-beside }) {
			t.Errorf("%d of %d healthy spans arrived", r.distinct(), spans-poisons)
		}
		checkCounters(t, l.Stats(), spans)
		if s := l.Stats(); s.Lost > 0 {
			t.Errorf("%d spans are lost", s.Lost)
		}
	})
}

func testPoison(t *testing.T, protocol otlp.Protocol, poisons int, judge func([]string) verdict, at func(i, poisons, spans int) bool, timeout time.Duration) {
	r := startReceiver(t, protocol, judge)
	l := startLine(t, newExporter(t, protocol, r.address), func(c *delivery.Config) {
		if timeout > 0 {
			c.Send.Timeout = component.Duration(timeout)
		}
	})
	// Steadily: 20 spans each 10 ms.
	const spans, portion = 4000, 20
	handedOver := make(map[string]time.Time, spans)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := 0; i < spans; i += portion {
		<-tick.C
		names := numbered(i, i+portion)
		for j := range names {
			if at(i+j, poisons, spans) {
				names[j] = poison + names[j]
			} else {
				handedOver[names[j]] = time.Now()
			}
		}
		l.handOver(names...)
	}

	bound := healthyWait(&l.config, timeout)
	// How long that may take is tested in simulated time, by core/delivery; here the
	// machine may be slow.
	if !eventually(30*time.Second, func() bool { return r.distinct() == len(handedOver) }) {
		t.Errorf("%d of %d healthy spans arrived", r.distinct(), len(handedOver))
	}
	var late int
	var worst time.Duration
	for name, since := range handedOver {
		if arrived, ok := r.has(name); ok {
			worst = max(worst, arrived.Sub(since))
			if arrived.Sub(since) > bound {
				late++
			}
		}
	}
	if late > 0 && *defaultSettings {
		t.Errorf("%d healthy spans waited longer than %v: one for %v", late, bound, worst)
	}
	settled := func() bool { s := l.Stats(); return s.Lost+s.Waiting == uint64(poisons) }
	if !eventually(30*time.Second, settled) { // the response is under way
		s := l.Stats()
		t.Errorf("%d spans are lost and %d wait, want %d in all", s.Lost, s.Waiting, poisons)
	}
	checkCounters(t, l.Stats(), spans)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_ = l.Shutdown(ctx)
	over := func() bool { s := l.Stats(); return s.Lost == uint64(poisons) && s.Waiting == 0 }
	eventually(30*time.Second, over) // a call of the exporter may end after Shutdown, on a busy machine
	if s := l.Stats(); !over() || s.Sent != uint64(len(handedOver)) {
		t.Errorf("after Shutdown %d spans are sent, %d lost, %d wait; want %d, %d, 0", s.Sent, s.Lost, s.Waiting, len(handedOver), poisons)
	}
	t.Logf("the longest wait of a healthy span was %v, allowed are %v; %d requests", worst, bound, r.asked())
}

// A shutdown has time for the healthy spans of batches with poisons, whatever the
// back-off.
func TestPoisonInShutdown(t *testing.T) {
	t.Parallel()
	for _, poisons := range []int{1, 10} {
		t.Run(strconv.Itoa(poisons), func(t *testing.T) {
			t.Parallel()
			protocols(t, func(t *testing.T, protocol otlp.Protocol) {
				t.Parallel()
				r := startReceiver(t, protocol, unavailableFor)
				l := startLine(t, newExporter(t, protocol, r.address), func(c *delivery.Config) {
					d := delivery.Defaults()
					c.Batch.MaxSpans, c.Send = 512, d.Send
				})
				const spans = 2000
				names := numbered(0, spans)
				for i := range poisons {
					names[rand.N(spans/poisons)+i*spans/poisons] = poison + strconv.Itoa(i)
				}
				l.handOver(names...)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				began := time.Now()
				err := l.Shutdown(ctx)
				if got := r.distinct(); got != spans-poisons {
					t.Errorf("%d of %d healthy spans arrived", got, spans-poisons)
				}
				if s := l.Stats(); s.Lost != uint64(poisons) || s.Waiting != 0 {
					t.Errorf("%d spans are lost, want %d", s.Lost, poisons)
				}
				checkCounters(t, l.Stats(), spans)
				checkSays(t, err, poisons)
				t.Logf("Shutdown took %v and %d requests: %v", time.Since(began), r.asked(), err)
			})
		})
	}
}

// A balancer before two receivers of which one is dead fails every other request. That
// is no poison, however often it meets a batch.
func TestHalfOfTheBackendIsDead(t *testing.T) {
	turns := map[string]func(n int64) bool{
		"in turn":   func(n int64) bool { return n%2 == 0 },
		"at random": func(int64) bool { return rand.N(2) == 0 },
	}
	for name, dead := range turns {
		for _, code := range []int{http.StatusBadGateway, http.StatusServiceUnavailable} {
			t.Run(name+"/"+strconv.Itoa(code), func(t *testing.T) {
				t.Parallel()
				r := startReceiver(t, otlp.HTTP, nil)
				l := startLine(t, newExporter(t, otlp.HTTP, startBalancer(t, r.address, dead, code)), nil)
				// Steadily: 100 spans each 10 ms.
				const spans, portion = 30_000, 100
				tick := time.NewTicker(10 * time.Millisecond)
				defer tick.Stop()
				var oldest time.Duration
				for i := 0; i < spans; i += portion {
					<-tick.C
					l.handOver(numbered(i, i+portion)...)
					oldest = max(oldest, l.Stats().Oldest)
				}
				bound := healthyWait(&l.config, 0)
				if oldest > bound && *defaultSettings { // otherwise the machine may be slow
					t.Errorf("it does not keep up: a span waited for %v, allowed are %v", oldest, bound)
				}
				// At random one batch of many fails ten times in a row, and waits longer each time.
				if !eventually(20*time.Duration(l.config.Send.Backoff.Max)+time.Minute, func() bool { return r.distinct() == spans }) {
					t.Errorf("%d of %d spans arrived", r.distinct(), spans)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				if err := l.Shutdown(ctx); err != nil {
					t.Errorf("Shutdown: %v", err)
				}
				if s := l.Stats(); s.Lost != 0 {
					t.Errorf("%d spans are lost", s.Lost)
				}
				checkCounters(t, l.Stats(), spans)
				t.Logf("the longest wait was %v, allowed are %v", oldest, bound)
			})
		}
	}
}

// startBalancer starts a reverse proxy before a receiver and one that is dead.
func startBalancer(t testing.TB, alive string, dead func(n int64) bool, code int) (address string) {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: alive})
	proxy.Transport = transport
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if dead(n.Add(1) - 1) {
			http.Error(w, "no healthy upstream", code)
			return
		}
		proxy.ServeHTTP(w, req)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		transport.CloseIdleConnections()
	})
	return s.Listener.Addr().String()
}
