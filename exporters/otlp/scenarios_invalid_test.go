package otlp_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/exporters/sdk"
)

// invalid is in the name of a span that the receiver refuses the request for.
const invalid = "invalid"

func invalidFor(names []string) verdict {
	if slices.ContainsFunc(names, isInvalid) {
		return verdict{status: http.StatusBadRequest, message: "bad span"}
	}
	return verdict{}
}

func isInvalid(name string) bool { return strings.HasPrefix(name, invalid) }

// maxInvalidRequests is the most that one batch may cost.
const maxInvalidRequests = 128

// One bad span costs one span, and about as many requests as it takes to find it by
// halving.
func TestInvalid(t *testing.T) {
	tests := []struct{ spans, bad int }{{1, 1}, {2, 1}, {501, 0}, {501, 1}, {2048, 1}, {2048, 2}, {2048, 5}, {501, 501}, {2048, 2048}}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d of %d", tt.bad, tt.spans), func(t *testing.T) {
			protocols(t, func(t *testing.T, protocol otlp.Protocol) {
				for seed := range uint64(3) {
					testInvalidExactly(t, protocol, newExporter, tt.spans, tt.bad, seed)
				}
			})
		})
	}
}

// The SDK's exporters say only in words why a request was refused.
func TestInvalidBySDK(t *testing.T) {
	newSDK := func(t testing.TB, protocol otlp.Protocol, address string) sdktrace.SpanExporter {
		if protocol == otlp.GRPC {
			return planned(t, component.Use(sdk.GRPC, "", sdk.GRPCConfig{Endpoint: address}))
		}
		return planned(t, component.Use(sdk.HTTP, "", sdk.HTTPConfig{Endpoint: address}))
	}
	protocols(t, func(t *testing.T, protocol otlp.Protocol) {
		testInvalidExactly(t, protocol, newSDK, 501, 1, 1)
		testInvalidExactly(t, protocol, newSDK, 2048, 5, 1)
	})
}

func testInvalidExactly(t *testing.T, protocol otlp.Protocol, build exporterOf, spans, bad int, seed uint64) {
	t.Helper()
	s, requests := testInvalid(t, protocol, build, spans, bad, seed)
	if s.Lost != uint64(bad) {
		t.Errorf("%d of %d spans are lost, %d are bad", s.Lost, spans, bad)
	}
	if most := 2 + 2*float64(bad)*math.Log2(float64(spans)); float64(requests) > most {
		t.Errorf("%d requests, want at most %.0f", requests, most)
	}
}

// Where there is more wrong than halving can find in that many requests, healthy
// spans go too, and every one of them is counted. With 20 bad ones, the seven levels
// of halving that there are requests for leave pieces of 32 spans: two thirds arrive.
func TestInvalidIsBounded(t *testing.T) {
	for _, tt := range []struct{ bad, arrive int }{{20, 2048 / 2}, {300, 0}, {1500, 0}} {
		t.Run(strconv.Itoa(tt.bad), func(t *testing.T) {
			protocols(t, func(t *testing.T, protocol otlp.Protocol) {
				s, _ := testInvalid(t, protocol, newExporter, 2048, tt.bad, 1)
				if s.Lost < uint64(tt.bad) || s.Sent < uint64(tt.arrive) {
					t.Errorf("%d spans are lost and %d sent, %d are bad; want at least %d to be sent", s.Lost, s.Sent, tt.bad, tt.arrive)
				}
			})
		})
	}
}

type exporterOf func(t testing.TB, protocol otlp.Protocol, address string) sdktrace.SpanExporter

// testInvalid sends one batch with bad spans and checks what any outcome must hold to.
func testInvalid(t *testing.T, protocol otlp.Protocol, build exporterOf, spans, bad int, seed uint64) (s delivery.Stats, requests int) {
	t.Helper()
	r := startReceiver(t, protocol, invalidFor)
	l := startLine(t, build(t, protocol, r.address), func(c *delivery.Config) {
		c.Batch.MaxSpans, c.Batch.MaxAge = 2048, component.Duration(10*time.Minute) // one batch
	})
	names := numbered(0, spans)
	for _, i := range rand.New(rand.NewPCG(seed, uint64(spans))).Perm(spans)[:bad] { //nolint:gosec // it is to be the same each time
		names[i] = invalid + names[i]
	}
	l.handOver(names...)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := l.ForceFlush(ctx)
	s = l.Stats()
	checkCounters(t, s, spans)
	if s.Waiting != 0 || s.Sent != uint64(r.distinct()) {
		t.Errorf("%d spans are sent, %d arrived, %d wait", s.Sent, r.distinct(), s.Waiting)
	}
	if bad > 0 {
		checkSays(t, err, int(s.Lost))
	} else if err != nil {
		t.Error(err)
	}
	if r.asked() > maxInvalidRequests {
		t.Errorf("%d requests, want at most %d", r.asked(), maxInvalidRequests)
	}
	return s, r.asked()
}
