package record

import (
	"context"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/riffletrace/riffle/core/sampling"
)

func TestTracerOfAProviderThatWasShutDown(t *testing.T) {
	r := newRecorder(t, Config{}, onError, selectAll)
	if err := r.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if tr, ok := r.Tracer("late").(noop.Tracer); !ok {
		t.Errorf("the tracer is %T, want the API's that does nothing", tr)
	}
	if got := r.Tracer("test").(noop.Tracer); got != (noop.Tracer{}) {
		t.Error("a tracer that is known already is still given")
	}
}

func TestTracers(t *testing.T) {
	r := newRecorder(t, Config{Limits: unlimited}, onError, selectAll)
	r.start(context.Background(), "root").End()
	s := r.Tracer("")
	_, root := s.Start(context.Background(), "unnamed")
	root.End()
	if got := r.span(t, "unnamed").InstrumentationScope().Name; got != "go.opentelemetry.io/otel/sdk/tracer" {
		t.Errorf("a tracer without a name has %q, the SDK's is another", got)
	}
	one := []trace.TracerOption{
		trace.WithInstrumentationVersion("1"), trace.WithSchemaURL("url"),
		trace.WithInstrumentationAttributes(attribute.Int("a", 1), attribute.Int("b", 2)),
	}
	first := r.Tracer("name", one...)
	if first != r.Tracer("name", one...) || first != r.Tracer("name", one[0], one[1], trace.WithInstrumentationAttributes(attribute.Int("b", 2), attribute.Int("a", 0), attribute.Int("a", 1))) {
		t.Error("equal scopes have different tracers")
	}
	for _, other := range []trace.Tracer{
		r.Tracer("other", one...), r.Tracer("name", one[1:]...), r.Tracer("name", one[0], one[2]), r.Tracer("name", one[:2]...),
	} {
		if first == other {
			t.Error("different scopes have one tracer")
		}
	}
	// What becomes equal within the depth that is recorded is equal.
	limits := unlimited
	limits.AttributeValueDepthLimit = 1
	shallow := newRecorder(t, Config{Limits: limits}, onError, selectAll)
	deep := func(i int) trace.TracerOption {
		return trace.WithInstrumentationAttributes(attribute.Slice("deep", attribute.SliceValue(attribute.IntValue(i))))
	}
	if shallow.Tracer("name", deep(1)) != shallow.Tracer("name", deep(2)) {
		t.Error("scopes that are recorded alike have different tracers")
	}
}

// The flag that says that an ID is random is for IDs that are.
func TestRandomFlag(t *testing.T) {
	ours := newRecorder(t, Config{}, onError, selectAll)
	theirs := newRecorder(t, Config{IDGenerator: fixedRandomness(0)}, onError, selectAll)
	drop := startFunc(func(sampling.StartParameters) sampling.Answer { return sampling.Drop() })
	dropped := newRecorder(t, Config{}, onError, drop)
	for _, test := range []struct {
		name  string
		r     *recorder
		flags trace.TraceFlags
	}{
		{"our own generator", ours, trace.FlagsSampled | trace.FlagsRandom},
		{"another generator", theirs, trace.FlagsSampled},
		{"our own generator, dropped", dropped, trace.FlagsRandom},
	} {
		ctx, root := test.r.tracer.Start(context.Background(), "root")
		for _, s := range []trace.Span{root, test.r.start(ctx, "child")} {
			if got := s.SpanContext().TraceFlags(); got != test.flags {
				t.Errorf("with %s the flags are %v, want %v", test.name, got, test.flags)
			}
			s.End()
		}
	}
	if got := ours.start(withParent(remoteParent(t, trace.FlagsSampled, "")), "root").SpanContext().TraceFlags(); got != trace.FlagsSampled {
		t.Errorf("the ID of a client gets flags %v", got)
	}
}

// What the other flags of a remote parent become, and its tracestate.
func TestFlagsAndStateOfARemoteParent(t *testing.T) {
	const own, state = 0xcc00000000000, "ot=rv:ffffffffffffff;th:8;xx:1,other=1"
	for _, test := range []struct {
		remote        RemoteParent
		flags, want   trace.TraceFlags
		state         string
		sameTrace     bool
		links         int
		deliveredWith string
	}{
		{Watch, 0xfd, 0xfd, state, true, 0, "ot=th:0;rv:ffffffffffffff;xx:1,other=1"},
		{Watch, 0xfc, 0xfc, "ot=rv:ffffffffffffff;xx:1,other=1", true, 0, "ot=th:0;rv:ffffffffffffff;xx:1,other=1"},
		{Follow, 0xfd, 0xfd, state, true, 0, state},
		{Follow, 0xfc, 0xfc, "ot=rv:ffffffffffffff;xx:1,other=1", true, 0, ""},
		{Ignore, 0xff, 0, "ot=rv:0cc00000000000,other=1", true, 0, "ot=th:0;rv:0cc00000000000,other=1"},
		{Restart, 0xff, 0, "", false, 1, "ot=th:0"},
	} {
		t.Run(string(test.remote), func(t *testing.T) {
			c := Config{RemoteParent: test.remote, IDGenerator: fixedRandomness(own), Randomness: func() uint64 { return own }}
			r := newRecorder(t, c, onError, startAt(half))
			parent := remoteParent(t, test.flags, state)
			ctx, s := r.tracer.Start(withParent(parent), "root")
			sc := s.SpanContext()
			if sc.TraceFlags() != test.want || sc.TraceState().String() != test.state {
				t.Errorf("flags and state are %v %q, want %v %q", sc.TraceFlags(), sc.TraceState(), test.want, test.state)
			}
			if same := sc.TraceID() == parent.TraceID(); same != test.sameTrace {
				t.Errorf("the trace is the client's: %t, want %t", same, test.sameTrace)
			}
			if child := r.start(ctx, "child").SpanContext(); child.TraceFlags() != sc.TraceFlags() || child.TraceState().String() != test.state {
				t.Errorf("a child has %v %q", child.TraceFlags(), child.TraceState())
			} else if child.SpanID() == sc.SpanID() {
				t.Error("a child has the span ID of its parent")
			}
			fail(s).End()
			if test.deliveredWith == "" {
				r.checkDelivered(t)
				return
			}
			if err := r.Shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}
			root := r.span(t, "root")
			if got := root.SpanContext().TraceState().String(); got != test.deliveredWith {
				t.Errorf("delivered is state %q, want %q", got, test.deliveredWith)
			}
			if test.links != len(root.Links()) {
				t.Fatalf("there are links %v, want %d", root.Links(), test.links)
			}
			if test.links == 0 {
				if got := root.Parent(); !got.Equal(parent) {
					t.Errorf("the parent is %+v, want %+v", got, parent)
				}
				return
			}
			link := root.Links()[0].SpanContext
			if want := parent.WithTraceState(trace.TraceState{}); !link.Equal(want) || root.Parent().IsValid() {
				t.Errorf("the link is to %+v, the parent %+v, want a link to %+v", link, root.Parent(), want)
			}
		})
	}
}

// A client that sends no valid parent can choose nothing either.
func TestInvalidRemoteParent(t *testing.T) {
	const chosen = "ot=rv:ffffffffffffff;th:0,other=1"
	for _, remote := range []RemoteParent{Ignore, Restart} {
		for name, parent := range map[string]trace.SpanContext{
			"without an ID":      remoteParent(t, 0xff, chosen).WithTraceID(trace.TraceID{}).WithSpanID(trace.SpanID{}),
			"without a span ID":  remoteParent(t, 0xff, chosen).WithSpanID(trace.SpanID{}),
			"without a trace ID": remoteParent(t, 0xff, chosen).WithTraceID(trace.TraceID{}),
		} {
			t.Run(string(remote)+" "+name, func(t *testing.T) {
				c := Config{RemoteParent: remote, IDGenerator: fixedRandomness(half - 1), Randomness: func() uint64 { return half - 1 }}
				r := newRecorder(t, c, onError, startAt(half))
				s := r.start(withParent(parent), "root")
				if sc := s.SpanContext(); sc.TraceFlags() != 0 || !sc.IsValid() {
					t.Errorf("the span is %+v", sc)
				}
				s.End()
				r.checkDelivered(t)
			})
		}
	}
}

// A tracestate that a root starts with is kept, and its randomness is the trace's.
func TestTracestateOfARoot(t *testing.T) {
	for rv, kept := range map[string]bool{"80000000000000": true, "7fffffffffffff": false} {
		r := newRecorder(t, Config{IDGenerator: fixedRandomness(half)}, onError, startAt(half))
		state, err := trace.ParseTraceState("other=1,ot=rv:" + rv)
		if err != nil {
			t.Fatal(err)
		}
		ctx, s := r.tracer.Start(withParent(trace.NewSpanContext(trace.SpanContextConfig{TraceState: state})), "root")
		r.start(ctx, "child").End()
		s.End()
		want := "other=1,ot=rv:" + rv
		if kept {
			want = "ot=th:8;rv:" + rv + ",other=1"
		}
		if got := s.SpanContext().TraceState().String(); got != want {
			t.Errorf("the tracestate is %q, want %q", got, want)
		}
		if got := len(r.spans()) == 2; got != kept {
			t.Errorf("with rv:%s the trace is kept: %t, want %t", rv, got, kept)
		}
	}
}

// Each span has an ID of its own, recorded or not: others rely on it.
func TestDroppedSpansHaveIDs(t *testing.T) {
	r := newRecorder(t, Config{}, startFunc(func(sampling.StartParameters) sampling.Answer { return sampling.Drop() }))
	remote := remoteParent(t, trace.FlagsSampled, "other=1")
	for _, parent := range []context.Context{context.Background(), withParent(remote)} {
		ctx := parent
		seen := []trace.SpanID{trace.SpanContextFromContext(ctx).SpanID()}
		for range 3 {
			var s trace.Span
			ctx, s = r.tracer.Start(ctx, "dropped") //nolint:fatcontext // each below the one before
			sc := s.SpanContext()
			if !sc.IsValid() || sc.IsRemote() || sc.IsSampled() || s.IsRecording() || slices.Contains(seen, sc.SpanID()) {
				t.Errorf("a dropped span is %+v", sc)
			}
			if trace.SpanContextFromContext(parent).IsValid() && (sc.TraceID() != remote.TraceID() || sc.TraceState().Get("other") != "1") {
				t.Errorf("a dropped span is %+v, not in the trace of its parent", sc)
			}
			seen = append(seen, sc.SpanID())
			s.End()
		}
	}
	if n := r.Stats().Dropped; n != 2 {
		t.Errorf("%d dropped roots are counted, want 2", n)
	}
}
