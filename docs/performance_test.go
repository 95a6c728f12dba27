package docs

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The figures of a section that links to files of bench/results come from them.
// Which benchmark a figure is of, only the reader can tell: some one of these
// files measured it.
func TestPerformance(t *testing.T) {
	const page = "docs/performance.md"
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\((\.\./bench/results/[a-z-]+\.txt)\)`)
	for _, section := range regexp.MustCompile(`\n##+ `).Split(string(data), -1) {
		title, _, _ := strings.Cut(section, "\n")
		var m measured
		for _, l := range link.FindAllStringSubmatch(section, -1) {
			results, err := os.ReadFile(filepath.Join("docs", l[1]))
			if err != nil {
				t.Fatalf("%s: %s: %v", page, title, err)
			}
			m.read(t, string(results))
		}
		if m == nil {
			continue
		}
		for _, problem := range m.check(section) {
			t.Errorf("%s: %s: %s", page, title, problem)
		}
	}
}

// measured are values of benchmarks, by dimension, and by benchmark and unit.
type measured map[string]map[string][]float64

// read adds what go test -bench printed.
func (m *measured) read(t *testing.T, results string) {
	t.Helper()
	if *m == nil {
		*m = measured{}
	}
	lines := bufio.NewScanner(strings.NewReader(results))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		for i := 2; i+1 < len(fields); i += 2 { // behind the name and the number of iterations
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				t.Fatalf("%s: %v", lines.Text(), err)
			}
			unit := fields[i+1]
			in := dimension(unit)
			if (*m)[in] == nil {
				(*m)[in] = map[string][]float64{}
			}
			key := fields[0] + " " + unit
			(*m)[in][key] = append((*m)[in][key], value)
		}
	}
}

// dimension is what a unit of a benchmark measures. A custom unit of time or
// size has it in its name, such as p99-ns and resident-B; others are ratios
// and counts.
func dimension(unit string) string {
	before, _, _ := strings.Cut(unit, "/")
	switch {
	case strings.HasSuffix(unit, "spans/s"):
		return "spans/s"
	case before == "ns" || strings.HasSuffix(before, "-ns"):
		return "time"
	case before == "B" || strings.HasSuffix(before, "-B"):
		return "size"
	case unit == "allocs/op":
		return "allocations"
	}
	return ""
}

// units of a page, in those of benchmarks.
var units = map[string]struct {
	dimension string
	size      float64
}{
	"ns": {"time", 1}, "µs": {"time", 1e3}, "ms": {"time", 1e6}, "s": {"time", 1e9},
	"B": {"size", 1}, "KiB": {"size", 1 << 10}, "MiB": {"size", 1 << 20},
	"allocation": {"allocations", 1}, "allocations": {"allocations", 1},
	"spans/s": {"spans/s", 1},
	"":        {"", 1},
}

var (
	quantity = regexp.MustCompile(`(\d[\d,]*(?:\.\d+)?)(?: (ns|µs|ms|s|B|KiB|MiB|allocations?|spans/s)\b)?`)
	// figures is a cell of nothing but quantities, with what they are of before
	// them. What is computed from others is in italics, and a goal is no result.
	figures = regexp.MustCompile(`^(?:[^:]+: )?(?:` + quantity.String() + `(?:, | to | \(|\))*)+$`)
)

// check says which figures in the tables of a section are not the median of
// what a benchmark measured, or where a cell says "a to b", the least and the
// greatest.
func (m measured) check(section string) (problems []string) {
	var header []string
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			header = nil
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if header == nil {
			header = cells
			continue
		}
		for i, cell := range cells {
			if i > 0 && (i >= len(header) || strings.TrimSpace(header[i]) != "goal") {
				problems = append(problems, m.checkCell(strings.TrimSpace(cell))...)
			}
		}
	}
	return problems
}

func (m measured) checkCell(cell string) (problems []string) {
	cell = strings.Replace(cell, "no allocation", "0 allocations", 1)
	if !figures.MatchString(cell) {
		return nil
	}
	if _, labelled, found := strings.Cut(cell, ": "); found {
		cell = labelled
	}
	medians, ends := cell, ""
	if strings.Contains(cell, " to ") {
		var both bool
		if medians, ends, both = strings.Cut(cell, "("); !both {
			medians, ends = "", cell
		}
	}
	for _, q := range quantity.FindAllStringSubmatch(medians, -1) {
		if !m.has(q, median) {
			problems = append(problems, fmt.Sprintf("%q is the median of nothing", q[0]))
		}
	}
	for i, q := range quantity.FindAllStringSubmatch(ends, -1) {
		end, name := slices.Min[[]float64], "least"
		if i%2 == 1 {
			end, name = slices.Max[[]float64], "greatest"
		}
		if !m.has(q, end) {
			problems = append(problems, fmt.Sprintf("%q is the %s of nothing", q[0], name))
		}
	}
	return problems
}

// has reports whether some benchmark measured a quantity, as it is rounded on
// the page.
func (m measured) has(q []string, of func([]float64) float64) bool {
	unit := units[q[2]]
	digits := strings.ReplaceAll(q[1], ",", "")
	value, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return false
	}
	_, decimals, _ := strings.Cut(digits, ".")
	step := math.Pow10(-len(decimals))
	if decimals == "" && value >= 1000 { // 577,000 may be rounded to thousands
		step = math.Pow10(len(digits) - len(strings.TrimRight(digits, "0")))
	}
	for _, values := range m[unit.dimension] {
		if math.Abs(of(values)/unit.size-value) <= step/2*(1+1e-9) {
			return true
		}
	}
	return false
}

func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func TestMeasured(t *testing.T) {
	var m measured
	m.read(t, `commit: 0123abc
pkg: example.com/a
BenchmarkA/tracer=x-2  100  90 ns/op  15640 cpu-ns/op  4096 B/op  72 allocs/op
BenchmarkA/tracer=x-2  100  95 ns/op  15500 cpu-ns/op  4096 B/op  72 allocs/op
BenchmarkA/tracer=x-2  100  99 ns/op  18000 cpu-ns/op  4096 B/op  72 allocs/op
BenchmarkB/by-turns-2  10  0.432 riffle/floor  577312 plugin-spans/s  13.0 p99-ns
PASS
`)
	for _, c := range []struct {
		name, cells string
		want        []string
	}{
		{"medians", "15.6 µs, 72 allocations | 95 ns | 4 KiB | 0.43 | 577,000 spans/s", nil},
		{"the least and the greatest", "15.6 µs (15.5 µs to 18 µs) | 90 ns to 99 ns", nil},
		{"none", "95 ns, no allocation", []string{`"0 allocations" is the median of nothing`}},
		{"with a label", "`otlp`: 95 ns", nil},
		{"text and what is computed", "three of 7 | | *12 µs* | 12 % more", nil},
		{"wrong", "15.7 µs, 71 allocations", []string{`"15.7 µs" is the median of nothing`, `"71 allocations" is the median of nothing`}},
		{"not as precise", "15.60 µs", []string{`"15.60 µs" is the median of nothing`}},
		{"the least is no median", "90 ns", []string{`"90 ns" is the median of nothing`}},
		{"another unit", "72 ns", []string{`"72 ns" is the median of nothing`}},
		{"exchanged ends", "95 ns (99 ns to 90 ns)", []string{`"99 ns" is the least of nothing`, `"90 ns" is the greatest of nothing`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := m.check("Title\n\n| 7 | a |\n|---|---|\n| 7 B | " + c.cells + " |\n")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	if got := m.check("| | goal | x |\n|---|---|---|\n| a | 3 ns | 4 ns |\n"); len(got) != 1 {
		t.Errorf("a goal is checked too: %q", got)
	}
}
