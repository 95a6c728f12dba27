package delivery_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
)

var days = flag.Int("days", 1, "simulated days of each history of TestChaos")

// chaos is a backend that does everything that a backend can do. It remembers what
// it has told the line to have accepted.
type chaos struct {
	mu           sync.Mutex
	random       *rand.Rand
	mode         mode
	acknowledged map[string]int // spans by name
	attempts     int
}

// mode is what a backend is like for a while.
type mode int

const (
	works    mode = iota
	isAway        // nothing is there
	flaps         // every other attempt fails
	refuses       // as with a wrong key
	hangs         // each attempt takes up to twice the timeout
	anything      // every outcome there is
	modes
)

// decide returns how long an attempt takes and what comes of it.
func (c *chaos) decide() (takes time.Duration, of mode, pick int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attempts++
	switch of = c.mode; of {
	case flaps:
		if of = works; c.random.IntN(2) == 0 {
			of = isAway
		}
	case hangs:
		takes = time.Duration(c.random.Int64N(int64(time.Minute)))
	case anything:
		takes = time.Duration(c.random.Int64N(int64(2 * time.Second)))
	default:
	}
	return takes, of, c.random.IntN(14)
}

// attempt takes spans, or not.
func (c *chaos) attempt(ctx context.Context, spans []sdktrace.ReadOnlySpan, requests bool) (delivery.Response, error) {
	takes, of, pick := c.decide()
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return delivery.Response{}, ctx.Err()
		}
	}
	switch of {
	case isAway:
		return delivery.Response{}, errAway
	case refuses:
		return delivery.Response{}, err401
	case anything:
		return c.outcome(spans, pick, requests)
	default:
		c.acknowledge(spans)
		return delivery.Response{}, nil
	}
}

func (c *chaos) outcome(spans []sdktrace.ReadOnlySpan, pick int, requests bool) (delivery.Response, error) {
	fail := func(f delivery.ExportError, text string) (delivery.Response, error) {
		f.Err = errors.New(text)
		return delivery.Response{}, &f
	}
	n := c.upTo(len(spans))
	switch pick {
	case 0:
		return fail(delivery.ExportError{Outcome: delivery.Retry}, "503")
	case 1:
		return fail(delivery.ExportError{Outcome: delivery.Retry, RetryAfter: time.Duration(c.upTo(300)) * time.Second}, "503, later")
	case 2:
		return fail(delivery.ExportError{Outcome: delivery.Retry, Throttled: true, RetryAfter: time.Duration(c.upTo(60)) * time.Second}, "429")
	case 3:
		return fail(delivery.ExportError{Outcome: delivery.Refused}, "401")
	case 4:
		return fail(delivery.ExportError{Outcome: delivery.Invalid}, "400")
	case 5:
		return fail(delivery.ExportError{Outcome: delivery.TooLarge}, "413")
	case 6:
		return delivery.Response{}, errors.New("unknown")
	case 7:
		panic("oh")
	case 8: // some are taken, others are to be sent again, and the rest is rejected
		m := n + c.upTo(len(spans)-n)
		c.acknowledge(spans[:n])
		return fail(delivery.ExportError{Outcome: delivery.Retry, PartialSuccess: &delivery.PartialSuccess{
			Remaining: slices.Clone(spans[n:m]), Rejected: len(spans) - m,
		}}, "in part")
	case 9: // they are taken, but the response is lost
		return delivery.Response{}, errAway
	case 10:
		if requests { // the response can say that some are rejected
			c.acknowledge(spans[:n])
			return delivery.Response{Rejected: int64(len(spans) - n), Message: "bad"}, nil
		}
	default:
	}
	c.acknowledge(spans)
	return delivery.Response{}, nil
}

func (c *chaos) upTo(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(n + 1)
}

func (c *chaos) acknowledge(spans []sdktrace.ReadOnlySpan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range spans {
		c.acknowledged[s.Name()]++
	}
}

func (c *chaos) be(m mode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mode = m
}

// ofSpans and ofRequests are chaos as the two kinds of exporters.
type ofSpans struct{ *chaos }

func (o ofSpans) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	_, err := o.attempt(ctx, spans, false)
	return err
}
func (ofSpans) Shutdown(context.Context) error { return nil }

type ofRequests struct{ *chaos }

func (ofRequests) Traits() delivery.Traits { return delivery.Traits{Compression: delivery.Snappy} }
func (o ofRequests) ExportRequest(ctx context.Context, r delivery.Request) (delivery.Response, error) {
	body, err := delivery.Snappy.Decompress(r.Body)
	if err != nil {
		return delivery.Response{}, err
	}
	spans, err := decoded(delivery.Request{Body: body, Spans: r.Spans})
	if err != nil {
		return delivery.Response{}, err
	}
	return o.attempt(ctx, spans, true)
}

func (ofRequests) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	panic("it takes requests")
}
func (ofRequests) Shutdown(context.Context) error { return nil }

// Whatever a backend does for a day, each span is acknowledged once or in one
// counter, at any time.
func TestChaos(t *testing.T) {
	exporters := map[string]func(*chaos) sdktrace.SpanExporter{
		"spans":    func(c *chaos) sdktrace.SpanExporter { return ofSpans{c} },
		"requests": func(c *chaos) sdktrace.SpanExporter { return ofRequests{c} },
	}
	for name, exporter := range exporters {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { testChaos(t, exporter, seed) })
			})
		}
	}
}

func testChaos(t *testing.T, exporter func(*chaos) sdktrace.SpanExporter, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))                                                                //nolint:gosec // it is to be the same each time
	b := &chaos{random: rand.New(rand.NewPCG(seed, 2)), mode: anything, acknowledged: make(map[string]int)} //nolint:gosec // see above
	f, l := one(t, exporter(b), &journal{}, func(c *delivery.Config) {
		c.Batch.MaxSpans, c.Batch.MaxBytes = 20, 16<<10
		c.Queue.MaxBytes = 256 << 10
		if seed%2 == 1 {
			c.Queue.WhenFull = delivery.DropOldest
		}
		if seed/2%2 == 1 {
			c.Send.MaxElapsed = component.Duration(30 * time.Minute)
		}
	})
	var handedOver int
	check := func(when string) {
		t.Helper()
		synctest.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		s := l.Stats()
		if s.HandedOver != uint64(handedOver) || s.HandedOver != s.Sent+s.Lost+s.Waiting || s.Lost != s.Rejected+s.Dropped.Total() {
			t.Fatalf("%s: %d spans were handed over: %+v", when, handedOver, s)
		}
		if s.Sent != uint64(len(b.acknowledged)) {
			t.Fatalf("%s: %d spans are acknowledged: %+v", when, len(b.acknowledged), s)
		}
		if s.Bytes > 320<<10 { // pieces of a batch may be larger than it
			t.Fatalf("%s: the queue is larger than it may be: %+v", when, s)
		}
	}
	end := time.Now().Add(time.Duration(*days) * 24 * time.Hour)
	for time.Now().Before(end) {
		m := mode(random.IntN(int(modes)))
		b.be(m)
		for until := time.Now().Add(time.Duration(random.Int64N(int64(90 * time.Minute)))); time.Now().Before(until); {
			for range random.IntN(40) {
				f.HandOver(span(strconv.Itoa(handedOver), random.IntN(200)))
				handedOver++
			}
			time.Sleep(time.Duration(random.Int64N(int64(2 * time.Minute))))
			check(fmt.Sprint("mode ", m))
		}
	}
	b.be(works)
	time.Sleep(30 * time.Minute)
	check("at the end")
	if s := l.Stats(); s.Waiting != 0 {
		t.Errorf("the backend has worked for 30 minutes: %+v", s)
	}
	for name, n := range b.acknowledged {
		if n > 1 {
			t.Errorf("span %s was sent again %d times after it was accepted", name, n-1)
		}
	}
	if s := l.Stats(); s.Sent == 0 || s.Lost == 0 {
		t.Errorf("nothing happened: %+v", s)
	}
	t.Logf("%d attempts: %+v", b.attempts, l.Stats())
}
