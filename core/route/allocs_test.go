//go:build !race

package route_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
)

func TestAllocations(t *testing.T) {
	table := build(t, rules(10_000))
	for _, path := range []string{"/api/v1/resource5/31/items/7", "/api/v1/resource5/31/it%65ms/7", "/nothing/of/ours", "/" + strings.Repeat("%61", 2000)} {
		attributes := []attribute.KeyValue{attribute.String("http.request.method", "GET"), attribute.String("http.target", path)}
		if n := testing.AllocsPerRun(100, func() { requestOf(table, attributes) }); n != 0 {
			t.Errorf("%.50s: %v allocations", path, n)
		}
	}
}
