package viewer

import (
	"cmp"
	"context"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riffletrace/riffle/findings"
)

// What a search returns at most.
const maxPoints = 2000

// found is what a search returns, as the API has it.
type found struct {
	Version   uint64         `json:"version"`
	Matched   int            `json:"traces_matched"`
	Weight    float64        `json:"weight"`
	Took      float64        `json:"took"`
	Traces    []foundTrace   `json:"traces"`
	Points    [][4]any       `json:"points"`
	Histogram foundHistogram `json:"histogram"`
}

type foundTrace struct {
	ID       string          `json:"id"`
	Service  string          `json:"service"`
	Name     string          `json:"name"`
	Start    float64         `json:"start"`
	Duration float64         `json:"duration"`
	Spans    int             `json:"spans"`
	Errors   int             `json:"errors"`
	Services []string        `json:"services"`
	Weight   *float64        `json:"weight"`
	Root     bool            `json:"root"`
	Findings []findings.Kind `json:"findings"`
}

type foundHistogram struct {
	Edges   []float64 `json:"edges"`
	Weights []float64 `json:"weights"`
	Errors  []float64 `json:"errors"`
}

// chunk is how many traces a goroutine takes at a time.
const chunk = 128

// each calls look for every trace, on as many goroutines as there are cores. i is the
// trace's index, and worker tells the goroutines apart.
func each(ctx context.Context, n, workers int, look func(worker, i int)) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				from := int(next.Add(chunk)) - chunk
				if from >= n {
					return
				}
				for i := from; i < min(from+chunk, n); i++ {
					look(w, i)
				}
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

func (s *store) search(ctx context.Context, q *query) (*found, error) {
	began := time.Now()
	snap := s.snapshot()
	workers := runtime.GOMAXPROCS(0)
	matchers := []*matcher{newMatcher(q, &snap, s.keys)}
	for len(matchers) < workers {
		matchers = append(matchers, matchers[0].fork())
	}
	hits := make([]bool, len(snap.traces))
	err := each(ctx, len(snap.traces), workers, func(w, i int) { hits[i] = matchers[w].trace(snap.traces[i]) })
	if err != nil {
		return nil, err
	}
	var matched []*held
	for i, h := range snap.traces {
		if hits[i] {
			matched = append(matched, h)
		}
	}
	out := &found{Version: snap.version, Matched: len(matched), Histogram: histogram(matched), Points: points(matched), Traces: []foundTrace{}}
	for _, h := range matched {
		out.Weight += h.spans[h.root].counts()
	}
	for _, h := range best(matched, q.limit, order(q.sort)) {
		out.Traces = append(out.Traces, snap.found(h))
	}
	out.Took = micros(int64(time.Since(began)))
	return out, nil
}

// trace tells whether a trace matches.
func (m *matcher) trace(h *held) bool {
	if !m.begin(h) {
		return false
	}
	if !m.perSpan() {
		return true
	}
	for i := range h.spans {
		if m.span(h, i) {
			return true
		}
	}
	return false
}

func order(sort string) func(a, b *held) int {
	id := func(a, b *held) int { return slices.Compare(a.id[:], b.id[:]) }
	switch sort {
	case sortLongest:
		return func(a, b *held) int { return cmp.Or(cmp.Compare(b.duration(), a.duration()), id(a, b)) }
	case sortSpans:
		return func(a, b *held) int { return cmp.Or(cmp.Compare(len(b.spans), len(a.spans)), id(a, b)) }
	default:
		return func(a, b *held) int { return cmp.Or(cmp.Compare(b.start, a.start), id(a, b)) }
	}
}

// best are the first n in an order, without sorting all.
func best[T any](all []T, n int, order func(a, b T) int) []T {
	const several = 8
	var top []T
	full := false // top has the first n so far, and others
	for _, v := range all {
		if full && order(v, top[n-1]) >= 0 {
			continue
		}
		if top = append(top, v); len(top) >= several*n {
			slices.SortFunc(top, order)
			top = top[:n]
			full = true
		}
	}
	slices.SortFunc(top, order)
	return top[:min(n, len(top))]
}

func (s *snapshot) found(h *held) foundTrace {
	root := &h.spans[h.root]
	op := s.ops[root.op]
	t := foundTrace{
		ID: h.id.String(), Service: short(op.service), Name: short(op.name),
		Start: micros(h.start), Duration: micros(h.duration()),
		Spans: len(h.spans), Errors: h.errors,
		Services: h.services(), Weight: weightOrNull(root), Root: h.isRoot(), Findings: []findings.Kind{},
	}
	for _, k := range findings.Kinds() {
		if h.has(k) {
			t.Findings = append(t.Findings, k)
		}
	}
	return t
}

func (h *held) services() []string {
	var all []string
	for _, o := range h.origins {
		all = append(all, short(o.service))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func weightOrNull(s *span) *float64 {
	if s.weight == 0 {
		return nil
	}
	return &s.weight
}

// points are those of a scatter: all, or the longest and, of the others, every so many.
func points(matched []*held) [][4]any {
	some := matched
	if len(matched) > maxPoints {
		const longest = maxPoints / 4
		some = best(matched, longest, order(sortLongest))
		least := some[len(some)-1].duration()
		step := float64(len(matched)) / (maxPoints - longest)
		for k := range maxPoints - longest {
			if h := matched[int(float64(k)*step)]; h.duration() < least {
				some = append(some, h)
			}
		}
	}
	out := make([][4]any, len(some))
	for i, h := range some {
		out[i] = [4]any{micros(h.start), micros(h.duration()), int(bit(h.errors > 0)), h.id.String()}
	}
	return out
}

// histogram counts durations, with the weights of traces. The edges are 1, 2 and 5 of
// each power of ten, from about the shortest to about the longest.
func histogram(matched []*held) foundHistogram {
	shortest, longest := int64(math.MaxInt64), int64(0)
	for _, h := range matched {
		d := h.duration()
		shortest, longest = min(shortest, d), max(longest, d)
	}
	g := foundHistogram{Edges: []float64{}}
	for decade := 1.0; decade < math.MaxInt64/1e3; decade *= 10 {
		for _, step := range []float64{1, 2, 5} {
			if edge := decade * step; edge > micros(shortest) && edge <= micros(longest) {
				g.Edges = append(g.Edges, edge)
			}
		}
	}
	g.Weights, g.Errors = make([]float64, len(g.Edges)+1), make([]float64, len(g.Edges)+1)
	for _, h := range matched {
		at, exact := slices.BinarySearch(g.Edges, micros(h.duration()))
		if exact { // an edge is the least of what is above it
			at++
		}
		w := h.spans[h.root].counts()
		g.Weights[at] += w
		if h.errors > 0 {
			g.Errors[at] += w
		}
	}
	return g
}
