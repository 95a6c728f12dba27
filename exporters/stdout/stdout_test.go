package stdout

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/exporters/stdout/tree"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// span is one of trace id; parent 0 is none, and a negative one is remote.
func span(id byte, name string, parent int) sdktrace.ReadOnlySpan {
	start := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	stub := tracetest.SpanStub{
		Name:        name,
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{id}, SpanID: trace.SpanID{name[0]}}),
		StartTime:   start,
		EndTime:     start.Add(time.Millisecond),
	}
	if parent != 0 {
		stub.Parent = trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{id}, SpanID: trace.SpanID{byte(max(parent, -parent))}, Remote: parent < 0,
		})
	}
	return stub.Snapshot()
}

// rig is an exporter of trees with a clock of its own.
type rig struct {
	*exporter
	out bytes.Buffer
	now time.Time
}

func newRig() *rig {
	r := &rig{}
	trees := newTrees(func() tree.Options { return tree.Options{} })
	trees.now = func() time.Time { return r.now }
	r.exporter = &exporter{w: &r.out, encode: trees}
	return r
}

// export returns the names of what was printed, in order, a blank for a new trace.
func (r *rig) export(t *testing.T, spans ...sdktrace.ReadOnlySpan) string {
	t.Helper()
	if err := r.ExportSpans(t.Context(), spans); err != nil {
		t.Fatal(err)
	}
	return r.printed()
}

func (r *rig) printed() string {
	var all []string
	for line := range strings.Lines(r.out.String()) {
		if strings.HasPrefix(line, "trace ") {
			all = append(all, "trace")
		} else if i := strings.Index(line, "1ms"); i > 0 {
			all = append(all, strings.Trim(line[:i], "│├└─ +"))
		}
	}
	r.out.Reset()
	return strings.Join(all, " ")
}

func TestTracesAreHeldUntilTheirRoot(t *testing.T) {
	r := newRig()
	if got := r.export(t, span(1, "c", 'a'), span(2, "y", 'x')); got != "" {
		t.Errorf("printed %q before the root", got)
	}
	if got, want := r.export(t, span(1, "a", 0)), "trace a c"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	if got, want := r.export(t, span(2, "x", -'w')), "trace x y"; got != want {
		t.Errorf("printed %q, want %q: a root with a remote parent", got, want)
	}
	if got, want := r.export(t, span(1, "z", 'a')), "trace z"; got != want {
		t.Errorf("printed %q, want %q: a late span", got, want)
	}
	if got, want := r.export(t, span(3, "a", 0), span(4, "b", 0)), "trace a trace b"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestHeldTracesArePrintedInTime(t *testing.T) {
	r := newRig()
	r.export(t, span(1, "c", 'a'))
	r.now = r.now.Add(maxHeldTime)
	if got, want := r.export(t, span(2, "c", 'a')), "trace c"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestHeldSpansAreBounded(t *testing.T) {
	r := newRig()
	child := span(1, "c", 'a')
	r.export(t, child, span(2, "d", 'a'))
	many := make([]sdktrace.ReadOnlySpan, maxHeldSpans-2)
	for i := range many {
		many[i] = span(2, "d", 'a')
	}
	if got := r.export(t, many...); got != "" {
		t.Errorf("printed %q below the bound", got)
	}
	if got, want := r.export(t, span(3, "e", 'a')), "trace c"; got != want {
		t.Errorf("printed %q, want %q: only the oldest has to go", got, want)
	}
	if held := r.encode.(*trees).spans; held != maxHeldSpans {
		t.Errorf("holds %d spans, want %d", held, maxHeldSpans)
	}
}

func TestShutdownPrintsTheRest(t *testing.T) {
	r := newRig()
	r.export(t, span(1, "c", 'a'))
	for range 2 {
		if err := r.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := r.printed(), "trace c"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	if err := r.ExportSpans(t.Context(), []sdktrace.ReadOnlySpan{span(1, "d", 0)}); err == nil {
		t.Error("an export after Shutdown succeeded")
	}
}

type brokenWriter struct{}

var errBroken = errors.New("broken")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestErrors(t *testing.T) {
	r := newRig()
	r.w = brokenWriter{}
	if err := r.ExportSpans(t.Context(), []sdktrace.ReadOnlySpan{span(1, "a", 0)}); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.ExportSpans(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestCheck(t *testing.T) {
	tests := []struct {
		config Config
		want   string
	}{
		{Config{Format: Tree, Output: Stderr}, ""},
		{Config{Format: "yaml", Output: Stdout}, `format: unknown format "yaml": known are tree, json, otlp_json`},
		{Config{Format: JSON, Output: "file"}, `output: "file" is not one of stdout, stderr`},
	}
	for _, tt := range tests {
		got := ""
		if err := component.Use(Factory, "", tt.config).Err(); err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

// No colour where nobody looks.
func TestTreeOptions(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if diff := cmp.Diff(tree.Options{}, treeOptions(null)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func ExampleNew() {
	e, err := New(context.Background(), component.Settings{}, Config{Format: Tree, Output: Stdout})
	if err != nil {
		panic(err)
	}
	_ = e.ExportSpans(context.Background(), []sdktrace.ReadOnlySpan{span(1, "b", 'a'), span(1, "a", 0)})
	_ = e.Shutdown(context.Background())
	// Output:
	// trace 01000000000000000000000000000000 · 1ms · 2 spans
	// 2026-01-02T15:04:05.000Z · weight unknown
	//
	//   a     1ms  ████████████████████████████████████████████████████████████
	//   └─ b  1ms  ████████████████████████████████████████████████████████████
}
