package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/riffletrace/riffle/bench"
	"github.com/riffletrace/riffle/bench/internal/parts"
)

//go:embed page.html.tmpl
var pageSource string

var page = template.Must(template.New("page").Parse(pageSource))

// section is a table with its pictures.
type section struct {
	table
	Charts []chart
}

// HTML writes one page that needs no network. The measured data are in it, as
// JSON in the element "data".
func HTML(w io.Writer, r *bench.Result) error {
	var sections []section
	for _, t := range tables(r) {
		sections = append(sections, section{t, charts(r, t.ID)})
	}
	return page.Execute(w, struct {
		Result   *bench.Result
		Headline string
		Method   []string
		Sections []section
		Versions [][2]string
		Colors   []int
	}{r, headline(r), method(r), sections, versions(r), []int{0, 1, 2, 3, 4, 5, 6, 7}})
}

// charts are those of a table.
func charts(r *bench.Result, id string) []chart {
	switch id {
	case "overhead":
		all := []chart{overheadChart(r)}
		if c, ok := byRate(r); ok {
			all = append(all, c)
		}
		return all
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

func overheadChart(r *bench.Result) chart {
	var rows []bar
	for i := range r.Variants {
		m := &r.Variants[i]
		ns, _ := r.Overhead(m)
		if !ns.Known() {
			continue
		}
		b := bar{Name: m.Name, Shown: micros(ns.Value), Value: ns.Value / 1e3, Low: ns.Low / 1e3, High: ns.High / 1e3, Class: kindColor(m.Kind)}
		if !ns.Bounded() {
			b.Low, b.High = b.Value, b.Value
		}
		if b.Faint = !ns.Resolves(0); b.Faint {
			b.Shown = notResolved
		}
		rows = append(rows, b)
	}
	return intervals("Overhead by variant", "CPU time that tracing adds to a request, with 95 % intervals", "µs a request", rows)
}

func kindColor(k bench.Kind) string {
	return color(slices.Index([]bench.Kind{bench.Riffle, bench.Stock, bench.Floor}, k))
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
	if len(rates) < 3 {
		return chart{}, false
	}
	var places []string
	for _, rate := range rates {
		places = append(places, strconv.FormatFloat(100*rate, 'g', 4, 64)+" %")
	}
	all := []curve{{Name: "riffle"}, {Name: "stock"}, {Name: "riffle + error + slow"}}
	for i := range all {
		c := &all[i]
		for range rates {
			c.Y, c.Low, c.High = append(c.Y, math.NaN()), append(c.Low, 0), append(c.High, 0)
		}
	}
	for i := range r.Variants {
		m := &r.Variants[i]
		if !plain(m) {
			continue
		}
		ns, _ := r.Overhead(m)
		c := &all[0]
		switch {
		case m.Kind == bench.Stock:
			c = &all[1]
		case m.Keeps:
			c = &all[2]
		}
		at := slices.Index(rates, m.Rate)
		c.Y[at], c.Low[at], c.High[at] = ns.Value/1e3, ns.Low/1e3, ns.High/1e3 // bounded: there are two rounds at least
	}
	return lines("Overhead by sampling rate", "OTLP over HTTP, gzip; with 95 % intervals", "µs a request", places, all, false), true
}

// plain reports whether a variant is one of those that differ in nothing but the rate.
func plain(m *bench.Measured) bool {
	if len(m.Rounds) < 2 || m.Protocol != bench.HTTP {
		return false
	}
	return m.Name == bench.StockAt(m.Rate, bench.HTTP).Name || m.Name == bench.RiffleAt(m.Rate, m.Keeps, bench.HTTP).Name
}

// distributions are those of so many variants, or the lines cannot be told apart.
const distributions = 6

func latencyChart(r *bench.Result) chart {
	quantiles := []float64{0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999}
	places := []string{"p10", "p25", "p50", "p75", "p90", "p99", "p99.9"}
	shown := make([]string, 0, distributions)
	for _, v := range bench.DefaultVariants() {
		if _, ok := r.Variant(v.Name); ok {
			shown = append(shown, v.Name)
		}
	}
	for i := range r.Variants {
		if name := r.Variants[i].Name; len(shown) < distributions && !slices.Contains(shown, name) {
			shown = append(shown, name)
		}
	}
	var all []curve
	for _, name := range shown {
		m, _ := r.Variant(name)
		if m.Latency.Total() == 0 {
			continue
		}
		c := curve{Name: name}
		for _, q := range quantiles {
			c.Y = append(c.Y, float64(m.Latency.Quantile(q))/1e6)
		}
		all = append(all, c)
	}
	about := fmt.Sprintf("open loop of %.0f requests a second", r.Settings.LatencyRate)
	return lines("Latency", about, "ms, logarithmic", places, all, true)
}

func partsChart(r *bench.Result) chart {
	var names []string
	var of []*bench.Measured
	for i := range r.Variants {
		if m := &r.Variants[i]; m.Profiled > 0 && m.Kind != bench.Off {
			names, of = append(names, m.Name), append(of, m)
		}
	}
	tracing := parts.All[:slices.Index(parts.All, parts.GC)]
	return stacks("CPU time of tracing by part", "without the service's own work and the collector's goroutines", "µs a request",
		names, tracing, func(row, part int) float64 { return partMicros(of[row], tracing[part]) })
}

func scalingChart(r *bench.Result, d bench.Dimension) chart {
	var xs []int
	var all []curve
	for _, p := range r.Scaling {
		if p.Dimension == d && !slices.Contains(xs, p.X) {
			xs = append(xs, p.X)
		}
	}
	var places []string
	for _, x := range xs {
		places = append(places, strconv.Itoa(x))
	}
	for _, p := range r.Scaling {
		if p.Dimension != d {
			continue
		}
		at := slices.IndexFunc(all, func(c curve) bool { return c.Name == p.Variant })
		if at < 0 {
			at = len(all)
			all = append(all, curve{Name: p.Variant, Y: slices.Repeat([]float64{math.NaN()}, len(xs))})
		}
		all[at].Y[slices.Index(xs, p.X)] = median(p.CPU) / 1e3
	}
	return lines("CPU of a trace by "+string(d), "medians", "µs", places, all, false)
}
