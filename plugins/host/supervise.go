package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf16"

	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/riffletrace/riffle/internal/untrusted"
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
	// Suspended plugins ended again and again and are not started for a while.
	Suspended State = "suspended"
	Stopped   State = "stopped"
)

// timing bounds what a plugin may take.
type timing struct {
	start           time.Duration // to start, describe itself and configure an instance
	stop            time.Duration // to end
	health          time.Duration // between two checks, and for a response to one
	maxFailedChecks int           // checks that fail in a row
	// The backoff before a restart grows from the least to the most, and starts
	// anew after a while without an exit.
	minBackoff, maxBackoff time.Duration
	exitWindow             time.Duration
	// As many exits within exitWindow suspend it: for a while, or for less while spans
	// wait for one of its exporters.
	maxExits                       int
	suspension, exporterSuspension time.Duration
}

var defaultTiming = timing{
	start:           10 * time.Second,
	stop:            3 * time.Second,
	health:          5 * time.Second,
	maxFailedChecks: 2,
	minBackoff:      100 * time.Millisecond,
	maxBackoff:      30 * time.Second,
	exitWindow:      time.Minute,
	maxExits:        8,
	suspension:      5 * time.Minute,

	exporterSuspension: 30 * time.Second,
}

// counts are those of a plugin since it was opened.
type counts struct {
	restarts    atomic.Uint64
	calls       atomic.Uint64
	failures    atomic.Uint64
	nanos       atomic.Uint64 // that the calls took
	unsolicited atomic.Uint64 // answers about what was not asked
}

// supervise keeps the plugin running until its life ends.
func (p *Plugin) supervise(c *connection) {
	backoff, exits, since := p.timing.minBackoff, 0, time.Now()
	for {
		why := p.monitor(c)
		if p.life.Err() != nil {
			return // Close ends the process
		}
		p.set(Restarting, nil)
		p.endProcess(c)
		if time.Since(since) > p.timing.exitWindow {
			backoff, exits, since = p.timing.minBackoff, 0, time.Now()
		}
		suspended, logged := false, "" // what the log has, until it runs again
		for {
			exits++
			if exits >= p.timing.maxExits && time.Since(since) <= p.timing.exitWindow {
				p.set(Suspended, nil)
				if !suspended || why != logged {
					p.logSuspended(exits, why)
				}
				suspended, logged = true, why
				if !p.sleepSuspended() {
					return
				}
				// There is one attempt: if it exits soon, it is suspended again.
				backoff, exits, since = p.timing.minBackoff, p.timing.maxExits-1, time.Now()
			} else {
				wait := backoff + time.Duration(rand.Int64N(int64(backoff/2+1)))
				backoff = min(2*backoff, p.timing.maxBackoff)
				if why != logged {
					p.logger.Warn("plugin is down and will be restarted", "in", wait, "cause", why)
				}
				logged = why
				if !p.sleep(wait) {
					return
				}
			}
			next, err := p.restart()
			if err == nil {
				c = next
				break
			}
			if p.life.Err() != nil {
				return
			}
			why = err.Error()
		}
		p.counts.restarts.Add(1)
		p.logger.Info("plugin is running again", "pid", c.pid, "restarts", p.counts.restarts.Load())
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

// sleepSuspended sleeps for as long as a suspension lasts, which depends on whether
// an exporter is asked to send meanwhile.
func (p *Plugin) sleepSuspended() bool {
	select {
	case <-p.wanted: // before
	default:
	}
	if !p.sleep(p.timing.exporterSuspension) {
		return false
	}
	rest := time.NewTimer(p.timing.suspension - p.timing.exporterSuspension)
	defer rest.Stop()
	select {
	case <-p.wanted:
	case <-rest.C:
	case <-p.life.Done():
		return false
	}
	return true
}

func (p *Plugin) logSuspended(exits int, why string) {
	attrs := []any{"exits", exits, "for", p.timing.suspension, "cause", why}
	if p.exports() {
		attrs = append(attrs, "while_spans_wait", p.timing.exporterSuspension)
	}
	p.logger.Error("plugin exits again and again: it is suspended", attrs...)
}

// exports reports whether it has an exporter in use.
func (p *Plugin) exports() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for in := range p.instances {
		if in.request.GetKind() == pluginpb.Kind_KIND_EXPORTER {
			return true
		}
	}
	return false
}

// want tells that spans wait for the plugin to run again.
func (p *Plugin) want() {
	select {
	case p.wanted <- struct{}{}:
	default:
	}
}

// monitor returns why a process does not serve any more.
func (p *Plugin) monitor(c *connection) (why string) {
	checks := time.NewTicker(p.timing.health)
	defer checks.Stop()
	failed := 0
	for {
		select {
		case <-p.life.Done():
			return ""
		case <-c.gone:
			return "the process ended: " + c.why()
		case <-checks.C:
		}
		err := p.healthy(c)
		if err == nil {
			failed = 0
			continue
		}
		if failed++; failed >= p.timing.maxFailedChecks {
			return fmt.Sprintf("it does not answer health checks: %v", err)
		}
	}
}

func (p *Plugin) healthy(c *connection) error {
	ctx, cancel := context.WithTimeout(p.life, p.timing.health)
	defer cancel()
	r, err := grpc_health_v1.NewHealthClient(c.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: wire.HealthService})
	switch {
	case err != nil:
		return err
	case r.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING:
		return errors.New("its status is " + r.GetStatus().String())
	}
	return nil
}

// endProcess ends what is left of a process.
func (*Plugin) endProcess(c *connection) {
	c.kill()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = c.stop(ctx) // it was told that it does not serve
}

// connect starts the process and learns what it has.
func (p *Plugin) connect(ctx context.Context) (*connection, error) {
	c, err := p.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("starting plugin %q: %w", p.name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, p.timing.start)
	defer cancel()
	about, err := pluginpb.NewComponentsClient(c.conn).Describe(ctx, &pluginpb.DescribeRequest{})
	if err == nil {
		err = checkDescription(about)
	}
	if err != nil {
		p.endProcess(c)
		return nil, fmt.Errorf("asking plugin %q what it has: %w", p.name, wire.Plain(err))
	}
	if p.about == nil {
		p.about = shown(about)
	}
	return c, nil
}

// shown is what a plugin says of itself as people may see it.
func shown(d *pluginpb.DescribeResponse) *pluginpb.DescribeResponse {
	fit := func(s *string) { *s = untrusted.Text(*s, untrusted.Line) }
	fit(&d.Name)
	fit(&d.Version)
	for _, c := range d.GetComponents() {
		fit(&c.Version)
		fit(&c.Doc)
		c.ConfigSchema = plainJSON(c.GetConfigSchema())
	}
	return d
}

// plainJSON is JSON with escapes in place of what cannot be printed, which stands in
// strings alone.
func plainJSON(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) || r < ' ' { // white space between
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// What no plugin needs more of.
const (
	maxComponentName = 100
	maxSchema        = 256 << 10
)

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
		if untrusted.Text(c.GetName(), maxComponentName) != c.GetName() {
			return fmt.Errorf("the name of %s cannot be shown, or is longer than %d bytes", what, maxComponentName)
		}
		seen[what] = true
		if text := c.GetConfigSchema(); len(text) > maxSchema {
			return fmt.Errorf("the schema of the configuration of %s is of %d bytes, more than %d", what, len(text), maxSchema)
		} else if text != "" {
			if err := schema.Check([]byte(text)); err != nil {
				return fmt.Errorf("the schema of the configuration of %s is not a JSON Schema: %w", what, err)
			}
		}
	}
	return nil
}

// restart starts the process again and makes the instances anew.
func (p *Plugin) restart() (*connection, error) {
	c, err := p.connect(p.life)
	if err != nil {
		return nil, err
	}
	p.configuring.Lock()
	defer p.configuring.Unlock()
	p.mu.Lock()
	instances := slices.Collect(maps.Keys(p.instances))
	p.mu.Unlock()
	for _, in := range instances {
		id, err := in.configure(p.life, c)
		if err != nil {
			p.endProcess(c)
			return nil, fmt.Errorf("configuring %q again: %w", in.settings.ID, err)
		}
		in.bind(p.life, c, id)
	}
	p.set(Running, c)
	return c, nil
}
