package record

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// watcher is a processor that writes down what it is told, and with which context.
type watcher struct {
	name string
	log  *[]string
	mu   sync.Mutex

	contexts []context.Context
	ended    []sdktrace.ReadOnlySpan
	onStart  func(sdktrace.ReadWriteSpan)
}

func (w *watcher) say(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*w.log = append(*w.log, w.name+" "+what)
}

func (w *watcher) OnStart(ctx context.Context, s sdktrace.ReadWriteSpan) {
	w.say("start " + s.Name())
	w.contexts = append(w.contexts, ctx)
	if w.onStart != nil {
		w.onStart(s)
	}
}

func (w *watcher) OnEnd(s sdktrace.ReadOnlySpan) {
	w.say("end " + s.Name())
	w.ended = append(w.ended, s)
}
func (w *watcher) Shutdown(context.Context) error   { w.say("shutdown"); return nil }
func (w *watcher) ForceFlush(context.Context) error { w.say("flush"); return nil }

func checkLog(t *testing.T, log []string, want ...string) {
	t.Helper()
	if !slices.Equal(log, want) {
		t.Errorf("the processors were told\n%s\nwant\n%s", strings.Join(log, "\n"), strings.Join(want, "\n"))
	}
}

func TestProcessorsOnStart(t *testing.T) {
	var log []string
	w := &watcher{log: &log}
	r := newRecorder(t, Config{SpanProcessors: []sdktrace.SpanProcessor{w}}, onError, selectNone)
	outside := context.WithValue(context.Background(), contextKey{}, "outside")
	ctx, root := r.tracer.Start(outside, "root")
	inside := context.WithValue(ctx, contextKey{}, "inside")
	var got trace.Span
	w.onStart = func(s sdktrace.ReadWriteSpan) {
		got = s
		s.SetAttributes(attribute.Int("by the processor", 1))
	}
	child := r.start(inside, "child", trace.WithAttributes(attribute.Int("at start", 1)))
	if got != child {
		t.Error("a processor is given another span than the application")
	}
	if attrs := child.(*span).Attributes(); !slices.Equal(attrs, []attribute.KeyValue{attribute.Int("at start", 1), attribute.Int("by the processor", 1)}) {
		t.Errorf("the span has attributes %v", attrs)
	}
	newRoot := r.start(inside, "new root", trace.WithNewRoot())
	none := r.start(nil, "none") //nolint:staticcheck // what applications do
	for i, want := range []context.Context{outside, inside, inside, context.Background()} {
		if w.contexts[i] != want {
			t.Errorf("start %d is told with context %v, want %v, which the application gave", i, w.contexts[i], want)
		}
	}
	for _, s := range []trace.Span{child, root, newRoot, none} {
		s.End()
	}
}

// What nobody selects and nobody waits for is recorded if that is asked for, until it
// ends.
func TestAlwaysRecord(t *testing.T) {
	for _, always := range []bool{true, false} {
		var log []string
		r := newRecorder(t, Config{AlwaysRecord: always, SpanProcessors: []sdktrace.SpanProcessor{&watcher{log: &log}}}, selectNone)
		ctx, root := r.tracer.Start(context.Background(), "root")
		late, child := r.tracer.Start(ctx, "child")
		for _, s := range []trace.Span{child, root, r.start(late, "late"), r.start(withParent(remoteParent(t, 0, "")), "called")} {
			if s.IsRecording() != always || s.SpanContext().IsSampled() {
				t.Errorf("always %v: recording %v, sampled %v", always, s.IsRecording(), s.SpanContext().IsSampled())
			}
			before := r.live.exactly()
			s.End()
			if after := r.live.exactly(); always && after >= before {
				t.Errorf("%d bytes are held after an end, %d before it", after, before)
			}
		}
		r.start(sampling.ContextWithDrop(ctx), "below it").End()
		r.start(sampling.ContextWithDrop(context.Background()), "dropped").End()
		want := []string{}
		if always {
			want = []string{
				"start root", "start child", "start late", "start called", "end child", "end root", "end late", "end called",
				"start below it", "end below it",
			}
		}
		for i := range want {
			want[i] = " " + want[i]
		}
		checkLog(t, log, want...)
		r.checkDelivered(t)
		r.checkEmpty(t)
	}
}

// What processors see of a span that ended is what was known then, whatever is
// decided later.
func TestProcessorsOnEnd(t *testing.T) {
	var log []string
	a, b := &watcher{log: &log}, &watcher{log: &log}
	r := newRecorder(t, Config{SpanProcessors: []sdktrace.SpanProcessor{a, b}}, onError, selectNone)
	ctx, root := r.tracer.Start(withParent(remoteParent(t, 0, "other=1")), "root", trace.WithLinks(trace.Link{SpanContext: remoteParent(t, 0, "")}))
	child := r.start(ctx, "child", trace.WithAttributes(attribute.Int("a", 1)))
	child.AddEvent("event")
	child.End()
	fail(root).End()
	r.checkDelivered(t, "child", "root")
	if len(a.ended) != 2 {
		t.Fatalf("%d ends were told", len(a.ended))
	}
	for i, s := range a.ended {
		if s != b.ended[i] {
			t.Error("two processors are given different spans")
		}
		if _, ok := s.(trace.Span); ok {
			t.Error("what has ended can be written to")
		}
		live := []trace.Span{child, root}[i].(*span)
		if !s.SpanContext().Equal(live.SpanContext()) || s.SpanContext().IsSampled() {
			t.Errorf("%s is shown as %+v, want it undecided", s.Name(), s.SpanContext())
		}
		snapshot := tracetest.SpanStubFromReadOnlySpan(s)
		if len(s.Attributes()) != len(live.Attributes()) || !slices.Equal(s.Attributes(), live.Attributes()) {
			t.Errorf("%s is shown with attributes %v", s.Name(), s.Attributes())
		}
		live.SetAttributes(attribute.Int("late", 1))
		live.AddEvent("late")
		live.AddLink(trace.Link{SpanContext: live.SpanContext()})
		live.SetName("late")
		r.start(ctx, "late child").End()
		if now := tracetest.SpanStubFromReadOnlySpan(s); !reflect.DeepEqual(now, snapshot) {
			t.Errorf("it is shown as %+v, and was %+v", now, snapshot)
		}
	}
}

// A processor that ends a span as it starts takes no call from the others.
func TestProcessorEndsASpanAsItStarts(t *testing.T) {
	var log []string
	a, b := &watcher{name: "a", log: &log}, &watcher{name: "b", log: &log}
	a.onStart = func(s sdktrace.ReadWriteSpan) { s.End() }
	r := newRecorder(t, Config{SpanProcessors: []sdktrace.SpanProcessor{a, b}}, onError, selectAll)
	r.start(context.Background(), "root").End()
	checkLog(t, log, "a start root", "a end root", "b end root", "b start root")
	r.checkDelivered(t, "root")
}

func TestProcessorsComeAndGo(t *testing.T) {
	var log []string
	first, later, never := &watcher{name: "first", log: &log}, &watcher{name: "later", log: &log}, &watcher{name: "never", log: &log}
	r := newRecorder(t, Config{SpanProcessors: []sdktrace.SpanProcessor{first}}, onError, selectAll)
	one := r.start(context.Background(), "one")
	r.RegisterSpanProcessor(later)
	one.End()
	two := r.start(context.Background(), "two")
	r.UnregisterSpanProcessor(never)
	r.UnregisterSpanProcessor(first)
	r.UnregisterSpanProcessor(first)
	two.End()
	if err := r.ForceFlush(context.Background()); err != nil {
		t.Error(err)
	}
	if err := r.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	r.RegisterSpanProcessor(never)
	r.UnregisterSpanProcessor(later)
	r.start(context.Background(), "three").End()
	checkLog(t, log,
		"first start one", "first end one", "later end one",
		"first start two", "later start two", "first shutdown", "later end two",
		"later flush", "later shutdown")
}

// Every span that is recorded is shown, whatever becomes of it.
func TestProcessorsSeeEverySpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		w := &watcher{log: &log}
		next := -1
		randomness := []uint64{half, half - 1, half - 1, 0, half}
		r := newRecorder(t, Config{
			SpanProcessors: []sdktrace.SpanProcessor{w}, Bounds: Bounds{MaxBytes: 1 << 20},
			IDGenerator: idsWith(func() uint64 { next++; return randomness[next] }),
		}, onError, startFunc(func(p sampling.StartParameters) sampling.Answer {
			if p.Name == "dropped" {
				return sampling.Drop()
			}
			return sampling.At(half)
		}))
		r.start(context.Background(), "kept").End()
		r.start(context.Background(), "not kept").End()
		fail(r.start(context.Background(), "failed")).End()
		gone := r.start(context.Background(), "let go", trace.WithAttributes(attribute.String("large", strings.Repeat("x", 960<<10))))
		synctest.Wait()
		if r.Stats().UnderPressure != 1 {
			t.Error("nothing was let go for lack of memory")
		}
		gone.End()
		r.start(context.Background(), "dropped").End()
		checkLog(t, log, " start kept", " end kept", " start not kept", " end not kept", " start failed", " end failed", " start let go", " end let go")
	})
}

// The SDK's processors beside riffle export what the start has sampled, as they do
// with the SDK.
func TestProcessorsOfTheSDK(t *testing.T) {
	simple, batched, registered := tracetest.NewInMemoryExporter(), tracetest.NewInMemoryExporter(), tracetest.NewInMemoryExporter()
	next := -1
	randomness := []uint64{half, half - 1, half - 1, half}
	r := newRecorder(t, Config{
		IDGenerator: idsWith(func() uint64 { next++; return randomness[next] }),
		SpanProcessors: []sdktrace.SpanProcessor{
			sdktrace.NewSimpleSpanProcessor(simple), sdktrace.NewBatchSpanProcessor(keepsOnShutdown{batched}),
		},
	}, onError, startAt(half))
	r.RegisterSpanProcessor(sdktrace.NewBatchSpanProcessor(keepsOnShutdown{registered}))
	ctx, selected := r.tracer.Start(context.Background(), "selected", trace.WithAttributes(attribute.Int("a", 1)))
	r.start(ctx, "child").End()
	selected.End()
	r.start(context.Background(), "not selected").End()
	fail(r.start(context.Background(), "failed")).End()
	if err := r.ForceFlush(context.Background()); err != nil {
		t.Error(err)
	}
	for name, e := range map[string]*tracetest.InMemoryExporter{"simple": simple, "batched": batched, "registered": registered} {
		spans := e.GetSpans()
		var names []string
		for _, s := range spans {
			names = append(names, s.Name)
		}
		if !slices.Equal(names, []string{"child", "selected"}) {
			t.Errorf("%s exported %q, want what is sampled", name, names)
			continue
		}
		if s := spans[1]; !s.SpanContext.Equal(selected.SpanContext()) || !slices.Equal(s.Attributes, []attribute.KeyValue{attribute.Int("a", 1)}) {
			t.Errorf("%s exported %+v %v", name, s.SpanContext, s.Attributes)
		}
	}
	r.checkDelivered(t, "child", "selected", "failed")
	r.start(context.Background(), "last").End()
	if err := r.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	for name, e := range map[string]*tracetest.InMemoryExporter{"batched": batched, "registered": registered} {
		if n := len(e.GetSpans()); n != 3 {
			t.Errorf("%s exported %d spans until Shutdown, want 3", name, n)
		}
	}
}

// keepsOnShutdown is the SDK's exporter for tests, which else forgets all then.
type keepsOnShutdown struct{ *tracetest.InMemoryExporter }

func (keepsOnShutdown) Shutdown(context.Context) error { return nil }
