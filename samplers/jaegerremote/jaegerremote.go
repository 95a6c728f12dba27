// Package jaegerremote is the sampler that does what a Jaeger collector, or another
// server that speaks as it does, says about the service: it asks for the strategy
// now and then, and follows it.
//
// The server says with which probability traces are kept, all of them or by operation,
// which is the name of a local root; how many of each operation are kept a second at
// least; or how many are kept at most. Rates become probabilities, so that all that is
// kept has a true weight.
//
// Source: https://opentelemetry.io/docs/specs/otel/trace/sdk/#jaegerremotesampler
package jaegerremote

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/clienttls"
)

// TLS is what users set under tls.
type TLS = clienttls.Config

// Config is what users set.
type Config struct {
	_        struct{}                    `doc:"keeps what a Jaeger collector says: a share of the traces, of each operation, or so many a second; a baseline"`
	Endpoint string                      `yaml:"endpoint" doc:"URL of the collector's sampling strategies"`
	Service  string                      `yaml:"service" doc:"the service to ask about; by default service.name of the resource"`
	Interval component.Duration          `yaml:"interval" doc:"time between two questions, give or take a tenth"`
	Initial  float64                     `yaml:"initial" doc:"share of the traces to keep until there is an answer, 0 to 1"`
	Timeout  component.Duration          `yaml:"timeout" doc:"longest time for an answer; without one, the last strategy stays"`
	Headers  map[string]component.Secret `yaml:"headers" doc:"headers of each request"`
	TLS      TLS                         `yaml:"tls" doc:"TLS of an https:// endpoint"`
}

// The defaults are those of OpenTelemetry's sampler for Go.
var defaults = Config{
	Endpoint: "http://localhost:5778/sampling",
	Interval: component.Duration(time.Minute),
	Initial:  0.001,
	Timeout:  component.Duration(10 * time.Second),
}

// minInterval keeps a mistake from being an attack.
const minInterval = component.Duration(100 * time.Millisecond)

// Validate finds every mistake.
func (c *Config) Validate() error {
	_, err := c.resolve()
	return err
}

// resolve also reads the files of tls.
func (c *Config) resolve() (*tls.Config, error) {
	var errs []error
	fail := func(path, format string, args ...any) {
		errs = append(errs, &component.FieldError{Path: path, Err: fmt.Errorf(format, args...)})
	}
	u, err := parseEndpoint(c.Endpoint)
	if err != nil {
		fail("endpoint", "%w", err)
	}
	if c.Interval < minInterval {
		fail("interval", "%v is too short: want %v or more", c.Interval, minInterval)
	}
	if _, err := sampling.ThresholdFromProbability(c.Initial); err != nil {
		fail("initial", "%v is not a rate: want a number from 0 to 1", c.Initial)
	}
	if c.Timeout <= 0 {
		fail("timeout", "%v is not positive", c.Timeout)
	}
	for _, key := range slices.Sorted(maps.Keys(c.Headers)) {
		if err := checkHeader(key, string(c.Headers[key])); err != nil {
			fail("headers."+key, "%w", err)
		}
	}
	cfg, err := c.TLS.Load(u.Hostname())
	errs = append(errs, err)
	if u.Scheme == "http" && c.TLS.IsSet() {
		fail("tls", "%s is asked in plain text: write https://, or leave tls out", u.Host)
	}
	return cfg, errors.Join(errs...)
}

// grpcPort is where Jaeger speaks gRPC, which endpoints in configurations for Java name.
const grpcPort = "14250"

// Warn finds the port of another protocol.
func (c *Config) Warn() error {
	if u, err := parseEndpoint(c.Endpoint); err == nil && u.Port() == grpcPort {
		return &component.FieldError{Path: "endpoint", Err: fmt.Errorf("port %s is where Jaeger speaks gRPC: strategies are asked for over HTTP, at %s", grpcPort, defaults.Endpoint)}
	}
	return nil
}

// parseEndpoint checks a URL. No message shows what may be a secret in it.
func parseEndpoint(s string) (*url.URL, error) {
	shown, _, _ := strings.Cut(s, "?")
	u, err := url.Parse(s)
	switch {
	case strings.Contains(shown, "@"):
		return &url.URL{}, errors.New("user and password do not belong here: put them into headers")
	case err != nil || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return &url.URL{}, errors.New("it is no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return &url.URL{}, fmt.Errorf("want a URL that begins with http:// or https://, such as %s", defaults.Endpoint)
	case u.Hostname() == "":
		return &url.URL{}, errors.New("it names no host")
	case u.Fragment != "":
		return &url.URL{}, errors.New("a fragment (#) does not belong here")
	}
	return u, nil
}

// checkHeader refuses what HTTP cannot carry. The value is never shown.
func checkHeader(key, value string) error {
	const token = "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~"
	switch {
	case key == "" || strings.Trim(strings.ToLower(key), token) != "":
		return errors.New("the name is not one that HTTP can carry")
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("the value has a control character in it (a line break at its end?)")
	}
	return nil
}

// Factory makes the sampler; it is registered as "jaeger_remote".
var Factory = component.NewFactory("jaeger_remote", defaults, New)

func init() { sampling.Samplers.MustAdd(Factory) }

// New builds the sampler. It asks nobody before a first span starts.
func New(_ context.Context, set component.Settings, c Config) (sampling.Sampler, error) {
	cfg, err := c.resolve()
	if err != nil {
		return nil, err
	}
	service := cmp.Or(c.Service, set.ServiceName)
	if service == "" {
		return nil, &component.FieldError{Path: "service", Err: errors.New("missing: the resource has no service.name")}
	}
	u, _ := parseEndpoint(c.Endpoint)
	shown := (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
	return newSampler(shown, c, &poller{
		source:   newServer(c.Endpoint, service, c.Headers, cfg),
		interval: time.Duration(c.Interval),
		timeout:  time.Duration(c.Timeout),
		logger:   set.Logger.With("endpoint", shown),
	}), nil
}

func newSampler(from string, c Config, p *poller) *sampler {
	s := &sampler{description: "jaeger_remote, " + from, poller: p}
	s.life, s.end = context.WithCancel(context.Background())
	p.follow = s.follow
	initial := newRules(&strategy{probability: c.Initial}, nil)
	initial.unasked = true
	s.rules.Store(initial)
	return s
}

type sampler struct {
	description string
	poller      *poller
	rules       atomic.Pointer[rules]

	life context.Context //nolint:containedctx // of the polling
	end  context.CancelFunc

	polling sync.WaitGroup
	mu      sync.Mutex // of who starts or ends the polling
	started bool
}

// SampleStart looks at what is known; at the first call it has somebody ask.
func (s *sampler) SampleStart(p sampling.StartParameters) sampling.Answer {
	r := s.rules.Load()
	if r.unasked {
		s.start()
	}
	if r == ended {
		return sampling.Abstain()
	}
	return r.answer(p.Name)
}

// start begins to poll. A sampler that is built to be looked at does not.
func (s *sampler) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.life.Err() != nil {
		return
	}
	s.started = true
	// Nothing else stores rules yet, but for Prepare, whose answer may be lost.
	asked := *s.rules.Load()
	asked.unasked = false
	s.rules.Store(&asked)
	s.polling.Go(func() { s.poller.run(s.life) })
}

// Prepare asks the server at once.
func (s *sampler) Prepare(ctx context.Context, _ sampling.StartParameters) error {
	ctx, cancel := context.WithTimeout(ctx, s.poller.timeout)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	strategy, failed := s.poller.source.fetch(ctx)
	switch {
	case s.life.Err() != nil:
		return errors.New("the sampler is shut down")
	case failed != nil:
		return failed
	}
	s.follow(strategy)
	return nil
}

// follow makes rules of a strategy. The same one changes nothing.
func (s *sampler) follow(next *strategy) {
	for {
		before := s.rules.Load()
		if before == ended || before.strategy.equal(next) {
			return
		}
		after := newRules(next, before)
		after.unasked = before.unasked
		if s.rules.CompareAndSwap(before, after) {
			return
		}
	}
}

// Shutdown ends the polling.
func (s *sampler) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.end()
	s.mu.Unlock()
	s.rules.Store(ended)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.polling.Wait()
		s.poller.source.close()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("a question to %s is under way: %w", s.description, ctx.Err())
	}
}

// Traits: the answer depends on nothing but the name.
func (s *sampler) Traits() sampling.Traits {
	return sampling.Traits{Description: s.description, Keyed: true, IgnoresKind: true, AlwaysAnswers: true}
}

// Interface guards.
var (
	_ sampling.StartSampler = (*sampler)(nil)
	_ sampling.Preparer     = (*sampler)(nil)
	_ component.Shutdowner  = (*sampler)(nil)
)
