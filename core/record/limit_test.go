package record

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffletrace/riffle/core/sampling"
)

// Clients who choose their randomness pass every limit with a weight that means
// nothing. What is kept of them is bounded, and nothing above the cap is weighted.
func TestLimitOfChosenRandomness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond, attackers, seconds = 5.0, 1454, 30
		c := Config{Limits: unlimited}
		c.Samplers.Add(onError, Entry{Name: "error", Limit: perSecond})
		r := newRecorder(t, c, selectNone)
		chosen := withParent(remoteParent(t, 0, "ot=rv:ffffffffffffff"))
		known := func() (weight float64, spans int) {
			for _, s := range r.spans() {
				if th := thresholdIn(s); th != sampling.Unknown {
					weight += th.AdjustedCount()
					spans++
				}
			}
			return weight, spans
		}
		for second := range seconds {
			for range attackers {
				fail(r.start(chosen, "attack")).End()
				time.Sleep(time.Second / attackers)
			}
			if weight, n := known(); n > 2*perSecond*10+1+freelyHeard {
				t.Fatalf("after %d s %d spans are weighted, and stand for %.0f", second, n, weight)
			}
		}
		if n := len(r.spans()); n > 2*perSecond*(seconds+10)+1+freelyHeard {
			t.Errorf("%d segments are kept in %d s, want at most twice %v a second", n, seconds, perSecond)
		}
		if n := r.Stats().Cut["error"]; n != attackers*seconds-uint64(len(r.spans())) {
			t.Errorf("%d are said to be cut, and %d of %d were kept", n, len(r.spans()), attackers*seconds)
		}
		time.Sleep(20 * time.Second)
		before := len(r.spans())
		fail(r.start(context.Background(), "later")).End()
		if th := thresholdIn(r.span(t, "later")); th != sampling.Always || len(r.spans()) != before+1 {
			t.Errorf("a later error has threshold %v", th)
		}
	})
}

// A logger may use the tracer, and may block: nothing is logged where spans start or end.
func TestLoggerOfALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := withParent(remoteParent(t, 0, "ot=rv:ffffffffffffff"))
		c := Config{Limits: unlimited}
		var r *recorder
		logged := 0
		c.Samplers.Add(onError, Entry{Name: "error", Limit: 1, Logger: slog.New(handlerFunc{slog.DiscardHandler, func() {
			logged++
			r.start(parent, "of the logger").End()
		}})})
		r = newRecorder(t, c, selectNone)
		fail(r.start(parent, "attack")).End()
		for range 1000 { // which hear of the first
			r.start(parent, "attack").End()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if logged != 1 {
			t.Errorf("the logger was called %d times, want once", logged)
		}
	})
}

type handlerFunc struct {
	slog.Handler
	called func()
}

func (handlerFunc) Enabled(context.Context, slog.Level) bool { return true }

func (h handlerFunc) Handle(context.Context, slog.Record) error {
	h.called()
	return nil
}

// What a limit keeps of one sampler's answers is kept with all that hears of it: traces
// of many segments make no cap act, and no number of requests of one trace that hear of
// an answer takes answers from other traces.
func TestLimitOfTracesWithManySegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond, traces, segments, failing, seconds = 1.0, 20, 8, 3, 300
		c := Config{Limits: unlimited}
		c.Samplers.Add(onError, Entry{Name: "error", Limit: perSecond})
		next := uint64(0)
		r := newRecorder(t, c, selectNone)
		for range traces * seconds {
			next++
			state := fmt.Sprintf("ot=rv:%014x", (next*7919%(traces*seconds)*2+1)*(1<<56/(2*traces*seconds)))
			parent := withParent(remoteParent(t, 0, state))
			for i := range segments {
				s := r.start(parent, "root")
				if i < failing {
					fail(s)
				}
				s.End()
			}
			time.Sleep(time.Second / traces)
		}
		var weight float64
		for _, s := range r.spans() {
			weight += thresholdIn(s).AdjustedCount()
		}
		if n := r.Stats().Cut["error"]; n > 0 {
			t.Errorf("%d are cut", n)
		}
		if want := float64(traces * seconds * segments); weight < want*0.8 || weight > want*1.2 {
			t.Errorf("what was kept stands for %.0f, want %.0f", weight, want)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		const honest, perHonest = 100, 50
		c := Config{Limits: unlimited}
		c.Samplers.Add(onError, Entry{Name: "error", Limit: 5})
		r := newRecorder(t, c, selectNone)
		chosen := withParent(remoteParent(t, 0, "ot=rv:ffffffffffffff"))
		fail(r.start(chosen, "attack")).End()
		for range honest {
			fail(r.start(context.Background(), "honest")).End()
			for range perHonest {
				r.start(chosen, "attack").End()
			}
			time.Sleep(500 * time.Millisecond)
		}
		kept := 0
		for _, s := range r.spans() {
			if s.Name() == "honest" && thresholdIn(s) == sampling.Always {
				kept++
			}
		}
		if kept != honest || r.Stats().Cut["error"] == 0 {
			t.Errorf("of %d failing requests below the limit %d were kept; %d of the others were cut", honest, kept, r.Stats().Cut["error"])
		}
	})
}
