package viewer

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"
)

// node is a span of a tree: its ID is its number and 1.
func node(parent int, start, end int64) span {
	s := span{start: start, end: end}
	if parent >= 0 {
		s.parent = number(parent)
	}
	return s
}

func number(i int) (id trace.SpanID) {
	binary.BigEndian.PutUint64(id[:], uint64(i)+1)
	return id
}

func numbered(spans ...span) []span {
	for i := range spans {
		spans[i].id = number(i)
	}
	return spans
}

func TestTree(t *testing.T) {
	for name, test := range map[string]struct {
		spans                         []span
		order, parent, depth, missing []int32
		below                         []int32
	}{
		"none": {numbered(), []int32{}, []int32{}, []int32{}, []int32{}, []int32{}},
		"children by start, not by arrival": {
			numbered(node(2, 30, 40), node(2, 10, 20), node(-1, 0, 50), node(1, 15, 16)),
			[]int32{2, 1, 3, 0},
			[]int32{-1, 0, 1, 0},
			[]int32{0, 1, 2, 1},
			[]int32{},
			[]int32{3, 1, 0, 0},
		},
		"parent missing": {
			numbered(node(-1, 5, 9), node(77, 1, 2), node(1, 3, 4)),
			[]int32{1, 2, 0},
			[]int32{-1, 0, -1},
			[]int32{0, 1, 0},
			[]int32{0},
			[]int32{1, 0, 0},
		},
		"its own parent": {
			numbered(node(0, 5, 9)), []int32{0}, []int32{-1}, []int32{0}, []int32{}, []int32{0},
		},
		"a circle with a tail": {
			numbered(node(1, 5, 9), node(0, 3, 9), node(0, 6, 7)),
			[]int32{1, 0, 2},
			[]int32{-1, 0, 1},
			[]int32{0, 1, 2},
			[]int32{},
			[]int32{2, 1, 0},
		},
		"a circle with a tail that is earlier": {
			numbered(node(2, 1, 9), node(2, 5, 9), node(1, 3, 9)),
			[]int32{2, 0, 1},
			[]int32{-1, 0, 0},
			[]int32{0, 1, 1},
			[]int32{},
			[]int32{2, 0, 0},
		},
	} {
		got := newTree(test.spans)
		want := &tree{order: test.order, parent: test.parent, depth: test.depth, missing: test.missing, below: test.below}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(tree{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestCriticalPath(t *testing.T) {
	for name, test := range map[string]struct {
		spans []span
		want  []section // of spans by their number, not by the order of the tree
	}{
		"alone":       {numbered(node(-1, 0, 10)), []section{{0, 0, 10}}},
		"no duration": {numbered(node(-1, 5, 5)), []section{}},
		"one after another": {
			numbered(node(-1, 0, 10), node(0, 1, 4), node(0, 5, 9)),
			[]section{{0, 0, 1}, {1, 1, 4}, {0, 4, 5}, {2, 5, 9}, {0, 9, 10}},
		},
		"side by side: the one that ends last": {
			numbered(node(-1, 0, 10), node(0, 1, 8), node(0, 2, 9)),
			[]section{{0, 0, 2}, {2, 2, 9}, {0, 9, 10}},
		},
		"a child's child": {
			numbered(node(-1, 0, 10), node(0, 2, 8), node(1, 3, 5)),
			[]section{{0, 0, 2}, {1, 2, 3}, {2, 3, 5}, {1, 5, 8}, {0, 8, 10}},
		},
		"a child outlives its parent": {
			numbered(node(-1, 0, 10), node(0, 4, 50)),
			[]section{{0, 0, 4}, {1, 4, 10}},
		},
		"a child begins before its parent": {
			numbered(node(-1, 5, 10), node(0, 1, 7)),
			[]section{{1, 5, 7}, {0, 7, 10}},
		},
		"a child is outside of its parent": {
			numbered(node(-1, 5, 10), node(0, 11, 17), node(0, 1, 5)),
			[]section{{0, 5, 10}},
		},
		"the end of time": {
			numbered(node(-1, 0, math.MaxInt64), node(0, math.MaxInt64-1, math.MaxInt64)),
			[]section{{0, 0, math.MaxInt64 - 1}, {1, math.MaxInt64 - 1, math.MaxInt64}},
		},
	} {
		tr := newTree(test.spans)
		got := tr.criticalPath(test.spans, 0)
		for i := range got {
			got[i].at = tr.order[got[i].at]
		}
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(section{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// checkTree checks what is true of any tree, whatever spans say.
func checkTree(t *testing.T, spans []span) {
	t.Helper()
	tr := newTree(spans)
	if len(tr.order) != len(spans) || len(tr.parent) != len(spans) || len(tr.depth) != len(spans) || len(tr.below) != len(spans) {
		t.Fatalf("%d spans of %d are in the tree", len(tr.order), len(spans))
	}
	seen := make([]bool, len(spans))
	for k, i := range tr.order {
		if seen[i] {
			t.Fatalf("span %d is there twice", i)
		}
		seen[i] = true
		switch p := tr.parent[k]; {
		case p >= int32(k):
			t.Fatalf("span %d is before its parent", i)
		case p >= 0 && (tr.depth[k] != tr.depth[p]+1 || int32(k) > p+tr.below[p]):
			t.Fatalf("span %d is not below its parent", i)
		}
	}
	if len(spans) == 0 {
		return
	}
	// The sections of the path are what the root takes, without gap or overlap.
	root := spans[tr.order[0]]
	at := root.start
	for _, s := range tr.criticalPath(spans, 0) {
		if s.from != at || s.to <= s.from {
			t.Fatalf("a section from %d to %d follows %d", s.from, s.to, at)
		}
		at = s.to
	}
	if at != max(root.start, root.end) {
		t.Fatalf("the path ends at %d, the root at %d", at, root.end)
	}
}

func TestTreeOfAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		spans := make([]span, r.IntN(30))
		for i := range spans {
			spans[i] = node(r.IntN(len(spans)+3)-1, r.Int64N(40), r.Int64N(60))
			if r.IntN(20) == 0 {
				spans[i].end = math.MaxInt64
			}
		}
		checkTree(t, numbered(spans...))
	}
}

// What is hostile takes no more time than what is not.
func TestTreeOfHostileShapes(t *testing.T) {
	const n = 100_000
	for name, parent := range map[string]func(i int) int{
		"deep":          func(i int) int { return i - 1 },
		"deep backward": func(i int) int { return (i + 1) % (n + 1) },
		"wide":          func(i int) int { return min(i-1, 0) },
		"one circle":    func(i int) int { return (i + 1) % n },
		"circles":       func(i int) int { return i ^ 1 },
		"missing":       func(int) int { return n + 7 },
		"themselves":    func(i int) int { return i },
	} {
		spans := make([]span, n)
		for i := range spans {
			spans[i] = node(parent(i), int64(i%1000), int64(2*n-i))
		}
		began := time.Now()
		checkTree(t, numbered(spans...))
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s: %v", name, took)
		}
	}
}

func FuzzTree(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var spans []span
		for ; len(data) >= 3 && len(spans) < 1000; data = data[3:] {
			spans = append(spans, node(int(data[0])-1, int64(data[1]), int64(data[2])))
		}
		checkTree(t, numbered(spans...))
	})
}
