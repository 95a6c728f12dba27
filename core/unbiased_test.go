package core_test

import (
	"context"
	"encoding/binary"
	"flag"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
)

// Figures are spans by name. Of some, each must arrive with weight 1; others are
// kept with a fixed probability, or with one that a limit makes.
const (
	exact   = 1
	limited = 0
)

var figures = map[string]float64{
	"healthy":        0.1,
	"route":          0.25,
	"error":          exact,
	"error child":    exact,
	"slow":           exact,
	"tenant":         0.5, // an end sampler says so
	"limited":        limited,
	"limited route":  limited, // the start may have said more
	"late root":      0.1,     // handed over, or forgotten, before its late child fails
	"late error":     exact,
	"cut child":      0.1, // waits when max_trace_bytes cuts its trace
	"cut error":      exact,
	"on demand":      0.5,   // [core.Provider.Keep]
	"call before":    0.1,   // the context of a call before the first error
	"call after":     exact, // and after it, also below the sampled root
	"open child":     exact, // ends long before its slow root
	"judged":         0.75,  // a segment sampler says so
	"discarded":      -1,    // a segment sampler throws it away
	"late on demand": 0.5,   // ends after its trace was kept on demand
}

// seeds is how many random populations are weighed; make soak asks for more.
var seeds = flag.Int("seeds", 0, "random populations to weigh (0: a number that takes seconds)")

// classes make one trace each; what they end counts for the figures.
var classes = []func(*population){
	(*population).healthy, (*population).route, (*population).failing, (*population).slow, (*population).tenant,
	(*population).limited, (*population).limitedRoute, (*population).late, (*population).cut, (*population).onDemand,
	(*population).calling, (*population).overdue, (*population).judged, (*population).discarded,
}

// population runs traces of all classes and weighs what is kept.
type population struct {
	t          *testing.T
	p          *core.Provider
	tracer     trace.Tracer
	r          *rand.Rand
	randomness uint64 // of the next trace
	open       []trace.Span

	truth    map[string]float64
	mu       sync.Mutex
	sum      map[string]float64 // of weights
	variance map[string]float64 // estimated
}

func (p *population) NewIDs(ctx context.Context) (id trace.TraceID, _ trace.SpanID) {
	binary.BigEndian.PutUint64(id[:8], p.r.Uint64()|1)
	binary.BigEndian.PutUint64(id[8:], p.randomness|p.r.Uint64()<<56)
	return id, p.NewSpanID(ctx, id)
}

func (p *population) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	binary.BigEndian.PutUint64(id[:], p.r.Uint64()|1)
	return id
}

func (p *population) count(name string, sc trace.SpanContext) {
	w := sampling.ThresholdOf(sc).AdjustedCount()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sum[name] += w
	p.variance[name] += w * (w - 1)
}

func (p *population) take(k record.Kept) {
	for _, s := range k.Spans {
		p.count(s.Name(), s.SpanContext())
	}
}

func (p *population) start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	p.truth[name]++
	return p.tracer.Start(ctx, name, opts...)
}

func (p *population) root(name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	return p.start(context.Background(), name, opts...)
}

func fail(s trace.Span) {
	s.SetStatus(codes.Error, "no")
	s.End()
}

func (p *population) healthy() {
	_, root := p.root("healthy")
	root.End()
}

func (p *population) route() {
	_, root := p.root("route")
	root.End()
}

func (p *population) failing() {
	ctx, root := p.root("error")
	_, child := p.start(ctx, "error child")
	child.End()
	fail(root)
}

func (p *population) slow() {
	_, root := p.root("slow", trace.WithTimestamp(time.Now().Add(-2*time.Second)))
	root.End()
}

func (p *population) tenant() {
	ctx, root := p.root("tenant")
	_, child := p.start(ctx, "of a tenant")
	child.End()
	root.End()
}

func (p *population) limited() {
	_, root := p.root("limited")
	root.End()
}

func (p *population) limitedRoute() {
	_, root := p.root("limited route")
	root.End()
}

func (p *population) late() {
	ctx, root := p.root("late root")
	root.End()
	synctest.Wait() // for the segment sampler: the trace is decided
	_, child := p.start(ctx, "late error")
	fail(child)
}

var cutPayload = attribute.String("payload", strings.Repeat("x", 100<<10))

func (p *population) cut() {
	ctx, root := p.root("root of a cut trace")
	_, child := p.start(ctx, "cut child", trace.WithAttributes(cutPayload))
	child.End()
	_, child = p.start(ctx, "cut child", trace.WithAttributes(cutPayload))
	child.End() // too much
	_, child = p.start(ctx, "cut error")
	fail(child)
	root.End()
}

func (p *population) onDemand() {
	ctx, root := p.root("on demand")
	p.p.Keep(root.SpanContext().TraceID(), half, "on demand")
	root.End()
	_, child := p.start(ctx, "late on demand")
	child.End()
}

func (p *population) calling() {
	ctx, root := p.root("calls others")
	call := func(name string) {
		_, s := p.start(ctx, "client")
		p.truth[name]++
		if sc := s.SpanContext(); sc.IsSampled() {
			p.count(name, sc)
		}
		s.End()
	}
	call("call before")
	_, child := p.start(ctx, "fails")
	fail(child)
	call("call after")
	root.End()
}

func (p *population) overdue() {
	ctx, root := p.root("open")
	_, child := p.start(ctx, "open child")
	child.End()
	p.open = append(p.open, root)
}

func (p *population) judged() {
	_, root := p.root("judged")
	root.End()
}

func (p *population) discarded() {
	_, root := p.root("discarded")
	root.End()
}

// The samplers of the population.

type byName struct {
	name     string
	about    []string
	fraction float64
}

func (s byName) Traits() sampling.Traits {
	return sampling.Traits{Description: s.name}
}

func (s byName) answer(name string) sampling.Answer {
	if !slices.Contains(s.about, name) {
		return sampling.Abstain()
	}
	t, _ := sampling.ThresholdFromProbability(s.fraction)
	return sampling.At(t)
}

type startByName struct{ byName }

func (s startByName) SampleStart(p sampling.StartParameters) sampling.Answer { return s.answer(p.Name) }

type endByName struct{ byName }

func (s endByName) SampleEnd(p sampling.EndParameters) sampling.Answer {
	return s.answer(p.Span.Name())
}

type judgeByName struct{ byName }

func (s judgeByName) SampleSegments(_ context.Context, traces []sampling.Segment, answers []sampling.Answer) {
	for i, t := range traces {
		if t.Root == nil {
			continue
		}
		if answers[i] = s.answer(t.Root.Name()); t.Root.Name() == "discarded" {
			answers[i] = sampling.AtMost(sampling.Never)
		}
	}
}

// populate runs n traces. With a segment sampler every trace waits until it is
// complete; without one, those at T=0 do not. Stratified, the i-th of the m traces
// of a class draws its randomness from [i/m, (i+1)/m).
func populate(t *testing.T, seed uint64, n int, judge, stratified bool) *population {
	t.Helper()
	samplers := []core.SamplerEntry{
		use("routes", startByName{byName{"routes", []string{"route", "limited route"}, 0.25}}),
		use("error", keepsErrors{}), use("slow", keepsSlow{}),
		use("tenant", endByName{byName{"tenant", []string{"of a tenant"}, 0.5}}),
		limitedTo(use("limited", endByName{byName{"limited", []string{"limited", "limited route"}, 1}}), 40),
	}
	if judge {
		samplers = append(samplers, use("judge", judgeByName{byName{"judge", []string{"judged"}, 0.75}}))
	}
	p := &population{
		t: t, r: rand.New(rand.NewPCG(seed, 3)),
		truth: make(map[string]float64), sum: make(map[string]float64), variance: make(map[string]float64),
	}
	whole := -1 // else no value is large enough for max_trace_bytes
	provider, err := core.New(context.Background(), core.Spec{
		Enabled: true, Limits: core.SpanLimits{AttributeValueLength: &whole}, DecisionWait: component.Duration(5 * time.Second), MaxTraceBytes: 128 << 10, Samplers: append(samplers, baseline(0.1)),
	}, core.IDGenerator(p))
	if err != nil {
		t.Fatal(err)
	}
	provider.OnKept(p.take)
	p.p, p.tracer = provider, provider.TracerProvider().Tracer("")

	run := classes
	if !judge {
		run = run[:len(run)-2] // the ones a segment sampler speaks for
	}
	m := n / len(run)
	strata := make([][]int, len(run))
	for c := range strata {
		strata[c] = p.r.Perm(m)
	}
	for i := range m {
		for c, f := range run {
			p.randomness = p.r.Uint64() & (1<<56 - 1)
			if stratified {
				p.randomness = uint64((float64(strata[c][i]) + p.r.Float64()) / float64(m) * (1 << 56))
			}
			f(p)
			time.Sleep(time.Millisecond)
		}
	}
	time.Sleep(2 * time.Second) // the last ones are slow too
	for _, s := range p.open {
		s.End()
	}
	if err := provider.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	return p
}

// estimated tells which figures there are with and without a segment sampler.
func estimated(judge bool) map[string]float64 {
	all := make(map[string]float64)
	for name, p := range figures {
		switch {
		case !judge && (name == "judged" || name == "discarded"):
		case judge && name == "call after":
			all[name] = 0.1 // the segment sampler may raise: who is called is told what the start says
		default:
			all[name] = p
		}
	}
	return all
}

// With stratified randomness, weights of fixed thresholds must give the truth
// within two adjusted counts.
func TestWeightsAreExactPerStratum(t *testing.T) {
	for _, judge := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := populate(t, 1, 13_000, judge, true)
			for name, fraction := range estimated(judge) {
				truth, got := p.truth[name], p.sum[name]
				tolerance := 0.0
				switch {
				case fraction < 0:
					truth = 0
				case name == "cut child":
					tolerance = 4 / fraction // two of each trace
				case fraction == limited:
					tolerance = 4 * math.Sqrt(p.variance[name])
				case fraction < 1:
					tolerance = 2 / fraction
				}
				if math.Abs(got-truth) > tolerance || p.truth[name] == 0 {
					t.Errorf("judge %v: %s: weighted %.1f, truth %.0f +- %.1f", judge, name, got, truth, tolerance)
				}
			}
		})
	}
}

// Over many seeds the pooled estimate of each figure is the truth, and the
// z-scores vary as much as they should. 1,000 seeds decide within 1 %; the number
// that go test takes finds what is wrong by 4 standard errors.
func TestUnbiased(t *testing.T) {
	n := 20
	if testing.Short() || raceEnabled {
		n = 4
	}
	if *seeds > 0 {
		n = *seeds
	}
	type pool struct{ sum, truth, variance, z2, zs float64 }
	pools := make(map[string]*pool)
	var z2, zs float64
	for seed := range uint64(n) {
		judge := seed%2 == 1
		synctest.Test(t, func(t *testing.T) {
			p := populate(t, seed, 20_000, judge, false)
			for name, fraction := range estimated(judge) {
				q := pools[name]
				if q == nil {
					q = new(pool)
					pools[name] = q
				}
				truth := p.truth[name]
				if fraction < 0 {
					truth = 0
				}
				variance := p.variance[name]
				if fraction > 0 {
					variance = truth * (1/fraction - 1)
				}
				if name == "cut child" {
					variance *= 2 // they come in pairs
				}
				q.sum, q.truth, q.variance = q.sum+p.sum[name], q.truth+truth, q.variance+variance
				if fraction == exact || fraction < 0 {
					if p.sum[name] != truth {
						t.Errorf("seed %d: %s: weighted %.1f, want exactly %.0f", seed, name, p.sum[name], truth)
					}
					continue
				}
				z := (p.sum[name] - truth) / math.Sqrt(variance)
				q.z2 += z * z
				q.zs++
				z2 += z * z
				zs++
			}
		})
		if t.Failed() {
			return
		}
	}
	for name, q := range pools {
		if q.variance == 0 {
			continue
		}
		se := math.Sqrt(q.variance) / q.truth
		off := q.sum/q.truth - 1
		t.Logf("%-16s %+.3f%% +- %.3f%%, variance of z %.3f", name, off*100, se*100, q.z2/q.zs)
		if se > 0.03 && n >= 20 {
			t.Errorf("%s: the standard error is %.1f%%: that tests nothing", name, se*100)
		}
		tolerance := 4 * se
		if n >= 1000 {
			tolerance = 0.01
		}
		if math.Abs(off) > tolerance {
			t.Errorf("%s: off by %.2f%%, want within %.2f%%", name, off*100, tolerance*100)
		}
		if v := q.z2 / q.zs; n >= 1000 && (v < 0.8 || v > 1.2) {
			t.Errorf("%s: the variance of its z-scores is %.2f, want 0.8 to 1.2", name, v)
		}
	}
	// Of m z-scores the variance has a standard deviation of sqrt(2/m).
	spread := max(0.2, 4*math.Sqrt(2/zs))
	if v := z2 / zs; v < 1-spread || v > 1+spread {
		t.Errorf("the variance of %.0f z-scores is %.2f, want 1 +- %.2f", zs, v, spread)
	} else {
		t.Logf("variance of %.0f z-scores: %.3f", zs, v)
	}
}
