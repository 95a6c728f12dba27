package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
)

// halting takes the first of the spans that it is given, and says what is to
// become of the others.
type halting struct {
	*backend
	takes, rejects int
	outcome        delivery.Outcome
	after          time.Duration
}

func (h *halting) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	n := min(h.takes, len(spans))
	if _, err := h.take(ctx, nil, spans[:n]); err != nil {
		return err
	}
	rest := spans[n:]
	if len(rest) == 0 {
		return nil
	}
	rejected := min(h.rejects, len(rest))
	return fmt.Errorf("sending: %w", &delivery.ExportError{
		Outcome: h.outcome, RetryAfter: h.after, Err: errors.New("206"),
		PartialSuccess: &delivery.PartialSuccess{Remaining: append([]sdktrace.ReadOnlySpan(nil), rest[rejected:]...), Rejected: rejected},
	})
}

func (h *halting) ExportRequest(ctx context.Context, r delivery.Request) (delivery.Response, error) {
	spans, err := decoded(r)
	if err != nil {
		return delivery.Response{}, err
	}
	return delivery.Response{}, h.ExportSpans(ctx, spans)
}

// onlySpans hides that an exporter takes requests.
type onlySpans struct{ sdktrace.SpanExporter }

// What a backend takes of a batch is sent, what it rejects is lost, and what
// remains is sent again: each span is in one counter.
func TestPartial(t *testing.T) {
	tests := []struct {
		name     string
		h        halting
		change   func(*delivery.Config)
		sent     uint64
		rejected uint64
		dropped  delivery.Dropped
		waiting  uint64
		attempts uint64
	}{
		{name: "retried", h: halting{takes: 3, outcome: delivery.Retry}, sent: 10, attempts: 4},
		{name: "nothing taken", h: halting{outcome: delivery.Retry, after: 15 * time.Minute}, waiting: 10, attempts: 4},
		{name: "some rejected", h: halting{takes: 3, rejects: 1, outcome: delivery.Retry}, sent: 8, rejected: 2, attempts: 3},
		{name: "all others rejected", h: halting{takes: 3, rejects: 10}, sent: 3, rejected: 7, attempts: 1},
		{name: "left but refused", h: halting{takes: 3, rejects: 2, outcome: delivery.Refused}, sent: 3, rejected: 2, dropped: delivery.Dropped{Refused: 5}, attempts: 1},
		{name: "for too long", h: halting{takes: 1, outcome: delivery.Retry, after: time.Minute}, change: func(c *delivery.Config) {
			c.Send.MaxElapsed = component.Duration(150 * time.Second)
		}, sent: 4, dropped: delivery.Dropped{Expired: 6}, attempts: 4},
	}
	for _, tt := range tests {
		for _, takes := range []string{"spans", "requests"} {
			t.Run(takes+"/"+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := tt.h
					h.backend = &backend{}
					var e sdktrace.SpanExporter = &h
					if takes == "spans" {
						e = onlySpans{&h}
					}
					f, l := one(t, e, &journal{}, tt.change)
					f.HandOver(spans(0, 10, 0)...)
					time.Sleep(time.Hour)
					s := l.Stats()
					if s.Sent != tt.sent || s.Rejected != tt.rejected || s.Dropped != tt.dropped || s.Waiting != tt.waiting || (s.Bytes != 0) != (tt.waiting != 0) {
						t.Errorf("%+v", s)
					}
					if s.Attempts != tt.attempts {
						t.Errorf("%d attempts, want %d", s.Attempts, tt.attempts)
					}
					if err := l.ForceFlush(t.Context()); err != nil && tt.waiting == 0 {
						t.Errorf("somebody still waits: %v", err)
					}
					accounted(t, l, h.backend)
				})
			})
		}
	}
}

// Who waits for a batch waits for what remains of it too.
func TestPartialIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &halting{backend: &backend{}, takes: 4, outcome: delivery.Retry}
		f, l := one(t, onlySpans{h}, &journal{}, nil)
		f.HandOver(spans(0, 10, 0)...)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := l.ForceFlush(ctx); err != nil {
			t.Error(err)
		}
		each(t, h.backend, 0, 10)
		f.HandOver(spans(10, 20, 0)...)
		if err := l.ForceFlush(t.Context()); err == nil { // it is not patient without a deadline
			t.Error("ForceFlush = nil while spans wait")
		}
	})
}
