package jaegerremote

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/untrustedtest"
)

// scripted is a source that says one thing after another, and the last one again and
// again.
type scripted struct {
	mu     sync.Mutex
	say    []any // *strategy, *failure, or a channel that is waited for
	at     []time.Time
	closed bool
}

func (s *scripted) fetch(ctx context.Context) (*strategy, *failure) {
	s.mu.Lock()
	s.at = append(s.at, time.Now())
	says := s.say[min(len(s.at), len(s.say))-1]
	s.mu.Unlock()
	switch says := says.(type) {
	case *strategy:
		return says, nil
	case *failure:
		return nil, says
	default:
		<-ctx.Done()
		return nil, &failure{"timeout", ctx.Err()}
	}
}

func (s *scripted) close() { s.closed = true }

func (s *scripted) waits() (all []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 1; i < len(s.at); i++ {
		all = append(all, s.at[i].Sub(s.at[i-1]))
	}
	return all
}

// polling makes a sampler that asks a script, in a bubble.
func polling(t *testing.T, say ...any) (*sampler, *scripted, *untrustedtest.Log) {
	t.Helper()
	source, log := &scripted{say: say}, &untrustedtest.Log{}
	return newSampler("a script", defaults, &poller{source: source, interval: time.Minute, timeout: 10 * time.Second, logger: log.Logger()}), source, log
}

func probability(t *testing.T, s *sampler) float64 {
	t.Helper()
	th, ok := s.SampleStart(sampling.StartParameters{Name: "x"}).Threshold()
	if !ok {
		t.Fatal("it abstains")
	}
	return float64(int(th.Probability()*1e4+0.5)) / 1e4
}

func shutdown(t *testing.T, s *sampler) {
	t.Helper()
	for range 2 {
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if a := s.SampleStart(sampling.StartParameters{}); !a.IsAbstain() {
		t.Errorf("after Shutdown it answers %v", a)
	}
}

// It asks when a first span starts, then at each interval, and follows what it hears.
func TestPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, source, log := polling(t, &strategy{probability: 0.5}, &strategy{probability: 0.5}, &strategy{probability: 0.25})
		time.Sleep(time.Hour)
		if len(source.at) != 0 {
			t.Error("it asks before a span has started")
		}
		if p := probability(t, s); p != defaults.Initial {
			t.Errorf("the first trace is kept with %v", p)
		}
		synctest.Wait()
		if p := probability(t, s); p != 0.5 {
			t.Errorf("after the first answer, %v", p)
		}
		rules := s.rules.Load()
		time.Sleep(70 * time.Second)
		if s.rules.Load() != rules {
			t.Error("the same answer makes other rules")
		}
		time.Sleep(70 * time.Second)
		if p := probability(t, s); p != 0.25 {
			t.Errorf("after another answer, %v", p)
		}
		time.Sleep(time.Hour)
		shutdown(t, s)
		waits := source.waits()
		if least, most := slices.Min(waits), slices.Max(waits); least < 54*time.Second || most > 66*time.Second || most-least < 2*time.Second {
			t.Errorf("it waits from %v to %v", least, most)
		}
		if len(log.Lines()) > 0 || !source.closed {
			t.Error(log.Lines(), source.closed)
		}
	})
}

// While there is no answer, the last one stays, each cause is logged once, and the
// server is asked less and less often, up to the interval.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused, broken := &failure{"refused", errors.New("connection refused, port 1")}, &failure{"broken", errors.New("broken")}
		again := &failure{"refused", errors.New("connection refused, port 2")}
		s, source, log := polling(t, &strategy{probability: 0.5}, refused, again, again, broken, broken, refused, again, again, &strategy{probability: 0.25}, &strategy{left: 3}, &strategy{left: 4}, &strategy{})
		probability(t, s)
		time.Sleep(200 * time.Second)
		if p := probability(t, s); p != 0.5 {
			t.Errorf("without an answer, %v", p)
		}
		time.Sleep(20 * time.Minute)
		shutdown(t, s)
		want := []string{
			"no sampling strategy; the last one stays error=connection refused, port 1",
			"no sampling strategy; the last one stays error=broken",
			"no sampling strategy; the last one stays error=connection refused, port 1",
			"there is a sampling strategy again failures=8",
			"operations are sampled as those that are not listed: they are too many, or have too long a name operations=3 most=2000 longest=1024",
		}
		if got := log.Lines(); !slices.EqualFunc(got, want, strings.HasPrefix) {
			t.Errorf("%d lines:\n%s", len(got), strings.Join(got, "\n"))
		}
		for i, want := range []time.Duration{60, 1, 2, 4, 8, 16, 32, 60, 60, 60} {
			if got := source.waits()[i].Seconds(); got < 0.89*float64(want) || got > 1.11*float64(want) {
				t.Errorf("the wait %d is of %v s, want %d", i, got, want)
			}
		}
	})
}

// Shutdown ends a question that is under way, and a tool's; one that was never asked
// ends too.
func TestShutdownMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, log := polling(t, "silence")
		probability(t, s)
		prepared := make(chan error)
		go func() { prepared <- s.Prepare(t.Context(), sampling.StartParameters{}) }()
		synctest.Wait()
		began := time.Now()
		shutdown(t, s)
		if err := <-prepared; err == nil || time.Since(began) > 0 {
			t.Errorf("Prepare returned %v after %v", err, time.Since(began))
		}
		if err := s.Prepare(t.Context(), sampling.StartParameters{}); err == nil {
			t.Error("Prepare has an answer after Shutdown")
		}
		if len(log.Lines()) > 0 {
			t.Error(log.Lines())
		}
		unasked, source, _ := polling(t, "silence")
		shutdown(t, unasked)
		if len(source.at) > 0 {
			t.Error("it was asked after Shutdown")
		}
	})
}

// A tool asks at once, and without further questions.
func TestPrepare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, source, _ := polling(t, &strategy{probability: 0.5}, &failure{"x", errors.New("x")})
		if err := s.Prepare(t.Context(), sampling.StartParameters{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if len(source.at) != 1 {
			t.Errorf("%d questions", len(source.at))
		}
		if p := probability(t, s); p != 0.5 {
			t.Errorf("it answers %v", p)
		}
		if err := s.Prepare(t.Context(), sampling.StartParameters{}); err == nil || err.Error() != "x" {
			t.Error(err)
		}
		shutdown(t, s)
	})
}

// Spans start meanwhile on many goroutines.
func TestConcurrently(t *testing.T) {
	s, _, _ := polling(t, &strategy{probability: 0.5, atLeast: 1}, &strategy{limited: true, perSecond: 5})
	s.poller.interval = time.Millisecond
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				s.SampleStart(sampling.StartParameters{Name: "x"})
			}
		})
	}
	all.Go(func() { _ = s.Prepare(t.Context(), sampling.StartParameters{}) })
	all.Wait()
	shutdown(t, s)
}
