package sampling_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/sampling"
)

func TestAnswer(t *testing.T) {
	for _, tt := range []struct {
		answer    sampling.Answer
		threshold sampling.Threshold
		known     bool // it has a threshold at all
		says      string
	}{
		{sampling.Answer{}, sampling.Never, false, "abstain"},
		{sampling.Abstain(), sampling.Never, false, "abstain"},
		{sampling.Drop(), sampling.Never, false, "drop"},
		{sampling.At(sampling.Always), sampling.Always, true, "threshold 0"},
		{sampling.At(1), 1, true, "threshold 00000000000001"},
		{sampling.At(sampling.Never - 1), sampling.Never - 1, true, "threshold ffffffffffffff"},
		{sampling.At(sampling.Never), sampling.Never, true, "threshold never"},
		{sampling.At(sampling.Unknown), sampling.Unknown, true, "threshold unknown"},
		{sampling.At(math.MaxUint64 - 1), sampling.Unknown, true, "threshold unknown"},
		{sampling.Selected(), sampling.Unknown, true, "selected, threshold unknown"},
		{sampling.Unselected(), sampling.Unknown, true, "not selected, threshold unknown"},
		{sampling.AtMost(sampling.Always), sampling.Always, true, "at most threshold 0"},
		{sampling.AtMost(8 << 52), 8 << 52, true, "at most threshold 8"},
		{sampling.AtMost(sampling.Never - 1), sampling.Never - 1, true, "at most threshold ffffffffffffff"},
		{sampling.AtMost(sampling.Never), sampling.Never, true, "discard"},
		{sampling.AtMost(sampling.Unknown), sampling.Never, false, "abstain"},
		{sampling.AtMost(math.MaxUint64 - 1), sampling.Never, false, "abstain"},
		{sampling.FollowParent(), sampling.Never, false, "as the parent decided"},
		{sampling.ByParent(8<<52, sampling.Unknown), sampling.Never, false, "threshold 8 below a sampled parent, unknown below another"},
	} {
		a := tt.answer.Because("why").WithAttributes(attribute.Bool("a", true), attribute.Int("b", 1))
		threshold, known := a.Threshold()
		if threshold != tt.threshold || known != tt.known || a.String() != tt.says+": why" {
			t.Errorf("%q: threshold %v, %v; want %q, %v, %v", a, threshold, known, tt.says, tt.threshold, tt.known)
		}
		isAtMost := tt.says == "discard" || strings.HasPrefix(tt.says, "at most")
		isByParent := strings.Contains(tt.says, "parent")
		isThreshold := strings.HasPrefix(tt.says, "threshold") && !isByParent
		if a.IsAbstain() != (tt.says == "abstain") || a.IsDrop() != (tt.says == "drop") || a.IsThreshold() != isThreshold || a.IsAtMost() != isAtMost {
			t.Errorf("%q: abstains %v, drops %v, is a threshold %v, is at most %v", a, a.IsAbstain(), a.IsDrop(), a.IsThreshold(), a.IsAtMost())
		}
		if a.IsByParent() != isByParent {
			t.Errorf("%q: by the parent %v", a, a.IsByParent())
		}
		if (isAtMost || isByParent) && (a.Selects(0) || a.Selects(1<<56-1)) {
			t.Errorf("%q selects a trace", a)
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
	a := sampling.At(sampling.Always)
	if n := testing.AllocsPerRun(100, func() { a = a.WithAttributes(none...) }); n != 0 {
		t.Errorf("an answer without attributes takes %v allocations", n)
	}
}

func TestByParent(t *testing.T) {
	for _, tt := range []struct {
		answer             sampling.Answer
		sampled, unsampled sampling.Threshold
	}{
		{sampling.FollowParent(), sampling.Always, sampling.Never},
		{sampling.ByParent(1, 2), 1, 2},
		{sampling.ByParent(sampling.Unknown, sampling.Always).WithAttributes(attribute.Int("a", 1)), sampling.Unknown, sampling.Always},
		{sampling.ByParent(1, 2).WithAttributes(attribute.Int("a", 1)).WithAttributes().Because("why"), 1, 2},
	} {
		if sampled, unsampled := tt.answer.BelowParent(true), tt.answer.BelowParent(false); sampled != tt.sampled || unsampled != tt.unsampled {
			t.Errorf("%v: %v below a sampled parent, %v below another", tt.answer, sampled, unsampled)
		}
	}
	if n := testing.AllocsPerRun(100, func() { sampling.FollowParent().Because("why") }); n != 0 {
		t.Errorf("to follow the parent takes %v allocations", n)
	}
}

// One word more, and an answer goes through memory at each call.
func TestAnswerSize(t *testing.T) {
	if size, words := unsafe.Sizeof(sampling.Answer{}), unsafe.Sizeof(uintptr(0)); size > 4*words {
		t.Errorf("an sampling.Answer has %d words, more than 4", size/words)
	}
}
