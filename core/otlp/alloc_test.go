//go:build !race

package otlp_test

import (
	"testing"

	"github.com/riffletrace/riffle/core/otlp"
)

func TestAppendRequestAllocatesNothing(t *testing.T) {
	spans := serviceSpans(t, 512)
	buf := otlp.AppendRequest(nil, spans)
	if n := testing.AllocsPerRun(100, func() { buf = otlp.AppendRequest(buf[:0], spans) }); n > 0 {
		t.Errorf("%v allocations for %d spans", n, len(spans))
	}
}
