package bench

import "fmt"

// Goal is what riffle is held to.
type Goal struct {
	What  string
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
	goals := []Goal{
		{What: fmt.Sprintf("overhead of %s over that of %s", full, stock), Limit: 0.45},
		{What: fmt.Sprintf("overhead of %s over that of the floor", kept), Limit: 1.30},
		{What: "CPU time of a trace with riffle 1 % over that with stock 1 %, micro-benchmark", Limit: 1.10},
	}
	goals[0].Figure, goals[0].Known = r.OverheadRatio(full, stock)
	goals[1].Figure, goals[1].Known = r.OverheadRatio(kept, nameFloor)
	goals[2].Figure, goals[2].Known = r.microRatio()
	for i := range goals {
		b := &goals[i]
		b.Met = b.Known && b.Figure.Value <= b.Limit
		b.Doubtful = b.Known && b.Figure.Low <= b.Limit && b.Figure.High > b.Limit
	}
	return goals
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
