package lease

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffletrace/riffle/core/sampling"
)

// What is in the key makes a difference; what is not makes none.
// Who explains waits for the answer that a start would not wait for, or is told why
// there is none.
func TestPrepare(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name     string
		start    sampling.StartParameters
		starts   int // before
		fail     error
		hangs    bool
		deadline time.Duration
		asked    int
		want     error
		says     string
	}{
		{name: "a key that is new", start: start("a", "acme"), deadline: time.Second, asked: 1},
		{name: "a key that is asked about", start: start("a", "acme"), starts: 3, deadline: time.Second, asked: 1},
		{name: "nobody can answer", start: start("a", "acme"), fail: broken, deadline: 5 * time.Second, asked: 2, want: broken},
		{name: "nobody answers", start: start("a", "acme"), hangs: true, deadline: time.Second, asked: 1, want: context.DeadlineExceeded, says: "waiting for an answer"},
		{name: "a long key", start: start(strings.Repeat("a", maxText+1), "acme"), deadline: time.Second, says: "over 1024 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, byTenant, 100, always(time.Minute))
				r.fail = tt.fail
				if tt.hangs {
					r.gate = make(chan struct{})
				}
				for range tt.starts {
					r.Decide(&tt.start)
				}
				ctx, cancel := context.WithTimeout(t.Context(), tt.deadline)
				defer cancel()
				err := r.Prepare(ctx, &tt.start, r.ask)
				switch {
				case tt.want == nil && tt.says == "":
					if err != nil {
						t.Fatal(err)
					}
					if a := r.Decide(&tt.start); a.String() != "threshold 0" {
						t.Errorf("the answer is %v", a)
					}
					if err := r.Prepare(ctx, &tt.start, r.ask); err != nil {
						t.Errorf("again: %v", err)
					}
				case err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says):
					t.Errorf("the error is %v, want %v and %q", err, tt.want, tt.says)
				}
				if n := len(r.batches()); n != tt.asked {
					t.Errorf("asked %d times, want %d", n, tt.asked)
				}
			})
		})
	}
}
