package delivery_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/otlp"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" {
		toBeKilled(dir)
	}
	goleak.VerifyTestMain(m)
}

// backend is an exporter that takes requests and responds as it is told.
type backend struct {
	// respond decides about a batch of spans with these names; nil accepts.
	respond func(ctx context.Context, names []string) (delivery.Response, error)

	mu       sync.Mutex
	got      map[string]int // accepted spans by name
	attempts int
	under    int // way
	most     int // under way at once
	bodies   [][]byte
	shut     int
}

func (*backend) Traits() delivery.Traits { return delivery.Traits{Compression: delivery.None} }

func (b *backend) ExportRequest(ctx context.Context, r delivery.Request) (delivery.Response, error) {
	spans, err := decoded(r)
	if err != nil {
		return delivery.Response{}, err
	}
	return b.take(ctx, r.Body, spans)
}

func decoded(r delivery.Request) ([]sdktrace.ReadOnlySpan, error) {
	spans, err := otlp.Decode(r.Body)
	if err == nil && len(spans) != r.Spans {
		err = fmt.Errorf("%d spans in a request of %d", len(spans), r.Spans)
	}
	return spans, err
}

func (b *backend) take(ctx context.Context, body []byte, spans []sdktrace.ReadOnlySpan) (resp delivery.Response, err error) {
	b.mu.Lock()
	b.attempts++
	b.under++
	b.most = max(b.most, b.under)
	b.bodies = append(b.bodies, body)
	b.mu.Unlock()
	names := make([]string, len(spans))
	for i, s := range spans {
		names[i] = s.Name()
	}
	if b.respond != nil {
		resp, err = b.respond(ctx, names)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.under--
	if err == nil {
		if b.got == nil {
			b.got = make(map[string]int)
		}
		for _, name := range names[:len(names)-int(resp.Rejected)] {
			b.got[name]++
		}
	}
	return resp, err
}

func (*backend) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	panic("it takes requests")
}

func (b *backend) Shutdown(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shut++
	return nil
}

func (b *backend) received() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got
}

// body is where the first request is in memory.
func (b *backend) body() *byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return &b.bodies[0][0]
}

func (b *backend) tried() (attempts, most int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.attempts, b.most
}

// plain is the same as an exporter that takes spans.
type plain struct{ b *backend }

func (p plain) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	_, err := p.b.take(ctx, nil, spans)
	return err
}
func (p plain) Shutdown(ctx context.Context) error { return p.b.Shutdown(ctx) }

// span is one with a name and as many bytes of padding.
func span(name string, padding int) sdktrace.ReadOnlySpan {
	stub := tracetest.SpanStub{
		Name: name,
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 1}, TraceFlags: trace.FlagsSampled,
		}),
		StartTime: time.Unix(1, 0), EndTime: time.Unix(2, 0),
	}
	if padding > 0 {
		stub.Attributes = []attribute.KeyValue{attribute.String("padding", strings.Repeat("x", padding))}
	}
	return stub.Snapshot()
}

func spans(from, to, padding int) []sdktrace.ReadOnlySpan {
	all := make([]sdktrace.ReadOnlySpan, 0, to-from)
	for i := from; i < to; i++ {
		all = append(all, span(fmt.Sprint(i), padding))
	}
	return all
}

// one starts a line of its own.
func one(t testing.TB, e sdktrace.SpanExporter, log *journal, change func(*delivery.Config)) (*delivery.Lines, *delivery.Line) {
	t.Helper()
	c := delivery.Defaults()
	if change != nil {
		change(&c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	f := &delivery.Lines{}
	l := f.Add(e, c, delivery.Settings{Name: "backend", Type: "fake", Logger: slog.New(slog.NewTextHandler(log, nil))})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
		defer cancel()
		_ = l.Shutdown(ctx)
	})
	return f, l
}

// accounted checks that each span handed over is in exactly one counter, and
// that the backend has what was sent.
func accounted(t testing.TB, l *delivery.Line, b *backend) {
	t.Helper()
	s := l.Stats()
	if s.HandedOver != s.Sent+s.Rejected+s.Dropped.Total()+s.Waiting || s.Lost != s.Rejected+s.Dropped.Total() {
		t.Errorf("the counters do not add up: %+v", s)
	}
	var got int
	for _, n := range b.received() {
		got += n
	}
	if uint64(got) != s.Sent {
		t.Errorf("the backend has %d spans, sent are %d", got, s.Sent)
	}
}

// each checks that the backend has these spans, each once.
func each(t testing.TB, b *backend, from, to int) {
	t.Helper()
	var missing []string
	for i := from; i < to; i++ {
		if b.received()[fmt.Sprint(i)] != 1 {
			missing = append(missing, fmt.Sprint(i))
		}
	}
	if len(missing) > 0 {
		t.Errorf("%d spans are not there once: %v", len(missing), missing[:min(len(missing), 10)])
	}
}

// journal is a log that can be read.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) lines(containing string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := strings.Split(strings.TrimSpace(j.b.String()), "\n")
	return slices.DeleteFunc(all, func(l string) bool { return l == "" || !strings.Contains(l, containing) })
}

// attr is an attribute of a line that is a number.
func attr(t testing.TB, line, key string) uint64 {
	t.Helper()
	_, text, _ := strings.Cut(line, " "+key+"=")
	text, _, _ = strings.Cut(text, " ")
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	if err != nil {
		t.Fatalf("%s in %q: %v", key, line, err)
	}
	return n
}
