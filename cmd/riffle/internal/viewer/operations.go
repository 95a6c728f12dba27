package viewer

import (
	"cmp"
	"context"
	"math"
	"runtime"
	"slices"
	"time"
)

// maxOperations is how many are shown.
const maxOperations = 1000

// operations is what the API has of operations.
type operations struct {
	Version    uint64      `json:"version"`
	Seconds    float64     `json:"seconds"`
	Operations []operation `json:"operations"`
}

type operation struct {
	Service string  `json:"service"`
	Name    string  `json:"name"`
	Kind    string  `json:"kind"`
	Spans   int     `json:"spans"`
	Count   float64 `json:"count"`
	Rate    float64 `json:"rate"`
	Errors  float64 `json:"errors"`
	P50     float64 `json:"p50"`
	P95     float64 `json:"p95"`
	P99     float64 `json:"p99"`
}

// kinds are the names of the kinds of spans.
var kinds = []string{"unspecified", "internal", "server", "client", "producer", "consumer"}

func compareOps(a, b *op) int {
	return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.name, b.name))
}

// sample is a span's duration and how many it stands for.
type sample struct {
	duration int64
	weight   float64
}

// samples are those of an operation.
type samples struct {
	all           []sample
	count, errors float64
}

type opKind struct {
	op   uint32
	kind uint8
}

// tally is what a goroutine has seen.
type tally struct {
	*matcher
	ops         map[opKind]*samples
	first, last int64 // nanoseconds since 1970
}

func (s *store) operations(ctx context.Context, q *query) (*operations, error) {
	snap := s.snapshot()
	first := newMatcher(q, &snap, s.keys)
	tallies := make([]*tally, runtime.GOMAXPROCS(0))
	for w := range tallies {
		tallies[w] = &tally{matcher: first.fork(), ops: map[opKind]*samples{}, first: math.MaxInt64}
	}
	err := each(ctx, len(snap.traces), len(tallies), func(w, i int) { tallies[w].trace(snap.traces[i]) })
	if err != nil {
		return nil, err
	}
	sum := tallies[0]
	for _, t := range tallies[1:] {
		sum.merge(t)
	}
	out := &operations{Version: snap.version, Operations: []operation{}}
	if sum.last > sum.first {
		out.Seconds = time.Duration(sum.last - sum.first).Seconds()
	}
	keys := make([]opKind, 0, len(sum.ops))
	for k := range sum.ops {
		keys = append(keys, k)
	}
	most := best(keys, maxOperations, func(a, b opKind) int {
		return cmp.Or(cmp.Compare(sum.ops[b].count, sum.ops[a].count), compareOps(snap.ops[a.op], snap.ops[b.op]), cmp.Compare(a.kind, b.kind))
	})
	for _, k := range most {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		at, o := sum.ops[k], snap.ops[k.op]
		row := operation{Service: short(o.service), Name: short(o.name), Kind: kinds[k.kind], Spans: len(at.all), Count: at.count, Errors: at.errors}
		if out.Seconds > 0 {
			row.Rate = at.count / out.Seconds
		}
		row.P50, row.P95, row.P99 = at.percentiles()
		out.Operations = append(out.Operations, row)
	}
	return out, nil
}

func (t *tally) trace(h *held) {
	if !t.begin(h) {
		return
	}
	all := !t.perSpan()
	for i := range h.spans {
		s := &h.spans[i]
		if !all && !t.span(h, i) {
			continue
		}
		key := opKind{s.op, s.kind}
		at := t.ops[key]
		if at == nil {
			at = &samples{}
			t.ops[key] = at
		}
		w := s.counts()
		at.all = append(at.all, sample{s.duration(), w})
		at.count += w
		if s.status == statusError {
			at.errors += w
		}
		if s.start > 0 {
			t.first, t.last = min(t.first, s.start), max(t.last, s.start, s.end)
		}
	}
}

func (t *tally) merge(other *tally) {
	for key, o := range other.ops {
		at := t.ops[key]
		if at == nil {
			t.ops[key] = o
			continue
		}
		at.all = append(at.all, o.all...)
		at.count += o.count
		at.errors += o.errors
	}
	t.first, t.last = min(t.first, other.first), max(t.last, other.last)
}

// percentiles are of durations by weight: the least duration that at least this share of
// the weight does not exceed.
func (s *samples) percentiles() (p50, p95, p99 float64) {
	slices.SortFunc(s.all, func(a, b sample) int { return cmp.Compare(a.duration, b.duration) })
	var sum float64 // in this order, so that the last one reaches it
	for i := range s.all {
		sum += s.all[i].weight
	}
	var passed float64
	out := [3]float64{}
	next, shares := 0, [...]float64{0.5, 0.95, 0.99}
	for i := range s.all {
		passed += s.all[i].weight
		for next < len(shares) && passed >= shares[next]*sum {
			out[next] = micros(s.all[i].duration)
			next++
		}
	}
	return out[0], out[1], out[2]
}
