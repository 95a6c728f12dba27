//go:build !race

package otlp_test

import (
	"bytes"
	"runtime"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/internal/testspans"
)

func TestAppendRequestAllocatesNothing(t *testing.T) {
	spans := testspans.Service(t, 512)
	buf := otlp.AppendRequest(nil, spans)
	if n := testing.AllocsPerRun(100, func() { buf = otlp.AppendRequest(buf[:0], spans) }); n > 0 {
		t.Errorf("%v allocations for %d spans", n, len(spans))
	}
	if n := testing.AllocsPerRun(100, func() { otlp.EstimateSize(spans[0]) }); n > 0 {
		t.Errorf("%v allocations to estimate a size", n)
	}
}

// Empty submessages take two bytes each on the wire and a struct each in memory.
func TestDecodeMemoryIsProportional(t *testing.T) {
	const most = 200 // times the input, as the documentation of Decode says

	wrap := func(num protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
	}
	many := func(num protowire.Number) []byte { return bytes.Repeat(wrap(num, nil), 100_000) }
	span := func(field []byte) []byte {
		ids := append(wrap(1, make([]byte, 16)), wrap(2, make([]byte, 8))...)
		return wrap(1, wrap(2, wrap(2, append(ids, field...))))
	}
	for name, b := range map[string][]byte{
		"resources":           many(1),
		"resource attributes": wrap(1, wrap(1, many(1))),
		"scopes":              wrap(1, many(2)),
		"scope attributes":    wrap(1, wrap(2, wrap(1, many(3)))),
		"spans":               wrap(1, wrap(2, many(2))),
		"attributes":          span(many(9)),
		"events":              span(many(11)),
		"links":               span(many(13)),
		"array":               span(wrap(9, wrap(2, wrap(5, many(1))))),
		"map":                 span(wrap(9, wrap(2, wrap(6, many(1))))),
		"depth":               nestedValue(3_000),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = otlp.Decode(b)
		runtime.ReadMemStats(&after)
		if factor := (after.TotalAlloc - before.TotalAlloc) / uint64(len(b)); factor > most {
			t.Errorf("%s: %d bytes of memory for each byte", name, factor)
		}
	}
}
