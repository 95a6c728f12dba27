package report

import (
	"fmt"
	"math"
	"strings"
)

// chart is a picture made of a few shapes, for the template to draw. It is as
// wide as a phone, so that its letters are as large there as on a desk.
type chart struct {
	Title, About  string
	Width, Height float64
	Lines         []segment
	Rects         []rect
	Dots          []dot
	Paths         []path
	Texts         []label
	Legend        []key
}

type segment struct {
	X1, Y1, X2, Y2 float64
	Class          string
}

type rect struct {
	X, Y, W, H   float64
	Class, Title string
}

type dot struct {
	X, Y, R      float64
	Class, Title string
}

type path struct{ D, Class string }

type label struct {
	X, Y        float64
	Class, Body string
	Anchor      string // start, middle, end
}

type key struct{ Class, Name string }

// width of every chart; left and right are its margins.
const (
	width  = 380.0
	left   = 46.0
	right  = 12.0
	plotW  = width - left - right
	series = 8 // classes of colours
)

func color(i int) string { return fmt.Sprintf("c%d", i%series) }

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

// bar is a row of a chart of bars with intervals.
type bar struct {
	Name, Shown      string
	Value, Low, High float64
	Class            string
	Faint            bool // not resolved
}

// intervals draws a value with its interval for each row, the name above it.
func intervals(title, about, unit string, rows []bar) chart {
	const rowH, top = 44.0, 8.0
	c := chart{Title: title, About: about, Width: width, Height: top + rowH*float64(len(rows)) + 34}
	low, high := 0.0, 0.0
	for _, r := range rows {
		low, high = min(low, r.Low), max(high, r.High, r.Value)
	}
	marks := ticks(low, high, 5)
	low, high = marks[0], marks[len(marks)-1]
	const x0, w = 10.0, width - 28
	at := func(v float64) float64 { return x0 + w*(min(max(v, low), high)-low)/(high-low) }
	bottom := top + rowH*float64(len(rows))
	for _, v := range marks {
		class := "grid"
		if v == 0 {
			class = "axis"
		}
		c.Lines = append(c.Lines, segment{at(v), top, at(v), bottom + 4, class})
		c.Texts = append(c.Texts, label{at(v), bottom + 18, "tick", short(v), "middle"})
	}
	c.Texts = append(c.Texts, label{width - 8, bottom + 32, "tick", unit, "end"})
	for i, r := range rows {
		y := top + rowH*float64(i)
		c.Texts = append(c.Texts, label{x0 + 4, y + 14, "name", r.Name, "start"}, label{width - 10, y + 14, "value", r.Shown, "end"})
		class := r.Class
		if r.Faint {
			class += " faint"
		}
		from, to := min(at(0), at(r.Value)), max(at(0), at(r.Value))
		c.Rects = append(c.Rects, rect{from, y + 20, max(to-from, 1), 14, class, r.Name + ": " + r.Shown})
		c.Lines = append(c.Lines,
			segment{at(r.Low), y + 27, at(r.High), y + 27, "whisker"},
			segment{at(r.Low), y + 22, at(r.Low), y + 32, "whisker"},
			segment{at(r.High), y + 22, at(r.High), y + 32, "whisker"})
	}
	return c
}

// stacks draws rows of parts in a row.
func stacks(title, about, unit string, names []string, parts []string, value func(row, part int) float64) chart {
	const rowH, top, x0, w = 44.0, 8.0, 10.0, width - 28
	c := chart{Title: title, About: about, Width: width, Height: top + rowH*float64(len(names)) + 34}
	high := 0.0
	sums := make([]float64, len(names))
	for i := range names {
		for p := range parts {
			sums[i] += value(i, p)
		}
		high = max(high, sums[i])
	}
	marks := ticks(0, high, 5)
	high = marks[len(marks)-1]
	bottom := top + rowH*float64(len(names))
	for _, v := range marks {
		x := x0 + w*v/high
		c.Lines = append(c.Lines, segment{x, top, x, bottom + 4, "grid"})
		c.Texts = append(c.Texts, label{x, bottom + 18, "tick", short(v), "middle"})
	}
	c.Texts = append(c.Texts, label{width - 8, bottom + 32, "tick", unit, "end"})
	for i, name := range names {
		y := top + rowH*float64(i)
		c.Texts = append(c.Texts, label{x0 + 4, y + 14, "name", name, "start"}, label{width - 10, y + 14, "value", number(sums[i], 1), "end"})
		x := x0
		for p, part := range parts {
			v := w * value(i, p) / high
			c.Rects = append(c.Rects, rect{x, y + 20, v, 14, color(p), fmt.Sprintf("%s, %s: %s %s", name, part, number(value(i, p), 1), unit)})
			x += v
		}
	}
	for p, part := range parts {
		c.Legend = append(c.Legend, key{color(p), part})
	}
	return c
}

// curve is a line of a chart; its points belong to the places on the x axis.
type curve struct {
	Name      string
	Y         []float64 // NaN: none
	Low, High []float64 // of whiskers; may be nil
}

// lines draws curves over places of equal distance. A logarithmic y axis is for
// values that are all positive.
func lines(title, about, unit string, places []string, curves []curve, logarithmic bool) chart {
	const top, plotH = 22.0, 190.0
	c := chart{Title: title, About: about, Width: width, Height: top + plotH + 30}
	scale := func(v float64) float64 { return v }
	if logarithmic {
		scale = func(v float64) float64 { return math.Log10(max(v, 1e-3)) }
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, cv := range curves {
		for i, y := range cv.Y {
			if math.IsNaN(y) {
				continue
			}
			low, high = min(low, y), max(high, y)
			if cv.Low != nil {
				low, high = min(low, cv.Low[i]), max(high, cv.High[i])
			}
		}
	}
	if math.IsInf(low, 0) {
		return c
	}
	var marks []float64
	if logarithmic {
		for e := math.Floor(scale(low)); e <= math.Ceil(scale(high)); e++ {
			marks = append(marks, math.Pow(10, e))
		}
	} else {
		marks = ticks(min(low, 0), high, 5)
	}
	bottomV, topV := scale(marks[0]), scale(marks[len(marks)-1])
	if topV == bottomV {
		topV++
	}
	at := func(v float64) float64 { return top + plotH*(1-(scale(v)-bottomV)/(topV-bottomV)) }
	x := func(i int) float64 {
		if len(places) == 1 {
			return left + plotW/2
		}
		return left + 12 + (plotW-24)*float64(i)/float64(len(places)-1)
	}
	c.Texts = append(c.Texts, label{4, 12, "tick", unit, "start"})
	for _, v := range marks {
		c.Lines = append(c.Lines, segment{left, at(v), width - right, at(v), "grid"})
		c.Texts = append(c.Texts, label{left - 6, at(v) + 4, "tick", short(v), "end"})
	}
	for i, place := range places {
		c.Texts = append(c.Texts, label{x(i), top + plotH + 18, "tick", place, "middle"})
	}
	for n, cv := range curves {
		var d strings.Builder
		for i, y := range cv.Y {
			if math.IsNaN(y) {
				continue
			}
			command := "L"
			if d.Len() == 0 {
				command = "M"
			}
			// Curves stand a little apart, so that whiskers can be told from each other.
			px := x(i) + 3*(float64(n)-float64(len(curves)-1)/2)
			fmt.Fprintf(&d, "%s%.1f %.1f", command, px, at(y))
			c.Dots = append(c.Dots, dot{px, at(y), 3.2, color(n), fmt.Sprintf("%s, %s: %s %s", cv.Name, places[i], short(y), unit)})
			if cv.Low != nil {
				c.Lines = append(c.Lines, segment{px, at(cv.Low[i]), px, at(cv.High[i]), "whisker " + color(n)})
			}
		}
		c.Paths = append(c.Paths, path{d.String(), color(n)})
		c.Legend = append(c.Legend, key{color(n), cv.Name})
	}
	return c
}
