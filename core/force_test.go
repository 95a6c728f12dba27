package core_test

import (
	"testing"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/ratio"
)

func TestForce(t *testing.T) {
	const id = "0000000000000000ffffffffffffffff" // R is the greatest there is
	none := func() core.SamplerEntry { return core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0}) }
	drops := func() core.SamplerEntry { return use("drop", &answering{answer: sampling.Drop(), mayDrop: true}) }
	tests := []struct {
		name     string
		samplers []core.SamplerEntry
		remote   record.RemoteParent
		parent   string // "", "sampled" or "unsampled"
		state    string // of the parent
		th       sampling.Threshold
	}{
		{name: "only a ratio", samplers: []core.SamplerEntry{none()}, th: sampling.Always},
		{name: "drop rule", samplers: []core.SamplerEntry{drops()}, th: sampling.Always},
		{name: "end samplers", samplers: []core.SamplerEntry{use("error", keepsErrors{}), none()}, th: sampling.Always},
		{name: "discarded when complete", samplers: []core.SamplerEntry{use("discard", &discardBots{}), none()}, th: sampling.Always},
		{name: "drop rule and end samplers", samplers: []core.SamplerEntry{drops(), use("error", keepsErrors{}), none()}, th: sampling.Always},
		{name: "watched unsampled parent", samplers: []core.SamplerEntry{none()}, parent: "unsampled", state: "ot=th:8", th: sampling.Always},
		{name: "watched sampled parent", samplers: []core.SamplerEntry{drops(), none()}, parent: "sampled", state: "ot=th:8", th: sampling.Always},
		{name: "watched certain parent", samplers: []core.SamplerEntry{none()}, parent: "sampled", state: "ot=th:0", th: sampling.Always},
		{name: "followed parent", remote: record.Follow, samplers: []core.SamplerEntry{none()}, parent: "unsampled", th: sampling.Always},
		{name: "ignored parent", remote: record.Ignore, samplers: []core.SamplerEntry{none()}, parent: "sampled", state: "ot=th:0", th: sampling.Always},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, core.Spec{Samplers: tt.samplers, RemoteParent: tt.remote})
			ctx := t.Context()
			if tt.parent != "" {
				ctx = remoteContext(t, id, tt.state, tt.parent == "sampled")
			}
			ctx, root := b.tracer.Start(sampling.ContextWithForce(ctx), "bot")
			if !root.SpanContext().IsSampled() {
				t.Error("the root is not sampled")
			}
			_, child := b.tracer.Start(ctx, "child")
			child.End()
			root.End()
			for name, s := range b.wantNames("bot", "child") {
				if got := sampling.ThresholdOf(s.SpanContext()); got != tt.th {
					t.Errorf("threshold of %s = %s, want %s", name, got, tt.th)
				}
			}
			if got := attr(b.flushed()["bot"], sampling.SamplerKey).AsString(); got != sampling.ForceSampler {
				t.Errorf("%s = %q", sampling.SamplerKey, got)
			}
		})
	}
}

// A force in the context says nothing about the spans below one that is there
// already, and nothing about other traces.
func TestForceComesBeforeTheRoot(t *testing.T) {
	b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0})}})
	ctx, root := b.tracer.Start(t.Context(), "root")
	_, child := b.tracer.Start(sampling.ContextWithForce(ctx), "child")
	child.End()
	root.End()
	b.wantNames()
}
