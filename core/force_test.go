package core_test

import (
	"testing"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/samplers/ratio"
)

func TestForce(t *testing.T) {
	const id = "0000000000000000ffffffffffffffff" // R is the greatest there is
	none := func() core.Component { return core.Use(ratio.Factory, "", ratio.Config{Rate: 0}) }
	drops := func() core.Component { return use("drop", &answering{answer: core.Drop(), mayDrop: true}) }
	tests := []struct {
		name     string
		samplers []core.Component
		remote   core.RemoteParent
		parent   string // "", "sampled" or "unsampled"
		state    string // of the parent
		th       core.Threshold
	}{
		{name: "only a ratio", samplers: []core.Component{none()}, th: core.Unknown},
		{name: "drop rule", samplers: []core.Component{drops()}, th: core.Unknown},
		{name: "end samplers", samplers: []core.Component{use("error", keepsErrors{}), none()}, th: core.Unknown},
		{name: "discarded when complete", samplers: []core.Component{use("discard", &discardBots{}), none()}, th: core.Unknown},
		{name: "drop rule and end samplers", samplers: []core.Component{drops(), use("error", keepsErrors{}), none()}, th: core.Unknown},
		{name: "watched unsampled parent", samplers: []core.Component{none()}, parent: "unsampled", state: "ot=th:8", th: core.Unknown},
		{name: "watched sampled parent", samplers: []core.Component{drops(), none()}, parent: "sampled", state: "ot=th:8", th: core.Unknown},
		{name: "watched certain parent", samplers: []core.Component{none()}, parent: "sampled", state: "ot=th:0", th: core.Always},
		{name: "followed parent", remote: core.Follow, samplers: []core.Component{none()}, parent: "unsampled", th: core.Unknown},
		{name: "ignored parent", remote: core.Ignore, samplers: []core.Component{none()}, parent: "sampled", state: "ot=th:0", th: core.Unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, core.Spec{Samplers: tt.samplers, RemoteParent: tt.remote})
			ctx := t.Context()
			if tt.parent != "" {
				ctx = remoteContext(t, id, tt.state, tt.parent == "sampled")
			}
			ctx, root := b.tracer.Start(core.ContextWithForce(ctx), "bot")
			if !root.SpanContext().IsSampled() {
				t.Error("the root is not sampled")
			}
			_, child := b.tracer.Start(ctx, "child")
			child.End()
			root.End()
			for name, s := range b.wantNames("bot", "child") {
				if got := core.ThresholdOf(s.SpanContext()); got != tt.th {
					t.Errorf("threshold of %s = %s, want %s", name, got, tt.th)
				}
			}
			if got := attr(b.flushed()["bot"], core.SamplerKey).AsString(); got != core.ForceSampler {
				t.Errorf("%s = %q", core.SamplerKey, got)
			}
		})
	}
}

// A force in the context says nothing about the spans below one that is there
// already, and nothing about other traces.
func TestForceComesBeforeTheRoot(t *testing.T) {
	b := newBench(t, core.Spec{Samplers: []core.Component{core.Use(ratio.Factory, "", ratio.Config{Rate: 0})}})
	ctx, root := b.tracer.Start(t.Context(), "root")
	_, child := b.tracer.Start(core.ContextWithForce(ctx), "child")
	child.End()
	root.End()
	b.wantNames()
}
