package report

import (
	"fmt"
	"strings"

	"github.com/riffletrace/riffle/bench"
)

// What the findings are about.
var (
	keeps = bench.RiffleAt(0.01, true, bench.HTTP).Name
	full  = bench.RiffleAt(1, false, bench.HTTP).Name
	stock = bench.StockAt(1, bench.HTTP).Name
)

// findings say in plain sentences what a run has found, and no more: of what users have
// configured, and of what riffle is for.
func findings(r *bench.Result) (sentences []string) {
	var others []*bench.Measured
	for i := range r.Variants {
		switch m := &r.Variants[i]; {
		case m.Kind == bench.Off || len(m.Rounds) == 0:
		case m.Name == keeps:
			sentences = append(sentences, finding(r, m, "Every error, every slow request and 1 % of the rest, with riffle"))
		case m.Name == full:
			sentences = append(sentences, finding(r, m, "Everything, with riffle"))
		case m.Own:
			sentences = append(sentences, finding(r, m, m.Name))
		default:
			others = append(others, m)
		}
	}
	if len(sentences) == 0 && len(others) > 0 {
		sentences = append(sentences, finding(r, others[0], others[0].Name))
	}
	return sentences
}

// finding is that of a variant: over the SDK that sends everything, or, if that is not in
// the run, over the untraced service. What has no interval, or one that says nothing, is
// not resolved.
func finding(r *bench.Result, m *bench.Measured, subject string) string {
	const unresolved = "; what it takes of CPU time is not resolved by this run"
	_, bytes := r.AllocOverhead(m)
	base, ok := r.Variant(stock)
	if !ok || len(base.Rounds) == 0 || m == base {
		ns, _ := r.Overhead(m)
		allocated := kilobytes(bytes.Value) + " allocated for a request, over the untraced service"
		if !ns.Bounded() || !ns.Resolves(0) {
			return subject + ": " + allocated + unresolved + "." + losses(m)
		}
		return subject + ": " + microsIn(ns) + " of CPU time and " + allocated + "." + losses(m)
	}
	_, theirs := r.AllocOverhead(base)
	allocated := kilobytes(bytes.Value) + " allocated for a request instead of " + number(theirs.Value/1024, 1)
	ratio, known := r.OverheadRatio(m.Name, stock)
	if !known || !ratio.Bounded() {
		return subject + ": " + allocated + " with the SDK that sends everything" + unresolved + "." + losses(m, base)
	}
	return subject + ": " + in(ratio, "", digits(2)) + " of the CPU time that the SDK takes to send everything, and " + allocated + "." + losses(m, base)
}

// losses tell which of variants dropped spans.
func losses(of ...*bench.Measured) string {
	var all []string
	for _, m := range of {
		if n := dropped(m); n > 0 {
			all = append(all, fmt.Sprintf("%s dropped %s of its spans", m.Name, share(n)))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return " But " + strings.Join(all, " and ") + ", which is cheaper than to send them."
}

// dropped is the share of what was to be sent.
func dropped(m *bench.Measured) float64 {
	return float64(m.Counts.Dropped) / float64(max(m.Counts.Kept, 1))
}

// standing says how the goals are met.
func standing(r *bench.Result) string {
	results := []string{lossless(r)}
	for _, g := range r.Goals() {
		results = append(results, g.Result())
	}
	var told []string
	for _, result := range []string{"met", "missed", "not resolved by this run", "not in this run"} {
		n := 0
		for _, is := range results {
			if is == result {
				n++
			}
		}
		if n > 0 {
			told = append(told, fmt.Sprintf("%d %s", n, result))
		}
	}
	return fmt.Sprintf("Of the %d goals that riffle is held to: %s.", len(results), strings.Join(told, ", "))
}

// lossless is the goal that no span is lost that nobody counts.
func lossless(r *bench.Result) string {
	for i := range r.Variants {
		if !r.Variants[i].Complete() {
			return "missed"
		}
	}
	return "met"
}
