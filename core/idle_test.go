package core

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
)

// ruled has two rules, of which one has met requests.
type ruled struct{ used [2]bool }

func (*ruled) Traits() sampling.Traits { return sampling.Traits{} }

func (s *ruled) RulesUsed(use func(string, bool)) {
	use("rules[0]: /a", s.used[0])
	use("rules[1]: /b", s.used[1])
	s.used = [2]bool{}
}

func TestIdleRules(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := &ruled{}
	r := rules{since: start}
	var list record.Samplers
	for _, step := range []struct {
		after time.Duration
		used  [2]bool
		want  []string
	}{
		{59 * time.Minute, [2]bool{}, nil},
		{time.Hour, [2]bool{true, false}, []string{"rules[1]: /b"}},
		{time.Hour + 59*time.Minute, [2]bool{}, []string{"rules[1]: /b"}},
		{2 * time.Hour, [2]bool{}, []string{"rules[0]: /a", "rules[1]: /b"}},
		{2 * time.Hour, [2]bool{true, true}, nil},
	} {
		s.used = step.used
		if _, got := r.idle("s", s, &list, start.Add(step.after)); !cmp.Equal(got, step.want) {
			t.Errorf("after %v idle are %q, want %q", step.after, got, step.want)
		}
	}
}
