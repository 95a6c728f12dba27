package viewer

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/findings"
)

// store holds traces within a bound of memory. The trace to which nothing was added for
// the longest time goes first. Whoever reads gets traces as they are at one time, see
// [held], and holds up nobody meanwhile.
type store struct {
	maxBytes int64
	keys     *keys
	now      func() time.Time

	mu             sync.Mutex
	traces         map[trace.TraceID]*entry
	newest, oldest *entry // a list, by the last arrival
	changed        []*entry
	due            int // of those that had changed, how many are being looked at
	ops            []*op
	opSpans        []int // of each op, how many spans have it
	freeOps        []uint32
	opIndex        map[op]uint32
	origins        map[string]*origin

	version, evicted, rejected uint64
	spans                      int
	bytes                      int64
}

// entry is a trace's place in the store.
type entry struct {
	held         *held
	newer, older *entry
	gone         bool
	bytes        int64
	arrived      time.Time // last
	waits        bool      // is in store.changed
	touched      bool      // by the spans that are being added
	// Of the spans and the origins; nil: so few that they are looked through.
	ids   map[trace.SpanID]struct{}
	index map[*origin]uint32
}

// What is added to what is counted exactly: the maps' share, headers, and what the
// allocator rounds up.
const (
	entryBytes  = 512
	spanBytes   = 56
	idBytes     = 24
	opBytes     = 160
	originBytes = 512
)

// few is how many are looked through.
const few = 16

func newStore(maxBytes int64) *store {
	return &store{
		maxBytes: maxBytes, keys: newKeys(), now: time.Now,
		traces: map[trace.TraceID]*entry{}, opIndex: map[op]uint32{}, origins: map[string]*origin{},
	}
}

// incoming is a span that was encoded, and is not in its trace yet.
type incoming struct {
	span
	trace    trace.TraceID
	from, to int // its bytes
	name     string
	source   sdktrace.ReadOnlySpan // for its origin
}

// add takes spans, and returns how many it cannot take: those without IDs. It keeps
// nothing of them but texts.
func (s *store) add(spans []sdktrace.ReadOnlySpan) (rejected int) {
	e := encoder{keys: s.keys}
	all := make([]incoming, 0, len(spans))
	for _, r := range spans {
		sc := r.SpanContext()
		if !sc.IsValid() {
			rejected++
			continue
		}
		from := len(e.b)
		all = append(all, incoming{span: e.span(r), trace: sc.TraceID(), from: from, to: len(e.b), name: r.Name(), source: r})
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	var touched []*entry
	var from originCache
	for i := range all {
		if t := s.addOne(&all[i], e.b[all[i].from:all[i].to], &from, &rejected); t != nil && !t.touched {
			t.touched = true
			touched = append(touched, t)
		}
	}
	for _, t := range touched {
		t.touched = false
		s.count(t)
	}
	if len(touched) > 0 || rejected > 0 {
		s.version++
	}
	s.rejected += uint64(rejected)
	s.fit()
	return rejected
}

// fit lets the oldest traces go until the rest is within the bound.
func (s *store) fit() {
	for s.bytes > s.maxBytes && s.oldest != nil {
		s.evict(s.oldest)
	}
}

// addOne returns the trace to which it has added a span, nil if there is none.
func (s *store) addOne(in *incoming, data []byte, from *originCache, rejected *int) *entry {
	t := s.traces[in.trace]
	switch {
	case t == nil:
		t = &entry{held: &held{id: in.trace}}
		s.traces[in.trace] = t
		s.pushNewest(t)
	case t.has(in.id):
		return nil
	case len(t.held.data)+len(data) > maxData:
		*rejected++
		return nil
	}
	if !t.touched { // what others have of it stays as it is
		h := *t.held
		t.held = &h
		t.arrived = s.now()
		s.unlink(t)
		s.pushNewest(t)
		if !t.waits {
			t.waits = true
			s.changed = append(s.changed, t)
		}
	}
	h := t.held
	o := s.originOf(in.source, from)
	in.at, in.origin, in.op = uint32(len(h.data)), t.originAt(o), s.opOf(o.service, in.name)
	h.data = append(h.data, data...)
	h.add(in.span)
	if t.ids != nil {
		t.ids[in.id] = struct{}{}
	}
	s.spans++
	return t
}

// has tells whether a span is there already.
func (t *entry) has(id trace.SpanID) bool {
	if t.ids == nil {
		if len(t.held.spans) <= few {
			return slices.ContainsFunc(t.held.spans, func(s span) bool { return s.id == id })
		}
		t.ids = make(map[trace.SpanID]struct{}, 2*len(t.held.spans))
		for i := range t.held.spans {
			t.ids[t.held.spans[i].id] = struct{}{}
		}
	}
	_, ok := t.ids[id]
	return ok
}

// originAt is the number of an origin among those of the trace, which may be new there.
func (t *entry) originAt(o *origin) uint32 {
	h := t.held
	if t.index == nil && len(h.origins) <= few {
		if at := slices.Index(h.origins, o); at >= 0 {
			return uint32(at)
		}
	} else {
		if t.index == nil {
			t.index = make(map[*origin]uint32, 2*few)
			for at, o := range h.origins {
				t.index[o] = uint32(at)
			}
		}
		if at, ok := t.index[o]; ok {
			return at
		}
		t.index[o] = uint32(len(h.origins))
	}
	o.traces++
	h.origins = append(h.origins, o)
	return uint32(len(h.origins) - 1)
}

// count makes the bytes of a trace right, which has changed.
func (s *store) count(t *entry) {
	const pointer = 8
	h := t.held
	n := entryBytes + spanBytes*int64(cap(h.spans)) + int64(cap(h.data)) + idBytes*int64(len(t.ids)+len(t.index)) + pointer*int64(cap(h.origins)) + 4*int64(cap(h.open))
	for i := range h.found {
		n += findingBytes(&h.found[i])
	}
	s.bytes += n - t.bytes
	t.bytes = n
}

func findingBytes(f *findings.Finding) int64 {
	const header, id = 200, 16 + 32
	return header + int64(len(f.Operation)+len(f.Advice)) + id*int64(cap(f.Spans)+cap(f.Traces))
}

// opOf is the number of a service and a name; what has it is one span more.
func (s *store) opOf(service, name string) uint32 {
	key := op{service, name}
	at, ok := s.opIndex[key]
	if !ok {
		if n := len(s.freeOps); n > 0 {
			at = s.freeOps[n-1]
			s.freeOps = s.freeOps[:n-1]
		} else {
			at = uint32(len(s.ops))
			s.ops, s.opSpans = append(s.ops, nil), append(s.opSpans, 0)
		}
		s.ops[at] = &key
		s.opIndex[key] = at
		s.bytes += opBytes + int64(len(name))
	}
	s.opSpans[at]++
	return at
}

// originCache is the origin of the last span: mostly, that of the next one too.
type originCache struct {
	res    any
	origin *origin
	e      encoder
}

func (s *store) originOf(r sdktrace.ReadOnlySpan, last *originCache) *origin {
	res, scope := r.Resource(), r.InstrumentationScope()
	if last.origin != nil && last.res == any(res) && last.origin.scope == scope && last.origin.traces > 0 {
		return last.origin
	}
	last.e.b, last.e.keys = last.e.b[:0], s.keys
	last.e.origin(res, &scope)
	o := s.origins[string(last.e.b)]
	if o == nil {
		o = &origin{res: res, scope: scope, key: string(last.e.b)}
		if name, ok := res.Set().Value(semconv.ServiceNameKey); ok {
			o.service = name.String()
		}
		s.origins[o.key] = o
		s.bytes += o.bytes()
	}
	last.res, last.origin = res, o
	return o
}

// bytes is about what an origin takes, whose attributes take several times their bytes.
func (o *origin) bytes() int64 { return originBytes + 8*int64(len(o.key)) }

// evict lets the spans of a trace go.
func (s *store) evict(t *entry) {
	h := t.held
	for i := range h.spans {
		at := h.spans[i].op
		if s.opSpans[at]--; s.opSpans[at] == 0 {
			s.bytes -= opBytes + int64(len(s.ops[at].name))
			delete(s.opIndex, *s.ops[at])
			s.ops[at] = nil
			s.freeOps = append(s.freeOps, at)
		}
	}
	for _, o := range h.origins {
		if o.traces--; o.traces == 0 {
			s.bytes -= o.bytes()
			delete(s.origins, o.key)
		}
	}
	s.unlink(t)
	delete(s.traces, h.id)
	// Whoever is going to look at it finds nothing, and holds nothing meanwhile.
	t.gone, t.held = true, nil
	if len(s.changed) > 2*len(s.traces)+lookMost {
		s.changed = slices.DeleteFunc(s.changed, func(t *entry) bool { return t.gone })
	}
	s.bytes -= t.bytes
	s.spans -= len(h.spans)
	s.evicted++
	s.version++
}

func (s *store) pushNewest(t *entry) {
	t.older = s.newest
	if s.newest != nil {
		s.newest.newer = t
	} else {
		s.oldest = t
	}
	s.newest = t
}

func (s *store) unlink(t *entry) {
	if t.newer != nil {
		t.newer.older = t.older
	} else {
		s.newest = t.older
	}
	if t.older != nil {
		t.older.newer = t.newer
	} else {
		s.oldest = t.newer
	}
	t.newer, t.older = nil, nil
}

// snapshot is the store at one time.
type snapshot struct {
	version uint64
	traces  []*held // those with the latest arrivals first
	ops     []*op   // nil: nobody has it
	keys    []string
}

func (s *store) snapshot() snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*held, 0, len(s.traces))
	for t := s.newest; t != nil; t = t.older {
		all = append(all, t.held)
	}
	return snapshot{s.version, all, slices.Clone(s.ops), s.keys.table()}
}

// open returns a trace that is there.
func (s *store) open(id trace.TraceID) (opened, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.traces[id]
	if t == nil {
		return opened{}, false
	}
	return s.opened(t), true
}

func (s *store) opened(t *entry) opened {
	ops := make([]*op, len(t.held.spans))
	for i := range ops {
		ops[i] = s.ops[t.held.spans[i].op]
	}
	return opened{t.held, ops, s.keys.table()}
}

// holds tells of which spans the store has the trace, and the span.
func (s *store) holds(traceID trace.TraceID, spanID trace.SpanID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.traces[traceID]
	return t != nil && t.has(spanID)
}

// figures are the store's own.
type figures struct {
	version, evicted, rejected uint64
	spans, traces, waiting     int
	bytes                      int64
}

func (s *store) figures() figures {
	s.mu.Lock()
	defer s.mu.Unlock()
	return figures{s.version, s.evicted, s.rejected, s.spans, len(s.traces), min(len(s.changed)+s.due, len(s.traces)), s.bytes}
}

// services returns the names of services, and the operations with the most spans first;
// of both those that a query can ask for.
func (s *store) services() (services []string, ops []op) {
	type counted struct {
		op
		spans int
	}
	s.mu.Lock()
	all := make([]counted, 0, len(s.opIndex))
	for at, o := range s.ops {
		if o != nil {
			all = append(all, counted{*o, s.opSpans[at]})
		}
	}
	s.mu.Unlock()

	names := map[string]struct{}{}
	all = slices.DeleteFunc(all, func(c counted) bool { return len(c.service) > maxText })
	for i := range all {
		names[all[i].service] = struct{}{}
	}
	services = slices.Sorted(maps.Keys(names))
	all = slices.DeleteFunc(all, func(c counted) bool { return len(c.name) > maxText })
	most := best(all, maxOperations, func(a, b counted) int {
		return cmp.Or(cmp.Compare(b.spans, a.spans), compareOps(&a.op, &b.op))
	})
	for i := range most {
		ops = append(ops, most[i].op)
	}
	return services[:min(len(services), maxOperations)], ops
}

// times are from the first start to the last end of all spans; 0 if there are none.
func (s *store) times() (from, to int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.traces {
		if start := t.held.start; start > 0 && (from == 0 || start < from) {
			from = start
		}
		to = max(to, t.held.end)
	}
	return from, to
}
