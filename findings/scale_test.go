package findings_test

import (
	"fmt"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/findings"
)

// shapes are traces of n spans that would take long if something grew with the square.
var shapes = []struct {
	name  string
	actor func(i, n int) actor
}{
	{"children of one", func(i, _ int) actor {
		if i == 0 {
			return request(0, 1e9)
		}
		return query(1, i*2, i*2+1, "SELECT 1")
	}},
	{"of different shapes", func(i, _ int) actor {
		return get(1, i*2, i*2+1, fmt.Sprintf("http://host%d/path%d", i%7919, i))
	}},
	{"all at once", func(i, n int) actor { return get(1, i, i+n, "http://a/b") }},
	{"all fail", func(i, _ int) actor { return failing(get(1, i*2, i*2+1, "http://a/b")) }},
	{"deep", func(i, _ int) actor { return failing(get(i, i, 1e9-i, "http://a/b")) }},
	{"deep, the other way round", func(i, n int) actor { return in(query(i, n-i, 1e9, "SELECT 1"), func(*actor) {}) }},
	{"a circle", func(i, n int) actor { return in(request(i, i+1), func(a *actor) { a.parent = 1 + (i+1)%n }) }},
	{"two deep", func(i, _ int) actor { return get(i/2, i, i+1, fmt.Sprintf("http://host%d/token-%d", i%2, i)) }},
	{"parents that are not there", func(i, n int) actor { return serving("a", 2*n+i, i, i+1) }},
	{"with values", func(i, _ int) actor {
		return get(1, i*20, i*20+10, fmt.Sprintf("http://host%d/orders/order-%d/and/more-%d", i%97, i, i/3))
	}},
}

// A trace takes a time that grows with its spans, whatever shape it has: eight times the
// spans take eight times as long, or a few times that, where the square is 64 times.
func TestScale(t *testing.T) {
	if testing.Short() {
		t.Skip("measures times; CI runs this without -short too")
	}
	const few, factor, most = 5_000, 8, 30
	find := func(spans []sdktrace.ReadOnlySpan) time.Duration {
		start := time.Now()
		findings.Find(findings.Defaults(), spans)
		return time.Since(start)
	}
	for _, tt := range shapes {
		t.Run(tt.name, func(t *testing.T) {
			small, large := scene(scaled(few, tt.actor)...), scene(scaled(few*factor, tt.actor)...)
			// Others may have the processor meanwhile: the fastest of several counts.
			short, long := find(small), find(large)
			for deadline := time.Now().Add(time.Minute); long > most*short && time.Now().Before(deadline); {
				long = min(long, find(large))
			}
			if long > most*short {
				t.Errorf("%d spans take %v, and %d times as many %v", few, short, factor, long)
			}
		})
	}
}

func scaled(n int, actorOf func(i, n int) actor) []actor {
	out := make([]actor, n)
	for i := range out {
		out[i] = actorOf(i, n)
		out[i].id = i + 1
	}
	return out
}

// shopTraces are n spans in small traces, as a service makes them.
func shopTraces(n int) []sdktrace.ReadOnlySpan {
	spans := make([]sdktrace.ReadOnlySpan, 0, n)
	for trace := 0; len(spans) < n; trace++ {
		at := trace * 7
		actors := all(request(at, at+300), times(6, 3, query(1, at, at+2, fmt.Sprintf("SELECT * FROM items WHERE id = %d", trace))),
			get(1, at+20, at+60, fmt.Sprintf("http://prices:80/p/%d", trace)), serving("prices", 8, at+21, at+59), get(1, at+61, at+90, "http://users:80/me"))
		for i := range actors {
			actors[i].trace = trace
		}
		spans = append(spans, scene(actors...)...)
	}
	return spans
}

func BenchmarkFind(b *testing.B) {
	for _, bench := range []struct {
		name  string
		spans []sdktrace.ReadOnlySpan
	}{
		{"trace=one/spans=100000", scene(scaled(100_000, func(i, _ int) actor { return get(i/10, i, i+1000, fmt.Sprintf("http://host%d/orders/%d", i%3, i)) })...)},
		{"trace=small/spans=100000", shopTraces(100_000)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				findings.Find(findings.Defaults(), bench.spans)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(bench.spans)), "ns/span")
		})
	}
}
