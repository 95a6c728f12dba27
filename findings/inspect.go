package findings

import (
	"cmp"
	"slices"
	"time"
)

// inspect finds what is wrong in one trace.
func (t *tree) inspect() {
	t.wrap()
	for p, below := range t.children {
		if len(below) > 0 {
			t.siblings(int32(p), below)
		}
	}
	for i := range t.spans {
		s := &t.spans[i]
		t.slow(int32(i), s)
		t.unended(int32(i), s)
		t.skew(int32(i), s)
		t.large(int32(i), s)
		t.gap(int32(i), s)
		if s.failed {
			t.origin(int32(i), s)
		}
	}
	t.chatty()
	t.missing()
}

// siblings inspects the calls below one parent.
func (t *tree) siblings(parent int32, below []int32) {
	var calls []int32
	wrapped := make([]int32, 0, 8) // with those that a span of their own is around
	again := false
	for _, top := range below {
		i := t.within[top]
		if i < 0 {
			continue
		}
		c := t.call(i)
		c.top = top
		wrapped = append(wrapped, i)
		if i == top {
			calls = append(calls, i)
			again = again || t.spans[i].failed || c.resent
		}
	}
	if len(wrapped) >= t.config.NPlusOne.MinCalls {
		for _, group := range t.groups(wrapped, t.repeated) {
			t.nPlusOne(group)
		}
	}
	if len(calls) == 0 {
		return
	}
	if again {
		for _, group := range t.groups(calls, same) {
			t.retry(group)
		}
	}
	if len(calls) >= t.config.FanOut.MinConcurrent {
		t.fanOut(parent, calls)
	}
	if len(calls) >= t.config.SequentialCalls.MinCalls {
		t.sequential(parent, calls)
	}
}

// group is what calls have in common.
type group struct {
	process       *process
	target, shape string
	wrapper       string // the name of what is around it
}

// repeated groups calls of a database by shape. Below functions of different names they
// are not of one loop.
func (t *tree) repeated(s *span, c *call) (group, bool) {
	wrapper := ""
	if top := &t.spans[c.top]; top.call < 0 {
		wrapper = top.Name()
	}
	return group{s.process, c.target, c.shape, wrapper}, c.database && !c.batch && !c.control && s.ended
}

// same groups calls that are equal to the letter.
func same(s *span, c *call) (group, bool) { return group{s.process, c.target, c.exact, ""}, true }

// groups returns the calls by group, in the order of the first of each.
func (t *tree) groups(calls []int32, by func(*span, *call) (group, bool)) [][]int32 {
	index := map[group]int{}
	var all [][]int32
	for _, i := range calls {
		key, ok := by(&t.spans[i], t.call(i))
		if !ok {
			continue
		}
		at, known := index[key]
		if !known {
			at = len(all)
			index[key] = at
			all = append(all, nil)
		}
		all[at] = append(all[at], i)
	}
	return all
}

// nPlusOne finds runs of calls of one shape.
func (t *tree) nPlusOne(calls []int32) {
	var run []int32
	var last int64 // end of all so far
	for _, i := range calls {
		start, end := t.bounds(i)
		switch apart := start >= last; {
		case t.spans[i].failed:
			t.run(run)
			run = nil
		case apart:
			run = append(run, i)
		default: // this one is no part of a run, and neither is what it overlaps
			if len(run) > 0 {
				run = run[:len(run)-1]
			}
			t.run(run)
			run = nil
		}
		last = max(last, end)
	}
	t.run(run)
}

func (t *tree) run(calls []int32) {
	if len(calls) < max(t.config.NPlusOne.MinCalls, 2) {
		return
	}
	sum, longest := t.durations(calls)
	c := t.call(calls[0])
	t.find(NPlusOne, c.shape, 1, sum-longest, func() string { return adviseNPlusOne(len(calls), sum, c) }, calls...)
}

// durations is the sum of those of calls, and the longest.
func (t *tree) durations(calls []int32) (sum, longest float64) {
	for _, i := range calls {
		d := float64(t.spans[i].duration())
		sum += d
		longest = max(longest, d)
	}
	return sum, longest
}

// byEnd returns calls in the order of their ends, those that have one.
func (t *tree) byEnd(calls []int32) []int32 {
	ends := make([]int32, 0, len(calls))
	for _, i := range calls {
		if t.spans[i].ended {
			ends = append(ends, i)
		}
	}
	slices.SortFunc(ends, func(a, b int32) int {
		return cmp.Or(cmp.Compare(t.spans[a].end, t.spans[b].end), cmp.Compare(a, b))
	})
	return ends
}

// retry finds calls behind one that has failed. What was the last to end before a call
// starts tells whether that repeats it.
func (t *tree) retry(calls []int32) {
	ends := t.byEnd(calls)
	var failed, before *span // the first of those that failed in a row, and the last to end
	var failedAt, beforeAt int32
	var cost, chain float64
	repetitions := 0
	spans := []int32{}
	take := func(i int32) {
		if len(spans) == 0 || spans[len(spans)-1] != i {
			spans = append(spans, i)
		}
	}
	for _, i := range calls {
		s := &t.spans[i]
		for len(ends) > 0 && ends[0] != i && t.spans[ends[0]].end <= s.start {
			beforeAt, before = ends[0], &t.spans[ends[0]]
			ends = ends[1:]
			if !before.failed {
				failed = nil
			} else if failed == nil {
				failed, failedAt = before, beforeAt
				cost += chain
				chain = 0
			}
		}
		switch {
		case failed != nil:
			take(failedAt)
			chain = max(chain, float64(s.start-failed.start))
		case !t.call(i).resent:
			continue
		case before != nil:
			take(beforeAt)
			cost += float64(s.start - before.start)
		}
		repetitions++
		take(i)
	}
	if repetitions == 0 {
		return
	}
	c := t.call(calls[0])
	storm := repetitions >= max(t.config.Retry.Storm, 1)
	slices.Sort(spans)
	spans = slices.Compact(spans)
	t.find(Retry, c.what(), float64(repetitions), cost+chain, func() string { return adviseRetry(repetitions, cost+chain, storm, c) }, spans...)
}

// fanOut finds stretches of time in which many calls are open at once.
func (t *tree) fanOut(parent int32, calls []int32) {
	most := max(t.config.FanOut.MinConcurrent, 2)
	ends := t.byEnd(calls)
	open, highest, from := 0, 0, 0
	stretch := func(to int) {
		if highest >= most {
			t.burst(parent, calls[from:to], highest)
		}
		highest, from = 0, to
	}
	for n, i := range calls {
		for len(ends) > 0 && t.spans[ends[0]].end <= t.spans[i].start && ends[0] < i {
			if t.open(ends[0]) {
				open--
			}
			ends = ends[1:]
		}
		if open == 0 {
			stretch(n)
		}
		if t.open(i) {
			open++
			highest = max(highest, open)
		}
	}
	stretch(len(calls))
}

// open tells that a call takes time.
func (t *tree) open(i int32) bool { return t.spans[i].duration() > 0 }

func (t *tree) burst(parent int32, calls []int32, concurrent int) {
	lengths := make([]int64, 0, len(calls))
	var spans []int32
	end := int64(0)
	for _, i := range calls {
		if t.open(i) {
			spans = append(spans, i)
			lengths = append(lengths, t.spans[i].duration())
			end = max(end, t.spans[i].end)
		}
	}
	slices.Sort(lengths)
	middle := len(lengths) / 2
	median := float64(lengths[middle])
	if len(lengths)%2 == 0 {
		median = (median + float64(lengths[middle-1])) / 2
	}
	cost := max(0, float64(end-t.spans[spans[0]].start)-median)
	t.find(FanOut, t.nameOf(parent, spans[0]), 1, cost, func() string { return adviseFanOut(len(spans), concurrent, t.call(spans[0])) }, spans...)
}

// nameOf is the name of a parent, or where it is not there that of a span below it.
func (t *tree) nameOf(parent, below int32) string {
	if int(parent) < len(t.spans) {
		return t.spans[parent].Name()
	}
	return t.spans[below].Name()
}

// slow finds calls that take long.
func (t *tree) slow(i int32, s *span) {
	c := t.call(i)
	if c == nil || !s.ended || c.twin {
		return
	}
	d := time.Duration(s.duration())
	if c.database {
		if most := time.Duration(t.config.SlowQuery.MinDuration); d >= most && !t.slowBelow(i, true, most) {
			t.find(SlowQuery, c.shape, 1, float64(d-most), func() string { return adviseSlowQuery(d, most, c) }, i)
		}
		return
	}
	if most := time.Duration(t.config.SlowExternalCall.MinDuration); d >= most && !s.ofDatabase && !t.leaves(i) && !t.slowBelow(i, false, most) {
		t.find(SlowExternalCall, c.what(), 1, float64(d-most), func() string { return adviseSlowCall(d, most, c, s.failed) }, i)
	}
}

// slowBelow reports whether a call below one is slow too, as that of a driver below that
// of an ORM, and that of HTTP below that of a client of S3: it is the one to tell.
func (t *tree) slowBelow(i int32, database bool, most time.Duration) bool {
	return slices.ContainsFunc(t.children[i], func(child int32) bool {
		at := t.within[child]
		if at < 0 || t.spans[at].process != t.spans[i].process {
			return false
		}
		c, s := t.call(at), &t.spans[at]
		return c.database == database && s.ended && time.Duration(s.duration()) >= most
	})
}

// what is the shape of a call and its target.
func (c *call) what() string {
	if c.shape == c.target || c.target == "" {
		return c.shape
	}
	return shortened(c.shape, maxName-maxShort) + " to " + shortened(c.target, maxShort)
}
