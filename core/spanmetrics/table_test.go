package spanmetrics

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// made is a series with what it was made of.
type made struct {
	key *key // nil is what does not fit
}

// newMadeTable returns a table and what its series were made of.
func newMadeTable(limit int) (*table, map[*series]made) {
	all := map[*series]made{}
	t := newTable(limit, textOf, func(k *key) *series {
		s := &series{}
		all[s] = made{k}
		return s
	})
	return t, all
}

func count(t *table, k key) *series {
	s := t.find(&k)
	s.calls.Add(1)
	return s
}

// The table is held to a map, by random keys.
func TestTable(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		limit := 2 + random.IntN(40)
		table, all := newMadeTable(limit)
		want := map[string]int64{}
		const most = 3000
		for range most {
			k := key{name: fmt.Sprintf("span %d", random.IntN(2+random.IntN(60))), kind: uint8(random.IntN(3)), status: uint8(random.IntN(2))}
			for range 2 {
				k.values = append(k.values, randomValue(random))
			}
			count(table, k)
			want[wordsOf(&k)]++
		}
		var calls, overflow int64
		for s, m := range all {
			calls += s.calls.Load()
			if m.key == nil {
				overflow += s.calls.Load()
				continue
			}
			if words := wordsOf(m.key); s.calls.Load() != want[words] {
				t.Errorf("seed %d: %s is counted %d times, want %d", seed, words, s.calls.Load(), want[words])
			}
			delete(want, wordsOf(m.key))
		}
		var left int64
		for _, n := range want {
			left += n
		}
		if calls != most || overflow != left || len(all) > limit {
			t.Errorf("seed %d: %d calls, %d of them over the limit, want %d and %d; %d series of %d", seed, calls, overflow, most, left, len(all), limit)
		}
	}
}

func randomValue(random *rand.Rand) attribute.Value {
	n := random.IntN(3)
	switch random.IntN(8) {
	case 0:
		return attribute.Value{}
	case 1:
		return attribute.IntValue(n)
	case 2:
		return attribute.StringValue(fmt.Sprint(n)) // the same as the number
	case 3:
		return attribute.BoolValue(n > 0)
	case 4:
		return attribute.StringValue("") // as if it were not there
	case 5:
		return attribute.IntSliceValue([]int{n, n})
	case 6:
		return attribute.Float64Value(math.NaN())
	default:
		return attribute.StringValue(strings.Repeat("x", 300+n)) // cut to the same
	}
}

// wordsOf is a key as series are told apart by it.
func wordsOf(k *key) string {
	words := []string{k.name, fmt.Sprint(k.kind, k.status)}
	for _, v := range k.values {
		words = append(words, maxText.Text(v.String()))
	}
	return strings.Join(words, "|")
}

// Names with paths are counted by their shape, once that is learned.
func TestPathsInNames(t *testing.T) {
	table, all := newMadeTable(DefaultMaxSeries)
	const requests = 20_000
	for i := range requests {
		count(table, key{name: fmt.Sprintf("GET /users/%d/orders/%x", i, i+1<<20)})
		count(table, key{name: "GET /users/{id}"})
	}
	names := map[string]int64{}
	for s, m := range all {
		names[m.key.name] += s.calls.Load()
	}
	const literals = 32 // of a place in a path, until it is learned
	if n := names["GET /users/*/orders/*"]; len(names) > 2+literals || n < requests-literals || names["GET /users/{id}"] != requests {
		t.Errorf("%d series: %v", len(names), names)
	}
}

// A name has one shape, however many see it for the first time at once.
func TestPathsInNamesConcurrently(t *testing.T) {
	for range 300 {
		table, all := newMadeTable(DefaultMaxSeries)
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 6 {
					count(table, key{name: fmt.Sprintf("GET /api/resource-%c/{id}", 'a'+(g+i)%6)})
				}
			})
		}
		wg.Wait()
		for s, m := range all {
			if s.calls.Load() != 8 || strings.Contains(m.key.name, "*") {
				t.Fatalf("%s is counted %d times, want 8", m.key.name, s.calls.Load())
			}
		}
	}
}

// What strangers write is bounded, and can be exported.
func TestHostileNames(t *testing.T) {
	table, all := newMadeTable(10)
	for i := range 200 {
		count(table, key{name: "\xff\xfe" + strings.Repeat("\xc3", i), values: []attribute.Value{attribute.StringValue("\xff")}})
		count(table, key{name: strings.Repeat("é", i*100), values: []attribute.Value{attribute.StringValue(strings.Repeat("\x80", 1000*i))}})
	}
	var calls int64
	for s, m := range all {
		calls += s.calls.Load()
		if m.key == nil {
			continue
		}
		v := m.key.values[0].String()
		if !utf8.ValidString(m.key.name) || !utf8.ValidString(v) || len(m.key.name) > 3*int(maxText) || len(v) > 3*int(maxText) {
			t.Errorf("a series has the name %q and the value %q", m.key.name, v)
		}
	}
	if calls != 400 || len(all) > 10 {
		t.Errorf("%d calls in %d series, want 400 in at most 10", calls, len(all))
	}
	if table.entries > len(table.slots)/2 {
		t.Errorf("%d entries in %d slots", table.entries, len(table.slots))
	}
}

// A full table goes on counting, and finds what it had.
func TestFullTable(t *testing.T) {
	table, all := newMadeTable(3)
	for i := range 1000 {
		count(table, key{name: fmt.Sprint("span ", i)})
	}
	if !table.crowded.Load() {
		t.Error("it is not full")
	}
	first := count(table, key{name: "span 0"})
	if first.calls.Load() != 2 || all[first].key.name != "span 0" || len(all) != 3 {
		t.Errorf("the first series is %v with %d calls, of %d", all[first].key, first.calls.Load(), len(all))
	}
	if n := testing.AllocsPerRun(100, func() { count(table, key{name: "not seen before"}) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// Who finds what was there before waits for nobody, also where no name may be remembered
// any more, or one is too long for it.
func TestFindingWaitsForNobody(t *testing.T) {
	table, all := newMadeTable(3)
	long := key{name: strings.Repeat("x", 300)}
	want := count(table, long)
	path := func(i int) key { return key{name: fmt.Sprintf("GET /users/%d", i)} }
	shape := count(table, path(0))
	for i := range 100 {
		count(table, path(i))
	}
	table.mu.Lock() // whoever waits now waits forever
	defer table.mu.Unlock()
	if s := count(table, long); s != want {
		t.Errorf("the long name has the series %v", all[s].key)
	}
	if s := count(table, path(100)); s != shape {
		t.Errorf("another path has the series %v", all[s].key)
	}
	if table.overflow.Load() != nil {
		t.Error("something did not fit")
	}
}

func TestTableConcurrently(t *testing.T) {
	table, all := newMadeTable(50)
	const goroutines, each = 8, 2000
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				count(table, key{name: fmt.Sprint("span ", i%70), values: []attribute.Value{attribute.IntValue(g % 2)}})
			}
		})
	}
	wg.Wait()
	var calls int64
	table.each(func(s *series) { calls += s.calls.Load() })
	if calls != goroutines*each || len(all) != 50 {
		t.Errorf("%d calls in %d series, want %d in 50", calls, len(all), goroutines*each)
	}
}

// Keys that differ seldom have one hash.
func TestHash(t *testing.T) {
	table, _ := newMadeTable(2)
	var hashes []uint64
	for i := range 100 {
		for j := range 100 {
			hashes = append(hashes, table.hash(&key{name: "span", values: []attribute.Value{attribute.IntValue(i), attribute.IntValue(j)}})>>32)
		}
	}
	slices.Sort(hashes)
	if n := len(slices.Compact(hashes)); n < 9_990 {
		t.Errorf("%d hashes of 10,000 keys", n)
	}
}

func FuzzTable(f *testing.F) {
	f.Add("GET /users/7", "value", int64(3))
	f.Add("\xff/\xff//..", "\x00", int64(-1))
	f.Add(strings.Repeat("/a", 400), strings.Repeat("é", 200), int64(0))
	f.Fuzz(func(t *testing.T, name, value string, n int64) {
		table, all := newMadeTable(5)
		k := key{name: name, values: []attribute.Value{attribute.StringValue(value), attribute.Int64Value(n)}}
		s := count(table, k)
		if again := count(table, k); again != s {
			t.Fatalf("another series: %v, then %v", all[s].key, all[again].key)
		}
		made := all[s].key
		if !utf8.ValidString(made.name) || !utf8.ValidString(made.values[0].String()) {
			t.Fatalf("%q, %q", made.name, made.values[0].String())
		}
	})
}
