package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/riffletrace/riffle/plugins/internal/schema"
	"github.com/riffletrace/riffle/plugins/internal/wire"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// State is what a plugin does at the moment.
type State string

// The states.
const (
	Running    State = "running"
	Restarting State = "restarting"
	// Broken plugins ended again and again and are left alone for a while.
	Broken  State = "broken"
	Stopped State = "stopped"
)

// limits bound what a plugin may take.
type limits struct {
	start   time.Duration // to start, describe itself and configure an instance
	stop    time.Duration // to end
	health  time.Duration // between two checks, and for an answer to one
	strikes int           // checks that fail in a row
	// The pause before a restart grows from the first to the last, and starts
	// anew after a while without an end.
	firstPause, lastPause time.Duration
	calm                  time.Duration
	// As many ends within calm open the breaker for a while.
	ends   int
	breaks time.Duration
}

var defaultLimits = limits{
	start:      10 * time.Second,
	stop:       3 * time.Second,
	health:     5 * time.Second,
	strikes:    2,
	firstPause: 100 * time.Millisecond,
	lastPause:  30 * time.Second,
	calm:       time.Minute,
	ends:       8,
	breaks:     5 * time.Minute,
}

// counts are those of a plugin since it was opened.
type counts struct {
	restarts atomic.Uint64
	calls    atomic.Uint64
	failures atomic.Uint64
	nanos    atomic.Uint64 // that the calls took
	strays   atomic.Uint64 // answers about what was not asked
}

// supervise keeps the plugin running until its life ends.
func (p *Plugin) supervise(l *link) {
	pause, ends, since := p.limits.firstPause, 0, time.Now()
	for {
		why := p.watch(l)
		if p.life.Err() != nil {
			return // Close ends the process
		}
		p.set(Restarting, nil)
		p.release(l)
		if time.Since(since) > p.limits.calm {
			pause, ends, since = p.limits.firstPause, 0, time.Now()
		}
		for {
			wait := pause + time.Duration(rand.Int64N(int64(pause/2+1)))
			pause = min(2*pause, p.limits.lastPause)
			if ends++; ends >= p.limits.ends && time.Since(since) <= p.limits.calm {
				p.set(Broken, nil)
				wait = p.limits.breaks
				p.logger.Error("plugin ends again and again: it is left alone for a while", "ends", ends, "for", wait, "cause", why)
				pause, ends, since = p.limits.firstPause, 0, time.Now().Add(wait)
			} else {
				p.logger.Warn("plugin is down and will be restarted", "in", wait, "cause", why)
			}
			if !p.sleep(wait) {
				return
			}
			next, err := p.restart()
			if err == nil {
				l = next
				break
			}
			if p.life.Err() != nil {
				return
			}
			why = err.Error()
		}
		p.counts.restarts.Add(1)
		p.logger.Info("plugin is running again", "pid", l.pid, "restarts", p.counts.restarts.Load())
	}
}

func (p *Plugin) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.life.Done():
		return false
	}
}

// watch returns why a process does not serve any more.
func (p *Plugin) watch(l *link) (why string) {
	checks := time.NewTicker(p.limits.health)
	defer checks.Stop()
	failed := 0
	for {
		select {
		case <-p.life.Done():
			return ""
		case <-l.gone:
			return "the process ended: " + l.why()
		case <-checks.C:
		}
		err := p.healthy(l)
		if err == nil {
			failed = 0
			continue
		}
		if failed++; failed >= p.limits.strikes {
			return fmt.Sprintf("it does not answer health checks: %v", err)
		}
	}
}

func (p *Plugin) healthy(l *link) error {
	ctx, cancel := context.WithTimeout(p.life, p.limits.health)
	defer cancel()
	r, err := grpc_health_v1.NewHealthClient(l.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: wire.HealthService})
	switch {
	case err != nil:
		return err
	case r.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING:
		return errors.New("its status is " + r.GetStatus().String())
	}
	return nil
}

// release ends what is left of a process.
func (*Plugin) release(l *link) {
	l.kill()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = l.stop(ctx) // it was told that it does not serve
}

// connect starts the process and learns what it has.
func (p *Plugin) connect(ctx context.Context) (*link, error) {
	l, err := p.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("starting plugin %q: %w", p.name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, p.limits.start)
	defer cancel()
	about, err := pluginpb.NewComponentsClient(l.conn).Describe(ctx, &pluginpb.DescribeRequest{})
	if err == nil {
		err = checkDescription(about)
	}
	if err != nil {
		p.release(l)
		return nil, fmt.Errorf("asking plugin %q what it has: %w", p.name, wire.Plain(err))
	}
	if p.about == nil {
		p.about = about
	}
	return l, nil
}

// checkDescription refuses what no plugin says of itself.
func checkDescription(d *pluginpb.DescribeResponse) error {
	const most = 100
	if n := len(d.GetComponents()); n == 0 || n > most {
		return fmt.Errorf("it has %d components", n)
	}
	seen := map[string]bool{}
	for _, c := range d.GetComponents() {
		what := fmt.Sprintf("%s %q", wire.KindName(c.GetKind()), c.GetName())
		switch c.GetKind() {
		case pluginpb.Kind_KIND_EXPORTER, pluginpb.Kind_KIND_SAMPLER:
		default:
			return fmt.Errorf("its component %q is neither exporter nor sampler", c.GetName())
		}
		if c.GetName() == "" || seen[what] {
			return fmt.Errorf("%s has no name or is there twice", what)
		}
		seen[what] = true
		if text := c.GetConfigSchema(); text != "" {
			if err := schema.Check([]byte(text)); err != nil {
				return fmt.Errorf("the schema of the configuration of %s is not a JSON Schema: %w", what, err)
			}
		}
	}
	return nil
}

// restart starts the process again and makes the instances anew.
func (p *Plugin) restart() (*link, error) {
	l, err := p.connect(p.life)
	if err != nil {
		return nil, err
	}
	p.configuring.Lock()
	defer p.configuring.Unlock()
	p.mu.Lock()
	instances := slices.Collect(maps.Keys(p.instances))
	p.mu.Unlock()
	for _, in := range instances {
		id, err := in.configure(p.life, l)
		if err != nil {
			p.release(l)
			return nil, fmt.Errorf("configuring %q again: %w", in.settings.ID, err)
		}
		in.bound.Store(&bound{link: l, id: id})
	}
	p.set(Running, l)
	return l, nil
}
