//go:build !race

package route_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/route"
)

func TestAllocations(t *testing.T) {
	table := build(t, rules(10_000))
	for _, path := range []string{"/api/v1/resource5/31/items/7", "/api/v1/resource5/31/it%65ms/7", "/nothing/of/ours", "/" + strings.Repeat("%61", 2000)} {
		for _, pattern := range []string{"", "/", "GET /api/v1/resource5/{id}/items/{item}", "/api/v1/resource5/:id?/items/:item?", "/api/v1/resource5/{id:[0-9]+}/{rest:.*}", "/:x" + strings.Repeat("/{:a/}", 1000)} {
			attributes := []attribute.KeyValue{attribute.String("http.request.method", "GET"), attribute.String("http.target", path), attribute.String("http.route", pattern)}
			if n := testing.AllocsPerRun(100, func() { requestOf(table, attributes) }); n != 0 {
				t.Errorf("%.50s, %.50s: %v allocations", path, pattern, n)
			}
		}
	}
	attributes := []attribute.KeyValue{attribute.String("rpc.system.name", "grpc")}
	r, _ := route.RequestOf("grpc.health.v1.Health/Check", attributes)
	if n := testing.AllocsPerRun(100, func() {
		route.RequestOf("grpc.health.v1.Health/Check", attributes)
		table.Lookup(r)
		table.Has(r)
	}); n != 0 {
		t.Errorf("a procedure: %v allocations", n)
	}
}
