// Package report shows what was measured: as text, as Markdown, and as one HTML
// page that needs no network. All say the same, because all are made from the
// same sections.
package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/riffletrace/riffle/bench"
	"github.com/riffletrace/riffle/bench/internal/stats"
)

// section is a part of a report: a table, or lines.
type section struct {
	ID    string // of the HTML element
	Title string
	About string // what to know about it
	Lines []string
	Head  []string
	Rows  [][]string
}

// sections are the report below what it has found.
func sections(r *bench.Result) []section {
	all := []section{portable(r), cpu(r), method(r), goals(r), latency(r), spans(r)}
	all = append(all, split(r))
	all = append(all, scaling(r)...)
	all = append(all, versions(r))
	return slices.DeleteFunc(all, func(s section) bool { return len(s.Lines)+len(s.Rows) == 0 })
}

// headline is what was measured, where and when.
func headline(r *bench.Result) string {
	m := &r.Machine
	sentences := []string{fmt.Sprintf("Measured on %s in %s: %s, %s, %s%s, %s, riffle %s.",
		r.Started.Format("2 January 2006"), time.Duration(r.Seconds*float64(time.Second)).Round(time.Second),
		m.CPU, count(m.Cores, "core"), memory(m.Memory), m.OS, m.Go, r.Versions["riffle"])}
	if m.Fault > 0 && m.Call > 0 {
		sentences = append(sentences, fmt.Sprintf("A page fault takes %s there, a system call %s.", brief(m.Fault), brief(m.Call)))
	}
	if len(m.Variables) > 0 {
		sentences = append(sentences, "With "+strings.Join(m.Variables, " ")+".")
	}
	if r.Interrupted {
		sentences = append(sentences, "It was interrupted: this is what there is, without the round that was under way.")
	}
	return strings.Join(sentences, " ")
}

func memory(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f GiB, ", float64(n)/(1<<30))
}

// brief is a cost of the machine.
func brief(d time.Duration) string {
	if d < time.Microsecond {
		return number(float64(d), 0) + " ns"
	}
	return number(float64(d)/1e3, 1) + " µs"
}

// method says how the figures came about, in a few sentences.
func method(r *bench.Result) section {
	s := &r.Settings
	others := ""
	if strings.HasPrefix(r.Machine.OS, "linux/") {
		others = " while the others are stopped,"
	}
	lines := []string{
		fmt.Sprintf("%s of CPU time for each variant, of %d requests each, sent by %s. In each of them every variant has a fresh process, warmed up until its memory is steady; all are there at once and are asked in %s,%s in an order drawn anew for each.",
			count(s.Rounds, "round"), s.RequestsOfRound, count(s.Workers, "worker"), count(s.Turns, "short turn"), others),
		fmt.Sprintf("%s took %s to warm up together; the memory of %d still grew when their time for that was over.",
			count(s.Processes, "process"), s.Warmup.Round(time.Second), s.Unsteady),
		fmt.Sprintf("%s of latency, an open loop of %.0f requests a second, timed from when each was due; as many of throughput, a closed loop.",
			count(s.SideRounds, "round"), s.LatencyRate),
		"Overhead is the CPU time of the service's process over that of the untraced service in the same round.",
		fmt.Sprintf("Figures are medians over rounds, brackets 95 %% intervals by bootstrap over rounds. Fewer than %d rounds give no interval, and none is shown. “Not resolved” means that the interval has both sides of zero: the noise of this machine is larger than the figure.", stats.MinRounds),
	}
	return section{ID: "method", Title: "How it was measured", Lines: append(lines, r.Notes...)}
}

// count is a number of things.
func count(n int, thing string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(thing, "s"):
		thing += "es"
	default:
		thing += "s"
	}
	return strconv.Itoa(n) + " " + thing
}

// versions are of modules, riffle's first.
func versions(r *bench.Result) section {
	s := section{ID: "versions", Title: "Versions", Head: []string{"module", "version"}}
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		row := []string{name, r.Versions[name]}
		if name == "riffle" {
			s.Rows = slices.Insert(s.Rows, 0, row)
			continue
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}
