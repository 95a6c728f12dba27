package bench

import (
	"errors"
	"fmt"
)

// Check finds out whether a result that was read from a file can be used.
func (r *Result) Check(file string) error {
	switch {
	case r.Format == 0:
		return fmt.Errorf("%s: it has no format: want a file that riffle bench --json has written", file)
	case r.Format != formatVersion:
		return fmt.Errorf("%s: it has format %d, this riffle reads %d: measure again", file, r.Format, formatVersion)
	case !r.begun():
		return errors.New(file + ": it has no rounds")
	default:
		return nil
	}
}

// Change is how a figure of a variant compares with that of another run.
type Change struct {
	Variant  string
	Figure   string
	Old, New Estimate
	// Worse is more by more than the noise of both runs: the intervals share
	// nothing. Better is less by as much.
	Worse, Better bool
}

// Compare compares with a run on the same machine: overheads, as shares of what
// the untraced service takes, and allocations. A loss of spans is always worse.
func (r *Result) Compare(baseline *Result) (all []Change) {
	for i := range r.Variants {
		m := &r.Variants[i]
		old, ok := baseline.Variant(m.Name)
		if !ok || len(m.Rounds) == 0 || len(old.Rounds) == 0 {
			continue
		}
		add := func(figure string, before, after Estimate) {
			c := Change{Variant: m.Name, Figure: figure, Old: before, New: after}
			c.Worse = after.Low > before.High
			c.Better = after.High < before.Low
			all = append(all, c)
		}
		if m.Kind != Off {
			_, before := baseline.Overhead(old)
			_, after := r.Overhead(m)
			add("overhead", before, after)
		}
		add("allocations", old.Allocs(), m.Allocs())
		if !m.Complete() {
			c := Change{Variant: m.Name, Figure: "spans lost", Worse: true}
			c.Old.Value, c.New.Value = float64(old.Lost()), float64(m.Lost())
			all = append(all, c)
		}
	}
	return all
}
