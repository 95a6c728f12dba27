package bench

import (
	"context"
	"errors"
	"os"
	"runtime"
	"time"

	"github.com/riffletrace/riffle/bench/internal/load"
	"github.com/riffletrace/riffle/bench/internal/outside"
)

// session is a service process that is up and warm.
type session struct {
	*runner
	variant int
	service *process
	url     string
	before  outside.Counts // of its backend
	next    int            // of Requests
}

// open starts a service process and warms it up. Who gets it ends it, with close or
// kill.
func (r *runner) open(ctx context.Context, variant int, profile string) (_ *session, err error) {
	environ := plainEnviron()
	if r.Variants[variant].Own {
		environ = os.Environ()
	}
	s := &session{runner: r, variant: variant}
	if s.service, err = start(roleService, append(environ, r.Env...)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.service.kill()
		}
	}()
	at, before, err := r.backend(ctx, variant)
	if err != nil {
		return nil, err
	}
	s.before = *before
	up, err := s.service.ask(ctx, request{Start: &serviceStart{
		Target: r.Name, Variant: r.Variants[variant], Outside: *at, Spans: r.SpansPerRequest, Profile: profile, Scratch: r.scratch,
	}}, 0)
	if err != nil {
		return nil, err
	}
	s.url = up.URL
	return s, s.warm(ctx)
}

// backend asks for the addresses of a backend, and what it has counted.
func (r *runner) backend(ctx context.Context, number int) (*outside.Addresses, *outside.Counts, error) {
	answer, err := r.outside.ask(ctx, request{Backend: &number}, 0)
	return answer.Outside, answer.Arrived, err
}

// How a process is warmed up: in steps, until its memory is steady, which it is if it has not
// grown by more than a fiftieth in two steps in which garbage was collected.
const (
	warmSteps   = 12
	warmGrowth  = 1.02
	steadySteps = 2
)

// warm loads a service until its memory is steady: what grows costs page faults, which
// are the machine's price for a process that is new, and not that of tracing.
func (s *session) warm(ctx context.Context) error {
	began := time.Now()
	var mapped, collected uint64
	steady := 0
	for range warmSteps {
		if _, err := s.loaded(ctx, load.Order{Workers: s.result.Settings.Workers, Duration: s.Duration / 3, Requests: s.QuietRequests}); err != nil {
			return err
		}
		u, err := s.marked(ctx)
		if err != nil {
			return err
		}
		if float64(u.Mapped) > warmGrowth*float64(mapped) {
			mapped, steady = u.Mapped, 0
		} else if u.GCs > collected {
			steady++
		}
		if collected = u.GCs; steady == steadySteps {
			break
		}
	}
	settings := &s.result.Settings
	settings.Processes++
	settings.Warmup += time.Since(began)
	if steady < steadySteps {
		settings.Unsteady++
	}
	return nil
}

// loaded sends requests to the service.
func (s *session) loaded(ctx context.Context, o load.Order) (*load.Outcome, error) {
	o.URL, o.Traced = s.url, s.Variants[s.variant].Traced
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

// marked waits until everything is sent and tells what the service has used.
func (s *session) marked(ctx context.Context) (*usage, error) {
	answer, err := s.service.ask(ctx, request{Mark: true}, flushTimeout)
	return answer.Usage, err
}

// turn sends so many requests while the heap is watched, and returns how many were
// answered.
func (s *session) turn(ctx context.Context, n int) (int, error) {
	if err := s.watch(ctx, true); err != nil {
		return 0, err
	}
	o, err := s.loaded(ctx, load.Order{Workers: s.result.Settings.Workers, First: s.next, Count: n})
	if err != nil {
		return 0, err
	}
	s.next += o.Requests
	return o.Requests, s.watch(ctx, false)
}

func (s *session) watch(ctx context.Context, on bool) error {
	_, err := s.service.ask(ctx, request{Watch: &on}, 0)
	return err
}

// latency times requests of an open loop, when the connections for it are open.
func (s *session) latency(ctx context.Context) (*load.Outcome, error) {
	order := load.Order{Workers: latencyWorkers, Rate: s.result.Settings.LatencyRate, Duration: s.Duration / 2, Requests: s.QuietRequests}
	if _, err := s.loaded(ctx, order); err != nil {
		return nil, err
	}
	order.Duration = s.Duration
	return s.loaded(ctx, order)
}

// throughput is how many requests a second a closed loop of many connections has.
func (s *session) throughput(ctx context.Context) (float64, error) {
	order := load.Order{Workers: throughputWorkers, Duration: s.Duration / 4, Requests: s.QuietRequests}
	if _, err := s.loaded(ctx, order); err != nil { // opens the connections
		return 0, err
	}
	order.Duration = s.Duration / 2
	o, err := s.loaded(ctx, order)
	if err != nil {
		return 0, err
	}
	return float64(o.Requests) / o.Elapsed.Seconds(), nil
}

// close ends the process and returns what became of its spans.
func (s *session) close(ctx context.Context) (*Counts, error) {
	last, err := s.service.end(ctx)
	if err != nil {
		return nil, err
	}
	_, after, err := s.backend(ctx, s.variant)
	if err != nil {
		return nil, err
	}
	last.Final.Received = after.Spans - s.before.Spans
	return last.Final, nil
}

// since is what was used between two marks.
func (u *usage) since(before *usage, requests int) Round {
	return Round{
		Requests:   requests,
		User:       u.User - before.User,
		System:     u.System - before.System,
		Faults:     u.Faults - before.Faults,
		AllocBytes: u.AllocBytes - before.AllocBytes,
		Allocs:     u.Allocs - before.Allocs,
		HeapHigh:   u.HeapHigh,
		WaitsHigh:  u.WaitsHigh,
	}
}

// settings that do not depend on what is measured.
func (t *Target) settings() Settings {
	return Settings{
		Rounds: t.Rounds, SideRounds: t.side(), Duration: t.Duration, Turns: turns,
		Workers: runtime.NumCPU() * workersPerCore, SpansPerRequest: t.SpansPerRequest,
	}
}
