package wire

import (
	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/sampling"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// EncodeSampler says what a sampler that can be served decides.
func EncodeSampler(s sampling.Sampler) *pluginpb.SamplerInstance {
	t := s.Traits()
	in := &pluginpb.SamplerInstance{
		Description: ValidText(t.Description),
		NeedsMatch:  t.NeedsMatch, NeedsSample: t.NeedsSample, IgnoresSample: t.IgnoresSample,
	}
	if _, ok := s.(sampling.StartSampler); ok {
		in.Start = &pluginpb.StartSampling{Keys: texts(t.Keys), IgnoresName: t.IgnoresName, IgnoresKind: t.IgnoresKind, MayDrop: t.MayDrop}
	}
	if _, ok := s.(sampling.SegmentSampler); ok {
		in.Segments = &pluginpb.SegmentSampling{Spans: true}
		if t.RootOnly {
			in.Segments = &pluginpb.SegmentSampling{Attributes: texts(t.RootKeys)}
		}
		in.Segments.NeverRaises = t.NeverRaises
	}
	return in
}

// DecodeTraits is the reverse, as far as there are words for it on the wire.
func DecodeTraits(in *pluginpb.SamplerInstance) sampling.Traits {
	t := sampling.Traits{
		Description: in.GetDescription(),
		NeedsMatch:  in.GetNeedsMatch(), NeedsSample: in.GetNeedsSample(), IgnoresSample: in.GetIgnoresSample(),
	}
	if start := in.GetStart(); start != nil {
		t.Keyed, t.Keys, t.MayDrop = true, keys(start.GetKeys()), start.GetMayDrop()
		t.IgnoresName, t.IgnoresKind = start.GetIgnoresName(), start.GetIgnoresKind()
	}
	if segments := in.GetSegments(); segments != nil {
		t.NeverRaises = segments.GetNeverRaises()
		if t.RootOnly = !segments.GetSpans(); t.RootOnly {
			t.RootKeys = keys(segments.GetAttributes())
		}
	}
	return t
}

func texts(keys []attribute.Key) []string {
	all := make([]string, len(keys))
	for i, k := range keys {
		all[i] = ValidText(string(k))
	}
	return all
}

func keys(texts []string) []attribute.Key {
	all := make([]attribute.Key, len(texts))
	for i, s := range texts {
		all[i] = attribute.Key(s)
	}
	return all
}
