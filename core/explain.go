package core

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// Case is a trace of one span, to be explained by [Explain].
type Case struct {
	Name       string
	Kind       trace.SpanKind
	Attributes []attribute.KeyValue // known when the span starts
	Late       []attribute.KeyValue // set before it ends
	Status     sdktrace.Status
	Duration   time.Duration
}

// Explanation says what the samplers of a spec do with a [Case].
type Explanation struct {
	Steps []Step `json:"steps"`
	// Dropped tells that the trace is not recorded, or discarded when complete.
	Dropped bool `json:"dropped"`
	// Sampler spoke the least threshold; "" if nobody did.
	Sampler string `json:"sampler,omitempty"`
	// Threshold is what tracestate carries if the trace is kept; "never" if
	// nothing can select it.
	Threshold string `json:"threshold"`
	// Probability is with which the trace is kept, AdjustedCount the weight of
	// its spans then; both are 0 if Threshold is "unknown".
	Probability   float64 `json:"probability"`
	AdjustedCount float64 `json:"adjusted_count"`
}

// Step is one sampler's part in an [Explanation].
type Step struct {
	Stage       string `json:"stage"` // start, end or trace
	Sampler     string `json:"sampler"`
	Description string `json:"description"`
	Asked       bool   `json:"asked"`
	// Answer is what it said, with its reason, or why it was not asked.
	Answer string `json:"answer"`
}

// Explain asks the samplers of a spec about one trace as a [Provider] would,
// and tells what each answered. No exporter is built, and nothing is sent.
func Explain(ctx context.Context, spec Spec, c Case, opts ...Option) (*Explanation, error) {
	o := newOptions(opts)
	spec.Exporters = nil
	plan, err := spec.check()
	if err != nil {
		return nil, err
	}
	built, err := plan.buildSamplers(ctx, o)
	if err != nil {
		return nil, err
	}
	x := &explainer{samplers: built, least: sampling.Never, answered: -1}
	x.start(c)
	if !x.out.Dropped {
		span := c.span()
		x.end(span, c.Duration)
		x.traces(ctx, span)
	}
	x.conclude()
	return &x.out, built.shutdown(ctx)
}

type explainer struct {
	samplers *samplerList
	out      Explanation
	least    sampling.Threshold
	by       string
	answered int // place of the start sampler that decided
}

func (x *explainer) start(c Case) {
	params := sdktrace.SamplingParameters{ParentContext: context.Background(), Name: c.Name, Kind: c.Kind, Attributes: c.Attributes}
	for i, e := range x.samplers.start {
		if x.answered >= 0 {
			x.skip("start", &e.entry, e.sampler, "not asked: "+x.samplers.start[x.answered].name+" has decided")
			continue
		}
		a, asked := sampling.Answer{}, e.matches(c.Name, c.Kind, c.Attributes)
		if asked {
			a = e.ask(&params)
		}
		x.step("start", &e.entry, e.sampler, a, asked)
		if a.IsAbstain() || a.IsAtMost() {
			continue
		}
		x.answered = i
		if a.IsDrop() {
			x.out.Dropped = true
			continue
		}
		t, _ := a.Threshold()
		x.lower(t, e.name)
	}
	if x.answered < 0 {
		x.lower(sampling.Always, "")
	}
}

func (x *explainer) end(span sdktrace.ReadOnlySpan, d time.Duration) {
	params := sampling.EndParameters{Span: span, LocalRoot: true, Duration: d, Spans: 1}
	for _, e := range x.samplers.end {
		if x.least == sampling.Always {
			x.skip("end", &e.entry, e.sampler, "not asked: the trace is kept already")
			continue
		}
		a, asked := sampling.Answer{}, e.matches(span.Name(), span.SpanKind(), span.Attributes())
		if asked {
			_, a, _ = firstAnswer([]*endEntry{e}, trace.TraceID{}, 1, &params)
		}
		x.step("end", &e.entry, e.sampler, a, asked)
		if t, _ := a.Threshold(); a.IsThreshold() {
			x.lower(t, e.name)
		}
	}
}

func (x *explainer) traces(ctx context.Context, span sdktrace.ReadOnlySpan) {
	for _, e := range x.samplers.traces {
		a, asked := sampling.Answer{}, e.matches(span.Name(), span.SpanKind(), span.Attributes())
		if asked {
			ctx, cancel := context.WithTimeout(ctx, judgeDeadline)
			answers := e.ask(ctx, []sampling.Segment{{
				TraceID: span.SpanContext().TraceID(), Root: span, Spans: []sdktrace.ReadOnlySpan{span}, Complete: true, Threshold: x.least,
			}})
			cancel()
			if len(answers) > 0 {
				a = answers[0]
			}
		}
		x.step("trace", &e.entry, e.sampler, a, asked)
		t, _ := a.Threshold()
		if a.IsThreshold() {
			x.lower(t, e.name)
		}
		x.out.Dropped = x.out.Dropped || a.IsAtMost() && t == sampling.Never
	}
}

func (x *explainer) step(stage string, e *entry, s sampling.Sampler, a sampling.Answer, asked bool) {
	answer := a.String()
	if !asked {
		answer = "not asked: its match does not hold"
	}
	x.out.Steps = append(x.out.Steps, Step{Stage: stage, Sampler: e.name, Description: s.Traits().Description, Asked: asked, Answer: answer})
}

func (x *explainer) skip(stage string, e *entry, s sampling.Sampler, why string) {
	x.out.Steps = append(x.out.Steps, Step{Stage: stage, Sampler: e.name, Description: s.Traits().Description, Answer: why})
}

func (x *explainer) lower(t sampling.Threshold, by string) {
	if least := sampling.Least(x.least, t); least != x.least || x.by == "" {
		x.least, x.by = least, by
	}
}

func (x *explainer) conclude() {
	if x.out.Dropped {
		x.out.Threshold = sampling.Never.String()
		return
	}
	x.out.Sampler, x.out.Threshold = x.by, x.least.String()
	if x.least != sampling.Unknown {
		x.out.Probability, x.out.AdjustedCount = x.least.Probability(), x.least.AdjustedCount()
	}
}

// span is the case as a span that ended.
func (c Case) span() sdktrace.ReadOnlySpan {
	var id trace.TraceID
	binary.BigEndian.PutUint64(id[8:], 1)
	end := time.Now()
	return tracetest.SpanStub{
		Name:        c.Name,
		SpanKind:    c.Kind,
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{7: 1}}),
		StartTime:   end.Add(-c.Duration),
		EndTime:     end,
		Attributes:  append(slices.Clip(c.Attributes), c.Late...),
		Status:      c.Status,
	}.Snapshot()
}
