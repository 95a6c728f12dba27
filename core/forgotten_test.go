package core

import (
	"encoding/binary"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

func forgottenID(n uint64) (id trace.TraceID) {
	binary.BigEndian.PutUint64(id[:8], 1)
	binary.BigEndian.PutUint64(id[8:], n*0x9e3779b97f4a7c15) // as random as trace IDs are
	return id
}

// The table remembers nearly all of as many traces as it was made for, and
// nothing wrong of any.
func TestForgottenTraces(t *testing.T) {
	const n = 1000
	var f forgottenTraces
	if f.find(forgottenID(1), -1) != nil {
		t.Error("an empty table finds something")
	}
	f.grow(n)
	if got, want := f.bytes(), int64(2*512*32); got != want {
		t.Errorf("the table takes %d bytes, want %d", got, want)
	}
	for i := range uint64(3 * n) {
		f.put(forgottenTrace{id: forgottenID(i), randomness: i, spans: int32(i), at: int32(i)})
		if got := f.find(forgottenID(i), -1); got == nil || got.spans != int32(i) {
			t.Fatalf("trace %d is forgotten at once", i)
		}
	}
	found := 0
	for i := range uint64(3 * n) {
		got := f.find(forgottenID(i), -1)
		if got == nil {
			continue
		}
		if got.id != forgottenID(i) || got.randomness != i || got.spans != int32(i) {
			t.Fatalf("trace %d is remembered as %+v", i, *got)
		}
		if f.find(forgottenID(i), int32(i)) != nil {
			t.Fatalf("trace %d is found after it was forgotten for good", i)
		}
		if i >= 2*n {
			found++
		}
	}
	if found < n*65/100 {
		t.Errorf("%d of the last %d traces are remembered", found, n)
	}
	if f.find(trace.TraceID{}, -1) != nil {
		t.Error("the zero trace ID is found")
	}
}
