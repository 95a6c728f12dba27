// Package report shows what was measured: as text, as Markdown, and as one HTML
// page that needs no network. All say the same, because all are made from the
// same tables.
package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/riffletrace/riffle/bench"
	"github.com/riffletrace/riffle/bench/internal/parts"
)

// table is a part of a report.
type table struct {
	ID    string // of the HTML element
	Title string
	About string // what to know about it
	Head  []string
	Rows  [][]string
}

// claims are what guides say without telling how they know.
var claims = map[float64]string{0.01: "under 1 %", 0.1: "1-2 %", 1: "5-10 %"}

// tables are the report.
func tables(r *bench.Result) []table {
	all := []table{overhead(r), goals(r), latency(r), spans(r)}
	if t, ok := split(r); ok {
		all = append(all, t)
	}
	return append(all, scaling(r)...)
}

// headline is what a reader sees first.
func headline(r *bench.Result) string {
	state := ""
	if r.Interrupted {
		state = " It was interrupted: this is what there is, without the round that was under way."
	}
	return fmt.Sprintf("Measured on %s in %s: %s, %d cores, %s%s, %s, riffle %s.%s",
		r.Started.Format("2 January 2006"), time.Duration(r.Seconds*float64(time.Second)).Round(time.Second),
		r.Machine.CPU, r.Machine.Cores, memory(r.Machine.Memory), r.Machine.OS, r.Machine.Go, r.Versions["riffle"], state)
}

func memory(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f GiB, ", float64(n)/(1<<30))
}

// method says how the figures came about, in a few sentences.
func method(r *bench.Result) []string {
	s := &r.Settings
	lines := []string{
		fmt.Sprintf("%s of CPU time for each variant, of %d requests each, sent by %d workers; in each cycle every variant has its turn, in fresh order, in a fresh process.",
			rounds(s.Rounds), s.RequestsOfRound, s.Workers),
		fmt.Sprintf("%s of latency, an open loop of %.0f requests a second, timed from when each was due; %s of throughput, a closed loop.",
			rounds(s.SideRounds), s.LatencyRate, rounds(s.SideRounds)),
		"Overhead is the CPU time of the service's process over that of the untraced service in the same cycle. Figures are medians, brackets 95 % intervals by bootstrap over rounds. “Not resolved” means that the interval has both sides of zero: the noise of this machine is larger than the figure.",
	}
	return append(lines, r.Notes...)
}

func rounds(n int) string {
	if n == 1 {
		return "1 round"
	}
	return strconv.Itoa(n) + " rounds"
}

func overhead(r *bench.Result) table {
	t := table{
		ID: "overhead", Title: "Overhead",
		About: "CPU time of a request, what tracing adds to it, and what guides commonly claim for such a rate.",
		Head:  []string{"variant", "CPU of a request", "overhead", "over untraced", "per span", "allocations", "allocated", "heap, highest", "common claim"},
	}
	for i := range r.Variants {
		m := &r.Variants[i]
		if len(m.Rounds) == 0 {
			continue
		}
		ns, share := r.Overhead(m)
		row := []string{m.Name, micros(m.CPU().Value), "", "", "", number(m.Allocs().Value, 0), kilobytes(m.AllocBytes().Value), megabytes(m.HeapHigh().Value), ""}
		if m.Kind != bench.Off {
			row[2], row[3] = microsIn(ns), shareIn(share)
			row[4] = perSpan(r, ns)
			row[8] = claims[m.Rate]
			if m.Kind == bench.Floor || m.Config != "" && m.Protocol == "" {
				row[8] = ""
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func perSpan(r *bench.Result, ns bench.Estimate) string {
	if r.Settings.SpansPerRequest == 0 || !ns.Resolves(0) {
		return "-"
	}
	return micros(ns.Value / float64(r.Settings.SpansPerRequest))
}

func goals(r *bench.Result) table {
	t := table{
		ID: "goals", Title: "What riffle is held to",
		About: "Worked out from this run.",
		Head:  []string{"", "measured", "goal", ""},
	}
	for _, b := range r.Goals() {
		measured := "-"
		if b.Known {
			measured = ratioIn(b.Figure)
		}
		t.Rows = append(t.Rows, []string{b.What, measured, "≤ " + number(b.Limit, 2), b.Result()})
	}
	lost := "met"
	for i := range r.Variants {
		if !r.Variants[i].Complete() {
			lost = "missed"
		}
	}
	t.Rows = append(t.Rows, []string{"nothing lost: spans sent + counted drops = spans kept, and what was sent has arrived", "", "every variant", lost})
	for _, b := range r.Ratios() {
		if b.Known {
			t.Rows = append(t.Rows, []string{b.What, ratioIn(b.Figure), "none", ""})
		}
	}
	return t
}

func latency(r *bench.Result) table {
	t := table{
		ID: "latency", Title: "Latency and throughput",
		About: "The load, the backend and the database share the machine with the service, so compare the variants and nothing else.",
		Head:  []string{"variant", "p50", "p99", "p99.9", "requests timed", "most requests a second"},
	}
	for i := range r.Variants {
		m := &r.Variants[i]
		if m.Latency.Total() == 0 {
			continue
		}
		row := []string{m.Name}
		for _, q := range []float64{0.5, 0.99, 0.999} {
			row = append(row, millis(m.Latency.Quantile(q)))
		}
		most := "-"
		if e := m.MaxThroughput(); e.Known() {
			most = fmt.Sprintf("%.0f %s", e.Value, between(e, func(v float64) string { return number(v, 0) }))
		}
		t.Rows = append(t.Rows, append(row, strconv.FormatUint(m.Latency.Total(), 10), most))
	}
	return t
}

func spans(r *bench.Result) table {
	t := table{
		ID: "spans", Title: "Spans",
		About: "Of all rounds together, those that warmed up and those that loaded the service with all it could take included. Arrived is what the backend counted.",
		Head:  []string{"variant", "kept", "sent", "dropped, counted", "arrived", ""},
	}
	for i := range r.Variants {
		m := &r.Variants[i]
		if m.Kind == bench.Off || m.Kind == bench.Floor {
			continue
		}
		c, arrived, verdict := m.Counts, strconv.FormatUint(m.Counts.Received, 10), "nothing lost"
		if m.Own {
			arrived = "where it says"
		}
		if !m.Complete() {
			verdict = fmt.Sprintf("%d LOST", m.Lost())
		}
		t.Rows = append(t.Rows, []string{
			m.Name, strconv.FormatUint(c.Kept, 10), strconv.FormatUint(c.Sent, 10),
			strconv.FormatUint(c.Dropped, 10), arrived, verdict,
		})
	}
	return t
}

// split is the CPU time by part.
func split(r *bench.Result) (table, bool) {
	t := table{
		ID: "parts", Title: "CPU time by part",
		About: "Of one profiled round; 100 samples a second, so small figures are coarse. gc is the collector's own goroutines, whoever made the garbage.",
		Head:  append([]string{"variant, µs of a request"}, parts.All...),
	}
	for i := range r.Variants {
		m := &r.Variants[i]
		if m.Profiled == 0 {
			continue
		}
		row := []string{m.Name}
		for _, part := range parts.All {
			row = append(row, number(partMicros(m, part), 1))
		}
		t.Rows = append(t.Rows, row)
	}
	return t, len(t.Rows) > 0
}

func partMicros(m *bench.Measured, part string) float64 {
	return float64(m.Parts[part]) / float64(max(m.Profiled, 1)) / 1e3
}

func scaling(r *bench.Result) (all []table) {
	for _, d := range bench.Dimensions() {
		t := table{
			ID: scalingID(d), Title: "Scaling: " + string(d),
			About: aboutDimension(d, r.Machine.Cores),
			Head:  []string{string(d), "variant", "CPU of a trace", "traces a second", "found no room"},
		}
		for _, p := range r.Scaling {
			if p.Dimension == d {
				t.Rows = append(t.Rows, []string{
					strconv.Itoa(p.X), p.Variant, micros(median(p.CPU)), number(median(p.PerSecond), 0), share(p.Dropped),
				})
			}
		}
		if len(t.Rows) > 0 {
			all = append(all, t)
		}
	}
	return all
}

func scalingID(d bench.Dimension) string { return "scaling-" + strings.ReplaceAll(string(d), " ", "-") }

func aboutDimension(d bench.Dimension, cores int) string {
	loop := "A loop of traces of two spans that does nothing else; "
	switch d {
	case bench.Goroutines:
		return loop + fmt.Sprintf("at once on the %d cores of this machine.", cores)
	case bench.Processors:
		return loop + fmt.Sprintf("16 goroutines; this machine has %d cores, and nothing is claimed beyond.", cores)
	case bench.Routes:
		return loop + "rules of the sampler route, none of which is about these traces."
	case bench.Exporters:
		return loop + "each exporter gets every span."
	case bench.SpanSize:
		return loop + "KiB of attributes in each span. What finds no room is dropped, which is cheaper than sending."
	default:
		return loop
	}
}

const notResolved = "not resolved"

// unresolved shows an interval that has both sides of zero.
func unresolved(e bench.Estimate, show func(float64) string, unit string) string {
	if !e.Bounded() {
		return notResolved + " by one round"
	}
	return notResolved + " " + between(e, show) + unit
}

// micros shows nanoseconds.
func micros(ns float64) string { return number(ns/1e3, 1) + " µs" }

func microsIn(e bench.Estimate) string {
	if !e.Known() {
		return "-"
	}
	show := func(v float64) string { return number(v/1e3, 1) }
	if !e.Resolves(0) {
		return unresolved(e, show, " µs")
	}
	return micros(e.Value) + " " + between(e, show)
}

func shareIn(e bench.Estimate) string {
	if !e.Known() {
		return "-"
	}
	if !e.Resolves(0) {
		return unresolved(e, signedShare, " %")
	}
	return signedShare(e.Value) + " % " + between(e, signedShare)
}

func ratioIn(e bench.Estimate) string {
	if !e.Bounded() {
		return notResolved
	}
	return number(e.Value, 2) + " " + between(e, func(v float64) string { return number(v, 2) })
}

func between(e bench.Estimate, show func(float64) string) string {
	if !e.Bounded() {
		return "[one round: no interval]"
	}
	return "[" + show(e.Low) + " .. " + show(e.High) + "]"
}

func signedShare(v float64) string {
	return fmt.Sprintf("%+.1f", 100*v)
}

func share(v float64) string {
	if v == 0 {
		return "0 %"
	}
	return number(100*v, 1) + " %"
}

func number(v float64, digits int) string {
	if math.IsNaN(v) || math.Abs(v) == math.MaxFloat64 {
		return "-"
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

func kilobytes(v float64) string { return number(v/(1<<10), 1) + " KiB" }
func megabytes(v float64) string { return number(v/(1<<20), 1) + " MiB" }

func millis(d time.Duration) string { return number(float64(d)/1e6, 2) + " ms" }
