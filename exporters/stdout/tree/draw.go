package tree

import (
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/untrusted"
)

const (
	minBar, maxBar = 12, 60
	gap            = "  "
	errorMark      = "✗"
	separator      = " · "
)

// The styles, as parameters of ANSI's SGR.
const (
	plain  = ""
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

// drawing draws one trace.
type drawing struct {
	*strings.Builder
	Options
	trace   *traceTree
	sampler string // of the trace

	rows []row
	// Widths of the columns; kind is 0 if no span has one worth telling.
	label, kind, offset, duration, bar int
}

// row is one span.
type row struct {
	node          *node
	depth         int
	guides, below string // what stands before the name, and before lines below it
	name, status  string
	kind          string
	offset        string
	duration      string
	facts, errors []string
	deeper        string // about what is below, if it is not drawn
}

func (d *drawing) draw() {
	first, second := d.trace.summary()
	d.style(bold, first[0])
	d.style(plain, separator+strings.Join(first[1:], separator))
	d.WriteByte('\n')
	d.style(dim, strings.Join(second, separator))
	d.WriteString("\n\n")

	d.sampler = samplerOf(d.trace.localRoot().span)
	for _, root := range d.trace.roots {
		d.add(root, 0, "", "", service(root.span))
	}
	d.measure()
	for _, r := range d.rows {
		d.span(r)
	}
}

// add makes the rows of n and of what is below it. caller is the service of
// the span above.
func (d *drawing) add(n *node, depth int, guides, below, caller string) {
	s := n.span
	r := row{
		node:     n,
		depth:    depth,
		guides:   guides,
		below:    below,
		name:     untrusted.Text(s.Name(), maxText),
		status:   statusText(s),
		duration: duration(endOf(s).Sub(s.StartTime())),
		facts:    facts(s),
		errors:   errorsOf(s),
	}
	if r.name == "" {
		r.name = "(no name)"
	}
	if k := s.SpanKind(); k != trace.SpanKindInternal && k != trace.SpanKindUnspecified {
		r.kind = k.String()
	}
	if offset := s.StartTime().Sub(d.trace.start); offset > 0 {
		r.offset = "+" + duration(offset)
	}
	if n.orphan {
		r.facts = append(r.facts, "parent "+s.Parent().SpanID().String()+" is not here")
	}
	if name := service(s); name != caller {
		r.facts = append([]string{name}, r.facts...)
	}
	if _, ok := attr(s, sampling.ParentMissingKey); ok && depth == 0 {
		r.facts = append(r.facts, "the caller did not keep its part")
	}
	if name := samplerOf(s); name != "" && name != d.sampler {
		r.facts = append(r.facts, "kept by "+name)
	}
	if len(n.children) > 0 {
		r.below += "│  "
	} else {
		r.below += "   "
	}
	if depth == maxDepth-1 {
		r.deeper = deeper(n)
	}
	d.rows = append(d.rows, r)
	if r.deeper != "" {
		return
	}
	for i, c := range n.children {
		if i < len(n.children)-1 {
			d.add(c, depth+1, below+"├─ ", below+"│  ", service(s))
		} else {
			d.add(c, depth+1, below+"└─ ", below+"   ", service(s))
		}
	}
}

// maxDepth is how many levels are drawn.
const maxDepth = 128

// deeper counts what is below n; "" if nothing is.
func deeper(n *node) string {
	spans, errors := -1, 0
	n.each(func(below *node) {
		if spans++; below != n && failed(below.span) {
			errors++
		}
	})
	if spans == 0 {
		return ""
	}
	return "… " + counted(spans, errors) + " deeper"
}

// counted is so many spans, and how many of them failed.
func counted(spans, errors int) string {
	text := strconv.Itoa(spans) + " span" + plural(spans)
	if errors > 0 {
		text += ", " + strconv.Itoa(errors) + " error" + plural(errors)
	}
	return text
}

// measure sets the widths of the columns. The bar takes what is left.
func (d *drawing) measure() {
	for _, r := range d.rows {
		d.kind = max(d.kind, cells(r.kind))
		d.offset = max(d.offset, cells(r.offset))
		d.duration = max(d.duration, cells(r.duration))
	}
	left := d.Width - cells(errorMark+" ") - len(gap)*2 - d.duration
	for _, w := range []int{d.kind, d.offset} {
		if w > 0 {
			left -= w + len(gap)
		}
	}
	for i := range d.rows {
		r := &d.rows[i]
		r.guides = shorten(r.guides, r.depth, (left-minBar)/2)
		r.below = shorten(r.below, r.depth, (left-minBar)/2)
		label := cells(r.guides) + cells(r.name)
		if r.status != "" {
			label += 1 + cells(r.status)
		}
		d.label = max(d.label, label)
	}
	d.label = min(d.label, left-minBar)
	d.bar = min(left-d.label, maxBar)
}

// shorten keeps the guides of a deep tree from taking the place of the names:
// longer ones begin with the depth.
func shorten(guides string, depth, most int) string {
	runes := []rune(guides)
	if len(runes) <= most {
		return guides
	}
	mark := []rune("…" + strconv.Itoa(depth) + " ")
	return string(append(mark, runes[len(runes)-most+len(mark):]...))
}

func (d *drawing) span(r row) {
	failed := failed(r.node.span)
	nameStyle, barStyle := plain, cyan
	if failed {
		nameStyle, barStyle = red, red
		d.style(red, errorMark+" ")
	} else {
		d.WriteString("  ")
	}

	d.style(dim, r.guides)
	room := d.label - cells(r.guides)
	code := cut(r.status, room/2)
	if code != "" {
		room -= 1 + cells(code)
	}
	name := cut(r.name, room)
	d.style(nameStyle, name)
	if code != "" {
		d.WriteByte(' ')
		d.style(statusStyle(code, failed), code)
	}
	d.WriteString(strings.Repeat(" ", max(room-cells(name), 0)))

	if d.kind > 0 {
		d.WriteString(gap)
		d.style(dim, pad(r.kind, d.kind))
	}
	if d.offset > 0 {
		d.WriteString(gap)
		d.style(dim, pad(r.offset, -d.offset))
	}
	d.WriteString(gap + pad(r.duration, -d.duration) + gap)
	before, bar := d.barOf(r)
	d.WriteString(before)
	d.style(barStyle, bar)
	d.WriteByte('\n')

	d.under(r, dim, strings.Join(r.facts, separator))
	for _, e := range r.errors {
		d.under(r, red, e)
	}
	d.under(r, plain, r.deeper)
}

// under writes a line below the span.
func (d *drawing) under(r row, style, text string) {
	if text == "" {
		return
	}
	d.WriteString("  ")
	d.style(dim, r.below)
	d.style(style, cut(text, d.Width-2-cells(r.below)))
	d.WriteByte('\n')
}

// barOf is the place of a span in its trace, in eighths of a column where it
// ends.
func (d *drawing) barOf(r row) (before, bar string) {
	eighths := []string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"}
	total := d.trace.end.Sub(d.trace.start)
	at := func(t time.Time) int {
		if total <= 0 {
			return 0
		}
		return int(float64(t.Sub(d.trace.start)) / float64(total) * float64(d.bar) * 8)
	}
	from, to := at(r.node.span.StartTime()), at(endOf(r.node.span))
	start := min(from/8, d.bar-1)
	length := to - start*8
	if to-from < 8 { // a short one is as long as it took, wherever it ends
		length = max(to-from, 1)
	}
	return strings.Repeat(" ", start), strings.Repeat("█", length/8) + eighths[length%8]
}

func statusStyle(code string, failed bool) string {
	switch {
	case failed || code[0] == '5':
		return red
	case code[0] == '4':
		return yellow
	default:
		return green
	}
}

func (d *drawing) style(sgr, text string) {
	if !d.Color || sgr == plain || text == "" {
		d.WriteString(text)
		return
	}
	d.WriteString("\x1b[" + sgr + "m" + text + "\x1b[0m")
}
