package report

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/riffletrace/riffle/bench"
	"github.com/riffletrace/riffle/bench/internal/parts"
	"github.com/riffletrace/riffle/bench/internal/stats"
)

// claims are what guides say without telling how they know.
var claims = map[float64]string{0.01: "under 1 %", 0.1: "1-2 %", 1: "5-10 %"}

func claim(m *bench.Measured) string {
	if m.Own || m.Kind == bench.Off || m.Kind == bench.Floor {
		return ""
	}
	return claims[m.Rate]
}

// named is the name of a variant in tables of what it costs: one that dropped spans is
// cheaper than one that sends them.
func named(m *bench.Measured) string { return withDropped(m.Name, dropped(m)) }

func withDropped(name string, n float64) string {
	if n > 0 {
		return name + " (dropped " + share(n) + ")"
	}
	return name
}

// portable is what depends on the service and hardly on the machine.
func portable(r *bench.Result) section {
	s := section{
		ID: "portable", Title: "What carries over to other machines",
		About: "For a request, over the untraced service",
		Head:  []string{"variant", "allocated", "objects", "page faults", "CPU time, " + stock + " is 1", "heap, highest", "of it waits"},
	}
	for i := range r.Variants {
		m := &r.Variants[i]
		if len(m.Rounds) == 0 {
			continue
		}
		row := []string{named(m), "", "", "", "", size(m.HeapHigh().Value), ""}
		if m.Kind == bench.Off {
			s.About += fmt.Sprintf(", which allocates %s in %s objects", kilobytes(m.AllocBytes().Value), number(m.Allocs().Value, 0))
		} else {
			objects, bytes := r.AllocOverhead(m)
			row[1], row[2] = kibIn(bytes), over(objects, "", digits(0))
			row[3] = faults(r, r.FaultOverhead(m))
			row[4] = ofStock(r, m)
			row[6] = waits(m)
		}
		s.Rows = append(s.Rows, row)
	}
	s.About += ". CPU time is told as a share of what " + stock + " adds, which depends less on the machine than microseconds do. What waits is what riffle held at most: traces under way, and queues."
	return s
}

// faults shows page faults, if the system tells of any.
func faults(r *bench.Result, e bench.Estimate) string {
	for i := range r.Variants {
		if r.Variants[i].Faults().Value > 0 {
			if !e.Known() {
				return number(0, 2)
			}
			return over(e, "", digits(2))
		}
	}
	return "-"
}

func ofStock(r *bench.Result, m *bench.Measured) string {
	ratio, known := r.OverheadRatio(m.Name, stock)
	if !known {
		return "-"
	}
	if m.Name == stock {
		return "1"
	}
	return ratioIn(r, ratio)
}

func waits(m *bench.Measured) string {
	if m.Kind != bench.Riffle {
		return "" // nobody tells
	}
	return size(m.WaitsHigh().Value)
}

func cpu(r *bench.Result) section {
	s := section{
		ID: "cpu", Title: "CPU time on this machine",
		About: "Of a request: what the process of the service takes, itself and of the kernel, what tracing adds to it, and what guides commonly claim for such a rate.",
		Head:  []string{"variant", "CPU of a request", "user", "system", "overhead", "over untraced", "per span", "common claim"},
	}
	for i := range r.Variants {
		m := &r.Variants[i]
		if len(m.Rounds) == 0 {
			continue
		}
		row := []string{named(m), micros(m.CPU().Value), micros(m.User().Value), micros(m.System().Value), "", "", "", claim(m)}
		if m.Kind != bench.Off {
			ns, more := r.Overhead(m)
			row[4], row[5], row[6] = microsIn(ns), shareIn(more), perSpan(r, ns)
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}

func perSpan(r *bench.Result, ns bench.Estimate) string {
	if r.Settings.SpansPerRequest == 0 || !ns.Known() || ns.Bounded() && !ns.Resolves(0) {
		return "-"
	}
	return micros(ns.Value / float64(r.Settings.SpansPerRequest))
}

func goals(r *bench.Result) section {
	s := section{
		ID: "goals", Title: "What riffle is held to",
		About: "Worked out from this run. Costs are those of a request over the untraced service.",
		Head:  []string{"", "measured", "goal", ""},
	}
	for _, g := range r.Goals() {
		unit := g.Unit
		if unit != "" {
			unit = " " + unit
		}
		measured := "-"
		if g.Known {
			measured = in(g.Figure, unit, digits(2))
			if g.Unit == "" {
				measured = ratioIn(r, g.Figure)
			}
		}
		s.Rows = append(s.Rows, []string{g.What, measured, "≤ " + number(g.Limit, 2) + unit, g.Result()})
	}
	s.Rows = append(s.Rows, []string{"nothing lost: spans sent + counted drops = spans kept, and what was sent has arrived", "", "every variant", lossless(r)})
	for _, g := range r.Ratios() {
		if g.Known {
			s.Rows = append(s.Rows, []string{g.What, ratioIn(r, g.Figure), "none", ""})
		}
	}
	return s
}

func latency(r *bench.Result) section {
	s := section{
		ID: "latency", Title: "Latency and throughput",
		About: "The load, the backend and the database share the machine with the service, so compare the variants and nothing else. Where a 99th percentile is above 1.5 times the median of those of all variants, as many rounds again were measured, up to twice; all rounds count.",
		Head:  []string{"variant", "p50", "p99", "requests timed", "rounds again", "most requests a second"},
	}
	for i := range r.Variants {
		m := &r.Variants[i]
		if m.Timed() == 0 {
			continue
		}
		s.Rows = append(s.Rows, []string{
			named(m), millis(m.LatencyAt(0.5)), millis(m.LatencyAt(0.99)),
			strconv.FormatUint(m.Timed(), 10), strconv.Itoa(m.Again), in(m.MaxThroughput(), "", digits(0)),
		})
	}
	return s
}

// millis shows nanoseconds.
func millis(ns bench.Estimate) string { return in(ns.Times(1e-6), " ms", digits(2)) }

func spans(r *bench.Result) section {
	s := section{
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
		s.Rows = append(s.Rows, []string{
			m.Name, strconv.FormatUint(c.Kept, 10), strconv.FormatUint(c.Sent, 10),
			strconv.FormatUint(c.Dropped, 10), arrived, verdict,
		})
	}
	return s
}

// split is the CPU time by part.
func split(r *bench.Result) section {
	s := section{
		ID: "parts", Title: "CPU time by part",
		About: "Microseconds of a request, of one profiled round; 100 samples a second, so small figures are coarse. gc is the collector's own goroutines, whoever made the garbage.",
		Head:  append([]string{"variant"}, parts.All...),
	}
	for i := range r.Variants {
		m := &r.Variants[i]
		if m.Profiled == 0 {
			continue
		}
		row := []string{named(m)}
		for _, part := range parts.All {
			row = append(row, number(partMicros(m, part), 1))
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}

func partMicros(m *bench.Measured, part string) float64 {
	return float64(m.Parts[part]) / float64(max(m.Profiled, 1)) / 1e3
}

func scaling(r *bench.Result) (all []section) {
	for _, d := range bench.Dimensions() {
		s := section{
			ID: scalingID(d), Title: "Scaling: " + string(d),
			About: aboutDimension(d, r.Machine.Cores),
			Head:  []string{string(d), "variant", "CPU of a trace", "traces a second"},
		}
		for i := range r.Scaling {
			p := &r.Scaling[i]
			if p.Dimension != d {
				continue
			}
			took, perSecond := in(stats.MedianOf(p.CPU).Times(1e-3), " µs", digits(1)), in(stats.MedianOf(p.PerSecond), "", digits(0))
			if p.Dropped > negligible {
				took, perSecond = "not comparable", "not comparable"
			}
			s.Rows = append(s.Rows, []string{strconv.Itoa(p.X), withDropped(p.Variant, p.Dropped), took, perSecond})
		}
		if len(s.Rows) > 0 {
			all = append(all, s)
		}
	}
	return all
}

func scalingID(d bench.Dimension) string { return "scaling-" + strings.ReplaceAll(string(d), " ", "-") }

func aboutDimension(d bench.Dimension, cores int) string {
	loop := "A loop of traces of two spans that does nothing else; "
	switch d {
	case bench.Goroutines:
		return loop + fmt.Sprintf("at once on the %d cores of this machine, the two of 1 %% on one.", cores)
	case bench.Processors:
		return loop + fmt.Sprintf("16 goroutines; this machine has %d cores, and nothing is claimed beyond.", cores)
	case bench.Routes:
		return loop + "rules of the sampler route, none of which is about these traces."
	case bench.Exporters:
		return loop + "each exporter gets every span."
	case bench.SpanSize:
		return loop + "KiB of attributes in each span."
	default:
		return loop
	}
}
