package bench

import "fmt"

// Bar is what riffle is held to.
type Bar struct {
	What  string
	Limit float64
	// Figure is what was measured; Known is false if this run did not.
	Figure Estimate
	Known  bool
	// Met is what the figure says. Doubtful tells that its interval has both
	// sides of the limit.
	Met, Doubtful bool
}

// Verdict is for people.
func (b *Bar) Verdict() string {
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

// Bars are worked out from what was measured.
func (r *Result) Bars() []Bar {
	full, stock := RiffleAt(1, false, HTTP).Name, StockAt(1, HTTP).Name
	kept := RiffleAt(0.01, true, HTTP).Name
	bars := []Bar{
		{What: fmt.Sprintf("overhead of %s over that of %s", full, stock), Limit: 0.45},
		{What: fmt.Sprintf("overhead of %s over that of the floor", kept), Limit: 1.30},
		{What: "CPU time of a trace with riffle 1 % over that with stock 1 %, micro-benchmark", Limit: 1.10},
	}
	bars[0].Figure, bars[0].Known = r.OverheadRatio(full, stock)
	bars[1].Figure, bars[1].Known = r.OverheadRatio(kept, nameFloor)
	bars[2].Figure, bars[2].Known = r.microRatio()
	for i := range bars {
		b := &bars[i]
		b.Met = b.Known && b.Figure.Value <= b.Limit
		b.Doubtful = b.Known && b.Figure.Low <= b.Limit && b.Figure.High > b.Limit
	}
	return bars
}

// Ratios are published without a bar.
func (r *Result) Ratios() []Bar {
	kept := RiffleAt(0.01, true, HTTP).Name
	var all []Bar
	for _, rate := range []float64{0.1, 1} {
		stock := StockAt(rate, HTTP).Name
		b := Bar{What: fmt.Sprintf("overhead of %s over that of %s", kept, stock)}
		b.Figure, b.Known = r.OverheadRatio(kept, stock)
		all = append(all, b)
	}
	return all
}
