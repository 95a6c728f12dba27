package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/riffletrace/riffle/bench"
)

// chart is a picture made of a few shapes, for the template to draw. It is as wide as a
// phone, so that its letters are as large there as on a desk. Colours are classes of the
// page, which has two themes and is printed.
//
// Libraries were looked at in December 2026: gonum.org/v1/plot v0.17.0, go-chart v2.1.2 and
// go-analyze/charts v0.6.4 draw SVG with fixed colours and sizes, go-echarts v2.6.7 needs
// a megabyte of JavaScript in the page, and none draws a figure that is not comparable.
type chart struct {
	Title, About string
	Width        float64
	Height       float64
	Grid         []segment
	Rects        []rect
	Whiskers     []segment
	Paths        []path
	Dots         []dot
	Texts        []label
	Legend       []key
}

type segment struct {
	X1, Y1, X2, Y2 float64
	Class          string
}

type rect struct {
	X, Y, W, H   float64
	Class, Title string
}

type path struct{ D, Class string }

type dot struct {
	X, Y         float64
	Class, Title string
}

type label struct {
	X, Y        float64
	Class, Body string
	Anchor      string // start, middle, end
}

// key tells what a class means; Line tells that it is one of lines.
type key struct {
	Class, Name string
	Line        bool
}

// width of every chart; left and right are its margins.
const (
	width  = 380.0
	left   = 46.0
	right  = 12.0
	plotW  = width - left - right
	dashes = 4 // classes of lines that have one colour
)

// ticks are round numbers from 0, or from low, to about high.
func ticks(low, high float64, n int) []float64 {
	if !(high > low) {
		high = low + 1
	}
	raw := (high - low) / float64(n)
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, f := range []float64{1, 2, 5, 10} {
		if step*f >= raw {
			step *= f
			break
		}
	}
	var all []float64
	for v := math.Floor(low/step) * step; v < high+step*0.999; v += step {
		all = append(all, v)
	}
	return all
}

// row is one of a chart of bars.
type row struct {
	Name, Shown string
	Parts       []part         // beside each other; none: there is no bar
	Interval    bench.Estimate // with a whisker, if it is bounded
	Dropped     bool           // spans, so that a bar would say too little
}

type part struct {
	Value        float64
	Class, Title string
}

// bars draws a bar for each row, the name above it. One that dropped spans is a box that
// has no length.
func bars(title, about, unit string, rows []row) chart {
	const rowH, top, x0, w = 44.0, 8.0, 10.0, width - 28
	bottom := top + rowH*float64(len(rows))
	c := chart{Title: title, About: about, Width: width, Height: bottom + 34}
	low, high := 0.0, 0.0
	for _, r := range rows {
		if r.Dropped {
			continue
		}
		sum := 0.0
		for _, p := range r.Parts {
			sum += p.Value
		}
		low, high = min(low, sum), max(high, sum)
		if whisker(r.Interval) {
			low, high = min(low, r.Interval.Low), max(high, r.Interval.High)
		}
	}
	marks := ticks(low, high, 5)
	low, high = marks[0], marks[len(marks)-1]
	at := func(v float64) float64 { return x0 + w*(v-low)/(high-low) }
	for _, v := range marks {
		class := "grid"
		if v == 0 {
			class = "axis"
		}
		c.Grid = append(c.Grid, segment{at(v), top, at(v), bottom + 4, class})
		c.Texts = append(c.Texts, label{at(v), bottom + 18, "tick", short(v), "middle"})
	}
	c.Texts = append(c.Texts, label{width - 8, bottom + 32, "tick", unit, "end"})
	for i, r := range rows {
		y := top + rowH*float64(i)
		c.Texts = append(c.Texts, label{x0 + 4, y + 14, "name", r.Name, "start"}, label{width - 10, y + 14, "value", r.Shown, "end"})
		if r.Dropped {
			c.Rects = append(c.Rects, rect{x0, y + 20, w, 14, "hollow", r.Name + ": " + r.Shown})
			c.Texts = append(c.Texts, label{x0 + w/2, y + 31, "tick", "not comparable", "middle"})
			continue
		}
		sum := 0.0
		for _, p := range r.Parts {
			from, to := at(min(sum, sum+p.Value)), at(max(sum, sum+p.Value))
			c.Rects = append(c.Rects, rect{from, y + 20, to - from, 14, "bar " + p.Class, p.Title})
			sum += p.Value
		}
		if e := r.Interval; whisker(e) {
			c.Whiskers = append(c.Whiskers,
				segment{at(e.Low), y + 27, at(e.High), y + 27, ""},
				segment{at(e.Low), y + 22, at(e.Low), y + 32, ""},
				segment{at(e.High), y + 22, at(e.High), y + 32, ""})
		}
	}
	c.explain()
	return c
}

// explain tells what whiskers are, if there are any.
func (c *chart) explain() {
	if len(c.Whiskers) > 0 {
		c.About += ", with 95 % intervals"
	}
}

// whisker reports whether there is an interval to draw.
func whisker(e bench.Estimate) bool { return e.Known() && e.Bounded() }

// curve is a line of a chart; its points belong to the places on the x axis.
type curve struct {
	Name, Class string
	Points      []bench.Estimate // [unknown]: none
	// Dropped are the shares of spans dropped at the points. Where there are any, the
	// point is none of the line; nil: none are.
	Dropped []float64
}

func (c *curve) dropped(i int) float64 {
	if c.Dropped == nil {
		return 0
	}
	return c.Dropped[i]
}

// drawn reports whether a point is one of the line.
func (c *curve) drawn(i int) bool { return !math.IsNaN(c.Points[i].Value) && c.dropped(i) == 0 }

// axis is how a value becomes a height.
type axis struct {
	logarithmic bool
	marks       []float64
	top, height float64
}

func (a *axis) scale(v float64) float64 {
	if a.logarithmic {
		return math.Log10(max(v, 1e-3))
	}
	return v
}

func (a *axis) at(v float64) float64 {
	low, high := a.scale(a.marks[0]), a.scale(a.marks[len(a.marks)-1])
	return a.top + a.height*(1-(a.scale(v)-low)/max(high-low, 1e-9))
}

// fit finds the marks for what is drawn of curves.
func (a *axis) fit(curves []curve) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, c := range curves {
		for i, e := range c.Points {
			if !c.drawn(i) {
				continue
			}
			low, high = min(low, e.Value), max(high, e.Value)
			if whisker(e) {
				low, high = min(low, e.Low), max(high, e.High)
			}
		}
	}
	if math.IsInf(low, 0) {
		low, high = 0, 1
	}
	if !a.logarithmic {
		a.marks = ticks(min(low, 0), high, 5)
		return
	}
	for e := math.Floor(a.scale(low)); e <= math.Ceil(a.scale(high)); e++ {
		a.marks = append(a.marks, math.Pow(10, e))
	}
}

// lines draws curves over places of equal distance. Above them are the points that are
// not comparable. A logarithmic y axis is for values that are all positive.
func lines(title, about, unit string, places []string, curves []curve, logarithmic bool) chart {
	const plotH, dropH = 190.0, 38.0
	c := chart{Title: title, About: about, Width: width}
	x := func(i int) float64 {
		if len(places) == 1 {
			return left + plotW/2
		}
		return left + 12 + (plotW-24)*float64(i)/float64(len(places)-1)
	}
	y := 12.0
	for n := range curves {
		cv := &curves[n]
		found := false
		for i := range cv.Points {
			if cv.dropped(i) == 0 {
				continue
			}
			found = true
			c.Dots = append(c.Dots, dot{x(i), y + 10, "hollow " + cv.Class, cv.Name + ", " + places[i] + ": dropped " + share(cv.dropped(i))})
			c.Texts = append(c.Texts, label{x(i), y + 26, "tick", fmt.Sprintf("%.0f %%", 100*cv.dropped(i)), "middle"})
		}
		if found {
			c.Texts = append(c.Texts, label{4, y, "tick", cv.Name + " dropped, so that its cost is not comparable:", "start"})
			y += dropH
		}
	}
	a := axis{logarithmic: logarithmic, top: y + 10, height: plotH}
	a.fit(curves)
	c.Texts = append(c.Texts, label{4, y, "tick", unit, "start"})
	c.Height = a.top + plotH + 30
	for _, v := range a.marks {
		c.Grid = append(c.Grid, segment{left, a.at(v), width - right, a.at(v), "grid"})
		c.Texts = append(c.Texts, label{left - 6, a.at(v) + 4, "tick", short(v), "end"})
	}
	for i, place := range places {
		c.Texts = append(c.Texts, label{x(i), a.top + plotH + 18, "tick", place, "middle"})
	}
	nth := map[string]int{} // of the lines of a colour
	for n := range curves {
		cv := &curves[n]
		class := fmt.Sprintf("%s d%d", cv.Class, nth[cv.Class]%dashes)
		nth[cv.Class]++
		var d strings.Builder
		for i, e := range cv.Points {
			if !cv.drawn(i) {
				continue
			}
			command := "L"
			if d.Len() == 0 || !cv.drawn(i-1) {
				command = "M"
			}
			// Curves stand a little apart, so that whiskers can be told from each other.
			px := x(i) + 3*(float64(n)-float64(len(curves)-1)/2)
			fmt.Fprintf(&d, "%s%.1f %.1f", command, px, a.at(e.Value))
			c.Dots = append(c.Dots, dot{px, a.at(e.Value), "dot " + cv.Class, fmt.Sprintf("%s, %s: %s %s", cv.Name, places[i], short(e.Value), unit)})
			if whisker(e) {
				c.Whiskers = append(c.Whiskers, segment{px, a.at(e.Low), px, a.at(e.High), cv.Class})
			}
		}
		c.Paths = append(c.Paths, path{d.String(), class})
		c.Legend = append(c.Legend, key{class, cv.Name, true})
	}
	c.explain()
	return c
}
