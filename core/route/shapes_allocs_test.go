//go:build !race

package route_test

import (
	"fmt"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/route"
)

func TestLearnedShapesAllocateNothing(t *testing.T) {
	var s route.Shapes
	buf := make([]byte, 0, 256)
	attrs := []attribute.KeyValue{attribute.String("url.path", "/api/v1/users/7/orders")}
	ask := func() {
		buf, _ = s.AppendRoute(buf[:0], "GET", attrs, began)
		buf = s.AppendName(buf[:0], "GET /api/v1/users/alice", began)
	}
	ask()
	if n := testing.AllocsPerRun(1000, ask); n != 0 {
		t.Errorf("%v allocations for shapes that are known", n)
	}
	for i := range 1000 {
		s.AppendShape(buf[:0], fmt.Sprintf("/api/v1/users/u%dx", i), began)
	}
	if n := testing.AllocsPerRun(1000, ask); n != 0 {
		t.Errorf("%v allocations for one of many values", n)
	}
}
