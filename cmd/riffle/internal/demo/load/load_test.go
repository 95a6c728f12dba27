package load

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPlan(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 999, 1000, 5000} {
		plan := Plan(n, 7)
		if diff := cmp.Diff(plan, Plan(n, 7)); diff != "" {
			t.Fatalf("n=%d: the same seed gives another plan:\n%s", n, diff)
		}
		var failing, slow, health int
		for i, r := range plan {
			if r.Number != i {
				t.Fatalf("n=%d: request %d has the number %d", n, i, r.Number)
			}
			if r.Fail {
				failing++
			}
			if r.Slow {
				slow++
			}
			if r.Health {
				health++
			}
			if r.Slow != (r.Work >= 400*time.Millisecond) || !r.Slow && r.Work > 50*time.Millisecond {
				t.Errorf("n=%d: slow=%v takes %v", n, r.Slow, r.Work)
			}
		}
		if len(plan) != n {
			t.Errorf("n=%d: %d requests", n, len(plan))
		}
		if n >= 3 && (failing != max(1, n*3/100) || slow != max(1, n/100) || health != max(1, n/10)) {
			t.Errorf("n=%d: %d failing, %d slow, %d health checks", n, failing, slow, health)
		}
	}
	if cmp.Equal(Plan(100, 1), Plan(100, 2)) {
		t.Error("another seed gives the same plan")
	}
}
