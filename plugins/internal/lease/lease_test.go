package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/core/sampling"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var byTenant = KeySpec{Keys: []attribute.Key{"tenant", "plan"}}

func start(name, tenant string) sampling.StartParameters {
	return sampling.StartParameters{
		ParentContext: context.Background(), Name: name, Kind: trace.SpanKindServer,
		Attributes: []attribute.KeyValue{attribute.String("tenant", tenant), attribute.String("http.request.method", "GET"), attribute.String("plan", "pro")},
	}
}

// running is a table that is asked by a fake, until the test ends.
type running struct {
	*Table
	mu     sync.Mutex
	asked  [][]Question
	answer func(Question) Lease
	fail   error
	errs   []error
	gate   chan struct{} // nil: answers come at once
}

func run(t *testing.T, s KeySpec, limit int, answer func(Question) Lease) *running {
	t.Helper()
	r := &running{Table: New(s, limit), answer: answer}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx, func(context.Context) {}, r.ask, func(err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.errs = append(r.errs, err)
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return r
}

func (r *running) ask(ctx context.Context, questions []Question) ([]Lease, error) {
	r.mu.Lock()
	r.asked = append(r.asked, questions)
	fail, gate := r.fail, r.gate
	r.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if fail != nil {
		return nil, fail
	}
	grants := make([]Lease, len(questions))
	for i, q := range questions {
		grants[i] = r.answer(q)
	}
	return grants, nil
}

func (r *running) batches() [][]Question {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]Question{}, r.asked...)
}

func always(ttl time.Duration) func(Question) Lease {
	return func(Question) Lease { return Lease{Answer: sampling.At(sampling.Always), TTL: ttl} }
}

func TestFirstAbstainsThenDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, byTenant, 100, always(time.Minute))
		p := start("GET /", "acme")
		for range 3 {
			if a := r.Decide(&p); !a.IsAbstain() {
				t.Fatalf("before anybody was asked the answer is %v", a)
			}
		}
		time.Sleep(2 * linger)
		if a := r.Decide(&p); a.String() != "threshold 0" {
			t.Errorf("the answer is %v", a)
		}
		asked := r.batches()
		if len(asked) != 1 || len(asked[0]) != 1 || asked[0][0].Starts != 3 {
			t.Errorf("asked %v: want one question with three starts", asked)
		}
		if got := fmt.Sprint(asked[0][0].Key.Attributes); got != fmt.Sprint([]attribute.KeyValue{attribute.String("tenant", "acme"), attribute.String("plan", "pro")}) {
			t.Errorf("the question is about %s", got)
		}
		s := r.Stats()
		if s.Hits != 1 || s.Misses != 3 || s.Keys != 1 || s.Batches != 1 || s.Answers != 1 {
			t.Errorf("the counters are %+v", s)
		}
	})
}

// What is used is asked about again before its lease is over, with the starts
// since; what is not used is forgotten.
func TestRefreshAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, byTenant, 100, always(10*time.Second))
		used, unused := start("a", "acme"), start("b", "acme")
		r.Decide(&used)
		r.Decide(&unused)
		time.Sleep(time.Second)
		for range 300 {
			time.Sleep(100 * time.Millisecond)
			if a := r.Decide(&used); a.IsAbstain() {
				t.Fatal("a lease ran out that is used all the time")
			}
		}
		var starts uint64
		asked := r.batches()
		for _, batch := range asked {
			for _, q := range batch {
				if q.Key.Name == "a" {
					starts += q.Starts
				}
			}
		}
		if len(asked) < 4 || len(asked) > 6 {
			t.Errorf("asked %d times in 30 s about leases of 10 s", len(asked))
		}
		if starts < 200 || starts > 301 {
			t.Errorf("told of %d starts of 301", starts)
		}
		if s := r.Stats(); s.Keys != 1 {
			t.Errorf("%d keys are left: want the one that is used", s.Keys)
		}
	})
}

func TestDeadMeansAbstain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, byTenant, 100, always(10*time.Second))
		p := start("a", "acme")
		r.Decide(&p)
		time.Sleep(time.Second)
		r.mu.Lock()
		r.fail = errors.New("dead")
		r.mu.Unlock()
		time.Sleep(20 * time.Second)
		if a := r.Decide(&p); !a.IsAbstain() {
			t.Errorf("the answer is %v long after the lease was over", a)
		}
		for range 100 { // starts do not make it ask more often than once per pause
			r.Decide(&p)
			time.Sleep(100 * time.Millisecond)
		}
		if n := len(r.batches()); n > 13 {
			t.Errorf("asked %d times within 10 s of a plugin that is dead", n)
		}
		r.mu.Lock()
		r.fail = nil
		r.mu.Unlock()
		time.Sleep(2 * time.Second)
		r.Decide(&p)
		time.Sleep(2 * time.Second)
		if a := r.Decide(&p); a.IsAbstain() {
			t.Error("the answer abstains though the plugin is back")
		}
	})
}

func TestRevokeAndReplace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, byTenant, 100, always(time.Minute))
		p := start("a", "acme")
		r.Decide(&p)
		time.Sleep(time.Second)
		r.Replace(p, &Lease{Answer: sampling.Drop(), TTL: time.Minute})
		if a := r.Decide(&p); !a.IsDrop() {
			t.Errorf("after it was replaced the answer is %v", a)
		}
		other := start("never asked about", "x")
		r.Replace(other, &Lease{Answer: sampling.Drop()})
		if s := r.Stats(); s.Keys != 1 {
			t.Errorf("%d keys: a replacement made one", s.Keys)
		}
		r.Revoke()
		if a := r.Decide(&p); !a.IsAbstain() {
			t.Errorf("right after it was revoked the answer is %v", a)
		}
		time.Sleep(time.Second)
		if a := r.Decide(&p); a.String() != "threshold 0" {
			t.Errorf("after it was asked about again the answer is %v", a)
		}
		r.Replace(p, nil)
		if a := r.Decide(&p); !a.IsAbstain() {
			t.Errorf("right after that it was revoked alone the answer is %v", a)
		}
	})
}

// An answer that was under way when leases were revoked is not taken.
func TestOvertakenAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now atomic.Uint64
		r := run(t, byTenant, 100, nil)
		r.answer = func(Question) Lease {
			return Lease{Answer: sampling.At(sampling.Threshold(now.Load() << 52)), TTL: time.Minute}
		}
		r.gate = make(chan struct{})
		p := start("a", "acme")
		r.Decide(&p)
		time.Sleep(100 * time.Millisecond) // the question is under way
		r.Replace(p, &Lease{Answer: sampling.Drop(), TTL: time.Minute})
		r.gate <- struct{}{}
		synctest.Wait()
		if a := r.Decide(&p); !a.IsDrop() {
			t.Errorf("the answer is %v: one that was overtaken was taken", a)
		}
		r.Refresh()
		time.Sleep(100 * time.Millisecond)
		r.Revoke()
		r.gate <- struct{}{}
		synctest.Wait()
		if a := r.Decide(&p); !a.IsAbstain() {
			t.Errorf("the answer is %v: one from before the leases were revoked was taken", a)
		}
		now.Store(1)
		go func() {
			for range 3 {
				select {
				case r.gate <- struct{}{}:
				case <-time.After(time.Second):
				}
			}
		}()
		time.Sleep(5 * time.Second)
		if a := r.Decide(&p); a.String() != "threshold 1" {
			t.Errorf("the answer is %v: want the new one", a)
		}
	})
}

func TestBounded(t *testing.T) {
	const limit = 256
	synctest.Test(t, func(t *testing.T) {
		r := run(t, byTenant, limit, always(time.Hour))
		hot := start("hot", "acme")
		for i := range 20_000 {
			p := start(fmt.Sprint("cold ", i), "acme")
			r.Decide(&p)
			r.Decide(&hot)
			if i%100 == 0 {
				time.Sleep(200 * time.Millisecond)
			}
		}
		time.Sleep(time.Second)
		if s := r.Stats(); s.Keys > limit || s.Keys < limit/2 {
			t.Errorf("%d keys with a limit of %d", s.Keys, limit)
		}
		if a := r.Decide(&hot); a.IsAbstain() {
			t.Error("the key that is used most was put out")
		}
		long := start(string(make([]byte, maxText+1)), "acme")
		r.Decide(&long)
		time.Sleep(time.Second)
		if a := r.Decide(&long); !a.IsAbstain() {
			t.Error("a key that is too long was asked about")
		}
		if s := r.Stats(); s.Hits+s.Misses != 40_000+3 {
			t.Errorf("%d hits and %d misses of 40003 starts", s.Hits, s.Misses)
		}
	})
}

// A key that is used stays when the table is full and it is alone in its set.
func TestPutsOutFromOtherSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, byTenant, ways, always(time.Hour))
		hot := start("hot", "acme")
		set := func(p sampling.StartParameters) uint64 { return hashOf(r.Table, &p) & uint64(len(r.sets)-1) }
		r.Decide(&hot)
		next := 0
		cold := func(inHotSet bool) sampling.StartParameters {
			for {
				next++
				if p := start(fmt.Sprint("cold ", next), "acme"); (set(p) == set(hot)) == inHotSet {
					return p
				}
			}
		}
		for range ways - 1 {
			p := cold(false)
			r.Decide(&p)
		}
		time.Sleep(time.Second)
		r.Decide(&hot)
		time.Sleep(time.Second)
		if s := r.Stats(); s.Keys != ways {
			t.Fatalf("%d keys, want %d", s.Keys, ways)
		}
		p := cold(true)
		r.Decide(&p)
		time.Sleep(time.Second)
		if a := r.Decide(&p); a.IsAbstain() {
			t.Error("the new key has no lease")
		}
		if a := r.Decide(&hot); a.IsAbstain() {
			t.Error("the key that is used was put out")
		}
	})
}

// 10,000 distinct keys at once take at most 50 questions.
func TestManyKeysAtOnce(t *testing.T) {
	const keys = 10_000
	r := run(t, byTenant, keys, always(time.Minute))
	for i := range keys {
		p := start(fmt.Sprint("GET /", i), "acme")
		r.Decide(&p)
	}
	for end := time.Now().Add(10 * time.Second); r.Stats().Answers < keys; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("only %+v", r.Stats())
		}
	}
	if s := r.Stats(); s.Batches > 50 || s.Skipped > 0 {
		t.Errorf("%d keys took %d batches, and %d were refused", keys, s.Batches, s.Skipped)
	}
	for i := range keys {
		p := start(fmt.Sprint("GET /", i), "acme")
		if a := r.Decide(&p); a.IsAbstain() {
			t.Fatalf("key %d has no lease", i)
		}
	}
}

func TestWrongNumberOfAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := New(byTenant, 100)
		p := start("a", "b")
		table.Decide(&p)
		err := table.ask(t.Context(), func(context.Context, []Question) ([]Lease, error) { return make([]Lease, 7), nil }, table.next(t.Context()))
		if err == nil || err.Error() != "7 answers to 1 questions" {
			t.Errorf("the error is %v", err)
		}
		if a := table.Decide(&p); !a.IsAbstain() {
			t.Errorf("the answer is %v", a)
		}
	})
}

func TestKeys(t *testing.T) {
	base := start("a", "acme")
	with := func(f func(*sampling.StartParameters)) sampling.StartParameters {
		p := start("a", "acme")
		f(&p)
		return p
	}
	set := func(v attribute.Value) sampling.StartParameters {
		return with(func(p *sampling.StartParameters) { p.Attributes[0].Value = v })
	}
	tests := []struct {
		name    string
		subject KeySpec
		other   sampling.StartParameters
		same    bool
	}{
		{"name", byTenant, start("b", "acme"), false},
		{"ignored name", KeySpec{Keys: byTenant.Keys, IgnoresName: true}, start("b", "acme"), true},
		{"kind", byTenant, with(func(p *sampling.StartParameters) { p.Kind = trace.SpanKindClient }), false},
		{"ignored kind", KeySpec{Keys: byTenant.Keys, IgnoresKind: true}, with(func(p *sampling.StartParameters) { p.Kind = trace.SpanKindClient }), true},
		{"value", byTenant, start("a", "initech"), false},
		{"type", byTenant, set(attribute.IntValue(7)), false},
		{"slice", byTenant, set(attribute.StringSliceValue([]string{"acme"})), false},
		{"missing", byTenant, with(func(p *sampling.StartParameters) { p.Attributes = p.Attributes[1:] }), false},
		{"swapped", byTenant, with(func(p *sampling.StartParameters) {
			p.Attributes[0].Value, p.Attributes[2].Value = p.Attributes[2].Value, p.Attributes[0].Value
		}), false},
		{"other attribute", byTenant, with(func(p *sampling.StartParameters) { p.Attributes[1].Value = attribute.StringValue("POST") }), true},
		{"set twice, the last counts", byTenant, with(func(p *sampling.StartParameters) {
			p.Attributes = append([]attribute.KeyValue{attribute.String("tenant", "before")}, p.Attributes...)
		}), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := New(tt.subject, 100)
			if same := hashOf(table, &base) == hashOf(table, &tt.other); same != tt.same {
				t.Errorf("they share a lease: %t, want %t", same, tt.same)
			}
		})
	}
	numbers := []attribute.Value{attribute.IntValue(1), attribute.IntValue(2), attribute.Float64Value(1), attribute.BoolValue(true), attribute.BoolValue(false)}
	table, seen := New(byTenant, 100), map[uint64]int{}
	for i, v := range numbers {
		p := set(v)
		if j, ok := seen[hashOf(table, &p)]; ok {
			t.Errorf("%v and %v share a lease", v, numbers[j])
		}
		seen[hashOf(table, &p)] = i
	}
}

func TestConcurrentSafe(t *testing.T) {
	r := run(t, byTenant, 64, always(time.Minute))
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 5_000 {
				p := start(fmt.Sprint(i%200), fmt.Sprint(g%2))
				r.Decide(&p)
				switch {
				case g == 0 && i%1000 == 0:
					r.Revoke()
				case g == 1 && i%1000 == 0:
					r.Refresh()
				case g == 2 && i%100 == 0:
					r.Replace(p, &Lease{Answer: sampling.Drop()})
				case g == 3 && i%500 == 0:
					r.Stats()
				}
			}
		})
	}
	all.Wait()
	if s := r.Stats(); s.Hits+s.Misses != 40_000 {
		t.Errorf("%d hits and %d misses of 40000 starts", s.Hits, s.Misses)
	}
}

// hashOf is the hash of a key that is short enough.
func hashOf(t *Table, p *sampling.StartParameters) uint64 {
	h, _ := t.hash(p)
	return h
}

func leased(tb testing.TB) (*Table, sampling.StartParameters) {
	tb.Helper()
	table, p := New(byTenant, 10_000), start("GET /checkout/{id}", "acme")
	table.Decide(&p)
	err := table.ask(tb.Context(), func(context.Context, []Question) ([]Lease, error) {
		return []Lease{{Answer: sampling.At(sampling.Never), TTL: time.Hour}}, nil
	}, table.next(tb.Context()))
	if err != nil {
		tb.Fatal(err)
	}
	if table.Decide(&p).IsAbstain() {
		tb.Fatal("no lease")
	}
	return table, p
}

// The decision alone: two keys.
func BenchmarkDecide(b *testing.B) {
	table, p := leased(b)
	b.ReportAllocs()
	for b.Loop() {
		table.Decide(&p)
	}
}

// A key is too long by its lists as by its texts.
func TestLongLists(t *testing.T) {
	table := New(KeySpec{Keys: []attribute.Key{"k"}}, ways)
	for name, v := range map[string]attribute.Value{
		"text":    attribute.StringValue(string(make([]byte, maxText+1))),
		"texts":   attribute.StringSliceValue([]string{string(make([]byte, maxText/2)), string(make([]byte, maxText/2))}),
		"numbers": attribute.Int64SliceValue(make([]int64, maxText)),
		"bytes":   attribute.ByteSliceValue(make([]byte, maxText+1)),
	} {
		p := sampling.StartParameters{Attributes: []attribute.KeyValue{{Key: "k", Value: v}}}
		if _, ok := table.key(&p); ok {
			t.Errorf("%s: it is asked about", name)
		}
	}
	short := sampling.StartParameters{Attributes: []attribute.KeyValue{attribute.Int64Slice("k", []int64{1, 2})}}
	if _, ok := table.key(&short); !ok {
		t.Error("a short list is not asked about")
	}
}
