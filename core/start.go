package core

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// SamplerKey is the attribute of a kept local root that names the sampler
// that decided.
const SamplerKey = attribute.Key("sampling.sampler")

// startRules decide about every span that starts: rules 1 to 4 of the design.
type startRules struct {
	samplers []*startEntry
	droppers []*startEntry // those of samplers that have drop rules
	remote   RemoteParent
	secret   cipher.Block // keys the randomness of Ignore
}

// startEntry is a start sampler of the list, with what its answers need ready
// made.
type startEntry struct {
	name    string
	sampler StartSampler
	attrs   []attribute.KeyValue
	// last is the tracestate of the last threshold that selected a trace
	// without a tracestate of its own. Few samplers ever have a second one.
	last atomic.Pointer[thresholdState]
}

type thresholdState struct {
	threshold Threshold
	state     trace.TraceState
}

// keepAll is the tracestate of traces that no sampler spoke for.
var keepAll = withThreshold(trace.TraceState{}, Always)

func newStartRules(remote RemoteParent, samplers []*startEntry) (*startRules, error) {
	r := &startRules{samplers: samplers, remote: remote}
	for _, e := range samplers {
		e.attrs = []attribute.KeyValue{SamplerKey.String(e.name)}
		if d, ok := e.sampler.(Dropper); ok && d.MayDrop() {
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

// sample answers the SDK about one span.
func (r *startRules) sample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	parent := trace.SpanContextFromContext(p.ParentContext)
	switch {
	case !parent.IsValid():
		return r.root(p, traceIDRandomness(p.TraceID), trace.TraceState{})
	case !parent.IsRemote():
		return r.child(parent)
	case r.remote == Ignore:
		return r.ignored(p, parent)
	default:
		return r.watched(p, parent)
	}
}

// root asks the samplers in turn; the first that does not abstain decides.
// state is the tracestate without a threshold.
func (r *startRules) root(p sdktrace.SamplingParameters, randomness uint64, state trace.TraceState) sdktrace.SamplingResult {
	params := startParameters(p)
	for _, e := range r.samplers {
		a := e.sampler.SampleStart(params)
		if a.verdict == abstain {
			continue
		}
		if !a.selects(randomness) {
			return sdktrace.SamplingResult{Decision: sdktrace.Drop, Tracestate: state}
		}
		attrs := e.attrs
		if len(a.Attributes) > 0 {
			attrs = append(a.Attributes[:len(a.Attributes):len(a.Attributes)], attrs...)
		}
		return sdktrace.SamplingResult{
			Decision:   sdktrace.RecordAndSample,
			Attributes: attrs,
			Tracestate: e.state(state, a.threshold),
		}
	}
	result := sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample, Tracestate: keepAll}
	if state.Len() > 0 {
		result.Tracestate = withThreshold(state, Always)
	}
	return result
}

// child inherits: no sampler is asked.
func (*startRules) child(parent trace.SpanContext) sdktrace.SamplingResult {
	decision := sdktrace.Drop
	if parent.IsSampled() {
		decision = sdktrace.RecordAndSample
	}
	return sdktrace.SamplingResult{Decision: decision, Tracestate: parent.TraceState()}
}

// watched follows the decision of a remote parent, unless a drop rule speaks.
func (r *startRules) watched(p sdktrace.SamplingParameters, parent trace.SpanContext) sdktrace.SamplingResult {
	state := parent.TraceState()
	if !parent.IsSampled() {
		return sdktrace.SamplingResult{Decision: sdktrace.Drop, Tracestate: withoutThreshold(state)}
	}
	if r.remote != Follow && r.drops(p) {
		return sdktrace.SamplingResult{Decision: sdktrace.Drop, Tracestate: withoutThreshold(state)}
	}
	if ThresholdOf(parent) == Unknown {
		state = withoutThreshold(state)
	}
	return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample, Tracestate: state}
}

// ignored treats the span as the root of a trace whose randomness no client
// chooses.
func (r *startRules) ignored(p sdktrace.SamplingParameters, parent trace.SpanContext) sdktrace.SamplingResult {
	var hash [16]byte
	r.secret.Encrypt(hash[:], p.TraceID[:])
	randomness := binary.BigEndian.Uint64(hash[:8]) & randomnessMask
	state := insertOT(parent.TraceState(), otEntry{th: Unknown, rv: randomness, hasRV: true})
	return r.root(p, randomness, state)
}

func (r *startRules) drops(p sdktrace.SamplingParameters) bool {
	if len(r.droppers) == 0 {
		return false
	}
	params := startParameters(p)
	for _, e := range r.droppers {
		if e.sampler.SampleStart(params).verdict == drop {
			return true
		}
	}
	return false
}

// state returns base with the threshold t.
func (e *startEntry) state(base trace.TraceState, t Threshold) trace.TraceState {
	if base.Len() > 0 {
		return withThreshold(base, t)
	}
	if t == Always {
		return keepAll
	}
	if last := e.last.Load(); last != nil && last.threshold == t {
		return last.state
	}
	next := &thresholdState{threshold: t, state: withThreshold(base, t)}
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
		b.WriteString(e.sampler.Description())
	}
	b.WriteString("}")
	return b.String()
}

// withoutThreshold returns ts without th.
func withoutThreshold(ts trace.TraceState) trace.TraceState {
	if ts.Len() == 0 || !strings.Contains(ts.Get(otKey), thKey+":") {
		return ts
	}
	return withThreshold(ts, Unknown)
}

func startParameters(p sdktrace.SamplingParameters) StartParameters {
	return StartParameters{
		ParentContext: p.ParentContext,
		Name:          p.Name,
		Kind:          p.Kind,
		Attributes:    p.Attributes,
		Links:         p.Links,
		traceID:       p.TraceID,
	}
}
