// Package tree draws traces as indented waterfalls for people.
//
//	trace 4bf92f3577b34da6a3ce929d0e0e4736 · shop · 412ms · 3 spans, 2 errors
//	2026-01-02T15:04:05.000Z · kept by error · weight 1
//
//	✗ POST /checkout/{id} 500  server           412ms  ████████████████████████████████████████
//	  ├─ auth                           +2.1ms  3.4ms  ▍
//	✗ └─ POST /charge 502      client    +20ms  390ms    █████████████████████████████████████▉
//	       http://payments.local/charge
//
// What spans carry comes from users: [untrusted.Text] makes it fit for a terminal. Of a
// trace that is deeper than people read, the rest is counted.
package tree

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// Options say how to draw.
type Options struct {
	// Color is for terminals that take ANSI sequences.
	Color bool
	// Width is that of the output in columns; 0 means 100. Less than 60 is
	// taken as 60.
	Width int
}

const (
	defaultWidth = 100
	minWidth     = 60
)

// Write draws the traces that the spans belong to, in the order in which they
// started, a blank line between two. Spans whose parent is not among them
// stand as roots.
func Write(w io.Writer, spans []sdktrace.ReadOnlySpan, o Options) error {
	if o.Width == 0 {
		o.Width = defaultWidth
	}
	o.Width = max(o.Width, minWidth)
	var b strings.Builder
	for i, t := range tracesOf(spans) {
		if i > 0 {
			b.WriteByte('\n')
		}
		d := drawing{Builder: &b, Options: o, trace: t}
		d.draw()
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// traceTree is the spans of one trace that are at hand.
type traceTree struct {
	id         trace.TraceID
	spans      []sdktrace.ReadOnlySpan
	roots      []*node
	start, end time.Time
	errors     int
}

type node struct {
	span     sdktrace.ReadOnlySpan
	children []*node
	orphan   bool // has a local parent that is not here
	placed   bool
}

// tracesOf groups spans by their traces.
func tracesOf(spans []sdktrace.ReadOnlySpan) []*traceTree {
	var all []*traceTree
	byID := map[trace.TraceID]*traceTree{}
	for _, s := range spans {
		id := s.SpanContext().TraceID()
		t := byID[id]
		if t == nil {
			t = &traceTree{id: id, start: s.StartTime(), end: endOf(s)}
			byID[id] = t
			all = append(all, t)
		}
		t.spans = append(t.spans, s)
		if s.StartTime().Before(t.start) {
			t.start = s.StartTime()
		}
		if end := endOf(s); end.After(t.end) {
			t.end = end
		}
		if failed(s) {
			t.errors++
		}
	}
	for _, t := range all {
		t.link()
	}
	slices.SortStableFunc(all, func(a, b *traceTree) int { return a.start.Compare(b.start) })
	return all
}

// link makes the tree. It also takes spans that contradict each other: each
// stands in it once.
func (t *traceTree) link() {
	nodes := make([]*node, len(t.spans))
	byID := make(map[trace.SpanID]*node, len(t.spans))
	for i, s := range t.spans {
		nodes[i] = &node{span: s}
		byID[s.SpanContext().SpanID()] = nodes[i]
	}
	slices.SortStableFunc(nodes, func(a, b *node) int {
		return cmp.Or(a.span.StartTime().Compare(b.span.StartTime()), endOf(b.span).Compare(endOf(a.span)))
	})
	for _, n := range nodes {
		parent := n.span.Parent()
		p := byID[parent.SpanID()]
		if p == nil {
			n.orphan = parent.SpanID().IsValid() && !parent.IsRemote()
			t.roots = append(t.roots, n)
			continue
		}
		p.children = append(p.children, n)
	}
	for _, n := range t.roots {
		n.place()
	}
	// What is left hangs in circles: cut each at its earliest span.
	for _, n := range nodes {
		if !n.placed {
			t.roots = append(t.roots, n)
			n.place()
		}
	}
}

// place marks n and all below it; a child that stands elsewhere is let go.
func (n *node) place() {
	n.placed = true
	n.each(func(n *node) {
		n.children = slices.DeleteFunc(n.children, func(c *node) bool { return c.placed })
		for _, c := range n.children {
			c.placed = true
		}
	})
}

// each calls f for n and all below it, however deep that is.
func (n *node) each(f func(*node)) {
	left := []*node{n}
	for len(left) > 0 {
		n := left[len(left)-1]
		left = left[:len(left)-1]
		f(n)
		left = append(left, n.children...)
	}
}

// localRoot is the root to speak for the trace: the first that is complete.
func (t *traceTree) localRoot() *node {
	for _, n := range t.roots {
		if !n.orphan {
			return n
		}
	}
	return t.roots[0]
}

// endOf is when s ended; a span that is open, or says that it ended before it
// started, has no length.
func endOf(s sdktrace.ReadOnlySpan) time.Time {
	if s.EndTime().Before(s.StartTime()) {
		return s.StartTime()
	}
	return s.EndTime()
}

func failed(s sdktrace.ReadOnlySpan) bool { return s.Status().Code == codes.Error }

// summary is the two lines above the waterfall.
func (t *traceTree) summary() (first, second []string) {
	root := t.localRoot().span
	first = []string{"trace " + t.id.String()}
	if services := t.services(); services != "" {
		first = append(first, services)
	}
	first = append(first, duration(t.end.Sub(t.start)), counted(len(t.spans), t.errors))
	second = []string{t.start.UTC().Format("2006-01-02T15:04:05.000Z")}

	if name := samplerOf(root); name != "" {
		second = append(second, "kept by "+name)
	}
	weight := "unknown"
	if n := sampling.ThresholdOf(root.SpanContext()).AdjustedCount(); n > 0 {
		weight = threeDigits(n)
	}
	return first, append(second, "weight "+weight)
}

// services are the names of all services in the trace.
func (t *traceTree) services() string {
	const most = 10
	var names []string
	seen := map[string]bool{}
	for _, s := range t.spans {
		name := service(s)
		if name == "" || seen[name] {
			continue
		}
		if seen[name] = true; len(seen) <= most {
			names = append(names, name)
		}
	}
	if more := len(seen) - len(names); more > 0 {
		names = append(names, strconv.Itoa(more)+" more")
	}
	return strings.Join(names, ", ")
}

func service(s sdktrace.ReadOnlySpan) string {
	if s.Resource() == nil {
		return ""
	}
	v, _ := s.Resource().Set().Value("service.name")
	return untrusted.Text(v.AsString(), maxText)
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// duration writes three digits and a unit: "412ms", "1.24s", "85µs".
func duration(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{
		{time.Second, "s"},
		{time.Millisecond, "ms"},
		{time.Microsecond, "µs"},
	} {
		if d < u.unit-u.unit/2000 { // less rounds to less than one
			continue
		}
		return threeDigits(float64(d)/float64(u.unit)) + u.name
	}
	return strconv.FormatInt(int64(max(d, 0)), 10) + "ns"
}

// threeDigits writes three digits, or all that stand before the point.
func threeDigits(v float64) string {
	if v < 99.95 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}
