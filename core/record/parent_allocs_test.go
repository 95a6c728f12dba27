//go:build !race

package record

import (
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// A parent that tells no threshold costs no allocation that one with a threshold does not,
// after the first.
func TestAllocationsOfParentsWithoutThreshold(t *testing.T) {
	r := newRecorder(t, Config{}, selectNone)
	allocations := func(state string) float64 {
		ctx := withParent(remoteParent(t, trace.FlagsSampled, state))
		return testing.AllocsPerRun(1000, func() { r.start(ctx, "root").End() })
	}
	want := allocations("ot=th:0")
	if got := allocations(""); got > want {
		t.Errorf("a root below a parent without a threshold takes %v allocations, below another %v", got, want)
	}
	if s := r.Stats(); s.NoThreshold == 0 {
		t.Errorf("stats = %+v", s)
	}

	rules := newStartRules(nil, Watch, nil, new([countParts]startCounts))
	q := rootRequest{parent: remoteParent(t, trace.FlagsSampled, "")}
	q.TraceID = q.parent.TraceID()
	var d startDecision
	if n := testing.AllocsPerRun(1000, func() { d = startDecision{}; rules.decide(&d, &q) }); n != 0 {
		t.Errorf("to decide about it takes %v allocations", n)
	}
	if d.threshold != sampling.Never || !d.unknown {
		t.Errorf("it is decided with %v", d.threshold)
	}
}
