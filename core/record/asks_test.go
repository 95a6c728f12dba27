package record

import (
	"context"
	"fmt"
	"testing"

	"github.com/riffletrace/riffle/core/sampling"
)

// A plugin may name another rule in each answer: what is counted of that is bounded, and
// the rules that came first go on.
func TestRuleCountsAreBounded(t *testing.T) {
	var r ruleCounts
	for i := range 10 * maxRuleCounts {
		if c := r.of(fmt.Sprint(i)); c != nil {
			c.parts[i%ruleParts].answered.Add(1)
		}
	}
	r.of("3").parts[0].answered.Add(1)
	if all := *r.all.Load(); len(all) != maxRuleCounts || all["3"].stats().Answered != 2 {
		t.Errorf("%d rules are counted", len(all))
	}
	var a asks
	a.rules.all.Store(r.all.Load())
	if s := a.stats(); !s.Counts("3") || s.Counts("one more") || !(&Asks{}).Counts("the first") {
		t.Error("it is not told which rules are counted")
	}
}

// A sampler that drops what it says has rules, too.
func TestRulesOfDropsAreCounted(t *testing.T) {
	const rule = "rules[0]: /a"
	e := entry{asks: new(asks), drops: true, share: 1}
	e.said(sampling.At(sampling.Always).WithRule(rule), 0)
	if s := e.asks.stats(); s.Drops != 1 || s.Rules[rule].Answered != 1 {
		t.Errorf("%+v", s)
	}
}

// Counts are those of a name: they go on when other rules come with a sampler of it.
func TestAsksGoOnWhenRulesChange(t *testing.T) {
	r := newRecorder(t, Config{}, onError, selectNone)
	ask := func() {
		_, root := r.tracer.Start(context.Background(), "root")
		root.End()
	}
	ask()
	name := r.live.rules().end[0].name
	before := r.Stats().Asks[name]
	if before.Ends != 1 || before.Questions() != 1 || before.Answers() != 0 {
		t.Fatalf("%+v", before)
	}
	var next Samplers
	next.Add(silent{}, Entry{Name: name})
	next.Add(selectNone, Entry{Name: "none"})
	r.Reconfigure(Config{Samplers: next}, func(context.Context) {})
	ask()
	if now := r.Stats().Asks[name]; now.Ends != 2 {
		t.Errorf("%+v", now)
	}
}

// Counting allocates nothing once a rule is known.
func TestAskedAllocatesNothing(t *testing.T) {
	e := entry{asks: new(asks), stage: endStage}
	a := sampling.At(sampling.Always).WithRule("rules[0]: /a")
	if n := testing.AllocsPerRun(1000, func() {
		e.asked(3, 1)
		e.answered(200, &a, a.Rule())
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A segment that only waits for the answers of segment samplers is not open.
func TestLongestOpenAndWaiting(t *testing.T) {
	release := make(chan struct{})
	r := newRecorder(t, Config{}, blocking{release}, selectNone)
	_, complete := r.tracer.Start(context.Background(), "complete")
	complete.End()
	_, open := r.tracer.Start(context.Background(), "open")
	if s := r.Stats(); s.Waiting != 1 || s.Open != 2 {
		t.Errorf("%d of %d wait, want 1 of 2", s.Waiting, s.Open)
	}
	if all := r.LongestOpen(5); len(all) != 1 || all[0].Name != "open" || all[0].Open != 1 {
		t.Errorf("%+v", all)
	}
	close(release)
	open.End()
}

// blocking is a segment sampler that waits to be released, or for its deadline.
type blocking struct{ release chan struct{} }

func (blocking) Traits() sampling.Traits { return sampling.Traits{} }

func (b blocking) SampleSegments(ctx context.Context, _ []sampling.Segment, _ []sampling.Answer) {
	select {
	case <-b.release:
	case <-ctx.Done():
	}
}
