package core

import (
	"fmt"
	"time"

	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/sampling"
)

// step is what the recorder had of a sampler at this moment. why tells why it was not
// asked.
func (p *playback) step(stage string, i int, g *playedSegment, why func() string) (Step, sampling.Answer) {
	name := p.samplers.all[i].entry.ID()
	step := Step{Stage: stage, Span: p.label(g.root), Sampler: name, Description: p.samplers.all[i].description()}
	p.mu.Lock()
	h, heard := p.heard[question{i, stage}]
	p.mu.Unlock()
	const failed = "it panicked, or took too long"
	suspended := p.recorder.Stats().Suspensions[name] > p.suspended[name]
	switch {
	case heard && h.matched == match.Later:
		step.Answer = "not asked yet: its match is known when the local root has ended"
		step.Match = p.plan.Samplers[i].Match.String()
	case heard && h.matched != match.Yes:
		step.Answer = "not asked: its match does not hold"
		step.Match = p.plan.Samplers[i].Match.String()
	case heard:
		step.Asked, step.Answer = true, h.answer.String()
		if suspended && h.answer.IsAbstain() {
			step.Answer += ": " + failed
		}
	case suspended:
		step.Asked, step.Answer = true, sampling.Abstain().String()+": "+failed
	case !g.recorded && stage != "start":
		step.Answer = "not asked: not recorded"
	case p.suspended[name] > 0:
		step.Answer = "not asked: it is suspended: " + failed
	default:
		step.Answer = "not asked: " + why()
	}
	return step, h.answer
}

// label names a span in a step, where there are several.
func (p *playback) label(span int) string {
	if len(p.trace.Spans) == 1 {
		return ""
	}
	return p.trace.Spans[span].label()
}

// outcomes are what came of the spans.
func (p *playback) outcomes() []Outcome {
	outcomes := make([]Outcome, len(p.spans))
	for i, s := range p.spans {
		out, g := &outcomes[i], s.segment
		k, kept := p.kept[s.id]
		t, spoken := g.start.Threshold()
		// Who does not select with a probability that nobody knows may select others.
		unselected := spoken && t == sampling.Unknown && !g.start.Selects(p.randomness)
		switch {
		case kept:
			out.Sampler, t = k.Sampler, k.Threshold
			out.Unweighted = unselected && t > sampling.Always && t < sampling.Never
		case g.dropped || g.discarded:
			out.Dropped, t = true, sampling.Never
		case unselected:
			out.Sampler = g.by
		default:
			out.Sampler, t = g.by, sampling.Never
		}
		if out.Threshold = t.String(); t != sampling.Unknown {
			out.Probability, out.AdjustedCount = t.Probability(), t.AdjustedCount()
		}
	}
	return outcomes
}

// notes say where the passing of time would make a difference.
func (p *playback) notes() (notes []string) {
	if p.plan.Budget != nil {
		notes = append(notes, "the budget lowers probabilities by what else is kept at that time: it is not played")
	}
	if !p.samplers.record.WaitForEnd() {
		return notes
	}
	wait, memory := time.Duration(p.plan.MaxWait), time.Duration(p.plan.DecisionMemory.Age)
	type span struct{ from, firstEnd, to time.Duration }
	segments := map[*playedSegment]*span{}
	var all []*playedSegment
	for _, m := range p.order {
		g := p.spans[m.span].segment
		s := segments[g]
		if s == nil {
			s = &span{}
			segments[g], all = s, append(all, g)
		}
		if !m.end {
			if g.open == 0 {
				*s = span{from: m.at, firstEnd: -1, to: s.to}
			}
			g.open++
			continue
		}
		s.to = m.at
		if s.firstEnd < 0 {
			s.firstEnd = m.at
		}
		if g.open--; g.open == 0 && s.to-s.from > wait && s.firstEnd-s.from <= wait {
			notes = append(notes, fmt.Sprintf("%q is open for %s, longer than max_wait (%s): what ends of it before that is decided without what comes later",
				p.trace.Spans[g.root].label(), s.to-s.from, p.plan.MaxWait))
		}
	}
	shared := !p.trace.isCalled() || p.isBound() || p.isAsked()
	for i, g := range all[1:] {
		if before := all[i]; shared && p.trace.Spans[g.root].Start-segments[before].to > memory {
			notes = append(notes, fmt.Sprintf("%q starts over decision_memory.age (%s) after %q has ended: what was said of that is forgotten by then",
				p.trace.Spans[g.root].label(), p.plan.DecisionMemory.Age, p.trace.Spans[before.root].label()))
		}
	}
	return notes
}
