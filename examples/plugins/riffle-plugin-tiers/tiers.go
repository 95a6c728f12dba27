package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/plugins"
)

// Config is what users set.
type Config struct {
	_      struct{}           `doc:"keeps the share of a tenant's traces that a file says, by its name or its plan"`
	File   string             `yaml:"file" doc:"YAML with the maps tenants and plans, and other for the rest: each a share of the traces, 0 to 1, or drop; a path that is not absolute begins where the plugin lies; required"`
	Tenant string             `yaml:"tenant" doc:"attribute that names the tenant when a span starts"`
	Plan   string             `yaml:"plan" doc:"attribute that names the tenant's plan"`
	Every  component.Duration `yaml:"every" doc:"how often the file is looked at"`
}

// Validate checks the values. What is in the file is read when the sampler is
// built.
func (c *Config) Validate() error {
	var errs []error
	for path, value := range map[string]string{"file": c.File, "tenant": c.Tenant, "plan": c.Plan} {
		if value == "" {
			errs = append(errs, &component.FieldError{Path: path, Err: errors.New("missing")})
		}
	}
	if c.Every <= 0 {
		errs = append(errs, &component.FieldError{Path: "every", Err: fmt.Errorf("%v is no interval: want more than 0s", c.Every)})
	}
	return errors.Join(errs...)
}

// Factory makes the sampler.
var Factory = component.NewFactory("tiers", Config{
	Tenant: "tenant.id",
	Plan:   "tenant.plan",
	Every:  component.Duration(time.Second),
}, New)

// New builds the sampler. A file that cannot be read is an error here, and
// changes nothing later.
func New(_ context.Context, s component.Settings, c Config) (sampling.Sampler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if !filepath.IsAbs(c.File) {
		c.File = filepath.Join(os.Getenv(plugins.DirVariable), c.File)
	}
	text, err := os.ReadFile(c.File)
	if err != nil {
		return nil, &component.FieldError{Path: "file", Err: err}
	}
	tiers, err := parse(text)
	if err != nil {
		return nil, &component.FieldError{Path: "file", Err: fmt.Errorf("%s: %w", c.File, err)}
	}
	t := &sampler{config: c, logger: s.Logger, stop: make(chan struct{}), stopped: make(chan struct{})}
	t.tiers.Store(tiers)
	go t.poll(string(text))
	return t, nil
}

type sampler struct {
	config Config
	logger *slog.Logger
	tiers  atomic.Pointer[tiers]

	once          sync.Once
	stop, stopped chan struct{}
}

// Traits say what an answer depends on. A host asks once for each combination of
// the keys' values that it sees, whatever the name and the kind, and again when the
// answers have changed. The file may say later that traces are dropped.
func (t *sampler) Traits() sampling.Traits {
	return sampling.Traits{
		Description: "tiers of " + filepath.Base(t.config.File),
		Keyed:       true, Keys: []attribute.Key{attribute.Key(t.config.Tenant), attribute.Key(t.config.Plan)},
		IgnoresName: true, IgnoresKind: true, MayDrop: true,
	}
}

func (t *sampler) SampleStart(p sampling.StartParameters) sampling.Answer {
	var tenant, plan string
	for _, kv := range p.Attributes {
		switch string(kv.Key) {
		case t.config.Tenant:
			tenant = kv.Value.String()
		case t.config.Plan:
			plan = kv.Value.String()
		}
	}
	return t.tiers.Load().answer(tenant, plan)
}

// Changes tells a host when the file has changed, so that it need not wait until
// its leases are over.
func (t *sampler) Changes(ctx context.Context, changed func(...sampling.StartParameters)) {
	for known := t.tiers.Load(); ; {
		select {
		case <-known.replaced:
			known = t.tiers.Load() // first: what comes after it is another change
			changed()
		case <-ctx.Done():
			return
		}
	}
}

// poll follows the file until stop, starting from what it held. It looks at
// the text and not at the time: a file may be replaced by one that is older, or
// twice within the clock's grain.
func (t *sampler) poll(text string) {
	defer close(t.stopped)
	ticker := time.NewTicker(time.Duration(t.config.Every))
	defer ticker.Stop()
	var trouble string
	for {
		select {
		case <-t.stop:
			return
		case <-ticker.C:
		}
		now, err := os.ReadFile(t.config.File)
		if err == nil && string(now) == text {
			trouble = ""
			continue
		}
		var next *tiers
		if err == nil {
			next, err = parse(now)
		}
		if err != nil {
			if trouble != err.Error() {
				trouble = err.Error()
				t.logger.Warn("the tiers stay as they were", "file", t.config.File, "error", err)
			}
			continue
		}
		text, trouble = string(now), ""
		close(t.tiers.Swap(next).replaced)
		t.logger.Info("the tiers have changed", "file", t.config.File)
	}
}

// Shutdown ends the polling. After it the sampler abstains.
func (t *sampler) Shutdown(ctx context.Context) error {
	t.once.Do(func() { close(t.stop) })
	select {
	case <-t.stopped:
	case <-ctx.Done(): // it reads the file, from a disk that hangs
		select {
		case <-t.stopped:
		default:
			return ctx.Err()
		}
	}
	t.tiers.Store(new(tiers)) // nobody replaces it
	return nil
}

// Interface guards.
var (
	_ plugins.Changing      = (*sampler)(nil)
	_ sampling.StartSampler = (*sampler)(nil)
	_ component.Shutdowner  = (*sampler)(nil)
)
