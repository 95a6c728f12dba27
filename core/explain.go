package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// Trace is what [Explain] explains: the part that one trace has in a process.
type Trace struct {
	// Parent is what the local roots start below.
	Parent Parent
	// ParentThreshold is tracestate's th of a sampled parent; "" if it has none.
	ParentThreshold string
	Spans           []Case
}

// Parent is what the local roots of a [Trace] start below; "" is [NoParent].
type Parent string

const (
	// NoParent is for a trace that begins here.
	NoParent Parent = "none"
	// SampledParent is a span of another process that is kept.
	SampledParent Parent = "sampled"
	// UnsampledParent is one that is not.
	UnsampledParent Parent = "unsampled"
)

// Case is a span of a [Trace].
type Case struct {
	// ID is by what other spans of the trace name this one; it may be "".
	ID string
	// Parent is the ID of the span that this one starts below; "" is a local root. A
	// trace that has several of them has as many segments.
	Parent string

	Name       string
	Kind       trace.SpanKind
	Start      time.Duration // after the trace's
	Duration   time.Duration
	Attributes []attribute.KeyValue // known when the span starts
	Late       []attribute.KeyValue // set before it ends
	Status     sdktrace.Status
}

// isCalled reports whether the local roots have a remote parent.
func (t *Trace) isCalled() bool { return t.Parent == SampledParent || t.Parent == UnsampledParent }

// label is what an explanation calls the span.
func (c *Case) label() string {
	if c.ID != "" {
		return c.ID
	}
	return c.Name
}

// Explanation says what the samplers of a spec do with a [Trace].
type Explanation struct {
	// Steps are in the order of the starts and ends of the spans.
	Steps []Step `json:"steps"`
	// Outcome is that of the span that starts first.
	Outcome
	// Spans has the outcome of each, if there are several, in the order of the trace.
	Spans []SpanOutcome `json:"spans,omitempty"`
	// Notes say where a service can do otherwise.
	Notes []string `json:"notes,omitempty"`
}

// Outcome says what comes of a span.
type Outcome struct {
	// Dropped tells that the span is not recorded, whatever others say, or discarded
	// with its segment.
	Dropped bool `json:"dropped"`
	// Sampler spoke the least threshold; "" if nobody did, or a remote parent.
	Sampler string `json:"sampler,omitempty"`
	// Threshold is what tracestate carries if the span is kept; "never" if nothing can
	// select it.
	Threshold string `json:"threshold"`
	// Probability is with which the span is kept, AdjustedCount its weight then; both
	// are 0 if Threshold is "unknown".
	Probability   float64 `json:"probability"`
	AdjustedCount float64 `json:"adjusted_count"`
	// Unweighted tells that it can also be kept where the threshold does not select it,
	// with a probability that nobody knows and without a weight.
	Unweighted bool `json:"unweighted,omitempty"`
}

// SpanOutcome says what comes of one span of several.
type SpanOutcome struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name"`
	Outcome
}

// Step is one sampler's part in an [Explanation].
type Step struct {
	Stage string `json:"stage"` // start, end or segment
	// Span is the ID of the span, or its name if it has none; that of the local root if
	// the step is about a segment. It is "" in a trace of one span.
	Span        string `json:"span,omitempty"`
	Sampler     string `json:"sampler"`
	Description string `json:"description"`
	Asked       bool   `json:"asked"`
	// Answer is what it said, with its reason, or why it was not asked.
	Answer string `json:"answer"`
	// Match is the match of the entry, where it does not hold. LimitPerSecond is that of
	// its limit, where the answer counts in it.
	Match          string  `json:"match,omitempty"`
	LimitPerSecond float64 `json:"limit_per_second,omitempty"`
}

// Explain plays a trace to the samplers of a spec, through the recorder of a
// [Provider] that has just started, and tells what each answered and what comes of
// it. No exporter is built, and nothing is sent. Of the options, span processors and
// an ID generator are not used.
//
// The spans start and end in the order that their times say, but no time passes
// meanwhile: nothing is overdue and nothing is forgotten. Where that makes a
// difference, the notes say so. Memory is not short either.
func Explain(ctx context.Context, spec Spec, t Trace, opts ...Option) (*Explanation, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	spec.Exporters = nil
	plan, err := spec.check()
	if err != nil {
		return nil, err
	}
	res, err := newResource(ctx, plan)
	if err != nil {
		return nil, err
	}
	e := explaining{plan: plan, options: newOptions(opts), resource: res, trace: &t}
	p, err := e.play(ctx, uint64(sampling.Never)-1) // every threshold selects it
	if err != nil {
		return nil, err
	}
	outcomes := p.outcomes()
	if p.unknown {
		if err := e.findUnweighted(ctx, outcomes); err != nil {
			return nil, err
		}
	}
	x := &Explanation{Steps: p.steps, Outcome: outcomes[p.order[0].span], Notes: p.notes()}
	if len(t.Spans) > 1 {
		for i, out := range outcomes {
			x.Spans = append(x.Spans, SpanOutcome{ID: t.Spans[i].ID, Name: t.Spans[i].Name, Outcome: out})
		}
	}
	return x, nil
}

// findUnweighted finds what is also kept below its threshold: just below it, only what
// is unknown can keep a span. Where samplers look at the parent, that may be so only
// below the parent's threshold, where it is not sampled.
func (e explaining) findUnweighted(ctx context.Context, outcomes []Outcome) error {
	parent, err := sampling.ParseThreshold(e.trace.ParentThreshold)
	if err != nil {
		parent = sampling.Never
	}
	below := map[sampling.Threshold][]Outcome{}
	for i := range outcomes {
		out := &outcomes[i]
		own, err := sampling.ParseThreshold(out.Threshold)
		if err != nil { // never, or unknown
			continue
		}
		for _, t := range []sampling.Threshold{own, min(own, parent)} {
			if t == sampling.Always { // nothing is below
				continue
			}
			if below[t] == nil {
				p, err := e.play(ctx, uint64(t)-1)
				if err != nil {
					return err
				}
				below[t] = p.outcomes()
			}
			out.Unweighted = out.Unweighted || below[t][i].Threshold == sampling.Unknown.String()
		}
	}
	return nil
}

// Check finds every mistake of the trace. It returns [component.FieldError]s, joined,
// whose paths are those of a list of spans: "[2].parent".
func (t *Trace) Check() error {
	var errs []error
	mistake := func(path, format string, args ...any) {
		errs = append(errs, &component.FieldError{Path: path, Err: fmt.Errorf(format, args...)})
	}
	switch t.Parent {
	case "", NoParent, SampledParent, UnsampledParent:
	default:
		mistake("", "parent %q: want none, sampled or unsampled", string(t.Parent))
	}
	if t.ParentThreshold != "" {
		if t.Parent != SampledParent {
			mistake("", "parent %q has no threshold: only a sampled one has", string(t.Parent))
		}
		if _, err := sampling.ParseThreshold(t.ParentThreshold); err != nil {
			mistake("", "parent: %w", err)
		}
	}
	if len(t.Spans) == 0 {
		mistake("", "there is no span")
	}
	parents := t.parents(mistake)
	circular := inCircles(parents)
	for i := range t.Spans {
		c, path := &t.Spans[i], func(key string) string { return fmt.Sprintf("[%d].%s", i, key) }
		if c.Name == "" {
			mistake(path("name"), "missing")
		}
		if c.Start < 0 {
			mistake(path("start"), "%s is negative", c.Start)
		}
		if c.Duration < 0 {
			mistake(path("duration"), "%s is negative", c.Duration)
		}
		switch up := parents[i]; {
		case circular[i]:
			mistake(path("parent"), "%q is below this span itself", c.Parent)
		case up >= 0 && c.Start < t.Spans[up].Start:
			mistake(path("start"), "%s is before the parent %q starts, at %s", c.Start, c.Parent, t.Spans[up].Start)
		}
	}
	return errors.Join(errs...)
}

// parents returns the place of each span's parent; -1 if it has none.
func (t *Trace) parents(mistake func(path, format string, args ...any)) []int {
	places := make(map[string]int, len(t.Spans))
	for i, c := range t.Spans {
		first, twice := places[c.ID]
		switch {
		case c.ID == "":
		case twice:
			mistake(fmt.Sprintf("[%d].id", i), "[%d] has the ID %q too", first, c.ID)
		default:
			places[c.ID] = i
		}
	}
	parents := make([]int, len(t.Spans))
	for i, c := range t.Spans {
		parents[i] = -1
		if c.Parent == "" {
			continue
		}
		if up, ok := places[c.Parent]; ok {
			parents[i] = up
		} else {
			mistake(fmt.Sprintf("[%d].parent", i), "no span has the ID %q", c.Parent)
		}
	}
	return parents
}

// inCircles tells which spans are their own ancestors.
func inCircles(parents []int) []bool {
	circular := make([]bool, len(parents))
	seenFrom := make([]int, len(parents)) // by which walk up it was first met, from 1
	for i := range parents {
		at := i
		for at >= 0 && seenFrom[at] == 0 {
			seenFrom[at] = i + 1
			at = parents[at]
		}
		if at < 0 || seenFrom[at] != i+1 {
			continue
		}
		for !circular[at] { // the walk has met itself
			circular[at] = true
			at = parents[at]
		}
	}
	return circular
}
