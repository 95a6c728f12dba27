package viewer

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/otlp"
)

// Traces of services as there are many, each with a few spans of 8 attributes.
const (
	loadSpans = 10 // of a trace
	loadAttrs = 8
)

var loadServices = []*resource.Resource{
	resource.NewSchemaless(attribute.String("service.name", "shop"), attribute.String("host.name", "shop-7c9f")),
	resource.NewSchemaless(attribute.String("service.name", "payment"), attribute.String("host.name", "payment-81aa")),
}

func loadTrace(n uint64) tracetest.SpanStubs {
	id := trace.TraceID{0: 1}
	binary.BigEndian.PutUint64(id[8:], n)
	stubs := make(tracetest.SpanStubs, loadSpans)
	for i := range stubs {
		var spanID, parentID trace.SpanID
		binary.BigEndian.PutUint64(spanID[:], n*loadSpans+uint64(i)+1)
		start := epoch.Add(time.Duration(n)*time.Millisecond + time.Duration(i)*time.Millisecond)
		stubs[i] = tracetest.SpanStub{
			Name:        fmt.Sprintf("GET /api/v1/items/{id}/%d", i),
			SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: spanID, TraceFlags: trace.FlagsSampled}),
			SpanKind:    trace.SpanKind(1 + i%5),
			StartTime:   start, EndTime: start.Add(time.Duration(n%977) * time.Millisecond),
			Attributes: []attribute.KeyValue{
				attribute.String("http.request.method", "GET"),
				attribute.String("http.route", "/api/v1/items/{id}"),
				attribute.String("server.address", "items.shop.example.com"),
				attribute.String("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0)"),
				attribute.String("shop.order.id", fmt.Sprintf("order-%d", n)),
				attribute.Int("http.response.status_code", 200),
				attribute.Float64("shop.quota.used", 0.375),
				attribute.Bool("shop.cache.hit", n%2 == 0),
			},
			Resource: loadServices[i%len(loadServices)],
		}
		if i > 0 {
			binary.BigEndian.PutUint64(parentID[:], n*loadSpans+1)
			stubs[i].Parent = trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: parentID})
		}
		if n%100 == 0 {
			stubs[i].Status = sdktrace.Status{Code: codes.Error, Description: "it broke"}
		}
	}
	return stubs
}

// load is a batch of traces, from number first on.
func load(first uint64, traces int) []sdktrace.ReadOnlySpan {
	var out []sdktrace.ReadOnlySpan
	for n := range uint64(traces) {
		out = append(out, loadTrace(first+n).Snapshots()...)
	}
	return out
}

func fill(s *store, traces int) {
	const batch = 50
	for n := 0; n < traces; n += batch {
		s.add(load(uint64(n), batch))
	}
}

// heap is what is in use after a collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A span of 8 attributes takes no more than a kilobyte beyond its values, when nobody has
// looked for findings yet and after that, and what is counted is about what is in use.
func TestMemoryOfASpan(t *testing.T) {
	const traces, most = 5000, 1024
	var values int64
	for _, kv := range loadTrace(12345)[0].Attributes {
		values += int64(len(kv.Value.String()))
	}
	before := heap()
	s := newStore(math.MaxInt64)
	fill(s, traces)
	for _, what := range []string{"as it came", "after a look"} {
		used := heap() - before
		span := used/(traces*loadSpans) - values
		t.Logf("%s: %d bytes a span beyond %d of its values", what, span, values)
		if span > most {
			t.Errorf("%s: %d bytes a span, want %d at most", what, span, most)
		}
		if counted := s.figures().bytes; counted < used*3/4 || counted > used*3/2 {
			t.Errorf("%s: %d bytes are counted where %d are in use", what, counted, used)
		}
		a := &analysis{store: s, detect: noDetector}
		for a.look(t.Context()) {
		}
	}
	runtime.KeepAlive(s)
}

func BenchmarkAdd(b *testing.B) {
	const batch = 50
	// Decoded as they are when they come in.
	var requests [][]byte
	for n := range 200 {
		requests = append(requests, otlp.AppendRequest(nil, load(uint64(n*batch), batch)))
	}
	b.Run(fmt.Sprintf("spans=%d", batch*loadSpans), func(b *testing.B) {
		s := newStore(256 << 20)
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			if n%len(requests) == 0 { // else they are there already
				s = newStore(256 << 20)
			}
			spans, err := otlp.Decode(requests[n%len(requests)])
			if err != nil {
				b.Fatal(err)
			}
			s.add(spans)
			n++
		}
		b.ReportMetric(float64(n*batch*loadSpans)/b.Elapsed().Seconds(), "spans/s")
	})
}

// BenchmarkIngest takes spans in through a socket, whoever sends them included.
func BenchmarkIngest(b *testing.B) {
	const batch = 50
	var requests [][]byte
	for n := range 400 {
		requests = append(requests, otlp.AppendRequest(nil, load(uint64(n*batch), batch)))
	}
	for _, senders := range []int{1, 4} {
		b.Run(fmt.Sprintf("over=http/encoding=protobuf/senders=%d", senders), func(b *testing.B) {
			// The first are gone when they come again. What is wrong is looked for meanwhile.
			_, at := startViewer(b, Options{MaxBytes: 32 << 20})
			// Not more at a time than there are senders; only this goroutine may ask.
			turns := make(chan struct{}, senders)
			var wg sync.WaitGroup
			n := 0
			for ; b.Loop(); n++ {
				body := requests[n%len(requests)]
				turns <- struct{}{}
				wg.Go(func() {
					defer func() { <-turns }()
					if status := post(b, at.http, body); status != http.StatusOK {
						b.Errorf("status %d", status)
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(n*batch*loadSpans)/b.Elapsed().Seconds(), "spans/s")
		})
	}
}

func post(tb testing.TB, url string, body []byte) int {
	tb.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url+"v1/traces", bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Error(err)
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// BenchmarkSearch looks through half a million spans, with and without others coming in.
func BenchmarkSearch(b *testing.B) {
	const traces = 50_000
	s := newStore(256 << 20)
	fill(s, traces)
	for _, search := range []struct{ name, query string }{
		{"nothing", ""},
		{"attribute", "attr=shop.order.id%3Dorder-4321"},
		{"text", "q=ORDER-4321"},
		{"absent", "q=nowhere"},
		{"all", "service=shop&status=ok&min=1ms&q=items.SHOP"},
	} {
		for _, busy := range []bool{false, true} {
			b.Run(fmt.Sprintf("spans=%d/for=%s/busy=%t", traces*loadSpans, search.name, busy), func(b *testing.B) {
				q, err := parseQuery(search.query, searchKeys)
				if err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(b.Context())
				var wg sync.WaitGroup
				if busy { // 50,000 new spans a second, made here too
					wg.Go(func() {
						tick := time.NewTicker(10 * time.Millisecond)
						defer tick.Stop()
						for n := uint64(1 << 40); ; n += 50 {
							select {
							case <-ctx.Done():
								return
							case <-tick.C:
								spans, err := otlp.Decode(otlp.AppendRequest(nil, load(n, 50)))
								if err != nil {
									b.Error(err)
								}
								s.add(spans)
							}
						}
					})
				}
				for b.Loop() {
					if _, err := s.search(b.Context(), &q); err != nil {
						b.Fatal(err)
					}
				}
				cancel()
				wg.Wait()
			})
		}
	}
}

func BenchmarkOperations(b *testing.B) {
	const traces = 50_000
	s := newStore(math.MaxInt64)
	fill(s, traces)
	q, err := parseQuery("", queryKeys)
	if err != nil {
		b.Fatal(err)
	}
	b.Run(fmt.Sprintf("spans=%d", traces*loadSpans), func(b *testing.B) {
		for b.Loop() {
			if _, err := s.operations(b.Context(), &q); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkTrace makes the JSON of a large trace.
func BenchmarkTrace(b *testing.B) {
	const n = 100_000
	s := newStore(math.MaxInt64)
	s.add(deepTrace(n, 7))
	b.Run(fmt.Sprintf("spans=%d", n), func(b *testing.B) {
		for b.Loop() {
			o, ok := s.open(traceID(1))
			if !ok {
				b.Fatal("no trace")
			}
			text, err := json.Marshal(o.whole())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(len(text)), "bytes")
		}
	})
}

// deepTrace is a trace in which each span has so many children.
func deepTrace(n, children int) []sdktrace.ReadOnlySpan {
	stubs := make(tracetest.SpanStubs, n)
	wide := func(i int) (id trace.SpanID) {
		binary.BigEndian.PutUint64(id[:], uint64(i)+1)
		return id
	}
	for i := range stubs {
		stubs[i] = tracetest.SpanStub{
			Name:        fmt.Sprintf("step %d", i%50),
			SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID(1), SpanID: wide(i)}),
			StartTime:   epoch.Add(time.Duration(i) * time.Microsecond), EndTime: epoch.Add(time.Duration(2*n-i) * time.Microsecond),
			Resource: loadServices[i%2],
		}
		if i > 0 {
			stubs[i].Parent = trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID(1), SpanID: wide((i - 1) / children)})
		}
	}
	return stubs.Snapshots()
}
