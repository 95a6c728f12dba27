package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery"
)

// With the default settings, no healthy span waits longer than this for the sake of
// spans that its backend fails on: one batch of max_spans is halved eleven times.
const longestHealthyWait = 30 * time.Second

// A backend that fails as if it were away, whenever one of some spans is in a batch,
// costs these spans and no others: with the default settings, in simulated time.
func TestHealthySpansArrive(t *testing.T) {
	kinds := map[string]func(*backend) sdktrace.SpanExporter{
		"requests": func(b *backend) sdktrace.SpanExporter { return b },
		"spans":    func(b *backend) sdktrace.SpanExporter { return plain{b} },
	}
	for kind, exporter := range kinds {
		for _, poisons := range []int{1, 3, 10, 50} {
			for _, hangs := range []bool{false, true} {
				if hangs && poisons > 3 {
					continue // the time-outs alone take longer
				}
				t.Run(fmt.Sprintf("%s/%d/hangs=%t", kind, poisons, hangs), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { testHealthySpansArrive(t, exporter, poisons, hangs) })
				})
			}
		}
	}
}

func testHealthySpansArrive(t *testing.T, exporter func(*backend) sdktrace.SpanExporter, poisons int, hangs bool) {
	var mu sync.Mutex
	arrived := make(map[string]time.Time)
	b := &backend{respond: func(ctx context.Context, names []string) (delivery.Response, error) {
		poisoned := slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "poison") })
		if poisoned && hangs {
			<-ctx.Done()
			return delivery.Response{}, ctx.Err()
		}
		time.Sleep(5 * time.Millisecond)
		if poisoned {
			return delivery.Response{}, err503
		}
		mu.Lock()
		defer mu.Unlock()
		for _, name := range names {
			arrived[name] = time.Now()
		}
		return delivery.Response{}, nil
	}}
	timeout := time.Duration(0)
	f, l := one(t, exporter(b), &journal{}, func(c *delivery.Config) {
		if hangs {
			timeout = time.Second
			c.Send.Timeout = 1e9
		}
	})
	// 500 a second for 60 s; the poisons are spread over the first 20.
	const perSecond, seconds, until = 500, 60, 20
	handedOver := make(map[string]time.Time)
	every := perSecond * until / poisons
	for i := range perSecond * seconds {
		name := strconv.Itoa(i)
		if i%every == every/2 && i/every < poisons {
			name = "poison" + name
		} else {
			handedOver[name] = time.Now()
		}
		f.HandOver(span(name, 0))
		time.Sleep(time.Second / perSecond)
	}
	bound := longestHealthyWait + 12*timeout
	time.Sleep(bound)

	mu.Lock()
	defer mu.Unlock()
	var missing, late int
	var worst time.Duration
	for name, since := range handedOver {
		at, ok := arrived[name]
		switch wait := at.Sub(since); {
		case !ok:
			missing++
		case wait > bound:
			late++
			fallthrough
		default:
			worst = max(worst, wait)
		}
	}
	if missing > 0 || late > 0 {
		t.Errorf("%d of %d healthy spans have not arrived, %d have after more than %v", missing, len(handedOver), late, bound)
	}
	if s := l.Stats(); s.Lost+s.Waiting != uint64(poisons) || s.Sent != uint64(len(handedOver)) {
		t.Errorf("%d poisons; %d spans are lost and %d wait", poisons, s.Lost, s.Waiting)
	}
	accounted(t, l, b)
	attempts, _ := b.tried()
	t.Logf("the longest wait was %v; %d attempts", worst, attempts)
}

// A shutdown in whose time the healthy spans could be sent sends them.
func TestHealthySpansArriveInShutdown(t *testing.T) {
	for _, poisons := range []int{1, 3, 10} {
		t.Run(strconv.Itoa(poisons), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &backend{respond: func(_ context.Context, names []string) (delivery.Response, error) {
					time.Sleep(5 * time.Millisecond)
					if slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "poison") }) {
						return delivery.Response{}, err503
					}
					return delivery.Response{}, nil
				}}
				f, l := one(t, b, &journal{}, nil)
				const spans = 5000
				for i := range spans {
					name := strconv.Itoa(i)
					if every := spans / poisons; i%every == every/3 {
						name = "poison" + name
					}
					f.HandOver(span(name, 0))
				}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				err := l.Shutdown(ctx)
				if s := l.Stats(); s.Sent != uint64(spans-poisons) || s.Lost != uint64(poisons) {
					t.Errorf("%d of %d healthy spans are sent, %d are lost", s.Sent, spans-poisons, s.Lost)
				}
				checkSays(t, err, poisons)
				accounted(t, l, b)
			})
		})
	}
}
