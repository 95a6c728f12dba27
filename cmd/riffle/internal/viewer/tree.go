package viewer

import (
	"cmp"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

// tree is the order of a trace's spans: each parent before its children, and children by
// their starts. What spans say of their parents is not believed: a circle of them is cut
// where its earliest span is.
type tree struct {
	order   []int32 // indices of spans
	parent  []int32 // position in order, -1: none
	depth   []int32
	below   []int32 // how many
	missing []int32 // positions of spans whose parent is not there
}

const nobody = -1

// newTree takes time in proportion to the number of spans, but for sorting them.
func newTree(spans []span) *tree {
	n := len(spans)
	byID := make(map[trace.SpanID]int32, n)
	for i := range spans {
		byID[spans[i].id] = int32(i)
	}
	byStart := make([]int32, n)
	for i := range byStart {
		byStart[i] = int32(i)
	}
	slices.SortStableFunc(byStart, func(a, b int32) int { return cmp.Compare(spans[a].start, spans[b].start) })

	// The children of all spans, one list of each by its first and its next.
	parent, first, next := make([]int32, n), make([]int32, n), make([]int32, n)
	for i := range spans {
		first[i], next[i], parent[i] = nobody, nobody, nobody
		if !spans[i].parent.IsValid() {
			continue
		}
		if p, ok := byID[spans[i].parent]; ok && p != int32(i) {
			parent[i] = p
		}
	}
	for _, i := range slices.Backward(byStart) {
		if p := parent[i]; p != nobody {
			next[i], first[p] = first[p], i
		}
	}

	t := &tree{order: make([]int32, 0, n), parent: make([]int32, 0, n), depth: make([]int32, 0, n), below: make([]int32, n), missing: []int32{}}
	at := make([]int32, n) // of each span, its position, -1: none yet
	for i := range at {
		at[i] = nobody
	}
	var stack []int32
	walk := func(root int32) {
		stack = append(stack[:0], root)
		for len(stack) > 0 {
			i := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			at[i] = int32(len(t.order))
			t.order = append(t.order, i)
			above, depth := int32(nobody), int32(0)
			if i != root {
				above = at[parent[i]]
				depth = t.depth[above] + 1
			}
			t.parent, t.depth = append(t.parent, above), append(t.depth, depth)
			from := len(stack)
			for c := first[i]; c != nobody; c = next[c] {
				if at[c] == nobody && c != root {
					stack = append(stack, c)
				}
			}
			slices.Reverse(stack[from:])
		}
	}
	for _, i := range byStart {
		if parent[i] == nobody {
			walk(i)
		}
	}
	for i := range at { // what is left are circles, and what hangs on them
		if at[i] == nobody {
			walk(earliest(spans, parent, int32(i)))
		}
	}
	for k := n - 1; k >= 0; k-- {
		if p := t.parent[k]; p != nobody {
			t.below[p] += t.below[k] + 1
		}
		s := &spans[t.order[k]]
		if _, there := byID[s.parent]; s.parent.IsValid() && !there {
			t.missing = append(t.missing, int32(k))
		}
	}
	slices.Reverse(t.missing)
	return t
}

// earliest is the earliest span of the circle to which the parents of a span lead.
func earliest(spans []span, parent []int32, from int32) int32 {
	passed := map[int32]struct{}{}
	for i := from; ; i = parent[i] {
		if _, again := passed[i]; again {
			from = i
			break
		}
		passed[i] = struct{}{}
	}
	first := from
	for i := parent[from]; i != from; i = parent[i] {
		if cmp.Or(cmp.Compare(spans[i].start, spans[first].start), cmp.Compare(i, first)) < 0 {
			first = i
		}
	}
	return first
}

// section is a part of a span: position in the order of the tree, and times.
type section struct {
	at       int32
	from, to int64
}

// criticalPath is the parts of spans that held up the end of the root: from there
// backwards, always in the child that ended last before, and where there is none, in the
// span itself. It is what Jaeger's UI marks (jaeger-ui, in packages/jaeger-ui/src/
// components/TracePage/CriticalPath): a child counts within the time of its parent only.
// The sections are in the order of time. It looks at each span once.
func (t *tree) criticalPath(spans []span, root int32) []section {
	type visit struct {
		at        int32
		low, high int64   // within which it counts
		now       int64   // to where backwards it is known
		children  []int32 // that were not looked at yet; the one that ends last is the last
	}
	finish := func(at int32) int64 { return max(spans[t.order[at]].start, spans[t.order[at]].end) }
	begin := func(at int32, low, high int64) visit {
		v := visit{at: at, low: low, high: high, now: high}
		for c := at + 1; c <= at+t.below[at]; c += t.below[c] + 1 {
			v.children = append(v.children, c)
		}
		slices.SortStableFunc(v.children, func(a, b int32) int { return cmp.Compare(finish(a), finish(b)) })
		return v
	}
	out := []section{}
	stack := []visit{begin(root, spans[t.order[root]].start, finish(root))}
	for len(stack) > 0 {
		v := &stack[len(stack)-1]
		n := len(v.children)
		if n == 0 {
			if v.low < v.now {
				out = append(out, section{v.at, v.low, v.now})
			}
			low := v.low
			stack = stack[:len(stack)-1]
			if len(stack) > 0 { // its parent goes on before it
				stack[len(stack)-1].now = low
			}
			continue
		}
		c := v.children[n-1]
		v.children = v.children[:n-1]
		from, to := max(spans[t.order[c]].start, v.low), min(finish(c), v.high)
		if from >= to || to > v.now {
			continue
		}
		if to < v.now {
			out = append(out, section{v.at, to, v.now})
		}
		stack = append(stack, begin(c, from, to))
	}
	slices.Reverse(out)
	return out
}
