package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/riffletrace/riffle/bench"
	"github.com/riffletrace/riffle/bench/internal/parts"
	"github.com/riffletrace/riffle/bench/internal/stats"
)

//go:embed page.html.tmpl
var pageSource string

var page = template.Must(template.New("page").Funcs(template.FuncMap{"cell": splitCell}).Parse(pageSource))

// cell is one of a table, with the interval on a line of its own.
type cell struct{ Value, Interval string }

func splitCell(text string) cell {
	if at := strings.Index(text, " ["); at > 0 && strings.Contains(text, " .. ") {
		return cell{text[:at], text[at+1:]}
	}
	return cell{Value: text}
}

// illustrated is a section with its pictures.
type illustrated struct {
	section
	Charts []chart
}

// HTML writes one page that needs no network. The measured data are in it, as
// JSON in the element "data".
func HTML(w io.Writer, r *bench.Result) error {
	var all []illustrated
	for _, s := range sections(r) {
		all = append(all, illustrated{s, charts(r, s.ID)})
	}
	return page.Execute(w, struct {
		Result             *bench.Result
		Findings           []string
		Standing, Headline string
		Sections           []illustrated
	}{r, findings(r), standing(r), headline(r), all})
}

// charts are those of a section.
func charts(r *bench.Result, id string) []chart {
	switch id {
	case "portable":
		return []chart{shareChart(r), allocatedChart(r)}
	case "cpu":
		if c, ok := byRate(r); ok {
			return []chart{c}
		}
	case "latency":
		return []chart{latencyChart(r)}
	case "parts":
		return []chart{partsChart(r)}
	}
	for _, d := range bench.Dimensions() {
		if id == scalingID(d) {
			return []chart{scalingChart(r, d)}
		}
	}
	return nil
}

// classOf is the class of a variant in every chart: it has one colour.
func classOf(v *bench.Variant) string {
	switch {
	case v.Own:
		return "own"
	case v.Kind == bench.Off, v.Kind == bench.Floor, v.Kind == bench.Stock:
		return string(v.Kind)
	case v.Keeps:
		return "keeps"
	default:
		return "riffle"
	}
}

// negligible is the share of dropped spans up to which a cost is still one of all spans.
const negligible = 0.01

// shareChart is the overhead of each variant: as a share of that of the SDK that sends
// everything, or in microseconds if that is not known or dropped spans.
func shareChart(r *bench.Result) chart {
	base, ok := r.Variant(stock)
	if ok && dropped(base) <= negligible {
		if ns, _ := r.Overhead(base); ns.Value > 0 && (!ns.Bounded() || ns.Resolves(0)) {
			return costs(r, "CPU time over untraced", "share of what "+stock+" adds", "share of "+stock, func(m *bench.Measured) (bench.Estimate, string) {
				e, known := r.OverheadRatio(m.Name, stock)
				if !known {
					return unknown, ""
				}
				if m == base {
					return stats.Unbounded(1), "1"
				}
				return e, ratioIn(r, e)
			})
		}
	}
	return costs(r, "CPU time over untraced", "medians", "µs a request", func(m *bench.Measured) (bench.Estimate, string) {
		ns, _ := r.Overhead(m)
		return ns.Times(1e-3), microsIn(ns)
	})
}

func allocatedChart(r *bench.Result) chart {
	return costs(r, "Allocated over untraced", "medians", "KiB a request", func(m *bench.Measured) (bench.Estimate, string) {
		_, bytes := r.AllocOverhead(m)
		return bytes.Times(1. / 1024), kibIn(bytes)
	})
}

// costs draws a cost of each variant. What is not resolved has no bar.
func costs(r *bench.Result, title, about, unit string, cost func(*bench.Measured) (bench.Estimate, string)) chart {
	var rows []row
	for i := range r.Variants {
		m := &r.Variants[i]
		if m.Kind == bench.Off || len(m.Rounds) == 0 {
			continue
		}
		e, shown := cost(m)
		if !e.Known() {
			continue
		}
		b := row{Name: m.Name, Shown: shown, Interval: e, Dropped: dropped(m) > negligible}
		if b.Dropped {
			b.Shown = "dropped " + share(dropped(m))
		}
		if !strings.HasPrefix(shown, notResolved) && (!e.Bounded() || e.Resolves(0)) {
			b.Parts = []part{{e.Value, classOf(&m.Variant), m.Name + ": " + shown}}
		}
		rows = append(rows, b)
	}
	return bars(title, about, unit, rows)
}

// byRate draws the overhead over the sampling rate, if there are several.
func byRate(r *bench.Result) (chart, bool) {
	var rates []float64
	for i := range r.Variants {
		if m := &r.Variants[i]; plain(m) && !slices.Contains(rates, m.Rate) {
			rates = append(rates, m.Rate)
		}
	}
	slices.Sort(rates)
	places := make([]string, len(rates))
	for i, rate := range rates {
		places[i] = strconv.FormatFloat(100*rate, 'g', 4, 64) + " %"
	}
	all := []curve{{Name: "riffle", Class: "riffle"}, {Name: "stock", Class: "stock"}, {Name: "riffle + error + slow", Class: "keeps"}}
	for i := range all {
		all[i].empty(len(rates))
	}
	for i := range r.Variants {
		m := &r.Variants[i]
		if !plain(m) {
			continue
		}
		ns, _ := r.Overhead(m)
		c := &all[slices.IndexFunc(all, func(c curve) bool { return c.Class == classOf(&m.Variant) })]
		c.set(slices.Index(rates, m.Rate), ns.Times(1e-3), dropped(m))
	}
	all = slices.DeleteFunc(all, func(c curve) bool { return c.count() == 0 })
	if !slices.ContainsFunc(all, func(c curve) bool { return c.count() > 2 }) {
		return chart{}, false
	}
	return lines("Overhead by sampling rate", "OTLP over HTTP, gzip", "µs a request", places, all, false), true
}

func (c *curve) empty(n int) {
	c.Points, c.Dropped = slices.Repeat([]bench.Estimate{unknown}, n), make([]float64, n)
}

func (c *curve) set(i int, e bench.Estimate, dropped float64) {
	c.Points[i] = e
	if dropped > negligible {
		c.Dropped[i] = dropped
	}
}

// count is how many points there are.
func (c *curve) count() (n int) {
	for _, e := range c.Points {
		if !math.IsNaN(e.Value) {
			n++
		}
	}
	return n
}

// plain reports whether a variant is one of those that differ in nothing but the rate.
func plain(m *bench.Measured) bool {
	if len(m.Rounds) == 0 || m.Protocol != bench.HTTP {
		return false
	}
	return m.Name == bench.StockAt(m.Rate, bench.HTTP).Name || m.Name == bench.RiffleAt(m.Rate, m.Keeps, bench.HTTP).Name
}

// distributions are those of so many variants, or the lines cannot be told apart.
const distributions = 6

func latencyChart(r *bench.Result) chart {
	quantiles := []float64{0.1, 0.25, 0.5, 0.75, 0.9, 0.99}
	places := []string{"p10", "p25", "p50", "p75", "p90", "p99"}
	var names []string
	for _, v := range slices.Concat(bench.DefaultVariants(), variants(r)) {
		if m, ok := r.Variant(v.Name); ok && m.Timed() > 0 && len(names) < distributions && !slices.Contains(names, v.Name) {
			names = append(names, v.Name)
		}
	}
	var all []curve
	about := []string{fmt.Sprintf("open loop of %.0f requests a second, medians over rounds, whose intervals are in the table", r.Settings.LatencyRate)}
	for _, name := range names {
		m, _ := r.Variant(name)
		if n := dropped(m); n > negligible {
			about = append(about, "without "+name+", which dropped "+share(n))
			continue
		}
		c := curve{Name: name, Class: classOf(&m.Variant)}
		for _, q := range quantiles {
			c.Points = append(c.Points, stats.Unbounded(m.LatencyAt(q).Value/1e6))
		}
		all = append(all, c)
	}
	return lines("Latency", strings.Join(about, "; "), "ms, logarithmic", places, all, true)
}

func variants(r *bench.Result) (all []bench.Variant) {
	for i := range r.Variants {
		all = append(all, r.Variants[i].Variant)
	}
	return all
}

func partsChart(r *bench.Result) chart {
	tracing := parts.All[:slices.Index(parts.All, parts.GC)]
	var rows []row
	for i := range r.Variants {
		m := &r.Variants[i]
		if m.Profiled == 0 || m.Kind == bench.Off {
			continue
		}
		b, sum := row{Name: m.Name, Interval: unknown, Dropped: dropped(m) > negligible}, 0.0
		for _, p := range tracing {
			v := partMicros(m, p)
			b.Parts = append(b.Parts, part{v, "part-" + p, fmt.Sprintf("%s, %s: %s µs", m.Name, p, number(v, 1))})
			sum += v
		}
		if b.Shown = number(sum, 1); b.Dropped {
			b.Shown = "dropped " + share(dropped(m))
		}
		rows = append(rows, b)
	}
	c := bars("CPU time of tracing by part", "without the service's own work and the collector's goroutines", "µs a request", rows)
	for _, p := range tracing {
		c.Legend = append(c.Legend, key{"part-" + p, p, false})
	}
	return c
}

func scalingChart(r *bench.Result, d bench.Dimension) chart {
	var xs []int
	var all []curve
	for _, p := range r.Scaling {
		if p.Dimension == d && !slices.Contains(xs, p.X) {
			xs = append(xs, p.X)
		}
	}
	places := make([]string, len(xs))
	for i, x := range xs {
		places[i] = strconv.Itoa(x)
	}
	for _, p := range r.Scaling {
		if p.Dimension != d {
			continue
		}
		at := slices.IndexFunc(all, func(c curve) bool { return c.Name == p.Variant })
		if at < 0 {
			at = len(all)
			all = append(all, curve{Name: p.Variant, Class: classOf(scaled(r, p.Variant))})
			all[at].empty(len(xs))
		}
		all[at].set(slices.Index(xs, p.X), stats.MedianOf(p.CPU).Times(1e-3), p.Dropped)
	}
	if len(xs) > 1 { // then what has one point is no line
		all = slices.DeleteFunc(all, func(c curve) bool { return c.count() < 2 })
	}
	return lines("CPU of a trace by "+string(d), "medians", "µs", places, all, false)
}

// scaled is a variant that scaling is about.
func scaled(r *bench.Result, name string) *bench.Variant {
	if m, ok := r.Variant(name); ok {
		return &m.Variant
	}
	all := bench.FullVariants(bench.FullRates())
	if i := slices.IndexFunc(all, func(v bench.Variant) bool { return v.Name == name }); i >= 0 {
		return &all[i]
	}
	return &bench.Variant{Name: name, Own: true}
}
