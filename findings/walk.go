package findings

import (
	"cmp"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// leaves reports whether the trace goes on below a span in another service.
func (t *tree) leaves(i int32) bool {
	if t.foreign == nil {
		t.foreign = make([]bool, len(t.spans))
		for _, at := range slices.Backward(t.order) {
			for _, c := range t.children[at] {
				if t.foreign[c] || t.spans[c].process.service != t.spans[at].process.service {
					t.foreign[at] = true
					break
				}
			}
		}
	}
	return t.foreign[i]
}

// origin finds where an error begins, below the span at the top of its path.
func (t *tree) origin(i int32, top *span) {
	if p := t.parent(top); p != nil && p.failed {
		return
	}
	path := []int32{i}
	for at := i; ; {
		next := int32(-1)
		for _, c := range t.children[at] {
			if s := &t.spans[c]; s.failed && (next < 0 || t.before(s, &t.spans[next])) {
				next = c
			}
		}
		if next < 0 {
			break
		}
		path = append(path, next)
		at = next
	}
	at := path[len(path)-1]
	s := &t.spans[at]
	t.findAt(at, ErrorOrigin, s.Name(), 1, float64(top.duration()), func() string { return t.adviseOrigin(path) }, path)
}

// before reports whether a span ended before another did. One that has no end is last.
func (*tree) before(a, b *span) bool {
	if a.ended != b.ended {
		return a.ended
	}
	return a.ended && a.end < b.end
}

// gap finds time of a span in which none of its children is open.
func (t *tree) gap(i int32, s *span) {
	config := &t.config.Gap
	if !s.ended || len(t.children[i]) == 0 || s.duration() < int64(config.MinDuration) {
		return
	}
	type stretch struct{ start, end int64 }
	covered := make([]stretch, 0, len(t.children[i]))
	for _, c := range t.children[i] {
		child := &t.spans[c]
		if child.kind == trace.SpanKindConsumer {
			continue // caused by it, and not a part of it
		}
		start, end := child.start, child.end
		switch length := child.duration(); {
		case !child.ended:
			end = s.end
		case child.process != s.process && length <= s.duration(): // another clock
			if start < s.start {
				start = s.start
			} else if end > s.end {
				start = s.end - length
			}
			end = start + length
		}
		covered = append(covered, stretch{max(start, s.start), min(end, s.end)})
	}
	if len(covered) == 0 {
		return
	}
	slices.SortFunc(covered, func(a, b stretch) int { return cmp.Compare(a.start, b.start) })
	free, at := int64(0), s.start
	for _, c := range covered {
		free += max(0, c.start-at)
		at = max(at, c.end)
	}
	free += max(0, s.end-at)
	if free > 0 && free >= int64(config.MinDuration) && float64(free) >= config.MinShare*float64(s.duration()) {
		t.find(Gap, s.Name(), 1, float64(free), func() string { return adviseGap(time.Duration(free), time.Duration(s.duration())) }, i)
	}
}

// unended finds spans without an end.
func (t *tree) unended(i int32, s *span) {
	if !s.ended || s.unfinished {
		t.find(UnendedSpan, s.Name(), 1, 0, func() string { return adviseUnended(s) }, i)
	}
}

// skew finds server spans that do not lie in their client spans.
func (t *tree) skew(i int32, s *span) {
	p := t.parent(s)
	if p == nil || s.kind != trace.SpanKindServer || p.kind != trace.SpanKindClient || p.process == s.process {
		return
	}
	least := max(int64(t.config.ClockSkew.MinSkew), 1)
	early, late := p.start-s.start, int64(0)
	if s.ended && p.ended && s.duration() <= p.duration() && p.Status().Code != codes.Error {
		late = s.end - p.end
	}
	if early >= least || late >= least {
		t.find(ClockSkew, s.Name(), 1, 0, func() string { return adviseSkew(time.Duration(early), time.Duration(late), p.process.service) }, i)
	}
}

// conversation is the calls of one segment to one service.
type conversation struct {
	local   int32
	service string
}

// chatty finds many calls from one segment to another service.
func (t *tree) chatty() {
	if len(t.calls) < max(t.config.Chatty.MinCalls, 2) {
		return
	}
	// A target is the service that was seen below one of its calls.
	services := map[conversation]string{}
	var calls []int32
	for _, i := range t.order {
		c := t.call(i)
		if c == nil || c.database || t.spans[i].part {
			continue
		}
		calls = append(calls, i)
		if server := t.serverBelow(i); server != nil && server.process.service != "" {
			services[conversation{t.spans[i].local, c.target}] = server.process.service
		}
	}
	index := map[conversation]int{}
	var keys []conversation
	var all [][]int32
	for _, i := range calls {
		s := &t.spans[i]
		key := conversation{s.local, t.call(i).target}
		if name, ok := services[key]; ok {
			key.service = name
		}
		if server := t.serverBelow(i); server != nil {
			key.service = cmp.Or(server.process.service, key.service)
		}
		if key.service == s.process.service {
			continue // it calls itself
		}
		at, ok := index[key]
		if !ok {
			at = len(all)
			index[key] = at
			keys, all = append(keys, key), append(all, nil)
		}
		all[at] = append(all[at], i)
	}
	for at, key := range keys {
		if len(all[at]) >= max(t.config.Chatty.MinCalls, 2) {
			t.chat(key, all[at])
		}
	}
}

func (t *tree) chat(key conversation, calls []int32) {
	var sum, longest float64
	for _, i := range calls {
		outside := float64(t.spans[i].duration())
		if server := t.serverBelow(i); server != nil {
			outside = max(0, outside-float64(server.duration()))
		}
		sum += outside
		longest = max(longest, outside)
	}
	t.find(Chatty, key.service, 1, sum-longest, func() string { return adviseChatty(len(calls), sum, key.service, t.spans[key.local].Name()) }, calls...)
}

// missing finds spans whose parent is not there, those of one parent and name together.
func (t *tree) missing() {
	type named struct {
		process *process
		name    string
	}
	for _, below := range t.children[len(t.spans):] {
		index := map[named]int{}
		var all [][]int32
		for _, i := range below {
			key := named{t.spans[i].process, t.spans[i].Name()}
			at, ok := index[key]
			if !ok {
				at = len(all)
				index[key] = at
				all = append(all, nil)
			}
			all[at] = append(all[at], i)
		}
		for _, spans := range all {
			s := &t.spans[spans[0]]
			t.find(MissingParent, s.Name(), float64(len(spans)), 0, func() string { return adviseMissing(s) }, spans...)
		}
	}
}

// large finds texts that are long.
func (t *tree) large(i int32, s *span) {
	least := max(int(t.config.LargeAttribute.MinSize), 1)
	var key attribute.Key
	size := 0
	look := func(attributes []attribute.KeyValue) {
		for n := range attributes {
			kv := &attributes[n]
			if l := lengthOf(kv.Value, 0); l >= least && l > size && kv.Key != "exception.stacktrace" {
				key, size = kv.Key, l
			}
		}
	}
	look(s.attributes)
	for _, e := range s.Events() {
		look(e.Attributes)
	}
	for _, l := range s.Links() {
		look(l.Attributes)
	}
	if size > 0 {
		t.find(LargeAttribute, s.Name(), 1, 0, func() string { return adviseLarge(string(key), size) }, i)
	}
}

// lengthOf is that of the longest text of a value.
func lengthOf(v attribute.Value, depth int) int {
	const deepest = 32
	longest := 0
	switch v.Type() {
	case attribute.STRING:
		return len(v.AsString())
	case attribute.STRINGSLICE:
		for _, s := range v.AsStringSlice() {
			longest = max(longest, len(s))
		}
	case attribute.SLICE:
		for _, v := range v.AsSlice() {
			if depth < deepest {
				longest = max(longest, lengthOf(v, depth+1))
			}
		}
	case attribute.MAP:
		for _, kv := range v.AsMap() {
			if depth < deepest {
				longest = max(longest, lengthOf(kv.Value, depth+1))
			}
		}
	}
	return longest
}
