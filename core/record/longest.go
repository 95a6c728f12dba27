package record

import (
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// OpenSegment is a segment of which a span is open.
type OpenSegment struct {
	// Name is that of the local root, and Route its http.route; "" if it has none.
	Name, Route string
	Start       time.Time // of the local root
	// Open counts the spans of it that are open, Ended those that have ended.
	Open, Ended int
	// RootEnded tells that the local root has ended, and something below it has not.
	RootEnded bool
}

// LongestOpen returns the segments whose local root has started first, no more than most of
// them. It looks at all that are listed, which takes about 0.1 µs each, and holds up
// nobody for longer than a sweep does.
func (p *TracerProvider) LongestOpen(most int) []OpenSegment {
	var first []*segment
	byStart := func(a, b *segment) int { return a.root.start.Compare(b.root.start) }
	var list []*segment
	l := p.live
	for i := range l.shards {
		list = l.shards[i].segments(list[:0])
		for _, g := range list {
			if len(first) == most && !g.root.start.Before(first[most-1].root.start) || !g.isOpen() {
				continue
			}
			at, _ := slices.BinarySearchFunc(first, g, byStart)
			if len(first) == most {
				first = first[:most-1]
			}
			first = slices.Insert(first, at, g)
		}
		clear(list)
	}
	all := make([]OpenSegment, 0, len(first))
	for _, g := range first {
		all = append(all, g.tell())
	}
	return all
}

// segments adds those that are listed.
func (sh *shard) segments(list []*segment) []*segment {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, s := range sh.slots {
		if s.segment != nil {
			list = append(list, s.segment)
		}
	}
	return list
}

func (g *segment) isOpen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opens > 0
}

// tell tells of the segment what may be told to anybody: no attribute but the route.
func (g *segment) tell() OpenSegment {
	root := &g.root.recorded
	s := OpenSegment{
		Name: root.Name(), Route: root.route(), Start: root.start,
		Ended: int(g.ended.Load()), RootEnded: root.state.hasEnded(),
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s.Open = int(g.opens)
	return s
}

const routeKey attribute.Key = "http.route"

// route is the last value that was set.
func (s *recorded) route() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kv := range slices.Backward(s.attrs) {
		if kv.Key == routeKey && kv.Value.Type() == attribute.STRING {
			return kv.Value.AsString()
		}
	}
	return ""
}
