// Package receive takes spans by OTLP, over gRPC and over HTTP, from whoever can connect.
// A request is taken as a whole or refused as OTLP says, so that exporters neither repeat
// what will never be taken nor give up what may be.
package receive

import (
	"context"
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/internal/untrusted"
)

// MaxBody is how many bytes a request has at most, uncompressed.
const MaxBody = 16 << 20

// decoding is how many requests are decoded at once: one can need many times its size.
const decoding = 4

// Receiver takes requests. Its methods are safe for concurrent use.
type Receiver struct {
	take  func([]sdktrace.ReadOnlySpan) (rejected int)
	turns chan struct{}
}

// New returns a receiver that hands over spans to take, which may be called at the same
// time by several, owns what it gets, and says how many it cannot take.
func New(take func([]sdktrace.ReadOnlySpan) (rejected int)) *Receiver {
	return &Receiver{take: take, turns: make(chan struct{}, decoding)}
}

// result is what became of a request that was decoded.
type result struct {
	rejected int
	why      string
}

// receive decodes one request. An error is the sender's, unless ctx is done.
func (r *Receiver) receive(ctx context.Context, body []byte, decode func([]byte) ([]sdktrace.ReadOnlySpan, error)) (result, error) {
	select {
	case r.turns <- struct{}{}:
		defer func() { <-r.turns }()
	case <-ctx.Done():
		return result{}, ctx.Err()
	}
	spans, err := decode(body)
	if err != nil {
		return result{}, fmt.Errorf("%s", untrusted.Text(err.Error(), untrusted.Line))
	}
	var out result
	if out.rejected = r.take(spans); out.rejected > 0 {
		out.why = fmt.Sprintf("%d of %d spans have no valid IDs, or their trace is too large", out.rejected, len(spans))
	}
	return out, nil
}
