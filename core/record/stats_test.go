package record

import (
	"context"
	"testing"
)

// A segment of which a part was not kept, and that is then let go for lack of memory,
// is one of those that were not kept, once: what was let go for each reason must not
// add up to more than all.
func TestStatsOfASegmentThatIsLetGoInParts(t *testing.T) {
	r := newRecorder(t, Config{}, onError, selectNone)
	ctx, root := r.tracer.Start(context.Background(), "root")
	r.start(ctx, "early").End()
	l := r.live
	l.decideOverdue(root.(*span).segment)
	_, other := r.tracer.Start(context.Background(), "let go only")
	r.start(ctx, "late").End()
	l.level.Store(l.levelOf(maxHalvings))
	l.press()
	l.level.Store(0)
	if s := r.Stats(); s.NotKept != 2 || s.UnderPressure != 1 || s.SpansNotKept != 4 || s.Open != 0 {
		t.Errorf("stats = %+v, want 2 segments not kept, 1 of them under pressure, and 4 spans", s)
	}
	other.End()
	root.End()
}
