package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/riffletrace/riffle/bench/internal/load"
	"github.com/riffletrace/riffle/bench/internal/outside"
	"github.com/riffletrace/riffle/bench/internal/parts"
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
	// profileRounds of CPU time are profiled at once, to have enough samples.
	profileRounds = 4
)

// roundKind says what a round measures.
type roundKind int

const (
	ofCPU roundKind = iota
	ofLatency
	ofThroughput
	ofProfile
)

// scheduled is one round.
type scheduled struct {
	kind    roundKind
	cycle   int
	variant int
}

// schedule is the rounds in order: in each cycle every variant, in fresh order.
func (t *Target) schedule() (all []scheduled) {
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	side := t.side()
	cycle := func(kind roundKind, n int) {
		for _, v := range random.Perm(len(t.Variants)) {
			all = append(all, scheduled{kind, n, v})
		}
	}
	for n := range t.Rounds {
		cycle(ofCPU, n)
		// The others are spread over the run.
		if (n+1)*side/t.Rounds > n*side/t.Rounds {
			cycle(ofLatency, n)
			cycle(ofThroughput, n)
		}
	}
	cycle(ofProfile, 0)
	return all
}

// runner is a measurement under way.
type runner struct {
	Target
	result  *Result
	outside *process
	load    *process
	at      outside.Addresses
	dir     string // of profiles
	scratch string // of what the processes write; it goes with them, however they end
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
	there, err := r.outside.ask(ctx, request{}, 0)
	if err != nil {
		return err
	}
	r.at = *there.Outside
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
	rounds := r.schedule()
	total := len(rounds)
	if r.Scaling {
		total += len(scaleSchedule())
	}
	for i, p := range rounds {
		r.Progress(i, total)
		if err := r.round(ctx, p); err != nil {
			return fmt.Errorf("variant %q: %w", r.Variants[p.variant].Name, err)
		}
	}
	if r.Scaling {
		return r.scale(ctx, func(done int) { r.Progress(len(rounds)+done, total) })
	}
	return nil
}

// calibrate finds out what the untraced service can answer.
func (r *runner) calibrate(ctx context.Context) error {
	i := slices.IndexFunc(r.Variants, func(v Variant) bool { return v.Kind == Off })
	return r.with(ctx, i, "", func(s *session) error {
		o, err := s.loaded(ctx, load.Order{Workers: runtime.NumCPU() * workersPerCore, Duration: r.Duration})
		if err != nil {
			return err
		}
		c := &r.result.Settings
		c.Capacity = float64(o.Requests) / o.Elapsed.Seconds()
		c.LatencyRate = latencyShare * c.Capacity
		c.RequestsOfRound = max(100, int(countShare*c.Capacity*r.Duration.Seconds()))
		return nil
	})
}

// session is a service process that is up and warm.
type session struct {
	*runner
	service *process
	url     string
}

// with runs one service process. What it says at the end is added to the
// variant's counts; one that is interrupted is killed, and counts nowhere.
func (r *runner) with(ctx context.Context, variant int, profile string, measure func(*session) error) error {
	environ := plainEnviron()
	if r.Variants[variant].Own {
		environ = os.Environ()
	}
	service, err := start(roleService, append(environ, r.Env...))
	if err != nil {
		return err
	}
	defer service.kill()
	before, err := r.outside.ask(ctx, request{}, 0)
	if err != nil {
		return err
	}
	up, err := service.ask(ctx, request{Start: &serviceStart{
		Target: r.Name, Variant: r.Variants[variant], Outside: r.at, Spans: r.SpansPerRequest, Profile: profile, Scratch: r.scratch,
	}}, 0)
	if err != nil {
		return err
	}
	s := &session{runner: r, service: service, url: up.URL}
	if _, err := s.loaded(ctx, load.Order{Workers: throughputWorkers, Duration: r.warmup(), Requests: r.QuietRequests}); err != nil {
		return err
	}
	if err := measure(s); err != nil {
		return err
	}
	last, err := service.end(ctx)
	if err != nil {
		return err
	}
	after, err := r.outside.ask(ctx, request{}, 0)
	if err != nil {
		return err
	}
	last.Final.Received = after.Arrived.Spans - before.Arrived.Spans
	r.result.Variants[variant].Counts.add(*last.Final)
	return nil
}

// loaded sends requests to the service.
func (s *session) loaded(ctx context.Context, o load.Order) (*load.Outcome, error) {
	o.URL = s.url
	if o.Requests == nil {
		o.Requests = s.Requests
	}
	answer, err := s.load.ask(ctx, request{Load: &o}, o.Duration)
	if err != nil {
		return nil, err
	}
	if answer.Outcome.Requests == 0 {
		return nil, errors.New("the load process: no request was answered")
	}
	return answer.Outcome, nil
}

func (s *session) marked(ctx context.Context) (*usage, error) {
	answer, err := s.service.ask(ctx, request{Mark: true}, flushTimeout)
	return answer.Usage, err
}

func (r *runner) round(ctx context.Context, p scheduled) error {
	m := &r.result.Variants[p.variant]
	switch p.kind {
	case ofLatency:
		return r.with(ctx, p.variant, "", func(s *session) error {
			o, err := s.loaded(ctx, load.Order{
				Workers: latencyWorkers, Rate: r.result.Settings.LatencyRate, Duration: 2 * r.Duration, Requests: r.QuietRequests,
			})
			if err == nil {
				m.Latency.Merge(o.Latency)
			}
			return err
		})
	case ofThroughput:
		return r.with(ctx, p.variant, "", func(s *session) error {
			o, err := s.loaded(ctx, load.Order{Workers: throughputWorkers, Duration: r.Duration, Requests: r.QuietRequests})
			if err == nil {
				m.Throughput = append(m.Throughput, float64(o.Requests)/o.Elapsed.Seconds())
			}
			return err
		})
	case ofProfile:
		return r.profile(ctx, p.variant)
	default:
		return r.with(ctx, p.variant, "", func(s *session) error {
			round, err := s.counted(ctx, 1)
			if err == nil {
				round.Cycle = p.cycle
				m.Rounds = append(m.Rounds, round)
			}
			return err
		})
	}
}

// counted sends the requests of so many rounds and tells what the service used.
func (s *session) counted(ctx context.Context, rounds int) (Round, error) {
	before, err := s.marked(ctx)
	if err != nil {
		return Round{}, err
	}
	o, err := s.loaded(ctx, load.Order{Workers: runtime.NumCPU() * workersPerCore, Count: rounds * s.result.Settings.RequestsOfRound})
	if err != nil {
		return Round{}, err
	}
	after, err := s.marked(ctx)
	if err != nil {
		return Round{}, err
	}
	return Round{
		Requests:   o.Requests,
		CPU:        after.CPU - before.CPU,
		AllocBytes: after.AllocBytes - before.AllocBytes,
		Allocs:     after.Allocs - before.Allocs,
		HeapHigh:   after.HeapHigh,
	}, nil
}

// profile tells the parts of what a variant takes.
func (r *runner) profile(ctx context.Context, variant int) error {
	m := &r.result.Variants[variant]
	name := filepath.Join(r.dir, fileName(m.Name))
	if err := r.with(ctx, variant, name, func(s *session) error {
		round, err := s.counted(ctx, profileRounds)
		m.Profiled = round.Requests
		return err
	}); err != nil {
		return err
	}
	f, err := os.Open(name + ".cpu.pprof")
	if err != nil {
		return err
	}
	defer f.Close()
	m.Parts = make(map[string]int64)
	return parts.Split(f, m.Parts)
}

// fileName makes a name of letters, digits and dashes.
func fileName(variant string) string {
	words := strings.FieldsFunc(variant, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.'
	})
	return strings.Join(words, "-")
}
