package otlp_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/otlp"
)

var restarts = flag.Int("restarts", 6, "restarts of the line in each run of TestChaosWithRestarts")

// chaos judges at random, with everything that a receiver can do.
type chaos struct {
	mu     sync.Mutex
	random *rand.Rand
	calm   bool // accepts everything
}

func (c *chaos) judge(names []string) verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calm {
		return verdict{}
	}
	switch c.random.IntN(14) {
	case 0:
		return verdict{status: http.StatusServiceUnavailable, message: "busy"}
	case 1:
		return verdict{status: http.StatusServiceUnavailable, retryAfter: time.Second, message: "busy"}
	case 2:
		return verdict{status: http.StatusTooManyRequests, retryAfter: time.Second, message: "too many"}
	case 3:
		return verdict{status: http.StatusUnauthorized, message: "no"}
	case 4:
		return verdict{status: http.StatusBadRequest, message: "bad span"}
	case 5:
		return verdict{status: http.StatusRequestEntityTooLarge, message: "request too large"}
	case 6:
		return verdict{hang: true}
	case 7:
		return verdict{reset: true}
	case 8:
		return verdict{rejected: c.random.IntN(len(names) + 1), message: "some are bad"}
	default:
		return verdict{}
	}
}

func (c *chaos) beCalm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calm = true
}

// Through restarts of the line and everything that a receiver does, each span arrives
// or is counted as lost by exactly one of the lines. Some arrive and are lost as
// well: those that were accepted while the response was.
func TestChaosWithRestarts(t *testing.T) {
	protocols(t, func(t *testing.T, protocol otlp.Protocol) {
		t.Parallel()
		c := &chaos{random: rand.New(rand.NewPCG(1, 1))} //nolint:gosec // it is to be the same each time
		r := startReceiver(t, protocol, c.judge)
		dir := t.TempDir()
		var handedOver int
		var sent, lost, waiting uint64
		for i := range *restarts {
			last := i == *restarts-1
			if last {
				c.beCalm()
			}
			// An exporter is of one line.
			l := startLine(t, newExporter(t, protocol, r.address), func(c *delivery.Config) {
				c.Queue.Storage, c.Queue.Dir, c.Queue.Fsync = delivery.StorageDisk, dir, "10ms"
				c.Batch.MaxSpans, c.Batch.MaxAge = 40, component.Duration(5*time.Millisecond)
				c.Send.Timeout = component.Duration(100 * time.Millisecond)
				c.Send.Backoff = delivery.Backoff{Initial: component.Duration(5 * time.Millisecond), Max: component.Duration(50 * time.Millisecond)}
			})
			if !eventually(time.Minute, func() bool { return l.Stats().TakenOver == waiting }) {
				t.Fatalf("start %d: %d spans are taken over, %d were left", i, l.Stats().TakenOver, waiting)
			}
			for range 100 {
				n := rand.N(60)
				l.handOver(numbered(handedOver, handedOver+n)...)
				handedOver += n
				time.Sleep(5 * time.Millisecond)
			}
			timeout := time.Duration(rand.N(300)) * time.Millisecond
			if last { // what many starts have left is to be sent, however slow the machine is
				timeout = 5 * time.Minute
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				if err := l.ForceFlush(ctx); err != nil {
					t.Errorf("ForceFlush: %v", err)
				}
				cancel()
			}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			_ = l.Shutdown(ctx)
			cancel()
			s := l.Stats()
			if s.HandedOver != s.Sent+s.Lost+s.Waiting {
				t.Errorf("start %d: the counters do not add up: %+v", i, s)
			}
			sent, lost, waiting = sent+s.Sent, lost+s.Lost, s.Waiting
			if got := sent + lost + waiting; got != uint64(handedOver) {
				t.Fatalf("after start %d, %d spans are sent, %d lost and %d left, but %d were handed over", i, sent, lost, waiting, handedOver)
			}
		}
		if waiting != 0 {
			t.Errorf("in the end %d spans wait", waiting)
		}
		var missing int
		for _, name := range numbered(0, handedOver) {
			if _, ok := r.has(name); !ok {
				missing++
			}
		}
		if uint64(missing) > lost {
			t.Errorf("%d spans did not arrive, %d are counted as lost", missing, lost)
		}
		if arrived := uint64(r.distinct()); arrived < sent {
			t.Errorf("%d spans are counted as sent, %d arrived", sent, arrived)
		}
		if sent == 0 || lost == 0 {
			t.Errorf("nothing happened: %d are sent, %d lost", sent, lost)
		}
		t.Logf("%d spans: %d sent, %d lost, %d arrived; %d requests", handedOver, sent, lost, r.distinct(), r.asked())
	})
}
