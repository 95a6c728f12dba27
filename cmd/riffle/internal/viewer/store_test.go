package viewer

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/findings"
)

// A span that comes twice counts once, and changes nothing.
func TestSpansThatComeTwice(t *testing.T) {
	s := newStore(math.MaxInt64)
	many := deepTrace(100, 3) // more than are looked through
	s.add(many)
	before := s.figures()
	if n := s.add(many); n != 0 {
		t.Errorf("%d rejected", n)
	}
	s.add([]sdktrace.ReadOnlySpan{many[50], many[50]})
	if after := s.figures(); after != before || after.spans != 100 {
		t.Errorf("%+v became %+v", before, after)
	}
	s.add(spans(t, stub{trace: 2, id: 1, name: "a"}, stub{trace: 2, id: 1, name: "b"}))
	if o, _ := s.open(traceID(2)); len(o.spans) != 1 || o.ops[0].name != "a" {
		t.Error("the second one is there too, or instead")
	}
}

func TestSpansWithoutIDsAreRejected(t *testing.T) {
	s := newStore(math.MaxInt64)
	if n := s.add(append(tracetest.SpanStubs{{Name: "x"}, {}}.Snapshots(), spans(t, stub{trace: 1, id: 1})...)); n != 2 {
		t.Errorf("%d rejected, want 2", n)
	}
	if f := s.figures(); f.spans != 1 || f.rejected != 2 {
		t.Errorf("%+v", f)
	}
}

// The trace to which nothing came for the longest time goes first, and with it all that
// only it has needed.
func TestEviction(t *testing.T) {
	s := newStore(math.MaxInt64)
	at := func(n byte) []sdktrace.ReadOnlySpan {
		return spans(t, stub{trace: n, id: 1, service: fmt.Sprint("s", n), name: fmt.Sprint("op", n)})
	}
	s.add(at(1))
	one := s.figures().bytes
	s.maxBytes = 3*one + one/2
	for n := byte(2); n <= 3; n++ {
		s.add(at(n))
	}
	s.add(spans(t, stub{trace: 1, id: 2, service: "s1", name: "op1"})) // the first is the newest now
	s.add(at(4))
	for n, want := range map[byte]bool{1: true, 2: false, 3: true, 4: true} {
		if _, ok := s.open(traceID(n)); ok != want {
			t.Errorf("trace %d is there: %t", n, ok)
		}
	}
	if f := s.figures(); f.evicted != 1 || f.spans != 4 || f.traces != 3 || f.bytes > s.maxBytes {
		t.Errorf("%+v", f)
	}
	if services, ops := s.services(); len(services) != 3 || len(ops) != 3 {
		t.Errorf("services %v, operations %v", services, ops)
	}
	// What one trace alone does not fit in goes too.
	s.maxBytes = 100
	s.add(at(5))
	if f := s.figures(); f.traces != 0 || f.bytes != 0 || len(s.origins) != 0 || len(s.opIndex) != 0 || s.newest != nil || s.oldest != nil {
		t.Errorf("%+v, %d origins, %d operations", f, len(s.origins), len(s.opIndex))
	}
	s.maxBytes = math.MaxInt64
	s.add(at(6)) // in a place that is free again
	if o, ok := s.open(traceID(6)); !ok || o.ops[0].name != "op6" || len(s.ops) > 4 {
		t.Error("the operation is not what it was")
	}
}

// Texts, resources and keys that nobody has had before are counted like spans.
func TestMemoryOfWhatIsMadeUp(t *testing.T) {
	const most = 8 << 20
	before := heap()
	s := newStore(most)
	for n := range 30_000 {
		stub := loadTrace(uint64(n))[0]
		stub.Name = fmt.Sprint("made up ", n)
		stub.Attributes = []attribute.KeyValue{attribute.Int(fmt.Sprint("key ", n), n)}
		stub.Resource = resource.NewSchemaless(attribute.String("service.name", fmt.Sprint("service ", n)))
		s.add([]sdktrace.ReadOnlySpan{stub.Snapshot()})
	}
	// The maps do not shrink, and keys have room of their own.
	if used := heap() - before; used > 3*most {
		t.Errorf("%d bytes are in use, %d are counted", used, s.figures().bytes)
	}
	if f := s.figures(); f.traces < 1000 || f.evicted == 0 {
		t.Errorf("%+v", f)
	}
}

// A span that does not tell its start has not taken since 1970, nor has its trace.
func TestSpansWithoutAStart(t *testing.T) {
	s := newStore(math.MaxInt64)
	root := stub{trace: 1, id: 1, to: 40 * ms}
	lone := stub{trace: 2, id: 1, to: 40 * ms}
	for _, from := range []stub{root, lone} {
		stubs := tracetest.SpanStubsFromReadOnlySpans(spans(t, from))
		stubs[0].StartTime = time.Time{}
		s.add(stubs.Snapshots())
	}
	s.add(spans(t, stub{trace: 1, id: 2, parent: 1, from: 10 * ms, to: 30 * ms}))
	for n, want := range map[byte]float64{1: 30_000, 2: 0} {
		o, ok := s.open(traceID(n))
		if !ok {
			t.Fatal("no trace")
		}
		whole := o.whole()
		if whole.Duration != want || slices.Max(whole.Spans.Duration) > want || slices.Min(whole.Spans.Start) != 0 {
			t.Errorf("trace %d: %+v", n, whole)
		}
		for _, c := range whole.Critical {
			if c[1] < 0 || c[2] > want {
				t.Errorf("trace %d: the critical path is %v", n, whole.Critical)
			}
		}
	}
	if out := search(t, s, "trace_min=1h"); out.Matched != 0 || len(out.Histogram.Edges) > 20 {
		t.Errorf("%+v", out)
	}
}

// Findings are those of a trace when it is quiet, and again when it has changed.
func TestFindingsFollowTheSpans(t *testing.T) {
	detect := noDetector
	var mu sync.Mutex
	looks := map[string]int{}
	detect.Trace = func(spans []sdktrace.ReadOnlySpan) []findings.Finding {
		mu.Lock()
		defer mu.Unlock()
		id := spans[0].SpanContext().TraceID().String()
		looks[id]++
		return []findings.Finding{{Kind: findings.Gap, Count: float64(len(spans)), Traces: []string{id}}}
	}
	detect.Across = func(spans []sdktrace.ReadOnlySpan) []findings.Finding {
		var all []findings.Finding
		for _, s := range spans {
			all = append(all, findings.Finding{Kind: findings.MissingParent, Operation: s.Name()})
		}
		return all
	}
	s := newStore(math.MaxInt64)
	now := epoch
	s.now = func() time.Time { return now }
	a := &analysis{store: s, detect: detect, quiet: time.Second}

	call := stub{trace: 1, id: 3, parent: 1, name: "call", kind: 3}
	s.add(spans(t, stub{trace: 1, id: 1, name: "root", kind: 2}, call,
		stub{trace: 1, id: 4, parent: 1, name: "query", kind: 3, attrs: []attribute.KeyValue{attribute.String("db.system.name", "postgresql")}},
		stub{trace: 1, id: 5, parent: 1, name: "answered", kind: 3}, stub{trace: 1, id: 6, parent: 5, name: "server", kind: 2}))
	if a.look(t.Context()); len(looks) > 0 {
		t.Error("it is looked at while spans come in")
	}
	waiting := func(want int) {
		t.Helper()
		if got := s.figures().waiting; got != want {
			t.Errorf("%d traces wait to be looked at, want %d", got, want)
		}
	}
	waiting(1)
	now = now.Add(2 * time.Second)
	a.look(t.Context())
	a.look(t.Context())
	waiting(0)
	got, version := a.findings()
	if looks[traceID(1).String()] != 1 || len(got) != 3 || got[0].Count != 5 || got[1].Operation != "root" || got[2].Operation != "call" {
		t.Fatalf("looked at %v, found %+v", looks, got)
	}
	if o, _ := s.open(traceID(1)); !o.has(findings.Gap) || o.has(findings.Retry) {
		t.Error("the trace has not what was found")
	}
	s.add(spans(t, stub{trace: 1, id: 7, parent: 1}))
	waiting(1)
	now = now.Add(2 * time.Second)
	a.look(t.Context())
	a.took = 0 // nobody waits here
	if got, later := a.findings(); looks[traceID(1).String()] != 2 || got[0].Count != 6 || later <= version {
		t.Errorf("version %d after %d, looked at %v, found %+v", later, version, looks, got)
	}
	s.maxBytes = 0
	s.add(spans(t, stub{trace: 2, id: 1}))
	a.took = 0
	if got, _ := a.findings(); len(got) != 0 || a.look(t.Context()) {
		t.Errorf("of traces that are gone: %+v", got)
	}
	waiting(0)
}

// Of many traces that wait, each is looked at once, some at a time, and those that are
// gone are not counted.
func TestManyTracesWait(t *testing.T) {
	s := newStore(math.MaxInt64)
	now := epoch
	s.now = func() time.Time { return now }
	const old, lately = 2*lookMost + 7, 5
	fill(s, old)
	all := s.figures().traces
	now = now.Add(time.Second)
	for n := range byte(lately) {
		s.add(spans(t, stub{trace: n + 1, id: 1}))
	}
	looks := map[string]int{}
	detect := noDetector
	detect.Trace = func(spans []sdktrace.ReadOnlySpan) []findings.Finding {
		looks[spans[0].SpanContext().TraceID().String()]++
		return nil
	}
	a := &analysis{store: s, detect: detect, quiet: time.Second}
	s.mu.Lock()
	s.evict(s.oldest)
	s.mu.Unlock()
	for n := 1; a.look(t.Context()); n++ {
		if got, want := s.figures().waiting, all+lately-n*lookMost; got > want || got < want-1 {
			t.Errorf("%d traces wait, want %d", got, want)
		}
	}
	if got := s.figures().waiting; got != lately || len(looks) != all-1 {
		t.Errorf("%d traces wait, %d were looked at of %d", got, len(looks), all)
	}
	for id, n := range looks {
		if n != 1 {
			t.Errorf("trace %s was looked at %d times", id, n)
		}
	}
}

// What is found takes memory as spans do, though none come any more.
func TestFindingsAreWithinTheBound(t *testing.T) {
	detect := noDetector
	detect.Trace = func(_ []sdktrace.ReadOnlySpan) []findings.Finding {
		return []findings.Finding{{Kind: findings.NPlusOne, Spans: make([]string, 10_000)}}
	}
	s := newStore(math.MaxInt64)
	s.now = func() time.Time { return epoch }
	for n := range byte(10) {
		s.add(spans(t, stub{trace: n + 1, id: 1}))
	}
	s.maxBytes = s.figures().bytes + 4*findingBytes(&findings.Finding{Spans: make([]string, 10_000)})
	(&analysis{store: s, detect: detect}).look(t.Context())
	if f := s.figures(); f.bytes > s.maxBytes || f.traces < 4 || f.evicted == 0 {
		t.Errorf("%+v, of %d bytes", f, s.maxBytes)
	}
}

// Many write and read at once; the race detector looks on.
func TestConcurrent(t *testing.T) {
	const most = 1 << 18
	v, _ := startViewer(t, Options{MaxBytes: most, Detector: noDetector})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range 40 {
				v.Add(load(uint64(w*1000+3*n), 3))
				q, err := parseQuery("q=order&attr=http.request.method%3DGET", searchKeys)
				if err != nil {
					t.Error(err)
				}
				found, err := v.store.search(t.Context(), &q)
				if err != nil || found.Matched == 0 {
					t.Errorf("%+v, %v", found, err)
				}
				if _, err := v.store.operations(t.Context(), &q); err != nil {
					t.Error(err)
				}
				if id := loadTrace(uint64(w*1000 + 3*n))[0].SpanContext; n > 0 {
					if o, ok := v.store.open(id.TraceID()); ok {
						o.whole()
					}
					v.store.details(id.TraceID(), id.SpanID())
				}
			}
		})
	}
	wg.Wait()
	if f := v.store.figures(); f.evicted == 0 || f.bytes > most {
		t.Errorf("%+v", f)
	}
}
