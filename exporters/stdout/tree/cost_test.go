package tree_test

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/exporters/stdout/tree"
)

// numbered are n spans whose parents a function tells: 0 is none.
func numbered(n int, parent func(i int) int, change func(i int, s *tracetest.SpanStub)) []sdktrace.ReadOnlySpan {
	id := func(i int) (id trace.SpanID) {
		binary.BigEndian.PutUint64(id[:], uint64(i))
		return id
	}
	all := make([]sdktrace.ReadOnlySpan, n)
	for i := range all {
		s := tracetest.SpanStub{
			Name:        "span",
			SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: id(i + 1)}),
			Parent:      trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: id(parent(i + 1))}),
			StartTime:   start.Add(time.Duration(i) * time.Microsecond), EndTime: start.Add(time.Second), Resource: shop,
		}
		if change != nil {
			change(i, &s)
		}
		all[i] = s.Snapshot()
	}
	return all
}

// A trace takes the time that as many spans of small ones take, whatever hangs below
// what.
func TestLinear(t *testing.T) {
	const n = 32_000
	above := func(i int) int { return i - 1 }
	took := func(spans []sdktrace.ReadOnlySpan) time.Duration {
		least := time.Hour
		for range 2 {
			began := time.Now()
			if err := tree.Write(io.Discard, spans, tree.Options{}); err != nil {
				t.Fatal(err)
			}
			least = min(least, time.Since(began))
		}
		return least
	}
	small := took(numbered(n, func(i int) int { return (i - 1) / 8 * 8 }, func(i int, s *tracetest.SpanStub) {
		id := traceID
		binary.BigEndian.PutUint64(id[:], uint64(i/8))
		s.SpanContext = s.SpanContext.WithTraceID(id)
	}))
	for name, spans := range map[string][]sdktrace.ReadOnlySpan{
		"nested": numbered(n, above, nil),
		"wide":   numbered(n, func(i int) int { return min(i-1, 1) }, nil),
		"services": numbered(n, above, func(_ int, s *tracetest.SpanStub) {
			s.Resource = resource.NewSchemaless(attribute.String("service.name", "service "+s.SpanContext.SpanID().String()))
		}),
		"orphans": numbered(n, func(i int) int { return i + n }, func(_ int, s *tracetest.SpanStub) {
			s.Attributes = []attribute.KeyValue{attribute.String("sampling.sampler", "slow")}
		}),
		"circle": numbered(n, func(i int) int { return i%n + 1 }, nil),
		"one ID": numbered(n, func(int) int { return 1 }, func(_ int, s *tracetest.SpanStub) { s.SpanContext = s.Parent }),
	} {
		t.Run(name, func(t *testing.T) {
			if d := took(spans); d > 4*small {
				t.Errorf("%d spans take %v, as many in small traces %v", n, d, small)
			}
		})
	}
}

func TestDeeper(t *testing.T) {
	spans := numbered(16_000, func(i int) int { return i - 1 }, func(i int, s *tracetest.SpanStub) {
		if i%1000 == 999 {
			s.Status = sdktrace.Status{Code: codes.Error}
		}
	})
	var b strings.Builder
	if err := tree.Write(&b, spans, tree.Options{}); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); !strings.HasSuffix(text, "… 15872 spans, 16 errors deeper\n") || strings.Count(text, "\n") != 128+1+3 {
		t.Errorf("%d lines, the last is %q", strings.Count(text, "\n"), text[len(text)-50:])
	}
}

// A text costs what is shown of it, and a line is no wider than the terminal.
func TestLongTexts(t *testing.T) {
	huge := strings.Repeat("\x1b[2J\u202e", 1<<18)
	spans := numbered(10, func(i int) int { return i - 1 }, func(_ int, s *tracetest.SpanStub) {
		s.Name, s.Status = huge, sdktrace.Status{Code: codes.Error, Description: huge}
		s.Attributes = []attribute.KeyValue{
			attribute.String("http.request.method", huge), attribute.String("url.full", huge),
			attribute.StringSlice("db.system", []string{huge}), attribute.String("http.response.status_code", huge),
		}
		s.Resource = resource.NewSchemaless(attribute.String("service.name", huge))
	})
	var b strings.Builder
	if err := tree.Write(&b, spans, tree.Options{}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\u202e") || b.Len() > 64<<10 {
		t.Errorf("%d bytes: %.200q", b.Len(), b.String())
	}
}
