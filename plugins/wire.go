package plugins

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/otlp"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// encodeAnswer turns an answer into a message.
func encodeAnswer(a core.Answer) *pluginpb.Answer {
	m := &pluginpb.Answer{Reason: validText(a.Reason), Attributes: otlp.KeyValues(a.Attributes())}
	t, ok := a.Threshold()
	switch {
	case a.IsDrop():
		m.Verdict = pluginpb.Verdict_VERDICT_DROP
	case !ok:
		m.Verdict = pluginpb.Verdict_VERDICT_ABSTAIN
	case t != core.Unknown:
		m.Verdict, m.Threshold = pluginpb.Verdict_VERDICT_THRESHOLD, uint64(t)
	case a.Selects(0):
		m.Verdict = pluginpb.Verdict_VERDICT_SELECTED
	default:
		m.Verdict = pluginpb.Verdict_VERDICT_UNSELECTED
	}
	return m
}

// decodeAnswer is the reverse. What makes no sense abstains.
func decodeAnswer(m *pluginpb.Answer) core.Answer {
	var a core.Answer
	switch m.GetVerdict() {
	case pluginpb.Verdict_VERDICT_DROP:
		a = core.Drop()
	case pluginpb.Verdict_VERDICT_SELECTED:
		a = core.Selected()
	case pluginpb.Verdict_VERDICT_UNSELECTED:
		a = core.Unselected()
	case pluginpb.Verdict_VERDICT_THRESHOLD:
		if t := core.Threshold(m.GetThreshold()); t <= core.Never {
			a = core.At(t)
		}
	default:
	}
	if a.IsAbstain() {
		return a
	}
	return a.Because(m.GetReason()).WithAttributes(otlp.Attributes(m.GetAttributes())...)
}

// encodeKey turns what a lease is about into a message.
func encodeKey(p core.StartParameters) *pluginpb.Key {
	return &pluginpb.Key{Name: validText(p.Name), Kind: otlp.FromSpanKind(p.Kind), Attributes: otlp.KeyValues(p.Attributes)}
}

// decodeKey is the reverse.
func decodeKey(k *pluginpb.Key) core.StartParameters {
	return core.StartParameters{
		ParentContext: context.Background(),
		Name:          k.GetName(),
		Kind:          otlp.ToSpanKind(k.GetKind()),
		Attributes:    otlp.Attributes(k.GetAttributes()),
	}
}

func encodeTTL(d time.Duration) uint32 {
	const most = time.Duration(1<<32-1) * time.Millisecond
	if d <= 0 {
		return 0
	}
	return uint32(max(min(d, most).Milliseconds(), 1))
}

func decodeTTL(ms uint32) time.Duration { return time.Duration(ms) * time.Millisecond }

// validText is s as protobuf demands it.
func validText(s string) string { return strings.ToValidUTF8(s, string(utf8.RuneError)) }
