package lease

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// answer gives every key that waits in a table a lease.
func answer(t *testing.T, table *Table, a sampling.Answer) {
	t.Helper()
	batch := table.next(t.Context())
	err := table.ask(t.Context(), func(_ context.Context, questions []Question) ([]Lease, error) {
		leases := make([]Lease, len(questions))
		for i := range leases {
			leases[i] = Lease{Answer: a, TTL: time.Hour}
		}
		return leases, nil
	}, batch)
	if err != nil {
		t.Fatal(err)
	}
}

// Two keys with one hash have a lease each.
func TestOneHashOfTwoKeys(t *testing.T) {
	table := New(byTenant, 100)
	mine, theirs := start("a", "acme"), start("a", "initech")
	h := hashOf(table, &theirs)
	table.add(table.set(h), h, &mine)
	answer(t, table, sampling.At(sampling.Always))
	if a := table.Decide(&theirs); !a.IsAbstain() {
		t.Fatalf("a key got the answer of another: %v", a)
	}
	answer(t, table, sampling.Drop())
	if a := table.Decide(&theirs); !a.IsDrop() {
		t.Errorf("the answer is %v", a)
	}
	if table.find(table.set(h), h, &mine).lease.Load().answer.IsDrop() {
		t.Error("the answer went to both")
	}
	table.Replace(theirs, nil)
	if table.find(table.set(h), h, &mine).lease.Load() == nil {
		t.Error("both were revoked")
	}
}

// No number makes what was hashed before it count for nothing.
func TestNumbersAreSeeded(t *testing.T) {
	numbers := []int64{0, 1, -1, math.MinInt64, math.MaxInt64, -1800455987208640293}
	for i := range 64 {
		numbers = append(numbers, 1<<i, -1<<i)
	}
	for _, n := range numbers {
		table := New(KeySpec{Keys: []attribute.Key{"tenant", "n"}}, 100)
		key := func(tenant string) *sampling.StartParameters {
			return &sampling.StartParameters{Name: "a", Kind: trace.SpanKindServer, Attributes: []attribute.KeyValue{
				attribute.String("tenant", tenant), attribute.Int64("n", n),
			}}
		}
		if hashOf(table, key("acme")) == hashOf(table, key("initech")) {
			t.Errorf("%d: two tenants have one hash", n)
		}
		if hashOf(table, key("acme")) == hashOf(New(table.spec, 100), key("acme")) {
			t.Errorf("%d: two seeds give one hash", n)
		}
		table.Decide(key("acme"))
		answer(t, table, sampling.At(sampling.Always))
		if a := table.Decide(key("initech")); !a.IsAbstain() {
			t.Errorf("%d: a tenant got the answer of another", n)
		}
	}
}

// What is too long to be asked about is not hashed, and not held.
func TestTooLong(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	for _, v := range []attribute.Value{
		attribute.StringValue(long), attribute.ByteSliceValue([]byte(long)), attribute.StringSliceValue([]string{long}),
		attribute.SliceValue(attribute.StringValue(long)), attribute.MapValue(attribute.String(long, "")),
	} {
		table := New(byTenant, 100)
		p := start("a", "acme")
		p.Attributes[0].Value = v
		table.Decide(&p)
		if s := table.Stats(); s.Keys != 0 || s.Skipped != 1 || s.Misses != 1 || s.Hits != 0 {
			t.Errorf("%v: %+v", v.Type(), s)
		}
		if err := table.Prepare(t.Context(), &p, nil); err == nil {
			t.Errorf("%v: no error", v.Type())
		}
	}
}

// FuzzKeys: what differs is never one key, and what is equal always is.
func FuzzKeys(f *testing.F) {
	f.Add("a", "acme", int64(7), 1.5, "a", "acme", int64(7), 1.5)
	f.Add("a", "acme", int64(-1800455987208640293), 0.0, "a", "initech", int64(-1800455987208640293), math.Copysign(0, -1))
	f.Fuzz(func(t *testing.T, name, tenant string, n int64, x float64, name2, tenant2 string, n2 int64, x2 float64) {
		table := New(KeySpec{Keys: []attribute.Key{"tenant", "n", "x", "list"}}, 100)
		key := func(name, tenant string, n int64, x float64) *sampling.StartParameters {
			return &sampling.StartParameters{Name: name, Attributes: []attribute.KeyValue{
				attribute.String("tenant", tenant), attribute.Int64("n", n), attribute.Float64("x", x), attribute.StringSlice("list", []string{name, tenant}),
			}}
		}
		one, two := key(name, tenant, n, x), key(name2, tenant2, n2, x2)
		table.Decide(one)
		if table.Stats().Keys == 0 {
			return // too long
		}
		h, ok := table.hash(two)
		found := ok && table.find(table.set(h), h, two) != nil
		if same := fmt.Sprint(name, "|", one.Attributes, math.Float64bits(x)) == fmt.Sprint(name2, "|", two.Attributes, math.Float64bits(x2)); found != same {
			t.Errorf("found %t, the same %t: %q %v, %q %v", found, same, name, one.Attributes, name2, two.Attributes)
		}
	})
}
