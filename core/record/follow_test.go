package record

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// What a followed parent left out is recorded where everything is, and let go as it ends,
// whatever samplers and a budget there are: nobody is asked about it.
func TestFollowedIsLetGo(t *testing.T) {
	for name, c := range map[string]Config{
		"alone":    {},
		"a budget": {Budget: NewBudget(BudgetConfig{PerSecond: 1, Classes: 1})},
	} {
		for _, raises := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/raises=%v", name, raises), func(t *testing.T) {
				var measured []string
				c.AlwaysRecord, c.RemoteParent = true, Follow
				c.Measure = func(ctx context.Context, s Measured) {
					measured = append(measured, fmt.Sprint(s.Name(), " ", trace.SpanContextFromContext(ctx).IsValid()))
				}
				asked := 0
				samplers := []sampling.Sampler{onError, selectAll}
				if raises {
					samplers = append(samplers, raising{func(_ context.Context, segments []sampling.Segment, _ []sampling.Answer) {
						asked += len(segments)
					}})
				}
				r := newRecorder(t, c, samplers...)
				ctx, root := r.tracer.Start(withParent(remoteParent(t, 0, "")), "root")
				before := r.live.exactly()
				fail(r.start(ctx, "child")).End()
				if after := r.live.exactly(); after > before {
					t.Errorf("%d bytes are held after a child, %d before it", after, before)
				}
				fail(root).End()
				if err := r.ForceFlush(context.Background()); err != nil {
					t.Fatal(err)
				}
				r.checkDelivered(t)
				if asked > 0 || strings.Join(measured, ", ") != "child false, root false" {
					t.Errorf("segment samplers were asked about %d segments, measured: %q", asked, measured)
				}
			})
		}
	}
}

// Where memory is short, what a followed parent left out goes before what it kept.
func TestFollowedUnderPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const requests, size = 400, 10 << 10
		r := newRecorder(t, Config{
			AlwaysRecord: true, RemoteParent: Follow, Bounds: Bounds{MaxBytes: 2 << 20}, Measure: func(context.Context, Measured) {},
		}, onError)
		payload := trace.WithAttributes(attribute.String("payload", strings.Repeat("x", size)))
		var open []trace.Span
		for i := range requests {
			flags := trace.TraceFlags(0).WithSampled(i%10 == 0)
			parent := trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: trace.TraceID{0: 1, 9: byte(i * 89), 15: byte(i), 14: byte(i >> 8)}, SpanID: trace.SpanID{1}, TraceFlags: flags, Remote: true,
			})
			open = append(open, r.start(withParent(parent), "root", payload))
			synctest.Wait()
		}
		for _, s := range open {
			s.End()
		}
		s := r.Stats()
		if n := len(r.spans()); n != requests/10 || s.TooLarge > 0 || s.Unrecorded == 0 {
			t.Errorf("%d are kept, want %d; %d were let go as too large, %d are unrecorded", n, requests/10, s.TooLarge, s.Unrecorded)
		}
	})
}
