package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/riffletrace/riffle/bench/internal/load"
	"github.com/riffletrace/riffle/bench/internal/parts"
	"github.com/riffletrace/riffle/bench/internal/stats"
)

// How the service is loaded.
const (
	workersPerCore    = 2  // of CPU time
	throughputWorkers = 32 // of throughput
	latencyWorkers    = 256
	// latencyShare of what the untraced service can answer is the rate of the
	// open loop: enough to be busy, with room for what tracing takes.
	latencyShare = 0.3
	// countShare of that is what a round of CPU time sends.
	countShare = 0.8
	// turns is in how many parts a round of CPU time is sent: between them the other
	// variants have theirs.
	turns = 4
	// profileRounds of CPU time are profiled at once, to have enough samples.
	profileRounds = 4
	// outstanding is from what on a 99th percentile of latency stands out: so many
	// times the median over the variants. It is measured again, at most so often.
	outstanding = 1.5
	mostAgain   = 2
)

// runner is a measurement under way.
type runner struct {
	Target
	result  *Result
	outside *process
	load    *process
	dir     string // of profiles
	scratch string // of what the processes write; it goes with them, however they end

	done, total int // steps
}

// Run measures what tracing costs a service. The program must have called
// [Main] with the same target. When ctx is done, Run returns what there is, with
// Interrupted set. Everything that it starts has ended when it returns.
func Run(ctx context.Context, t Target) (*Result, error) {
	if os.Getenv(roleVariable) != "" {
		return nil, errors.New("bench: this process plays a role in a measurement: call bench.Main first in main or TestMain")
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	r := &runner{Target: t.withDefaults()}
	r.result = newResult(&r.Target)
	began := time.Now()
	err := r.run(ctx)
	r.result.Seconds = time.Since(began).Seconds()
	switch {
	case ctx.Err() == nil:
	case r.result.begun():
		r.result.Interrupted = true
		err = nil
	default:
		err = fmt.Errorf("interrupted before the first round had ended: %w", ctx.Err())
	}
	if err != nil {
		return nil, err
	}
	return r.result, nil
}

func (t *Target) check() error {
	var errs []error
	if t.Handler == nil {
		errs = append(errs, errors.New("bench: Target.Handler is nil: nothing to measure"))
	}
	if len(t.Requests) == 0 {
		errs = append(errs, errors.New("bench: Target.Requests is empty: nothing to send"))
	}
	if t.Variants != nil && !slices.ContainsFunc(t.Variants, func(v Variant) bool { return v.Kind == Off }) {
		errs = append(errs, errors.New(`bench: Target.Variants has no variant "off" to compare with`))
	}
	seen := map[string]bool{}
	for _, v := range t.Variants {
		if seen[v.Name] {
			errs = append(errs, fmt.Errorf("bench: Target.Variants has %q twice", v.Name))
		}
		seen[v.Name] = true
	}
	return errors.Join(errs...)
}

// begun reports whether there is anything to tell.
func (r *Result) begun() bool {
	return slices.ContainsFunc(r.Variants, func(m Measured) bool { return len(m.Rounds) > 0 })
}

func (r *runner) run(ctx context.Context) (err error) {
	if r.outside, err = start(roleOutside, plainEnviron()); err != nil {
		return err
	}
	defer r.outside.kill()
	if r.load, err = start(roleLoad, plainEnviron()); err != nil {
		return err
	}
	defer r.load.kill()
	if r.scratch, err = os.MkdirTemp("", "riffle-bench"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.scratch)) }()
	if r.dir = r.ProfileDir; r.dir == "" {
		r.dir = r.scratch
	} else if err = os.MkdirAll(r.dir, 0o750); err != nil {
		return err
	}
	if err := r.calibrate(ctx); err != nil {
		return err
	}
	side := r.side()
	r.total = (r.Rounds + 1) * len(r.Variants)
	if r.Scaling {
		r.total += len(scaleSchedule())
	}
	for n := range r.Rounds {
		// What is measured beside CPU time is spread over the run.
		if err := r.cycle(ctx, n, (n+1)*side/r.Rounds > n*side/r.Rounds); err != nil {
			return err
		}
	}
	if err := r.again(ctx); err != nil {
		return err
	}
	for _, v := range r.order() {
		r.step()
		if err := r.profile(ctx, v); err != nil {
			return r.about(v, err)
		}
	}
	if r.Scaling {
		return r.scale(ctx)
	}
	return nil
}

// step tells that the next step begins.
func (r *runner) step() {
	r.Progress(r.done, r.total)
	r.done++
}

// order is one in which the variants have their turn.
func (r *runner) order() []int { return rand.Perm(len(r.Variants)) }

// about tells which variant an error is about.
func (r *runner) about(variant int, err error) error {
	return fmt.Errorf("variant %q: %w", r.Variants[variant].Name, err)
}

// calibrate finds out what the untraced service can answer.
func (r *runner) calibrate(ctx context.Context) error {
	off := slices.IndexFunc(r.Variants, func(v Variant) bool { return v.Kind == Off })
	s, err := r.open(ctx, off, "")
	if err != nil {
		return r.about(off, err)
	}
	defer s.service.kill()
	c := &r.result.Settings
	o, err := s.loaded(ctx, load.Order{Workers: c.Workers, Duration: r.Duration})
	if err != nil {
		return r.about(off, err)
	}
	c.Capacity = float64(o.Requests) / o.Elapsed.Seconds()
	c.LatencyRate = latencyShare * c.Capacity
	c.RequestsOfRound = turns * max(20, int(countShare*c.Capacity*r.Duration.Seconds()/turns))
	return nil
}

// measured is what one session of a cycle has measured.
type measured struct {
	*session
	before     *usage
	requests   int
	round      Round
	latency    *load.Outcome
	throughput float64
}

// alone does something while the process is not paused.
func (m *measured) alone(do func(*measured) error) error {
	if err := m.service.resume(); err != nil {
		return err
	}
	if err := do(m); err != nil {
		return err
	}
	return m.service.pause()
}

// cycle measures every variant once: each has a fresh process, all of them are there
// at once, and they are asked in short turns, so that what the machine does meanwhile does
// it to all. Who waits for a turn is paused. One that is interrupted counts nowhere.
func (r *runner) cycle(ctx context.Context, n int, side bool) (err error) {
	all := make([]measured, len(r.Variants))
	defer func() {
		for i := range all {
			if all[i].session != nil {
				all[i].service.kill() // if it is still there
			}
		}
	}()
	each := func(do func(*measured) error) error {
		for _, v := range r.order() {
			if err := all[v].alone(do); err != nil {
				return r.about(v, err)
			}
		}
		return nil
	}
	for _, v := range r.order() {
		r.step()
		if all[v].session, err = r.open(ctx, v, ""); err != nil {
			return r.about(v, err)
		}
		if err := all[v].service.pause(); err != nil {
			return r.about(v, err)
		}
	}
	steps := []func(*measured) error{func(m *measured) (err error) {
		m.before, err = m.marked(ctx)
		return err
	}}
	for range turns {
		steps = append(steps, func(m *measured) error {
			answered, err := m.turn(ctx, r.result.Settings.RequestsOfRound/turns)
			m.requests += answered
			return err
		})
	}
	steps = append(steps, func(m *measured) error {
		after, err := m.marked(ctx)
		if err == nil {
			m.round = after.since(m.before, m.requests)
			m.round.Cycle = n
		}
		return err
	})
	if side {
		steps = append(steps, func(m *measured) (err error) {
			m.latency, err = m.session.latency(ctx)
			return err
		}, func(m *measured) (err error) {
			m.throughput, err = m.session.throughput(ctx)
			return err
		})
	}
	for _, step := range steps {
		if err := each(step); err != nil {
			return err
		}
	}
	counts := make([]*Counts, len(all))
	for v := range all {
		if err := all[v].service.resume(); err != nil {
			return r.about(v, err)
		}
		if counts[v], err = all[v].close(ctx); err != nil {
			return r.about(v, err)
		}
	}
	for v := range all {
		to := &r.result.Variants[v]
		to.Rounds = append(to.Rounds, all[v].round)
		to.Counts.add(*counts[v])
		if side {
			to.Latency = append(to.Latency, all[v].latency.Latency)
			to.Throughput = append(to.Throughput, all[v].throughput)
		}
	}
	return nil
}

// again measures the latency of variants again whose 99th percentile stands out: what
// disturbed it may have had nothing to do with them. All rounds count.
func (r *runner) again(ctx context.Context) error {
	for range mostAgain {
		for _, v := range r.result.outstanding() {
			for range r.side() {
				r.total++
				r.step()
				if err := r.latencyAgain(ctx, v); err != nil {
					return r.about(v, err)
				}
			}
		}
	}
	return nil
}

// outstanding are the variants whose latency has a 99th percentile that stands out.
func (r *Result) outstanding() (which []int) {
	tails := make([]float64, len(r.Variants))
	for i := range r.Variants {
		tails[i] = r.Variants[i].LatencyAt(0.99).Value
	}
	for i, tail := range tails {
		if tail > outstanding*stats.Median(tails) {
			which = append(which, i)
		}
	}
	return which
}

func (r *runner) latencyAgain(ctx context.Context, variant int) error {
	s, err := r.open(ctx, variant, "")
	if err != nil {
		return err
	}
	defer s.service.kill()
	o, err := s.latency(ctx)
	if err != nil {
		return err
	}
	counts, err := s.close(ctx)
	if err != nil {
		return err
	}
	m := &r.result.Variants[variant]
	m.Latency = append(m.Latency, o.Latency)
	m.Counts.add(*counts)
	m.Again++
	return nil
}

// profile tells the parts of what a variant takes.
func (r *runner) profile(ctx context.Context, variant int) error {
	m := &r.result.Variants[variant]
	name := filepath.Join(r.dir, fileName(m.Name))
	s, err := r.open(ctx, variant, name)
	if err != nil {
		return err
	}
	defer s.service.kill()
	if _, err := s.marked(ctx); err != nil { // which starts the profile
		return err
	}
	requests, err := s.turn(ctx, profileRounds*r.result.Settings.RequestsOfRound)
	if err != nil {
		return err
	}
	if _, err := s.marked(ctx); err != nil {
		return err
	}
	counts, err := s.close(ctx)
	if err != nil {
		return err
	}
	f, err := os.Open(name + ".cpu.pprof")
	if err != nil {
		return err
	}
	defer f.Close()
	split := make(map[string]int64)
	if err := parts.Split(f, split); err != nil {
		return err
	}
	m.Parts, m.Profiled = split, requests
	m.Counts.add(*counts)
	return nil
}

// fileName makes a name of letters, digits and dashes.
func fileName(variant string) string {
	words := strings.FieldsFunc(variant, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.'
	})
	return strings.Join(words, "-")
}
