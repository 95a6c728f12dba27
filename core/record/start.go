package record

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/sampling"
)

// RemoteParent says what a remote parent's sampling decision means for a
// local root.
type RemoteParent string

const (
	// Watch follows the parent's decision, but lets end samplers keep the local
	// part of a trace that the parent left out. For callers that one trusts.
	Watch RemoteParent = "watch"
	// Follow follows the parent's decision and nothing else.
	Follow RemoteParent = "follow"
	// Ignore keeps the client's trace ID and nothing of its decision: start samplers
	// decide, with a randomness that is the segment's own. For endpoints that anybody
	// can call.
	Ignore RemoteParent = "ignore"
	// Ask asks the start samplers, with the randomness of the trace. What the parent
	// decided counts where they say so. For callers that one trusts.
	Ask RemoteParent = "ask"
	// Restart begins a new trace, with a link to what the client sent.
	Restart RemoteParent = "restart"
)

// ConfigSchema lists the values.
func (RemoteParent) ConfigSchema() component.Schema {
	return component.Enum(Watch, Follow, Ask, Ignore, Restart)
}

// startRules decide about local roots.
type startRules struct {
	samplers []*StartEntry
	droppers []*StartEntry // those of samplers that have drop rules
	remote   RemoteParent
	record   bool // also what a parent that is followed left out
	random   func() uint64
	counts   *[countParts]startCounts
	resource *resource.Resource
	// matches tells that a sampler has a match, needsBaggage that one looks at that.
	matches, needsBaggage bool
	later                 bool // who always answers does so at the end: what nobody decides at the start is not selected
}

// startCounts count local roots, in parts, so that goroutines seldom meet.
type startCounts struct {
	started         [saysImpossible + 1]atomic.Uint64 // by what the parent says, if that matters
	dropped, noRoom atomic.Uint64
	_               [24]byte
}

const countParts = 16

func (r *startRules) count(q *rootRequest) *startCounts {
	return &r.counts[q.part()]
}

// part is the one in which a local root is counted.
func (q *rootRequest) part() uint8 { return (q.TraceID[7] ^ q.TraceID[15]) % countParts }

// startDecision is what the start of a local root decided.
type startDecision struct {
	dropped bool
	// selected tells that the start alone keeps the segment.
	selected bool
	// unknown tells that it does so with a probability that nobody knows.
	unknown bool
	// speaks tells that it speaks of such a probability, whether or not that selects.
	speaks bool
	// from is the threshold from which on it selects then.
	from sampling.Threshold
	// unweighed tells why, if it is so because of what a remote parent says, or does not.
	unweighed parentSays
	forced    bool
	given     bool // the threshold is that of a parent that is sampled, or greater
	follow    bool // the parent decided for good: end samplers are not asked
	private   bool // the randomness is this segment's own
	// threshold is the one that was compared; Never if there was none.
	threshold  sampling.Threshold
	randomness uint64
	by         *StartEntry // nil if a remote parent or nobody decided
	rule       *string     // of by
	attrs      []attribute.KeyValue
	state      trace.TraceState // of the span, with th if selected
}

// rootRequest is a local root that is to start.
type rootRequest struct {
	sdktrace.SamplingParameters
	parent trace.SpanContext
	scope  string // the name of the instrumentation scope
	// What the context of the application asks for.
	forced, dropped bool
	// remote tells samplers that there is a remote parent whose decision counts.
	remote bool
}

// decide decides about a local root. What the parent means depends on where it
// comes from:
//
//	none                    the start samplers
//	remote                  as remote_parent says
//	local, of no recorder   as under watch
//	of ours                 it is not asked here: the span belongs to a segment
func (r *startRules) decide(d *startDecision, q *rootRequest) {
	remote := q.parent.IsRemote() // valid or not: its tracestate would go on in any case
	switch {
	case q.dropped:
		d.dropped, d.state = true, sampling.WithThreshold(q.parent.TraceState(), sampling.Unknown)
	case q.forced:
		r.force(d, q)
	case remote && r.remote == Ignore:
		r.ownRandomness(d, q)
		r.ask(d, q)
	case q.parent.IsValid() && (!remote || r.remote != Ask):
		r.watch(d, q, remote && r.remote == Follow)
	default:
		q.remote = q.parent.IsValid()
		d.state = q.parent.TraceState()
		d.randomness = randomnessOf(q.TraceID, d.state)
		r.ask(d, q)
	}
	if c := r.count(q); d.dropped {
		c.dropped.Add(1)
	} else {
		c.started[d.unweighed].Add(1)
	}
}

// forget takes back that a local root was counted, which was not dropped.
func (r *startRules) forget(d *startDecision, q *rootRequest) {
	r.count(q).started[d.unweighed].Add(^uint64(0))
}

// randomnessOf is that of a trace that begins here.
func randomnessOf(id trace.TraceID, state trace.TraceState) uint64 {
	if state.Len() == 0 {
		return sampling.TraceIDRandomness(id)
	}
	return sampling.Randomness(trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, TraceState: state}))
}

// ownRandomness gives a segment a randomness that nobody outside can choose, and the
// tracestate that tells it.
func (r *startRules) ownRandomness(d *startDecision, q *rootRequest) {
	d.private = true
	d.randomness = r.random() & (uint64(sampling.Never) - 1)
	d.state = sampling.WithRandomness(q.parent.TraceState(), d.randomness)
}

// ask asks the samplers in turn; the first that does not abstain decides. d has the
// randomness, and the tracestate.
func (r *startRules) ask(d *startDecision, q *rootRequest) {
	if r.matches {
		r.askMatched(d, q)
	} else {
		r.askAbout(d, q, nil)
	}
}

// askMatched does so where samplers have matches. Others do not pay for what those are
// about.
//
//go:noinline
func (r *startRules) askMatched(d *startDecision, q *rootRequest) {
	var m match.Subject
	r.describe(&m, q)
	r.askAbout(d, q, &m)
}

func (r *startRules) askAbout(d *startDecision, q *rootRequest, m *match.Subject) {
	timed := timed()
	for _, e := range r.samplers {
		a := e.ask(q, m, timed)
		if a.IsAbstain() || a.IsAtMost() || a.IsByParent() && !q.remote {
			continue
		}
		d.by, d.rule, d.attrs = e, a.Rule(), a.Attributes()
		if a.IsDrop() {
			d.dropped = true
			return
		}
		if a.IsByParent() {
			d.byParent(a, q.parent)
			return
		}
		t, _ := a.Threshold()
		d.selected = a.Selects(d.randomness)
		d.unknown = d.selected && t == sampling.Unknown
		d.speaks = d.unknown
		if d.threshold = t; t == sampling.Unknown {
			d.threshold = sampling.Never
		}
		d.state = e.state(d.state, t, d.selected)
		return
	}
	if r.later {
		d.threshold, d.state = sampling.Never, sampling.WithThreshold(d.state, sampling.Unknown)
		return
	}
	d.selected, d.threshold = true, sampling.Always
	d.state = always(d.state)
}

// watch follows the decision of a parent, unless a drop rule speaks.
func (r *startRules) watch(d *startDecision, q *rootRequest, follow bool) {
	d.randomness, d.threshold, d.follow = sampling.Randomness(q.parent), sampling.Never, follow
	d.state = q.parent.TraceState()
	d.selected = q.parent.IsSampled()
	d.dropped = follow && !d.selected && !r.record || !follow && r.drops(q)
	if d.selected && !d.dropped {
		t, w := trusted(d.state, d.randomness)
		if w == saysKnown {
			d.threshold, d.given = t, true
			return
		}
		d.unknown, d.speaks = true, true
		if q.parent.IsRemote() {
			d.unweighed = w
		}
	}
	d.state = sampling.WithThreshold(d.state, sampling.Unknown)
}

// describe tells of a local root what matches look at.
func (r *startRules) describe(s *match.Subject, q *rootRequest) {
	s.Span = match.Span{Name: q.Name, Kind: q.Kind, Attributes: q.Attributes, Links: q.Links, Scope: q.scope}
	s.IsRoot, s.RemoteParent, s.TraceState = true, q.parent.IsValid() && q.parent.IsRemote(), q.parent.TraceState()
	if s.Resource = r.resource; r.needsBaggage {
		s.Baggage = baggage.FromContext(q.ParentContext)
	}
}

func (r *startRules) drops(q *rootRequest) bool {
	if len(r.droppers) == 0 {
		return false
	}
	var m match.Subject
	r.describe(&m, q)
	for _, e := range r.droppers {
		if e.ask(q, &m, timed()).IsDrop() {
			return true
		}
	}
	return false
}

// force keeps a local root without asking anybody. It is kept whatever its
// randomness is, so that its threshold is Always.
func (r *startRules) force(d *startDecision, q *rootRequest) {
	d.forced, d.selected, d.threshold = true, true, sampling.Always
	if q.parent.IsRemote() && r.remote == Ignore {
		r.ownRandomness(d, q)
	} else {
		d.state = q.parent.TraceState()
		d.randomness = randomnessOf(q.TraceID, d.state)
	}
	d.state = always(d.state)
}

// keepAll is the tracestate of T = 0 alone.
var keepAll = sampling.WithThreshold(trace.TraceState{}, sampling.Always)

// always returns a tracestate that says T = 0.
func always(state trace.TraceState) trace.TraceState {
	if state.Len() == 0 {
		return keepAll
	}
	return sampling.WithThreshold(state, sampling.Always)
}

// state returns a tracestate with the threshold of a segment that it selected, or
// without one.
func (e *StartEntry) state(base trace.TraceState, t sampling.Threshold, selected bool) trace.TraceState {
	switch {
	case !selected:
		return sampling.WithThreshold(base, sampling.Unknown)
	case t == sampling.Always:
		return always(base)
	case base.Len() > 0:
		return sampling.WithThreshold(base, t)
	}
	if last := e.last.Load(); last != nil && last.threshold == t {
		return last.state
	}
	next := &thresholdState{threshold: t, state: sampling.WithThreshold(base, t)}
	e.last.Store(next)
	return next.state
}

func (r *startRules) description() string {
	var b strings.Builder
	b.WriteString("riffle{")
	for i, e := range r.samplers {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(e.name)
		b.WriteString(": ")
		b.WriteString(e.sampler.Traits().Description)
	}
	b.WriteString("}")
	return b.String()
}

// startSampler is the start rules as a sampler of the SDK.
type startSampler struct{ rules *startRules }

// NewSDKSampler returns the start samplers as one sampler of the SDK, for a
// TracerProvider of the SDK's own. Restart is not possible there: a sampler cannot
// begin a new trace.
func NewSDKSampler(samplers []*StartEntry, remote RemoteParent, res *resource.Resource) sdktrace.Sampler {
	for _, e := range samplers {
		e.countIn(new(atomic.Uint64))
	}
	rules := newStartRules(samplers, remote, nil, new([countParts]startCounts))
	rules.resource = res
	return startSampler{rules}
}

func newStartRules(samplers []*StartEntry, remote RemoteParent, random func() uint64, counts *[countParts]startCounts) *startRules {
	r := &startRules{samplers: samplers, remote: remote, random: random, counts: counts}
	if random == nil {
		r.random = rand.Uint64
	}
	for _, e := range samplers {
		r.matches = r.matches || e.match != nil
		r.needsBaggage = r.needsBaggage || e.match.NeedsBaggage()
		if e.drops || e.sampler.Traits().MayDrop {
			r.droppers = append(r.droppers, e)
		}
	}
	return r
}

func (s startSampler) ShouldSample(p sdktrace.SamplingParameters) (result sdktrace.SamplingResult) {
	parent := trace.SpanContextFromContext(p.ParentContext)
	if parent.IsValid() && !parent.IsRemote() {
		result.Tracestate = parent.TraceState()
		if parent.IsSampled() {
			result.Decision = sdktrace.RecordAndSample
		}
		return result
	}
	var d startDecision
	s.rules.decide(&d, &rootRequest{SamplingParameters: p, parent: parent, forced: sampling.Forced(p.ParentContext), dropped: sampling.Dropped(p.ParentContext)})
	result.Tracestate = d.state
	if d.selected && !d.dropped {
		result.Decision = sdktrace.RecordAndSample
		result.Attributes = d.attrs
		if d.by != nil {
			result.Attributes = append(slices.Clip(d.attrs), sampling.SamplerKey.String(d.by.name))
			if d.rule != nil {
				result.Attributes = append(result.Attributes, sampling.RuleKey.String(*d.rule))
			}
		}
	}
	return result
}

func (s startSampler) Description() string { return s.rules.description() }

// Interface guard.
var _ sdktrace.Sampler = startSampler{}
