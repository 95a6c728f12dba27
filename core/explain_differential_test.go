package core_test

import (
	order "cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/ratio"
)

// What Explain says of a trace is what a provider does with it: which spans it keeps,
// with which threshold and because of whom, and what its samplers are asked and
// answer. Specs, traces and randomness are random.
// Time stands still, so that limits count the same in both.
func TestExplainIsWhatAProviderDoes(t *testing.T) {
	cases := 2000
	if testing.Short() || raceEnabled {
		cases = 300
	}
	var met explained
	for seed := range uint64(cases) {
		synctest.Test(t, func(t *testing.T) { met.add(explainAndDo(t, seed)) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%+v", met)
	if met.kept == 0 || met.notKept == 0 || met.dropped == 0 || met.unknown == 0 || met.unweighted == 0 || met.limited == 0 {
		t.Errorf("some outcomes were never met: %+v", met)
	}
}

// explained counts outcomes of spans.
type explained struct{ kept, notKept, dropped, unknown, unweighted, limited int }

func (e *explained) add(other explained) {
	e.kept += other.kept
	e.notKept += other.notKept
	e.dropped += other.dropped
	e.unknown += other.unknown
	e.unweighted += other.unweighted
	e.limited += other.limited
}

func explainAndDo(t *testing.T, seed uint64) (met explained) {
	d := dice(seed, "explain")
	asked := &asked{}
	spec, tr := randomSpec(d, seed, asked), randomTrace(d)
	x, err := core.Explain(t.Context(), spec, tr)
	if err != nil {
		t.Fatal(err)
	}
	outcomes := make([]core.Outcome, len(x.Spans))
	for i, s := range x.Spans {
		outcomes[i] = s.Outcome
	}
	if len(tr.Spans) == 1 {
		outcomes = []core.Outcome{x.Outcome}
	}
	const all = uint64(sampling.Never) - 1
	r := []uint64{all, 0, d.Uint64() & all}
	for _, out := range outcomes {
		if th, err := sampling.ParseThreshold(out.Threshold); err == nil {
			r = append(r, uint64(th), uint64(th-1)&all)
		}
	}
	slices.Sort(r)
	for _, randomness := range slices.Compact(r) {
		asked.calls = nil
		played := play(t, spec, tr, randomness)
		if diff := cmp.Diff(askedIn(x, tr), asked.calls); randomness == all && diff != "" {
			t.Errorf("under %s, %+v: steps that say asked, and calls:\n%s", spec.RemoteParent, tr, diff)
			return met
		}
		for i, out := range outcomes {
			if why := played[i].differs(out, x, tr.Spans[i]); why != "" {
				t.Errorf("%s: %s\nspan %+v of %+v with randomness %x under %s\nexplained as %+v\nsteps:\n%+v",
					tr.Spans[i].ID, why, played[i], tr, randomness, spec.RemoteParent, out, x.Steps)
				return met
			}
		}
	}
	for _, out := range outcomes {
		switch {
		case out.Dropped:
			met.dropped++
		case out.Threshold == "unknown":
			met.unknown++
		case out.Threshold == "never":
			met.notKept++
		default:
			met.kept++
		}
		if out.Unweighted {
			met.unweighted++
		}
	}
	if slices.ContainsFunc(x.Steps, func(s core.Step) bool { return s.LimitPerSecond > 0 }) {
		met.limited++
	}
	return met
}

// done is what a provider did with a span.
type done struct {
	randomness uint64
	kept       bool
	verdict
}

// differs says what is not as explained; "" if nothing is.
func (d done) differs(x core.Outcome, explanation *core.Explanation, c core.Case) string {
	const all = uint64(sampling.Never) - 1
	// A sampler that selects some with a probability that nobody knows does not select
	// this one: it is not told which.
	unselected := slices.ContainsFunc(explanation.Steps, func(s core.Step) bool {
		return strings.HasPrefix(s.Answer, "not selected") || strings.Contains(s.Answer, "below a sampled parent")
	})
	th, err := sampling.ParseThreshold(x.Threshold)
	switch {
	case x.Threshold == "never":
		if d.kept {
			return "it is kept, though nothing can select it"
		}
	case x.Threshold == "unknown":
		if d.kept && d.th != sampling.Unknown {
			return "it is kept with a threshold"
		}
		if !d.kept && d.randomness == all && !unselected {
			return "it is not kept"
		}
	case err != nil:
		return err.Error()
	case th.Selects(d.randomness):
		switch {
		case !d.kept:
			return "it is not kept"
		case d.th != th:
			return fmt.Sprintf("it has the threshold %s", d.th)
		case c.Parent == "" && d.sampler != x.Sampler:
			return fmt.Sprintf("it is kept because of %q", d.sampler)
		}
	case d.kept && (!x.Unweighted || d.th != sampling.Unknown):
		return "it is kept below the threshold"
	case !d.kept && x.Unweighted && d.randomness == uint64(th)-1 && !unselected:
		return "it is not kept"
	}
	return ""
}

// asked is what samplers were asked and answered, in that order.
type asked struct {
	mu    sync.Mutex
	calls []string
}

func (c *asked) add(stage, sampler, span string, a sampling.Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, fmt.Sprint(stage, " ", sampler, " ", span, ": ", a))
}

// askedIn is that according to an explanation. The baseline does not tell.
func askedIn(x *core.Explanation, tr core.Trace) (calls []string) {
	for _, s := range x.Steps {
		if !s.Asked || s.Sampler == "ratio" {
			continue
		}
		name := tr.Spans[0].Name
		for _, c := range tr.Spans {
			if c.ID == s.Span {
				name = c.Name
			}
		}
		answer, _, _ := strings.Cut(s.Answer, ";")
		calls = append(calls, fmt.Sprint(s.Stage, " ", s.Sampler, " ", name, ": ", answer))
	}
	return calls
}

// play has a provider record the trace.
func play(t *testing.T, spec core.Spec, tr core.Trace, randomness uint64) []done {
	out := &collector{}
	spec.Exporters = []core.ExporterEntry{useExporter("out", out)}
	spec.Enabled = true
	ids := &countedIDs{randomness: randomness, called: tr.Parent == core.SampledParent || tr.Parent == core.UnsampledParent}
	p, err := core.New(t.Context(), spec, core.IDGenerator(ids))
	if err != nil {
		t.Fatal(err)
	}
	root := context.Background()
	if ids.called {
		c := trace.SpanContextConfig{TraceID: ids.trace(), SpanID: trace.SpanID{1}, Remote: true}
		sampled := tr.Parent == core.SampledParent
		if tr.ParentThreshold != "" {
			th, err := sampling.ParseThreshold(tr.ParentThreshold)
			if err != nil {
				t.Fatal(err)
			}
			sampled, c.TraceState = th.Selects(randomness), sampling.WithThreshold(c.TraceState, th)
		}
		c.TraceFlags = c.TraceFlags.WithSampled(sampled)
		root = trace.ContextWithRemoteSpanContext(root, trace.NewSpanContext(c))
	}
	type event struct {
		at time.Duration
		do func()
	}
	var events []event
	spans, contexts := map[string]trace.Span{}, map[string]context.Context{"": root}
	base := time.Now()
	for _, c := range tr.Spans {
		events = append(events, event{c.Start, func() {
			contexts[c.ID], spans[c.ID] = p.TracerProvider().Tracer("test").Start(contexts[c.Parent], c.Name, //nolint:fatcontext // the parents'
				trace.WithSpanKind(c.Kind), trace.WithAttributes(c.Attributes...), trace.WithTimestamp(base.Add(c.Start)))
		}}, event{c.Start + c.Duration, func() {
			spans[c.ID].SetAttributes(c.Late...)
			spans[c.ID].SetStatus(c.Status.Code, c.Status.Description)
			spans[c.ID].End(trace.WithTimestamp(base.Add(c.Start + c.Duration)))
			if err := p.ForceFlush(context.Background()); err != nil {
				t.Error(err)
			}
		}})
	}
	slices.SortFunc(events, func(a, b event) int { return order.Compare(a.at, b.at) })
	for _, e := range events {
		e.do()
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	all := make([]done, len(tr.Spans))
	for i, c := range tr.Spans {
		sc := spans[c.ID].SpanContext()
		all[i].randomness = sampling.Randomness(sc)
		for _, s := range out.spans {
			if s.SpanContext().SpanID() == sc.SpanID() {
				all[i].kept, all[i].verdict = true, found(s)
			}
		}
	}
	return all
}

// countedIDs gives all traces the same randomness; below a remote parent, a new trace
// is another one.
type countedIDs struct {
	randomness uint64
	called     bool
	n          uint64
}

func (g *countedIDs) trace() (id trace.TraceID) {
	if g.called {
		binary.BigEndian.PutUint64(id[:], g.n)
	}
	binary.BigEndian.PutUint64(id[8:], 1<<56|g.randomness)
	return id
}

func (g *countedIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	span := g.NewSpanID(ctx, trace.TraceID{})
	return g.trace(), span
}

func (g *countedIDs) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	g.n++
	binary.BigEndian.PutUint64(id[:], g.n)
	return id
}

// randomTrace has spans of which no two start or end at the same time.
func randomTrace(d *rand.Rand) core.Trace {
	var tr core.Trace
	switch d.IntN(6) {
	case 0:
		tr.Parent = core.UnsampledParent
	case 1:
		tr.Parent = core.SampledParent
	case 2:
		tr.Parent = core.SampledParent
		tr.ParentThreshold, _ = thresholds[d.IntN(6)].Text()
	}
	n := 1 + d.IntN(2)*d.IntN(6)
	for i := range n {
		c := core.Case{ID: fmt.Sprint("s", i), Name: fmt.Sprint("name", d.IntN(4)), Kind: trace.SpanKind(1 + d.IntN(5))}
		after := time.Duration(0)
		if i > 0 && d.IntN(3) > 0 {
			up := tr.Spans[d.IntN(i)]
			c.Parent, after = up.ID, up.Start
		}
		distinct := time.Duration(2*i + 1)
		c.Start = after.Truncate(time.Millisecond) + time.Millisecond + time.Duration(d.IntN(2000))*time.Millisecond + distinct
		c.Duration = time.Duration(d.IntN(3000))*time.Millisecond + 1
		if d.IntN(2) == 0 {
			c.Attributes = append(c.Attributes, attribute.Int("a", d.IntN(3)))
		}
		if d.IntN(2) == 0 {
			c.Late = append(c.Late, attribute.Int("b", d.IntN(3)))
		}
		if d.IntN(3) == 0 {
			c.Status = sdktrace.Status{Code: codes.Error, Description: "failed"}
		}
		tr.Spans = append(tr.Spans, c)
	}
	return tr
}

func randomSpec(d *rand.Rand, seed uint64, asked *asked) core.Spec {
	spec := core.Spec{ServiceName: fmt.Sprint("service", seed%2), RemoteParent: []record.RemoteParent{record.Watch, record.Watch, record.Follow, record.Ignore, record.Restart, record.Ask}[d.IntN(6)]}
	for i := range d.IntN(6) {
		f := random{seed: seed, asked: asked, name: fmt.Sprint("sampler", i), flag: d.IntN(2) == 0}
		var s sampling.Sampler
		kind := d.IntN(4)
		switch kind {
		case 0:
			s = randomStart{f}
		case 1, 2:
			s = randomEnd{f}
		default:
			s = randomSegment{f}
		}
		e := use(f.name, s)
		if d.IntN(3) == 0 {
			e.Match = &match.Config{Attributes: map[string]any{[]string{"a", "b"}[d.IntN(2)]: d.IntN(2)}}
		}
		if (kind == 1 || kind == 2) && d.IntN(2) == 0 {
			e.Limit = &core.LimitConfig{PerSecond: []float64{0.1, 100}[d.IntN(2)]}
		}
		spec.Samplers = append(spec.Samplers, e)
	}
	spec.Samplers = append(spec.Samplers, core.UseSampler(ratio.Factory, "", ratio.Config{Rate: []float64{0, 0.5, 1}[d.IntN(3)]}))
	return spec
}

// random is a sampler whose answers are random, but the same for the same span.
type random struct {
	seed  uint64
	asked *asked
	name  string
	flag  bool // MayDrop or NeverRaises
}

func (f random) Traits() sampling.Traits {
	return sampling.Traits{Description: f.name, MayDrop: f.flag, NeverRaises: f.flag}
}

type (
	randomStart   struct{ random }
	randomEnd     struct{ random }
	randomSegment struct{ random }
)

func (f randomStart) SampleStart(p sampling.StartParameters) (a sampling.Answer) {
	defer func() { f.asked.add("start", f.name, p.Name, a) }()
	switch d := dice(f.seed, "start", f.name, p.Name); d.IntN(10) {
	case 8:
		return sampling.FollowParent()
	case 9:
		// Not Never: what a sampled parent leaves out is explained as such, also where the
		// parent would not be sampled with another randomness.
		return sampling.ByParent(thresholds[d.IntN(len(thresholds)-1)], thresholds[d.IntN(len(thresholds))])
	case 0:
		return sampling.Selected()
	case 1:
		return sampling.Unselected()
	case 2:
		if f.flag {
			return sampling.Drop()
		}
		return sampling.Abstain()
	case 3, 4, 5:
		return sampling.At(thresholds[d.IntN(len(thresholds))])
	default:
		return sampling.Abstain()
	}
}

func (f randomEnd) SampleEnd(p sampling.EndParameters) (a sampling.Answer) {
	defer func() { f.asked.add("end", f.name, p.Span.Name(), a) }()
	service, _ := p.Resource.Set().Value("service.name")
	d := dice(f.seed, "end", f.name, p.Span.Name(), p.Span.Status(), p.Duration, p.Spans, len(p.Root.Attributes()), service.AsString())
	if d.IntN(3) > 0 {
		return sampling.Abstain()
	}
	return sampling.At(thresholds[d.IntN(len(thresholds))])
}

func (f randomSegment) SampleSegments(_ context.Context, segments []sampling.Segment, answers []sampling.Answer) {
	for i, g := range segments {
		name := ""
		if g.Root != nil {
			name = g.Root.Name()
		}
		d := dice(f.seed, "segment", f.name, name, len(g.Spans), g.Complete)
		switch t := thresholds[d.IntN(len(thresholds))]; d.IntN(3) {
		case 0:
			answers[i] = sampling.At(t)
		case 1:
			if !f.flag {
				answers[i] = sampling.AtMost(t)
			}
		default:
		}
		f.asked.add("segment", f.name, name, answers[i])
	}
}

// Interface guards.
var (
	_ sampling.StartSampler   = randomStart{}
	_ sampling.EndSampler     = randomEnd{}
	_ sampling.SegmentSampler = randomSegment{}
)
