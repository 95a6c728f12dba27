package findings

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/route"
	"github.com/riffletrace/riffle/core/sampling"
)

// analysis goes through traces, one after another, and remembers what they share.
type analysis struct {
	config     Config
	processes  map[*resource.Resource]*process
	known      map[attribute.Distinct]*process
	statements statements
	paths      *route.Shapes // of one trace
	index      map[trace.SpanID]int32
	// take takes a finding, and if it wants to know more what fills in the rest. The text is
	// the first of its traces.
	take func(f *Finding, trace string, fill func(*Finding))

	// What takes several traces to be seen.
	orphans []orphan
	waiting map[request][]openCall
}

// process is where spans come from: all that have equal resources.
type process struct {
	service  string
	resource *resource.Resource
}

func newAnalysis(c Config, take func(*Finding, string, func(*Finding))) *analysis {
	return &analysis{
		config: c, take: take,
		processes: map[*resource.Resource]*process{}, known: map[attribute.Distinct]*process{},
		statements: statements{}, waiting: map[request][]openCall{},
	}
}

func (a *analysis) processOf(r *resource.Resource) *process {
	if p, ok := a.processes[r]; ok {
		return p
	}
	key := r.Equivalent()
	p, ok := a.known[key]
	if !ok {
		p = &process{resource: r}
		if v, ok := r.Set().Value("service.name"); ok {
			p.service = shortened(v.String(), maxName)
		}
		a.known[key] = p
	}
	a.processes[r] = p
	return p
}

// root is the parent of a span that has none.
const root = -1

// span is one of a tree.
type span struct {
	sdktrace.ReadOnlySpan
	id         trace.SpanID
	parent     int32 // an index; from the number of spans on, one that is not there; or root
	local      int32 // the first of its segment
	start, end int64 // nanoseconds; the same where it has no end
	kind       trace.SpanKind
	ended      bool
	failed     bool
	unfinished bool
	circular   bool // was its own ancestor
	process    *process
	call       int32 // in calls, or -1
	part       bool  // of a call above it in its process
	ofDatabase bool  // that call is one of a database
	attributes []attribute.KeyValue
}

func (s *span) duration() int64 { return s.end - s.start }

// weight is the adjusted count of a span.
func (s *span) weight() float64 {
	if w := sampling.ThresholdOf(s.SpanContext()).AdjustedCount(); w > 0 {
		return w
	}
	return 1
}

// tree is one trace. Spans are in the order of their starts, and so are the children of
// each.
type tree struct {
	*analysis
	id       trace.TraceID
	text     string // of id
	spans    []span
	calls    []call
	children [][]int32 // of spans, and behind these of parents that are not there
	order    []int32   // a parent before its children
	foreign  []bool    // has a span of another service below it; nil until somebody asks
	within   []int32   // the call that each span stands for, or noCall or moreCalls
}

// plant makes a tree of the spans of one trace, of which some may be there twice.
func (a *analysis) plant(id trace.TraceID, all []sdktrace.ReadOnlySpan) *tree {
	t := &tree{analysis: a, id: id, spans: make([]span, 0, len(all))}
	a.paths = nil
	t.add(all)
	slices.SortFunc(t.spans, func(x, y span) int {
		if c := cmp.Compare(x.start, y.start); c != 0 {
			return c
		}
		return bytes.Compare(x.id[:], y.id[:])
	})
	t.grow()
	t.passOn()
	for _, i := range t.order { // names what nothing but the tree tells
		s := &t.spans[i]
		s.local = i
		if p := s.parent; p >= 0 && int(p) < len(t.spans) && !t.enters(s) {
			above := &t.spans[p]
			s.local = above.local
			s.part, s.ofDatabase = above.part, above.ofDatabase
			if above.call >= 0 {
				s.part, s.ofDatabase = true, t.calls[above.call].database
			}
		}
		if s.call >= 0 && t.calls[s.call].target == "" {
			c := &t.calls[s.call]
			if server := t.serverBelow(i); server != nil {
				c.target = server.process.service
			}
			c.unnamed = c.target == ""
			c.target = cmp.Or(c.target, s.Name())
		}
	}
	return t
}

// indexFor returns an empty index: that of the trace before, unless that was a large one,
// which takes long to clear.
func (a *analysis) indexFor(n int) map[trace.SpanID]int32 {
	const large = 1 << 10
	if a.index == nil || n > large {
		return make(map[trace.SpanID]int32, n)
	}
	clear(a.index)
	return a.index
}

// add takes each span once: of two with the same ID the one that has ended, else the
// first.
func (t *tree) add(all []sdktrace.ReadOnlySpan) {
	index := t.indexFor(len(all))
	for _, ro := range all {
		id := ro.SpanContext().SpanID()
		at, twice := index[id]
		if twice && (t.spans[at].ended || ro.EndTime().IsZero()) {
			continue
		}
		s := t.newSpan(ro, id)
		if twice {
			t.spans[at] = s
			continue
		}
		index[id] = int32(len(t.spans))
		t.spans = append(t.spans, s)
	}
	if len(all) <= 1<<10 {
		t.index = index
	}
}

func (t *tree) newSpan(ro sdktrace.ReadOnlySpan, id trace.SpanID) span {
	s := span{
		ReadOnlySpan: ro, id: id, call: -1,
		start: nanoseconds(ro.StartTime()), kind: ro.SpanKind(),
		failed: ro.Status().Code == codes.Error, process: t.processOf(ro.Resource()),
		attributes: ro.Attributes(),
	}
	s.ended = !ro.EndTime().IsZero() && ro.EndTime().UnixNano() != 0
	s.end = s.start
	if s.ended {
		s.end = max(s.start, nanoseconds(ro.EndTime()))
		if s.start == 0 { // nobody has said when it started
			s.start = s.end
		}
	}
	called := s.kind == trace.SpanKindClient
	for i := range s.attributes {
		switch s.attributes[i].Key {
		case "db.system.name", "db.system", "db.query.text", "db.statement", "sql.query":
			called = true
		case sampling.UnfinishedKey:
			s.unfinished = s.attributes[i].Value.AsBool()
		}
	}
	if called {
		if c, ok := t.callOf(ro, s.attributes); ok {
			s.call = int32(len(t.calls))
			t.calls = append(t.calls, c)
		}
	}
	return s
}

// nanoseconds is a time since 1970, the last that there is for what lies behind that.
func nanoseconds(at time.Time) int64 {
	switch y := at.Year(); {
	case y < 1970:
		return 0
	case y > 2260:
		return math.MaxInt64
	}
	return at.UnixNano()
}

// grow finds parents, children and an order. A span that is its own ancestor is cut off
// as if its parent was not there.
func (t *tree) grow() {
	n := len(t.spans)
	index := t.indexFor(n)
	for i := range t.spans {
		index[t.spans[i].id] = int32(i)
	}
	lost := map[trace.SpanID]int32{}
	missing := func(id trace.SpanID) int32 {
		at, ok := lost[id]
		if !ok {
			at = int32(n + len(lost))
			lost[id] = at
		}
		return at
	}
	for i := range t.spans {
		s := &t.spans[i]
		above := s.Parent().SpanID()
		switch at, ok := index[above]; {
		case !above.IsValid():
			s.parent = root
		case ok && int(at) != i:
			s.parent = at
		default:
			s.parent, s.circular = missing(above), ok
		}
	}
	t.cut(missing)
	t.fill(n + len(lost))
}

// cut opens each circle at the span that started first.
func (t *tree) cut(missing func(trace.SpanID) int32) {
	n := int32(len(t.spans))
	seen := make([]int32, n) // by which walk, from 1 on
	for i := range n {
		at := i
		for at >= 0 && at < n && seen[at] == 0 {
			seen[at] = i + 1
			at = t.spans[at].parent
		}
		if at < 0 || at >= n || seen[at] != i+1 {
			continue
		}
		first := at
		for in := t.spans[at].parent; in != at; in = t.spans[in].parent {
			first = min(first, in)
		}
		s := &t.spans[first]
		s.parent, s.circular = missing(s.Parent().SpanID()), true
	}
}

// fill lists the children of all parents, and orders the spans.
func (t *tree) fill(parents int) {
	n := len(t.spans)
	counts := make([]int32, parents+1)
	for i := range t.spans {
		if p := t.spans[i].parent; p >= 0 {
			counts[p]++
		}
	}
	flat := make([]int32, n)
	t.children = make([][]int32, parents)
	from := int32(0)
	for p := range parents {
		t.children[p] = flat[from : from : from+counts[p]]
		from += counts[p]
	}
	t.order = make([]int32, 0, n)
	for i := range t.spans {
		switch p := t.spans[i].parent; {
		case p < 0:
			t.order = append(t.order, int32(i))
		default:
			t.children[p] = append(t.children[p], int32(i))
		}
	}
	for _, below := range t.children[n:] {
		t.order = append(t.order, below...)
	}
	for i := 0; i < len(t.order); i++ {
		t.order = append(t.order, t.children[t.order[i]]...)
	}
}

// parent is that of a span, nil if it is not there.
func (t *tree) parent(s *span) *span {
	if s.parent < 0 || int(s.parent) >= len(t.spans) {
		return nil
	}
	return &t.spans[s.parent]
}

// enters tells that a span begins a segment of its own.
func (t *tree) enters(s *span) bool {
	p := t.parent(s)
	return p == nil || p.process != s.process || s.Parent().IsRemote() || s.kind == trace.SpanKindServer && p.kind == trace.SpanKindClient
}

// serverBelow is what a call arrives at; nil if that is not there. Between them may be
// the span of what the call is made by, as that of HTTP below that of gRPC.
func (t *tree) serverBelow(i int32) *span {
	const deepest = 3
	return t.serverAt(i, deepest)
}

func (t *tree) serverAt(i int32, depth int) *span {
	for _, c := range t.children[i] {
		if s := &t.spans[c]; s.kind == trace.SpanKindServer {
			return s
		}
	}
	for _, c := range t.children[i] {
		if s := &t.spans[c]; depth > 1 && s.kind == trace.SpanKindClient && s.process == t.spans[i].process {
			if server := t.serverAt(c, depth-1); server != nil {
				return server
			}
		}
	}
	return nil
}

// call returns the call that a span is; nil if it is none.
func (t *tree) call(i int32) *call {
	if at := t.spans[i].call; at >= 0 {
		return &t.calls[at]
	}
	return nil
}

// find takes a finding about spans, at the first of them.
func (t *tree) find(kind Kind, operation string, count, cost float64, advice func() string, spans ...int32) {
	t.findAt(spans[0], kind, operation, count, cost, advice, spans)
}

// findAt takes a finding at a span, which has the service and the weight. The cost is in
// nanoseconds; both count and cost are without the weight.
func (t *tree) findAt(at int32, kind Kind, operation string, count, cost float64, advice func() string, spans []int32) {
	weight := t.spans[at].weight()
	if t.text == "" {
		t.text = t.id.String()
	}
	slices.Sort(spans)
	f := Finding{
		Kind: kind, Service: t.spans[at].process.service, Operation: shortened(operation, maxName),
		Count: count * weight, CostMS: cost / float64(time.Millisecond) * weight,
	}
	t.take(&f, t.text, func(f *Finding) {
		f.Traces = []string{t.text}
		f.Spans = make([]string, len(spans))
		for i, s := range spans {
			f.Spans[i] = t.spans[s].id.String()
		}
		f.Advice = advice()
	})
}
