//go:build !race

package delivery_test

import (
	"context"
	"testing"

	"github.com/riffletrace/riffle/core/delivery"
)

// Handing a span over allocates nothing: neither for the caller's slice nor, but
// for once in many spans, for where it is kept.
func TestDeliverAllocations(t *testing.T) {
	for _, name := range []string{"alive", "dead and full"} {
		t.Run(name, func(t *testing.T) {
			b := &backend{}
			if name != "alive" {
				b.respond = func(context.Context, []string) (delivery.Response, error) { return delivery.Response{}, errAway }
			}
			f, l := one(t, b, &journal{}, func(c *delivery.Config) {
				c.Queue.MaxBytes = 64 << 10
				c.Batch.MaxBytes = 64 << 10
			})
			s := span("a", 100)
			if name != "alive" {
				for l.Stats().Dropped.QueueFull == 0 {
					f.HandOver(s)
				}
			}
			if n := testing.AllocsPerRun(100, func() { f.HandOver(s) }); n > 0 {
				t.Errorf("%v allocations a span", n)
			}
		})
	}
}
