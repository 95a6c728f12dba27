package wire_test

import (
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/plugins/internal/wire"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// What may be said about a start, or about a segment, arrives as it was said, and
// anything else abstains.
func TestAnswers(t *testing.T) {
	const half = sampling.Threshold(8 << 52)
	for _, tt := range []struct {
		answer         sampling.Answer
		start, segment string
	}{
		{sampling.Abstain(), "abstain", "abstain"},
		{sampling.Drop(), "drop", "abstain"},
		{sampling.At(sampling.Always), "threshold 0", "threshold 0"},
		{sampling.At(half), "threshold 8", "threshold 8"},
		{sampling.At(sampling.Never), "threshold never", "threshold never"},
		{sampling.At(sampling.Never + 1), "abstain", "abstain"},
		{sampling.At(sampling.Unknown), "selected, threshold unknown", "threshold unknown"},
		{sampling.Selected(), "selected, threshold unknown", "threshold unknown"},
		{sampling.Unselected(), "not selected, threshold unknown", "abstain"},
		{sampling.FollowParent(), "abstain", "abstain"},
		{sampling.ByParent(half, half), "abstain", "abstain"},
		{sampling.AtMost(sampling.Always), "abstain", "at most threshold 0"},
		{sampling.AtMost(half), "abstain", "at most threshold 8"},
		{sampling.AtMost(sampling.Never), "abstain", "discard"},
		{sampling.AtMost(sampling.Never + 1), "abstain", "abstain"},
	} {
		m := wire.EncodeAnswer(tt.answer.Because("why").WithAttributes(attribute.Bool("a", true)))
		start, segment := wire.DecodeStartAnswer(m), wire.DecodeSegmentAnswer(m)
		if got, want := start.String(), because(tt.start); got != want {
			t.Errorf("%v about a start arrives as %q, want %q", tt.answer, got, want)
		}
		if got, want := segment.String(), because(tt.segment); got != want {
			t.Errorf("%v about a segment arrives as %q, want %q", tt.answer, got, want)
		}
		if n := len(start.Attributes()); !start.IsAbstain() && n != 1 {
			t.Errorf("%v about a start arrives with %d attributes, want 1", tt.answer, n)
		}
		if n := len(segment.Attributes()); n != 0 {
			t.Errorf("%v about a segment arrives with %d attributes, want none", tt.answer, n)
		}
	}
	m := wire.EncodeAnswer(sampling.At(half).WithRule("rules[3]").Because("gold"))
	for _, a := range []sampling.Answer{wire.DecodeStartAnswer(m), wire.DecodeSegmentAnswer(m)} {
		if rule := a.Rule(); rule == nil || *rule != "rules[3]" || a.Reason != "gold" {
			t.Errorf("an answer of a rule arrives as %v, rule %v", a, rule)
		}
	}
	nonsense := &pluginpb.Answer{Verdict: 77, Reason: "why"}
	if start, segment := wire.DecodeStartAnswer(nonsense), wire.DecodeSegmentAnswer(nonsense); !start.IsAbstain() || !segment.IsAbstain() {
		t.Errorf("a verdict that there is not arrives as %v and %v", start, segment)
	}
}

func because(s string) string {
	if s == "abstain" {
		return s
	}
	return s + ": why"
}
