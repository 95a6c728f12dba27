package core_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
)

// answering is a start sampler that always gives the same answer.
type answering struct {
	answer  sampling.Answer
	mayDrop bool
	asked   int
}

func (s *answering) SampleStart(sampling.StartParameters) sampling.Answer { s.asked++; return s.answer }

func (s *answering) Traits() sampling.Traits {
	return sampling.Traits{Description: "always " + s.answer.String(), MayDrop: s.mayDrop}
}

// use makes a list entry of a sampler that is already built.
func use(name string, s sampling.Sampler) core.SamplerEntry { return named(name, "", s) }

func useExporter(name string, e sdktrace.SpanExporter) core.ExporterEntry {
	return core.UseExporter(component.NewFactory(name, struct{}{}, func(context.Context, component.Settings, struct{}) (sdktrace.SpanExporter, error) {
		return e, nil
	}), "", struct{}{})
}

func newProvider(t *testing.T, spec core.Spec, opts ...core.Option) *core.Provider {
	t.Helper()
	spec.Enabled = true
	p, err := core.New(t.Context(), spec, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// fixedIDs gives every trace the same randomness.
type fixedIDs struct{ randomness uint64 }

func (g fixedIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	id := trace.TraceID{1}
	binary.BigEndian.PutUint64(id[8:], g.randomness)
	return id, g.NewSpanID(ctx, id)
}

func (fixedIDs) NewSpanID(context.Context, trace.TraceID) trace.SpanID { return trace.SpanID{7: 1} }

const half = sampling.Threshold(8 << 52)

func TestFirstSamplerThatDoesNotAbstainDecides(t *testing.T) {
	tests := []struct {
		name       string
		answers    []sampling.Answer
		randomness uint64
		kept       bool
		state      string
		sampler    string
	}{
		{"nobody decides", []sampling.Answer{sampling.Abstain()}, 0, true, "ot=th:0", ""},
		{"no samplers", nil, 0, true, "ot=th:0", ""},
		{"selected", []sampling.Answer{sampling.Abstain(), sampling.At(half), sampling.Drop()}, 8 << 52, true, "ot=th:8", "s1"},
		{"not selected", []sampling.Answer{sampling.At(half), sampling.At(sampling.Always)}, 8<<52 - 1, false, "", ""},
		{"drop", []sampling.Answer{sampling.Drop(), sampling.At(sampling.Always)}, 8 << 52, false, "", ""},
		{"never", []sampling.Answer{sampling.At(sampling.Never)}, 1<<56 - 1, false, "", ""},
		{"selected, T unknown", []sampling.Answer{sampling.Selected()}, 0, true, "", "s0"},
		{"unselected, T unknown", []sampling.Answer{sampling.Unselected()}, 1<<56 - 1, false, "", ""},
		{"at unknown", []sampling.Answer{sampling.At(sampling.Unknown)}, 0, true, "", "s0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var spec core.Spec
			for i, a := range tt.answers {
				spec.Samplers = append(spec.Samplers, use(fmt.Sprintf("s%d", i), &answering{answer: a}))
			}
			exported := tracetest.NewInMemoryExporter()
			spec.Exporters = []core.ExporterEntry{useExporter("memory", exported)}
			p := newProvider(t, spec, core.IDGenerator(fixedIDs{tt.randomness}))

			ctx, root := p.TracerProvider().Tracer("").Start(t.Context(), "root")
			_, child := p.TracerProvider().Tracer("").Start(ctx, "child")
			for _, s := range []trace.Span{root, child} {
				if got := s.SpanContext().IsSampled(); got != tt.kept {
					t.Errorf("sampled = %v, want %v", got, tt.kept)
				}
				if got := s.IsRecording(); got != tt.kept {
					t.Errorf("recording = %v, want %v", got, tt.kept)
				}
				if got := s.SpanContext().TraceState().String(); got != tt.state {
					t.Errorf("tracestate = %q, want %q", got, tt.state)
				}
			}
			child.End()
			root.End()
			if err := p.ForceFlush(t.Context()); err != nil {
				t.Fatal(err)
			}
			var sampler string
			for _, s := range exported.GetSpans() {
				if s.Name != "root" {
					continue
				}
				set := attribute.NewSet(s.Attributes...)
				v, _ := set.Value(sampling.SamplerKey)
				sampler = v.AsString()
			}
			if sampler != tt.sampler {
				t.Errorf("%s = %q, want %q", sampling.SamplerKey, sampler, tt.sampler)
			}
		})
	}
}

func TestRemoteParent(t *testing.T) {
	const low, high = "00000000000001", "ffffffffffffff"
	tests := []struct {
		name    string
		mode    record.RemoteParent
		sampled bool
		id      string // the low 14 digits of the trace ID
		state   string
		answer  sampling.Answer
		mayDrop bool
		kept    bool
		want    string // tracestate of the local root
	}{
		{"watch, sampled: the parent's th", record.Watch, true, high, "ot=th:8", sampling.At(sampling.Never), false, true, "ot=th:8"},
		{"watch, sampled: samplers are not asked", record.Watch, true, high, "ot=th:8,v=1", sampling.At(sampling.Always), false, true, "ot=th:8,v=1"},
		{"watch, sampled without th: unknown", record.Watch, true, high, "v=1", sampling.At(sampling.Always), false, true, "v=1"},
		{"watch, sampled against R: th erased", record.Watch, true, low, "ot=th:8;a:1", sampling.At(sampling.Always), false, true, "ot=a:1"},
		{"watch, rv decides", record.Watch, true, low, "ot=th:8;rv:" + high, sampling.At(sampling.Always), false, true, "ot=th:8;rv:" + high},
		{"watch, malformed th erased", record.Watch, true, low, "ot=th:zz;a:1", sampling.At(sampling.Always), false, true, "ot=a:1"},
		{"watch, unsampled", record.Watch, false, high, "v=1", sampling.At(sampling.Always), false, false, "v=1"},
		{"watch, unsampled: th erased", record.Watch, false, high, "ot=th:0", sampling.At(sampling.Always), false, false, ""},
		{"watch, drop rule", record.Watch, true, high, "ot=th:8", sampling.Drop(), true, false, ""},
		{"watch, undeclared drop", record.Watch, true, high, "ot=th:8", sampling.Drop(), false, true, "ot=th:8"},
		{"default is watch", "", true, high, "ot=th:8", sampling.Drop(), true, false, ""},
		{"follow, sampled", record.Follow, true, high, "ot=th:8", sampling.Drop(), true, true, "ot=th:8"},
		{"follow, unsampled", record.Follow, false, high, "", sampling.At(sampling.Always), false, false, ""},
		{"ignore, unsampled", record.Ignore, false, low, "ot=th:8;rv:" + low + ",v=1", sampling.At(sampling.Always), false, true, "ot=th:0;rv:*,v=1"},
		{"ignore, sampled", record.Ignore, true, high, "ot=th:8", sampling.At(sampling.Never), false, false, "ot=rv:*"},
		{"ignore, drop rule", record.Ignore, true, high, "", sampling.Drop(), true, false, "ot=rv:*"},
		{"ask, sampled", record.Ask, true, high, "ot=th:8;a:1,v=1", sampling.At(4 << 52), false, true, "ot=th:4;a:1,v=1"},
		{"ask, sampled, and R decides", record.Ask, true, low, "ot=th:0", sampling.At(4 << 52), false, false, ""},
		{"ask, rv decides", record.Ask, false, low, "ot=rv:" + high, sampling.At(4 << 52), false, true, "ot=th:4;rv:" + high},
		{"ask, drop", record.Ask, true, high, "ot=th:0", sampling.Drop(), true, false, ""},
		{"ask, nobody answers", record.Ask, false, low, "v=1", sampling.Abstain(), false, true, "ot=th:0,v=1"},
		{"ask, followed", record.Ask, true, high, "v=1,ot=th:8;a:1", sampling.FollowParent(), false, true, "v=1,ot=th:8;a:1"},
		{"ask, followed without th", record.Ask, true, low, "v=1", sampling.FollowParent(), false, true, "v=1"},
		{"ask, followed against R", record.Ask, true, low, "ot=th:8;a:1", sampling.FollowParent(), false, true, "ot=a:1"},
		{"ask, followed, unsampled", record.Ask, false, high, "ot=th:8;a:1", sampling.FollowParent(), false, false, "ot=a:1"},
		{"ask, sampled, the parent's is greater", record.Ask, true, high, "ot=th:8", sampling.ByParent(4<<52, 0), false, true, "ot=th:8"},
		{"ask, sampled, its own is greater", record.Ask, true, high, "ot=th:8", sampling.ByParent(12<<52, 0), false, true, "ot=th:c"},
		{"ask, sampled, its own leaves it out", record.Ask, true, low, "ot=th:0", sampling.ByParent(12<<52, 0), false, false, ""},
		{"ask, sampled without th", record.Ask, true, high, "", sampling.ByParent(12<<52, 0), false, true, ""},
		{"ask, sampled without th, left out", record.Ask, true, low, "", sampling.ByParent(12<<52, 0), false, false, ""},
		{"ask, sampled with one in two million", record.Ask, true, high, "ot=th:fffff8", sampling.FollowParent(), false, true, ""},
		{"ask, unsampled, kept", record.Ask, false, high, "ot=th:8", sampling.ByParent(0, 4<<52), false, true, ""},
		{"ask, unsampled, left out", record.Ask, false, low, "", sampling.ByParent(0, 4<<52), false, false, ""},
		{"ask, unsampled, kept in any case", record.Ask, false, low, "", sampling.ByParent(0, sampling.Unknown), false, true, ""},
		{"ignore, no answer by the parent", record.Ignore, false, high, "", sampling.ByParent(sampling.Never, sampling.Never), false, true, "ot=th:0;rv:*"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newProvider(t, core.Spec{
				RemoteParent: tt.mode,
				Samplers:     []core.SamplerEntry{use("s", &answering{answer: tt.answer, mayDrop: tt.mayDrop})},
			})
			parent := remoteContext(t, "000000000000000000"+tt.id, tt.state, tt.sampled)
			ctx, root := p.TracerProvider().Tracer("").Start(parent, "root")
			_, child := p.TracerProvider().Tracer("").Start(ctx, "child")
			for _, s := range []trace.Span{root, child} {
				if got := s.SpanContext().IsSampled(); got != tt.kept {
					t.Errorf("sampled = %v, want %v", got, tt.kept)
				}
				if got := maskRV(s.SpanContext().TraceState().String(), tt.want); got != tt.want {
					t.Errorf("tracestate = %q, want %q", got, tt.want)
				}
			}
		})
	}
}

// Under ignore, no client chooses its sampling: randomness is that of one segment,
// and uniform.
func TestIgnoredParentsRandomness(t *testing.T) {
	spec := core.Spec{RemoteParent: record.Ignore, Samplers: []core.SamplerEntry{use("s", &answering{answer: sampling.At(half)})}}
	p := newProvider(t, spec)
	randomness := func(p *core.Provider, i int) (uint64, bool) {
		ctx := remoteContext(t, fmt.Sprintf("%032x", i), "ot=rv:ffffffffffffff", true)
		_, s := p.TracerProvider().Tracer("").Start(ctx, "root")
		return sampling.Randomness(s.SpanContext()), s.SpanContext().IsSampled()
	}
	const n = 10000
	var kept, same int
	for i := 1; i <= n; i++ {
		r, sampled := randomness(p, i)
		if again, _ := randomness(p, i); again == r {
			same++
		}
		if sampled {
			kept++
		}
	}
	if same > 0 {
		t.Errorf("the segments of %d of %d traces have the same randomness", same, n)
	}
	if kept < n/2-4*50 || kept > n/2+4*50 { // 4 standard deviations
		t.Errorf("kept %d of %d at one half", kept, n)
	}
}

func TestNewRootBelowRemoteParentIsARoot(t *testing.T) {
	s := &answering{answer: sampling.At(sampling.Always)}
	p := newProvider(t, core.Spec{Samplers: []core.SamplerEntry{use("s", s)}})
	ctx := remoteContext(t, "0000000000000000ffffffffffffffff", "ot=th:8", false)
	_, span := p.TracerProvider().Tracer("").Start(ctx, "root", trace.WithNewRoot())
	if !span.SpanContext().IsSampled() || s.asked != 1 {
		t.Errorf("sampled = %v after asking %d times", span.SpanContext().IsSampled(), s.asked)
	}
}

func TestSDKSamplerInTheList(t *testing.T) {
	tests := []struct {
		name    string
		sampler sdktrace.Sampler
		drop    bool
		next    bool // what the trace is when the next sampler keeps all
		want    string
	}{
		{"always", sdktrace.AlwaysSample(), false, true, ""},
		{"never", sdktrace.NeverSample(), false, false, ""},
		{"never drops", sdktrace.NeverSample(), true, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			entry := core.UseSampler(sampling.SDKSampler("sdk", tt.sampler), "", sampling.SDKSamplerConfig{Drop: tt.drop})
			spec := core.Spec{Samplers: []core.SamplerEntry{entry, use("rest", &answering{answer: sampling.At(sampling.Always)})}}
			p := newProvider(t, spec)
			_, s := p.TracerProvider().Tracer("").Start(t.Context(), "root")
			if got := s.SpanContext().IsSampled(); got != tt.next {
				t.Errorf("sampled = %v, want %v", got, tt.next)
			}
			if got := s.SpanContext().TraceState().String(); got != tt.want {
				t.Errorf("tracestate = %q, want %q: nobody knows the probability", got, tt.want)
			}
		})
	}
}

func TestChainInAStockProvider(t *testing.T) {
	spec := core.Spec{Samplers: []core.SamplerEntry{use("s", &answering{answer: sampling.At(half)})}}
	sampler, shutdown, err := core.NewSDKSampler(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer shutdown(t.Context())
	for _, r := range []uint64{0, 1<<56 - 1} {
		tp := sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithIDGenerator(fixedIDs{r}))
		_, s := tp.Tracer("").Start(t.Context(), "root")
		if got, want := s.SpanContext().IsSampled(), r > 0; got != want {
			t.Errorf("R = %x: sampled = %v, want %v", r, got, want)
		}
	}
	if got, want := sampler.Description(), "riffle{s: always threshold 8}"; got != want {
		t.Errorf("Description() = %q, want %q", got, want)
	}
}

// What an SDK sampler cannot do is refused.
func TestRefusedInAStockProvider(t *testing.T) {
	for want, spec := range map[string]core.Spec{
		"remote_parent: restart needs": {RemoteParent: record.Restart},
		"a budget needs":               {Budget: &core.BudgetConfig{TracesPerSecond: 10}},
	} {
		spec.Samplers = []core.SamplerEntry{use("s", &answering{answer: sampling.At(half)})}
		if _, _, err := core.NewSDKSampler(t.Context(), spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s a core.Provider", err, want)
		}
	}
}

// What is not sampled is recorded all the same if that is asked for.
func TestAlwaysRecord(t *testing.T) {
	spec := core.Spec{AlwaysRecord: true, Samplers: []core.SamplerEntry{use("s", &answering{answer: sampling.At(sampling.Never)})}}
	sampler, shutdown, err := core.NewSDKSampler(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer shutdown(t.Context())
	for what, tp := range map[string]trace.TracerProvider{
		"riffle":  newProvider(t, spec).TracerProvider(),
		"the SDK": sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler)),
	} {
		if _, s := tp.Tracer("").Start(t.Context(), "root"); !s.IsRecording() || s.SpanContext().IsSampled() {
			t.Errorf("%s: recording %v, sampled %v", what, s.IsRecording(), s.SpanContext().IsSampled())
		}
	}
}

// maskRV replaces the randomness in s by * if want has one there.
func maskRV(s, want string) string {
	if !strings.Contains(want, "rv:*") {
		return s
	}
	if i := strings.Index(s, "rv:"); i >= 0 && len(s) >= i+17 {
		return s[:i+3] + "*" + s[i+17:]
	}
	return s
}

func remoteContext(t *testing.T, traceID, state string, sampled bool) context.Context {
	t.Helper()
	id, err := trace.TraceIDFromHex(traceID)
	if err != nil {
		t.Fatal(err)
	}
	ts, err := trace.ParseTraceState(state)
	if err != nil {
		t.Fatal(err)
	}
	return trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID:    id,
		SpanID:     trace.SpanID{1},
		TraceFlags: trace.TraceFlags(0).WithSampled(sampled),
		TraceState: ts,
		Remote:     true,
	}))
}
