package wire

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/core/sampling"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// EncodeAnswer turns an answer into a message. [sampling.ByParent] abstains: a plugin is
// not told of a remote parent.
func EncodeAnswer(a sampling.Answer) *pluginpb.Answer {
	m := &pluginpb.Answer{Reason: ValidText(a.Reason), Attributes: otlp.KeyValues(a.Attributes())}
	if rule := a.Rule(); rule != nil {
		m.Rule = ValidText(*rule)
	}
	t, ok := a.Threshold()
	switch {
	case a.IsDrop():
		m.Verdict = pluginpb.Verdict_VERDICT_DROP
	case a.IsAtMost():
		m.Verdict, m.Threshold = pluginpb.Verdict_VERDICT_AT_MOST, uint64(t)
	case !ok:
		m.Verdict = pluginpb.Verdict_VERDICT_ABSTAIN
	case t != sampling.Unknown:
		m.Verdict, m.Threshold = pluginpb.Verdict_VERDICT_THRESHOLD, uint64(t)
	case a.Selects(0):
		m.Verdict = pluginpb.Verdict_VERDICT_SELECTED
	default:
		m.Verdict = pluginpb.Verdict_VERDICT_UNSELECTED
	}
	return m
}

// DecodeStartAnswer is the reverse, for one about a start. What makes no sense
// abstains.
func DecodeStartAnswer(m *pluginpb.Answer) sampling.Answer {
	var a sampling.Answer
	switch m.GetVerdict() {
	case pluginpb.Verdict_VERDICT_DROP:
		a = sampling.Drop()
	case pluginpb.Verdict_VERDICT_SELECTED:
		a = sampling.Selected()
	case pluginpb.Verdict_VERDICT_UNSELECTED:
		a = sampling.Unselected()
	case pluginpb.Verdict_VERDICT_THRESHOLD:
		if t := sampling.Threshold(m.GetThreshold()); t <= sampling.Never {
			a = sampling.At(t)
		}
	default:
	}
	if a.IsAbstain() {
		return a
	}
	return withWords(a, m).WithAttributes(otlp.Attributes(m.GetAttributes())...)
}

// withWords is the answer with what the message says of it.
func withWords(a sampling.Answer, m *pluginpb.Answer) sampling.Answer {
	if rule := m.GetRule(); rule != "" {
		a = a.WithRule(rule)
	}
	return a.Because(m.GetReason())
}

// DecodeSegmentAnswer is the reverse, for one about a segment. What makes no sense
// abstains.
func DecodeSegmentAnswer(m *pluginpb.Answer) sampling.Answer {
	var a sampling.Answer
	t := sampling.Threshold(m.GetThreshold())
	switch v := m.GetVerdict(); {
	case v == pluginpb.Verdict_VERDICT_SELECTED:
		a = sampling.At(sampling.Unknown)
	case t > sampling.Never:
	case v == pluginpb.Verdict_VERDICT_THRESHOLD:
		a = sampling.At(t)
	case v == pluginpb.Verdict_VERDICT_AT_MOST:
		a = sampling.AtMost(t)
	}
	if a.IsAbstain() {
		return a
	}
	return withWords(a, m)
}

// EncodeKey turns what a lease is about into a message.
func EncodeKey(p sampling.StartParameters) *pluginpb.Key {
	return &pluginpb.Key{Name: ValidText(p.Name), Kind: otlp.FromSpanKind(p.Kind), Attributes: otlp.KeyValues(p.Attributes)}
}

// DecodeKey is the reverse.
func DecodeKey(k *pluginpb.Key) sampling.StartParameters {
	return sampling.StartParameters{
		ParentContext: context.Background(),
		Name:          k.GetName(),
		Kind:          otlp.ToSpanKind(k.GetKind()),
		Attributes:    otlp.Attributes(k.GetAttributes()),
	}
}

// EncodeTTL is how long a lease holds, in milliseconds; 0 leaves it to the host.
func EncodeTTL(d time.Duration) uint32 {
	const most = time.Duration(1<<32-1) * time.Millisecond
	if d <= 0 {
		return 0
	}
	return uint32(max(min(d, most).Milliseconds(), 1))
}

// DecodeTTL is the reverse.
func DecodeTTL(ms uint32) time.Duration { return time.Duration(ms) * time.Millisecond }

// ValidText is s as protobuf demands it.
func ValidText(s string) string { return strings.ToValidUTF8(s, string(utf8.RuneError)) }
