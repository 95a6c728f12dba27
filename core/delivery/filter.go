package delivery

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery/redact"
	"github.com/riffletrace/riffle/core/match"
)

// Filter says which spans an exporter gets. Each is seen alone: what a match says of
// the local root is about the span itself.
type Filter struct {
	Of    FilterOf      `yaml:"of" doc:"what passes: spans that match, or traces, whole, of which one span does"`
	Match *match.Config `yaml:"match" doc:"what they must match; route, kind, status and duration are those of the span, which is seen alone"`
}

// FilterOf is what a filter lets pass.
type FilterOf string

// The values of filter.of; an empty one is FilterSpans.
const (
	FilterSpans  FilterOf = "spans"
	FilterTraces FilterOf = "traces"
)

// ConfigSchema lists the values.
func (FilterOf) ConfigSchema() component.Schema { return component.Enum(FilterSpans, FilterTraces) }

func (f *Filter) check(add func(path string, err error)) {
	if f.Of != "" && f.Of != FilterSpans && f.Of != FilterTraces {
		add("filter.of", fmt.Errorf("%s is not one of %s, %s", component.Shown(string(f.Of)), FilterSpans, FilterTraces))
	}
	if f.Match == nil {
		add("filter.match", errors.New("missing: want what spans must match"))
		return
	}
	m, err := f.Match.Compile()
	if err == nil {
		err = m.Check(match.OfSpan)
	}
	addFields(add, "filter.match", err)
}

// addFields adds the mistakes of what stands below path.
func addFields(add func(path string, err error), path string, err error) {
	for _, e := range component.FieldErrors(err) {
		add(component.JoinPath(path, e.Path), e.Err)
	}
}

// sharing is what lines have in common that share their batches.
type sharing struct {
	batch     BatchConfig
	filter    *Filter
	redact    *redact.Config
	redactAll *redact.Config
	cut       redact.Cut
}

func sharingOf(c *Config) sharing {
	return sharing{c.Batch, c.Filter, c.Redact, c.RedactAll, c.Cut}
}

// canShare tells that lines that come later can share the batches: there are no spans in
// them of traces that began before.
func (s sharing) canShare() bool { return s.filter == nil || s.filter.Of != FilterTraces }

func (s sharing) equal(o sharing) bool { return reflect.DeepEqual(s, o) }

// processor filters spans and redacts them, on the goroutine of its batcher.
type processor struct {
	match    *match.Matcher
	traces   *traceFilter
	redactor *redact.Redactor
}

// newProcessor makes the processor of a configuration that is valid.
func newProcessor(s sharing) *processor {
	p := &processor{}
	if s.filter != nil {
		p.match, _ = s.filter.Match.Compile()
		if s.filter.Of == FilterTraces {
			p.traces = &traceFilter{waiting: map[trace.TraceID]*waitingTrace{}, decided: map[trace.TraceID]bool{}}
		}
	}
	p.redactor, _ = redact.New(s.cut, s.redactAll, s.redact)
	return p
}

func (p *processor) matches(s sdktrace.ReadOnlySpan) bool {
	return p.match.Match(&match.Subject{Span: match.Span{Recorded: s}, IsRoot: true, Resource: s.Resource()}) == match.Yes
}

// apply returns what the exporters get, and how many spans they do not. It may
// work in place.
func (p *processor) apply(spans []sdktrace.ReadOnlySpan) (left []sdktrace.ReadOnlySpan, filtered int) {
	left = spans
	switch {
	case p.traces != nil:
		left, filtered = p.traces.apply(spans, p.matches)
	case p.match != nil:
		left = spans[:0]
		for _, s := range spans {
			if p.matches(s) {
				left = append(left, s)
			}
		}
		filtered = len(spans) - len(left)
		clear(spans[len(left):])
	}
	for i, s := range left {
		left[i] = p.redactor.Span(s)
	}
	return left, filtered
}

// filterWaiting returns how many spans waited for their trace to match.
func (p *processor) filterWaiting() int {
	if p.traces == nil {
		return 0
	}
	return p.traces.filterWaiting()
}

// traceFilter lets traces pass of which a span matches. Spans wait for it until a
// local root of theirs has ended.
type traceFilter struct {
	waiting map[trace.TraceID]*waitingTrace
	order   []trace.TraceID // of waiting, and some that are not any more
	spans   int             // that wait

	// Whether a trace passes is remembered for late spans, in two generations.
	decided, decidedBefore map[trace.TraceID]bool
}

type waitingTrace struct {
	spans []sdktrace.ReadOnlySpan
	since time.Time
}

// What the filter of traces holds at most.
const (
	maxWaitingSpans = 20_000
	maxTraceWait    = time.Minute
	maxRemembered   = 50_000
)

func (f *traceFilter) apply(spans []sdktrace.ReadOnlySpan, matches func(sdktrace.ReadOnlySpan) bool) (left []sdktrace.ReadOnlySpan, filtered int) {
	for _, s := range spans {
		if id := s.SpanContext().TraceID(); !f.passes(id) && matches(s) {
			f.remember(id, true)
		}
	}
	var ended []trace.TraceID
	for _, s := range spans {
		id := s.SpanContext().TraceID()
		w := f.waiting[id]
		pass, decided := f.lookup(id)
		switch {
		case pass:
			if w != nil {
				left = append(left, w.spans...)
				f.forget(id, w)
			}
			left = append(left, s)
			continue
		case decided:
			filtered++
			continue
		case w == nil:
			w = &waitingTrace{since: time.Now()}
			f.waiting[id] = w
			f.order = append(f.order, id)
		}
		w.spans = append(w.spans, s)
		f.spans++
		if p := s.Parent(); !p.IsValid() || p.IsRemote() {
			ended = append(ended, id)
		}
	}
	for _, id := range ended {
		filtered += f.filterOut(id)
	}
	return left, filtered + f.expire()
}

func (f *traceFilter) passes(id trace.TraceID) bool {
	pass, _ := f.lookup(id)
	return pass
}

func (f *traceFilter) lookup(id trace.TraceID) (pass, decided bool) {
	if pass, decided = f.decided[id]; !decided {
		pass, decided = f.decidedBefore[id]
	}
	return pass, decided
}

func (f *traceFilter) remember(id trace.TraceID, pass bool) {
	if len(f.decided) >= maxRemembered {
		f.decided, f.decidedBefore = map[trace.TraceID]bool{}, f.decided
	}
	f.decided[id] = pass
}

func (f *traceFilter) forget(id trace.TraceID, w *waitingTrace) {
	f.spans -= len(w.spans)
	delete(f.waiting, id)
}

// filterOut takes out what waits of a trace.
func (f *traceFilter) filterOut(id trace.TraceID) int {
	w := f.waiting[id]
	if w == nil {
		return 0
	}
	f.forget(id, w)
	f.remember(id, false)
	return len(w.spans)
}

// expire filters out the oldest traces where they are too many or too old.
func (f *traceFilter) expire() (filtered int) {
	for len(f.order) > 0 {
		w := f.waiting[f.order[0]]
		if w != nil && f.spans <= maxWaitingSpans && time.Since(w.since) < maxTraceWait {
			break
		}
		filtered += f.filterOut(f.order[0])
		f.order = f.order[1:]
	}
	return filtered
}

func (f *traceFilter) filterWaiting() (filtered int) {
	for id := range f.waiting {
		filtered += f.filterOut(id)
	}
	f.order = nil
	return filtered
}
