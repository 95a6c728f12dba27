package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/riffletrace/riffle/bench"
	"github.com/riffletrace/riffle/bench/internal/stats"
)

const notResolved = "not resolved"

// unknown is a figure that there is not.
var unknown = bench.Estimate{Value: math.NaN()}

// in shows an estimate with its interval, if there is one.
func in(e bench.Estimate, unit string, show func(float64) string) string {
	if !e.Known() {
		return "-"
	}
	if !e.Bounded() {
		return show(e.Value) + unit
	}
	return show(e.Value) + unit + " " + between(e, show)
}

// over is [in] of what is over the untraced service, which may be nothing.
func over(e bench.Estimate, unit string, show func(float64) string) string {
	if e.Known() && e.Bounded() && !e.Resolves(0) {
		return notResolved + " " + between(e, show) + unit
	}
	return in(e, unit, show)
}

func between(e bench.Estimate, show func(float64) string) string {
	return "[" + show(e.Low) + " .. " + show(e.High) + "]"
}

// digits show a number with so many behind the point.
func digits(n int) func(float64) string {
	return func(v float64) string { return number(v, n) }
}

// microsIn shows nanoseconds over the untraced service.
func microsIn(ns bench.Estimate) string { return over(ns.Times(1e-3), " µs", digits(1)) }

// kibIn shows bytes over the untraced service.
func kibIn(bytes bench.Estimate) string { return over(bytes.Times(1./1024), " KiB", digits(1)) }

func shareIn(e bench.Estimate) string {
	return over(e, " %", func(v float64) string { return fmt.Sprintf("%+.1f", 100*v) })
}

// ratioIn shows the ratio of an overhead to that of another variant. If it has no interval
// though there were rounds enough, the other overhead is not resolved, and there is none.
func ratioIn(r *bench.Result, e bench.Estimate) string {
	if !e.Bounded() && r.Settings.Rounds >= stats.MinRounds {
		return notResolved
	}
	return in(e, "", digits(2))
}

// micros shows nanoseconds.
func micros(ns float64) string { return number(ns/1e3, 1) + " µs" }

func share(v float64) string {
	switch {
	case v == 0:
		return "0 %"
	case v < 0.001:
		return "under 0.1 %"
	default:
		return number(100*v, 1) + " %"
	}
}

func number(v float64, digits int) string {
	if math.IsNaN(v) || math.Abs(v) == math.MaxFloat64 {
		return "-"
	}
	if s := strconv.FormatFloat(v, 'f', digits, 64); v >= 0 || s != strconv.FormatFloat(math.Copysign(0, -1), 'f', digits, 64) {
		return s
	}
	return strconv.FormatFloat(0, 'f', digits, 64) // and not -0.0
}

func kilobytes(v float64) string { return number(v/(1<<10), 1) + " KiB" }

// size is of memory.
func size(v float64) string {
	if v < 1<<20 {
		return kilobytes(v)
	}
	return number(v/(1<<20), 1) + " MiB"
}

// short is for the marks of an axis.
func short(v float64) string {
	switch a := math.Abs(v); {
	case a >= 10 || a < 1e-9:
		return number(v, 0)
	case a >= 1:
		return strings.TrimSuffix(number(v, 1), ".0")
	default:
		return strings.TrimRight(number(v, 3), "0")
	}
}
