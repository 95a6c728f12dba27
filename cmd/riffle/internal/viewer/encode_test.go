package viewer

import (
	"bytes"
	"math"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/internal/testspans"
)

// What is held of a span is all that OTLP says of it.
func TestHeldSpansAreThoseThatCame(t *testing.T) {
	for seed := range uint64(1000) {
		came, err := otlp.Decode(otlp.AppendRequest(nil, testspans.Random(seed)))
		if err != nil {
			t.Fatal(err)
		}
		s := newStore(math.MaxInt64)
		s.add(came)
		seen := map[trace.SpanID]bool{}
		for _, span := range came {
			sc := span.SpanContext()
			if !sc.IsValid() || seen[sc.SpanID()] {
				continue
			}
			seen[sc.SpanID()] = true
			o, ok := s.open(span.SpanContext().TraceID())
			if !ok {
				t.Fatalf("seed %d: a trace is missing", seed)
			}
			all := o.readable(nil)
			for i := range all {
				if all[i].SpanContext().SpanID() != span.SpanContext().SpanID() {
					continue
				}
				lazy := *all[i].(*readable)
				lazy.eager = false
				want := otlp.AppendRequest(nil, []sdktrace.ReadOnlySpan{span})
				for _, got := range []sdktrace.ReadOnlySpan{all[i], &lazy} {
					if !bytes.Equal(otlp.AppendRequest(nil, []sdktrace.ReadOnlySpan{got}), want) {
						t.Fatalf("seed %d: %v\nis held as\n%v", seed, tracetest.SpanStubFromReadOnlySpan(span), tracetest.SpanStubFromReadOnlySpan(got))
					}
				}
			}
		}
	}
}

func TestTimesOutsideOfNanoseconds(t *testing.T) {
	for _, test := range []struct {
		in   time.Time
		want int64
	}{
		{time.Time{}, 0},
		{time.Unix(-1, 0), 0},
		{time.Unix(0, 0), 0},
		{time.Unix(0, 1), 1},
		{time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), 7258118400000000000},
		{time.Date(2262, 5, 1, 0, 0, 0, 0, time.UTC), math.MaxInt64},
		{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), math.MaxInt64},
	} {
		if got := nanos(test.in); got != test.want {
			t.Errorf("%v: %d, want %d", test.in, got, test.want)
		}
	}
	if s := (span{start: math.MaxInt64, end: 1}); s.duration() != 0 {
		t.Errorf("a span that ends before it starts takes %d", s.duration())
	}
}

// Keys that find no room among those with numbers are kept in the spans.
func TestManyKeys(t *testing.T) {
	k := newKeys()
	long := string(bytes.Repeat([]byte("k"), maxKeyLen+1))
	if k.code(long) != inline {
		t.Error("a long key has a number")
	}
	for i := range maxKeys {
		if code := k.code(string(rune(i + 1))); code != uint64(i+1) {
			t.Fatalf("key %d has number %d", i, code)
		}
	}
	if k.code("one more") != inline || k.code("\x01") != 1 || len(k.table()) != maxKeys {
		t.Error("the numbers are not bounded, or one was given again")
	}
}

func TestWeightOfASpan(t *testing.T) {
	s := newStore(math.MaxInt64)
	s.add(spans(t, stub{trace: 1, id: 1, state: "ot=th:8"}, stub{trace: 1, id: 2}, stub{trace: 1, id: 3, state: "ot=th:8;rv:00000000000001"}))
	o, _ := s.open(traceID(1))
	for i, want := range []float64{2, 0, 0} { // the third contradicts itself
		if got := o.spans[i].weight; got != want {
			t.Errorf("span %d has weight %v, want %v", i, got, want)
		}
	}
}
