package core

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"slices"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// startRules decide about local roots: rules 1 to 3 of the design.
type startRules struct {
	samplers []*startEntry
	droppers []*startEntry // those of samplers that have drop rules
	remote   RemoteParent
	secret   cipher.Block // keys the randomness of Ignore
	force    *startEntry  // speaks for forced traces
	counts   []startCounts
}

// startCounts count local roots; each part of the trace IDs has its own, so that
// goroutines do not meet.
type startCounts struct {
	started, dropped atomic.Uint64
	_                [48]byte
}

// startEntry is a start sampler of the list.
type startEntry struct {
	entry
	sampler sampling.StartSampler
	// last is the tracestate of the last threshold that selected a trace
	// without a tracestate of its own. Few samplers ever have a second one.
	last atomic.Pointer[thresholdState]
	// attrs names the sampler, ready made.
	attrs []attribute.KeyValue
}

type thresholdState struct {
	threshold sampling.Threshold
	state     trace.TraceState
}

// verdict is what the start of a local root came to.
type verdict uint8

const (
	abstain verdict = iota // nobody spoke
	drop
	threshold
)

// startDecision is what the start of a local root decided.
type startDecision struct {
	verdict    verdict // abstain if nobody spoke; drop; threshold
	selected   bool
	forced     bool // nobody can discard the trace
	follow     bool // the parent decided for good: end samplers are not asked
	fresh      bool // this process made the trace ID: it was never seen before
	randomness uint64
	// threshold is the one that was compared: Never if a remote parent did not
	// select the trace, because then whoever does has the least threshold.
	threshold sampling.Threshold
	by        *startEntry // nil if a remote parent or nobody decided
	attrs     []attribute.KeyValue
	// state is the tracestate of the span; with th if selected.
	state trace.TraceState
}

// keepAll is the tracestate of traces that no sampler spoke for.
var keepAll = sampling.WithThreshold(trace.TraceState{}, sampling.Always)

func newStartRules(remote RemoteParent, samplers []*startEntry) (*startRules, error) {
	r := &startRules{samplers: samplers, remote: remote, force: newForceEntry(), counts: make([]startCounts, stripes())}
	for _, e := range samplers {
		if e.sampler.Traits().MayDrop {
			r.droppers = append(r.droppers, e)
		}
	}
	if remote == Ignore {
		var key [16]byte
		if _, err := rand.Read(key[:]); err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key[:])
		if err != nil {
			return nil, err
		}
		r.secret = block
	}
	return r, nil
}

// sample answers the SDK when no sampler waits for the end of a span: what is
// not selected is not recorded.
func (r *startRules) sample(p *sdktrace.SamplingParameters, result *sdktrace.SamplingResult) {
	parent := trace.SpanContextFromContext(p.ParentContext)
	if parent.IsValid() && !parent.IsRemote() {
		result.Tracestate = parent.TraceState()
		if parent.IsSampled() {
			result.Decision = sdktrace.RecordAndSample
		}
		return
	}
	var d startDecision
	r.decide(&d, p, parent)
	result.Tracestate = d.state
	if d.selected {
		result.Decision, result.Attributes = sdktrace.RecordAndSample, d.attributes()
	}
}

// attributes are those of a local root that is handed over without passing
// through the buffer.
func (d *startDecision) attributes() []attribute.KeyValue {
	switch {
	case d.by == nil:
		return d.attrs
	case len(d.attrs) == 0:
		return d.by.attrs
	default:
		return append(slices.Clip(d.attrs), d.by.attrs...)
	}
}

// decide decides about a local root.
func (r *startRules) decide(d *startDecision, p *sdktrace.SamplingParameters, parent trace.SpanContext) {
	switch {
	case forced(p.ParentContext):
		r.forcedRoot(d, p, parent)
	case !parent.IsValid():
		d.randomness, d.fresh = sampling.TraceIDRandomness(p.TraceID), true
		r.root(d, p)
	case r.remote == Ignore:
		r.ignored(d, p, parent)
	default:
		r.watched(d, p, parent)
	}
	if c := &r.counts[stripeOf(p.TraceID, len(r.counts))]; d.verdict == drop {
		c.dropped.Add(1)
	} else {
		c.started.Add(1)
	}
}

// counted returns how many local roots a rule dropped, and how many not.
func (r *startRules) counted() (started, dropped uint64) {
	for i := range r.counts {
		started += r.counts[i].started.Load()
		dropped += r.counts[i].dropped.Load()
	}
	return started, dropped
}

// root asks the samplers in turn; the first that does not abstain decides.
// d has the randomness, and the tracestate without a threshold.
func (r *startRules) root(d *startDecision, p *sdktrace.SamplingParameters) {
	for _, e := range r.samplers {
		a := e.ask(p)
		if a.IsAbstain() || a.IsAtMost() {
			continue
		}
		d.by, d.attrs = e, a.Attributes()
		if a.IsDrop() {
			d.verdict = drop
			return
		}
		t, _ := a.Threshold()
		d.verdict, d.threshold, d.selected = threshold, t, a.Selects(d.randomness)
		if d.selected {
			d.state = e.state(d.state, t)
		}
		return
	}
	d.selected = true // T=0
	if d.state.Len() == 0 {
		d.state = keepAll
	} else {
		d.state = sampling.WithThreshold(d.state, sampling.Always)
	}
}

// watched follows the decision of a remote parent, unless a drop rule speaks.
func (r *startRules) watched(d *startDecision, p *sdktrace.SamplingParameters, parent trace.SpanContext) {
	d.verdict, d.randomness, d.threshold, d.state = threshold, sampling.Randomness(parent), sampling.Never, parent.TraceState()
	d.follow = r.remote == Follow
	if !d.follow && r.drops(p) || d.follow && !parent.IsSampled() {
		d.verdict, d.state = drop, sampling.WithThreshold(d.state, sampling.Unknown)
		return
	}
	if d.selected = parent.IsSampled(); d.selected {
		d.threshold = sampling.ThresholdOf(parent)
	}
	if d.threshold == sampling.Never || d.threshold == sampling.Unknown {
		d.state = sampling.WithThreshold(d.state, sampling.Unknown)
	}
}

// ignored treats the span as the root of a trace whose randomness no client
// chooses.
func (r *startRules) ignored(d *startDecision, p *sdktrace.SamplingParameters, parent trace.SpanContext) {
	r.ownRandomness(d, p.TraceID, parent)
	r.root(d, p)
}

// ownRandomness gives a trace a randomness under the process's secret, and the
// tracestate that tells it.
func (r *startRules) ownRandomness(d *startDecision, id trace.TraceID, parent trace.SpanContext) {
	r.secret.Encrypt(id[:], id[:])
	d.randomness = sampling.TraceIDRandomness(id)
	d.state = sampling.WithRandomness(parent.TraceState(), d.randomness)
}

func (r *startRules) drops(p *sdktrace.SamplingParameters) bool {
	for _, e := range r.droppers {
		if e.ask(p).IsDrop() {
			return true
		}
	}
	return false
}

// state returns base with the threshold t.
func (e *startEntry) state(base trace.TraceState, t sampling.Threshold) trace.TraceState {
	if base.Len() > 0 {
		return sampling.WithThreshold(base, t)
	}
	if t == sampling.Always {
		return keepAll
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
