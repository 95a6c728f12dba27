package core_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/samplers/ratio"
	"github.com/riffletrace/riffle/samplers/slow"
)

func baseline(rate float64) core.Component { return core.Use(ratio.Factory, "", ratio.Config{Rate: rate}) }

// A trace is never decided before it is decision_wait old: until then, slow
// cannot tell.
func TestSlowJustBelowDecisionWait(t *testing.T) {
	for _, late := range []time.Duration{0, 1, 50 * time.Millisecond, 99 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, core.Spec{Samplers: []core.Component{
				core.Use(slow.Factory, "", slow.Config{Threshold: core.Duration(30*time.Second - 1), Spans: slow.LocalRoot}), baseline(0),
			}})
			time.Sleep(late)
			ctx, root := b.tracer.Start(t.Context(), "root")
			_, child := b.tracer.Start(ctx, "child")
			child.End()
			time.Sleep(35 * time.Second)
			root.End()
			b.wantNames("root", "child")
			_ = b.provider.Shutdown(context.Background())
		})
	}
}
