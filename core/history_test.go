package core_test

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/sampling"
)

// seeds is how many random histories are compared; make soak asks for more.
var seeds = flag.Int("seeds", 0, "random histories of the trace buffer to compare with the oracle, and seeds of its statistics (0: a number that takes seconds)")

// history is what a random application does, and what it sees.
type history struct {
	t      *testing.T
	r      *rand.Rand
	setup  *setup
	p      *core.Provider
	tracer trace.Tracer
	events []event
	spans  []*modelSpan
	open   []*modelSpan
	live   map[*modelSpan]trace.Span
	errors []string

	mu   sync.Mutex
	kept []core.Kept
	got  map[string]verdictOf // by name, after all
}

func (h *history) fail(format string, args ...any) {
	h.errors = append(h.errors, fmt.Sprintf(format, args...))
}

// NewIDs makes IDs whose randomness is often at the edge of a threshold.
func (h *history) NewIDs(ctx context.Context) (id trace.TraceID, _ trace.SpanID) {
	binary.BigEndian.PutUint64(id[:8], h.r.Uint64()|1)
	binary.BigEndian.PutUint64(id[8:], h.randomness()|h.r.Uint64()<<56)
	return id, h.NewSpanID(ctx, id)
}

func (h *history) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	binary.BigEndian.PutUint64(id[:], h.r.Uint64()|1)
	return id
}

func (h *history) randomness() uint64 {
	if t := thresholds[h.r.IntN(len(thresholds))]; h.r.IntN(4) == 0 && t < sampling.Never {
		return (uint64(t) - uint64(h.r.IntN(2))) & (1<<56 - 1)
	}
	return h.r.Uint64() & (1<<56 - 1)
}

var bigPayload = attribute.String("payload", strings.Repeat("x", 600<<10))

func (h *history) pick(spans []*modelSpan) *modelSpan {
	if len(spans) == 0 {
		return nil
	}
	if n := len(spans); h.r.IntN(2) == 0 && n > 8 {
		spans = spans[n-8:] // mostly recent ones
	}
	return spans[h.r.IntN(len(spans))]
}

// remote makes the context of a remote parent: of a new trace, or of one that
// this process knows, which called somebody who called back.
func (h *history) remote() trace.SpanContext {
	if s := h.pick(h.spans); s != nil && h.r.IntN(2) == 0 && h.setup.mode != core.Ignore {
		sc := s.context.WithRemote(true).WithSpanID(h.NewSpanID(context.Background(), trace.TraceID{}))
		if h.r.IntN(4) == 0 {
			sc = sc.WithTraceFlags(sc.TraceFlags() ^ trace.FlagsSampled)
		}
		return sc
	}
	id, span := h.NewIDs(context.Background())
	var members []string
	if h.r.IntN(3) > 0 {
		if t, ok := thresholds[h.r.IntN(len(thresholds))].Text(); ok {
			members = append(members, "th:"+t)
		}
	}
	if h.r.IntN(3) == 0 {
		members = append(members, fmt.Sprintf("rv:%014x", h.randomness()))
	}
	if h.r.IntN(3) == 0 {
		members = append(members, "a:1")
	}
	var entries []string
	if len(members) > 0 {
		entries = append(entries, "ot="+strings.Join(members, ";"))
	}
	if h.r.IntN(3) == 0 {
		entries = append(entries, "v=1")
	}
	ts, err := trace.ParseTraceState(strings.Join(entries, ","))
	if err != nil {
		h.t.Fatal(err)
	}
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: id, SpanID: span, TraceState: ts, Remote: true,
		TraceFlags: trace.TraceFlags(0).WithSampled(h.r.IntN(2) == 0),
	})
}

func (h *history) start() {
	s := &modelSpan{name: fmt.Sprintf("s%d", len(h.spans)), started: time.Now()}
	ctx := context.Background()
	var opts []trace.SpanStartOption
	do := startRoot
	switch n := h.r.IntN(10); {
	case n < 2:
		if p := h.pick(h.spans); p != nil && h.r.IntN(2) == 0 {
			ctx, opts = trace.ContextWithSpan(ctx, h.live[p]), append(opts, trace.WithNewRoot())
		}
	case n < 4:
		s.remote = h.remote()
		ctx = trace.ContextWithSpanContext(ctx, s.remote)
	default:
		p := h.pick(h.open)
		if p == nil || h.r.IntN(3) == 0 {
			p = h.pick(h.spans)
		}
		if p == nil {
			return
		}
		do, s.parent, s.hidden, ctx = startChild, p, h.r.IntN(5) == 0, trace.ContextWithSpan(ctx, h.live[p])
		if s.hidden {
			ctx = trace.ContextWithSpanContext(context.Background(), p.context)
		}
	}
	_, span := h.tracer.Start(ctx, s.name, opts...)
	s.context, s.recording = span.SpanContext(), span.IsRecording()
	h.live[s] = span
	h.spans, h.open = append(h.spans, s), append(h.open, s)
	h.events = append(h.events, event{at: s.started, do: do, span: s})
}

func (h *history) end() {
	if len(h.open) == 0 {
		return
	}
	i := h.r.IntN(len(h.open))
	s := h.open[i]
	h.open[i] = h.open[len(h.open)-1]
	h.open = h.open[:len(h.open)-1]
	span := h.live[s]
	if s.failed = h.r.IntN(8) == 0; s.failed {
		span.SetStatus(codes.Error, "no")
	}
	if s.big = h.r.IntN(4) == 0; s.big {
		span.SetAttributes(bigPayload)
	}
	h.events = append(h.events, event{at: time.Now(), do: end, span: s})
	span.End()
	if h.r.IntN(8) == 0 {
		span.SetStatus(codes.Error, "too late")
		span.End()
	}
}

func (h *history) keep() {
	e := event{at: time.Now(), do: keep, t: thresholds[h.r.IntN(len(thresholds))], reason: "on demand"}
	if s := h.pick(h.spans); s != nil && h.r.IntN(8) > 0 {
		e.id = s.context.TraceID()
	}
	e.known = h.p.Keep(e.id, e.t, e.reason)
	h.events = append(h.events, e)
}

func (h *history) sleep() {
	var d time.Duration
	switch h.r.IntN(8) {
	case 0:
		d = time.Duration(h.r.Int64N(int64(13 * time.Second)))
	case 1:
		d = time.Duration(h.r.Int64N(int64(27 * time.Second)))
	default:
		d = time.Duration(h.r.Int64N(int64(time.Second)))
	}
	time.Sleep(d)
}

// run does n random things and shuts down.
func (h *history) run(n int) {
	for range n {
		switch k := h.r.IntN(20); {
		case k < 9:
			h.start()
		case k < 17:
			h.end()
		case k < 18:
			h.keep()
		default:
			h.sleep()
		}
		synctest.Wait()
	}
	for len(h.open) > 0 && h.r.IntN(16) > 0 {
		h.end()
		synctest.Wait()
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if !h.setup.judges && h.r.IntN(2) == 0 {
		cancel()
	}
	h.events = append(h.events, event{at: time.Now(), do: shutdown})
	if err := h.p.Shutdown(ctx); err != nil {
		h.fail("Shutdown: %v", err)
	}
	for _, s := range h.open {
		h.live[s].End()
	}
}

func (h *history) take(k core.Kept) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = append(h.kept, k)
}

// check files what was handed over.
func (h *history) check(k core.Kept) {
	for _, s := range k.Spans {
		v := found(s)
		if _, twice := h.got[s.Name()]; twice {
			h.fail("%s was handed over twice", s.Name())
		}
		h.got[s.Name()] = v
		if !s.SpanContext().IsSampled() {
			h.fail("%s was handed over without the sampled flag", s.Name())
		}
		if v.th != k.Threshold && k.Threshold != sampling.Never {
			h.fail("%s: th = %v in a hand-over at %v", s.Name(), v.th, k.Threshold)
		}
		h.sameButTh(s)
	}
}

// sameButTh checks that only th of the tracestate has changed.
func (h *history) sameButTh(s sdktrace.ReadOnlySpan) {
	for _, m := range h.spans {
		if m.name != s.Name() {
			continue
		}
		if a, b := butTh(m.context.TraceState()), butTh(s.SpanContext().TraceState()); a != b {
			h.fail("%s: tracestate but for th = %q when it started, %q when it was handed over", m.name, a, b)
		}
	}
}

func butTh(ts trace.TraceState) string {
	var members []string
	for m := range strings.SplitSeq(ts.Get("ot"), ";") {
		if m != "" && !strings.HasPrefix(m, "th:") {
			members = append(members, m)
		}
	}
	return strings.Join(members, ";") + "," + ts.Get("v")
}

// compare plays one history and returns in what engine and oracle differ.
func compare(t *testing.T, seed uint64, saw map[string]int) (diffs []string, vague bool) {
	t.Helper()
	s, spec := newSetup(seed)
	h := &history{
		t: t, setup: s, r: rand.New(rand.NewPCG(seed, 2)),
		live: make(map[*modelSpan]trace.Span), got: make(map[string]verdictOf),
	}
	spec.Enabled = true
	p, err := core.New(context.Background(), spec, core.IDGenerator(h))
	if err != nil {
		t.Fatal(err)
	}
	p.OnKept(h.take)
	h.p, h.tracer = p, p.TracerProvider().Tracer("")
	h.run(20 + 25*int(seed%7))

	for _, k := range h.kept {
		h.check(k)
	}
	o := &oracle{setup: s, limit: s.limiter()}
	o.replay(h.events)
	if o.vague {
		return nil, true
	}
	diffs = append(h.errors, o.errors...)
	for _, m := range h.spans {
		want, wanted := o.kept[m.name]
		got, arrived := h.got[m.name]
		if wanted != arrived || want != got {
			diffs = append(diffs, fmt.Sprintf("%s: handed over = %v %+v, want %v %+v", m.name, arrived, got, wanted, want))
		}
	}
	b := p.Stats().Segments
	if b.SpansKept != uint64(len(h.got)) || b.SpansForgotten != uint64(o.ended-len(o.kept)) || b.Undecided != 0 {
		diffs = append(diffs, fmt.Sprintf("stats = %+v, want %d spans kept of %d", b, len(o.kept), o.ended))
	}
	saw["spans"] += len(h.spans)
	saw["spans kept"] += len(h.got)
	for what, n := range o.saw {
		saw[what] += n
	}
	return diffs, false
}

// The engine does what the oracle says, over random histories of an
// application.
func TestOracle(t *testing.T) {
	n := 3000
	if testing.Short() || raceEnabled {
		n = 300
	}
	if *seeds > 0 {
		n = *seeds
	}
	saw := make(map[string]int)
	vague := 0
	for seed := range uint64(n) {
		synctest.Test(t, func(t *testing.T) {
			diffs, unclear := compare(t, seed, saw)
			if unclear {
				vague++
			}
			if len(diffs) > 0 {
				t.Fatalf("seed %d:\n%s", seed, strings.Join(diffs, "\n"))
			}
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d histories, %d more were too close to a deadline: %v", n-vague, vague, saw)
	if vague > n/4 {
		t.Errorf("%d of %d histories tell nothing", vague, n)
	}
	for _, what := range []string{
		"spans kept", "root not recorded", "root not selected", "local roots at once", "hidden parent", "trace recalled",
		"child of a promoted trace", "late span", "completed by a child", "overdue", "cut by size", "kept after spans were forgotten",
		"answer under a limit", "answer about an open root", "unknown at the end", "kept on demand", "discarded",
		"trace that begins again",
	} {
		if saw[what] < n/20 {
			t.Errorf("%q happened %d times in %d histories: that tests too little", what, saw[what], n)
		}
	}
}
