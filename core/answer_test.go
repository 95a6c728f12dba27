package core_test

import (
	"math"
	"slices"
	"testing"
	"unsafe"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core"
)

func TestAnswer(t *testing.T) {
	for _, tt := range []struct {
		answer    core.Answer
		threshold core.Threshold
		known     bool // it has a threshold at all
		says      string
	}{
		{core.Answer{}, core.Never, false, "abstain"},
		{core.Abstain(), core.Never, false, "abstain"},
		{core.Drop(), core.Never, false, "drop"},
		{core.At(core.Always), core.Always, true, "threshold 0"},
		{core.At(1), 1, true, "threshold 00000000000001"},
		{core.At(core.Never - 1), core.Never - 1, true, "threshold ffffffffffffff"},
		{core.At(core.Never), core.Never, true, "threshold never"},
		{core.At(core.Unknown), core.Unknown, true, "threshold unknown"},
		{core.At(math.MaxUint64 - 1), core.Unknown, true, "threshold unknown"},
		{core.Selected(), core.Unknown, true, "selected, threshold unknown"},
		{core.Unselected(), core.Unknown, true, "not selected, threshold unknown"},
	} {
		a := tt.answer.Because("why").WithAttributes(attribute.Bool("a", true), attribute.Int("b", 1))
		threshold, known := a.Threshold()
		if threshold != tt.threshold || known != tt.known || a.String() != tt.says+": why" {
			t.Errorf("%q: threshold %v, %v; want %q, %v, %v", a, threshold, known, tt.says, tt.threshold, tt.known)
		}
		if a.IsAbstain() != (tt.says == "abstain") || a.IsDrop() != (tt.says == "drop") {
			t.Errorf("%q: abstains %v, drops %v", a, a.IsAbstain(), a.IsDrop())
		}
		if want := []attribute.KeyValue{attribute.Bool("a", true), attribute.Int("b", 1)}; !slices.Equal(a.Attributes(), want) {
			t.Errorf("%q: attributes %v, want %v", a, a.Attributes(), want)
		}
		if attrs := a.WithAttributes().Attributes(); attrs != nil {
			t.Errorf("%q: attributes %v, want none", a, attrs)
		}
	}
}

func TestAnswerAllocations(t *testing.T) {
	var none []attribute.KeyValue
	a := core.At(core.Always)
	if n := testing.AllocsPerRun(100, func() { a = a.WithAttributes(none...) }); n != 0 {
		t.Errorf("an answer without attributes takes %v allocations", n)
	}
}

// One word more, and an answer goes through memory at each call.
func TestAnswerSize(t *testing.T) {
	if size, words := unsafe.Sizeof(core.Answer{}), unsafe.Sizeof(uintptr(0)); size > 4*words {
		t.Errorf("an Answer has %d words, more than 4", size/words)
	}
}
