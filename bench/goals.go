package bench

import (
	"fmt"

	"github.com/riffletrace/riffle/bench/internal/stats"
)

// Goal is what riffle is held to.
type Goal struct {
	What  string
	Unit  string // of Figure and Limit; "" of ratios
	Limit float64
	// Figure is what was measured; Known is false if this run did not.
	Figure Estimate
	Known  bool
	// Met is what the figure says. Doubtful tells that its interval has both
	// sides of the limit.
	Met, Doubtful bool
}

// Result is for people.
func (b *Goal) Result() string {
	switch {
	case !b.Known:
		return "not in this run"
	case b.Doubtful:
		return "not resolved by this run"
	case b.Met:
		return "met"
	default:
		return "missed"
	}
}

// Goals are worked out from what was measured.
func (r *Result) Goals() []Goal {
	full, stock := RiffleAt(1, false, HTTP).Name, StockAt(1, HTTP).Name
	kept := RiffleAt(0.01, true, HTTP).Name
	var goals []Goal
	add := func(what, unit string, limit float64, figure Estimate, known bool) {
		goals = append(goals, Goal{
			What: what, Unit: unit, Limit: limit, Figure: figure, Known: known,
			Met:      known && figure.Value <= limit,
			Doubtful: known && figure.Low <= limit && figure.High > limit,
		})
	}
	ratio := func(of, to string, limit float64) {
		figure, known := r.OverheadRatio(of, to)
		add(fmt.Sprintf("CPU time of %s over that of %s, each without the service's own", of, to), "", limit, figure, known)
	}
	ratio(kept, stock, 0.15)
	ratio(kept, nameFloor, 0.45)
	ratio(full, stock, 0.30)
	for _, g := range []struct {
		name  string
		limit float64
	}{{kept, 8}, {full, 9}} {
		var bytes Estimate
		m, known := r.Variant(g.name)
		if known {
			_, bytes = r.AllocOverhead(m)
		}
		add("allocated for a request by "+g.name, "KiB", g.limit, bytes.Times(1./1024), known && bytes.Known())
	}
	for _, name := range []string{kept, full} {
		figure, known := r.heapGrowth(name)
		add("highest heap of "+name+", without what waits in it, over that of the untraced service", "", 1.20, figure, known)
	}
	figure, known := r.microRatio()
	add("CPU time of a trace with riffle 1 % over that with stock 1 %, in a loop that does nothing else", "", 1.10, figure, known)
	return goals
}

// heapGrowth is how much higher the heap of a variant is, without what waits in it.
func (r *Result) heapGrowth(name string) (Estimate, bool) {
	base, ok := r.Variant(nameOff)
	m, okM := r.Variant(name)
	if !ok || !okM {
		return Estimate{}, false
	}
	with, without := pairs(m, base, func(r *Round) float64 { return float64(r.HeapHigh) - float64(r.WaitsHigh) })
	for i := range with {
		with[i] /= without[i]
	}
	return stats.MedianOf(with), len(with) > 0
}

// Ratios are published without a goal.
func (r *Result) Ratios() []Goal {
	kept := RiffleAt(0.01, true, HTTP).Name
	var all []Goal
	for _, rate := range []float64{0.1, 1} {
		stock := StockAt(rate, HTTP).Name
		b := Goal{What: fmt.Sprintf("overhead of %s over that of %s", kept, stock)}
		b.Figure, b.Known = r.OverheadRatio(kept, stock)
		all = append(all, b)
	}
	return all
}
