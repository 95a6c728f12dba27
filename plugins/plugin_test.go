package plugins

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/plugins/internal/hostile"
)

// role is what the test binary plays when it is run as a plugin, or as a host.
const role = "RIFFLE_TEST_ROLE"

func TestMain(m *testing.M) {
	if r := os.Getenv(role); r != "" {
		os.Exit(play(r))
	}
	hostile.Main()
	goleak.VerifyTestMain(m)
}

// play plays a plugin, or a host.
func play(r string) int {
	switch r {
	case "good":
		return Main(Sampler(tierFactory), Exporter(countFactory), Sampler(slowRootFactory))
	case "file":
		return Main(Exporter(fileFactory), Sampler(tierFactory))
	case "told":
		return Main(Sampler(toldFactory))
	case "otlp":
		return Main(Exporter(otlp.Factory))
	case "host":
		return playHost()
	case "refused":
		return Main(Sampler(endFactory), Sampler(unkeyedFactory))
	default:
		return exitFailed
	}
}

// tier is a sampler by tenant and plan.
type tierConfig struct {
	_    struct{} `doc:"keeps traces by tenant and plan"`
	Gold string   `yaml:"gold" doc:"the tenant of which all is kept"`
	Rate float64  `yaml:"rate" doc:"share of the others"`
}

func (c *tierConfig) Validate() error {
	if c.Rate < 0 || c.Rate > 1 {
		return &core.FieldError{Path: "rate", Err: fmt.Errorf("%v is not a rate: want a number from 0 to 1", c.Rate)}
	}
	return nil
}

var tierFactory = core.NewFactory("tier", tierConfig{Gold: "acme", Rate: 0.5}, newTier)

type tier struct {
	config tierConfig
	rest   core.Threshold

	mu      sync.Mutex
	starts  uint64
	asked   int
	changed func(...core.StartParameters)
}

func newTier(_ context.Context, s core.Settings, c tierConfig) (core.Sampler, error) {
	s.Logger.Info("tier is made", "gold", c.Gold)
	t, err := core.ThresholdFromProbability(c.Rate)
	return &tier{config: c, rest: t}, err
}

func (t *tier) Description() string { return "tier of " + t.config.Gold }
func (*tier) Keys() []attribute.Key { return []attribute.Key{"tenant", "plan"} }

func (t *tier) SampleStart(p core.StartParameters) core.Answer {
	for _, kv := range p.Attributes {
		if kv.Key == "tenant" && kv.Value.AsString() == t.config.Gold {
			return core.At(core.Always).Because("gold")
		}
	}
	return core.At(t.rest)
}

func (t *tier) Lease(p core.StartParameters, starts uint64) (core.Answer, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.starts += starts
	t.asked++
	return t.SampleStart(p), time.Minute
}

func (t *tier) Changes(ctx context.Context, changed func(...core.StartParameters)) {
	t.mu.Lock()
	t.changed = changed
	t.mu.Unlock()
	<-ctx.Done()
}

// slowRoot is a trace sampler that looks at the root alone.
var slowRootFactory = core.NewFactory("slow_root", struct{}{}, func(context.Context, core.Settings, struct{}) (core.Sampler, error) {
	return slowRoot{}, nil
})

type slowRoot struct{}

func (slowRoot) Description() string             { return "slow roots" }
func (slowRoot) RootAttributes() []attribute.Key { return []attribute.Key{"tenant"} }

func (slowRoot) SampleTraces(_ context.Context, traces []core.Trace, answers []core.Answer) {
	for i, t := range traces {
		if t.Root != nil && t.Root.EndTime().Sub(t.Root.StartTime()) >= time.Second {
			answers[i] = core.At(core.Always)
		}
	}
}

// count is an exporter that counts.
var countFactory = core.NewFactory("count", struct{}{}, func(context.Context, core.Settings, struct{}) (core.Exporter, error) {
	return &countExporter{}, nil
})

type countExporter struct {
	mu    sync.Mutex
	spans []sdktrace.ReadOnlySpan
	err   error
	shut  bool
}

func (e *countExporter) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return e.err
	}
	e.spans = append(e.spans, spans...)
	return nil
}

func (e *countExporter) Shutdown(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.shut = true
	return nil
}

// file is an exporter that writes the ID of each span to a file before it
// accepts the batch.
type fileConfig struct {
	Path string `yaml:"path" doc:"of the file"`
}

var fileFactory = core.NewFactory("file", fileConfig{}, func(_ context.Context, _ core.Settings, c fileConfig) (core.Exporter, error) {
	f, err := os.OpenFile(c.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return &fileExporter{file: f}, err
})

type fileExporter struct{ file *os.File }

func (e *fileExporter) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	var b strings.Builder
	for _, s := range spans {
		fmt.Fprintln(&b, s.SpanContext().SpanID())
	}
	_, err := e.file.WriteString(b.String())
	return err
}

func (e *fileExporter) Shutdown(context.Context) error { return e.file.Close() }

// What cannot be served.
var (
	endFactory = core.NewFactory("end", struct{}{}, func(context.Context, core.Settings, struct{}) (core.Sampler, error) {
		return endSampler{}, nil
	})
	unkeyedFactory = core.NewFactory("unkeyed", struct{}{}, func(context.Context, core.Settings, struct{}) (core.Sampler, error) {
		return unkeyed{}, nil
	})
)

type endSampler struct{}

func (endSampler) Description() string                      { return "end" }
func (endSampler) SampleEnd(core.EndParameters) core.Answer { return core.Abstain() }

type unkeyed struct{}

func (unkeyed) Description() string                          { return "unkeyed" }
func (unkeyed) SampleStart(core.StartParameters) core.Answer { return core.Abstain() }

// program installs the test binary as a plugin that plays a part, and returns
// its directory.
func program(tb testing.TB, name, part string) (dir string) {
	tb.Helper()
	dir = tb.TempDir()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	// With the race detector a program lives on for a second when it ends.
	script := fmt.Sprintf("#!/bin/sh\nexport %s=%s GORACE=atexit_sleep_ms=0\nexec %s \"$@\"\n", role, part, self)
	if err := os.WriteFile(filepath.Join(dir, Prefix+name), []byte(script), 0o700); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// opened starts a plugin that plays a part, with its logs and limits.
func opened(tb testing.TB, part string, change func(*limits)) (*Plugin, *logs) {
	tb.Helper()
	l := fast
	if change != nil {
		change(&l)
	}
	p, logs, err := tryOpen(tb, part, l)
	if err != nil {
		tb.Fatal(err)
	}
	closeAfter(tb, p)
	return p, logs
}

func closeAfter(tb testing.TB, p *Plugin) {
	tb.Helper()
	tb.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
}

// fast are limits for tests.
var fast = limits{
	start: 10 * time.Second, stop: 3 * time.Second, health: 200 * time.Millisecond, strikes: 2,
	firstPause: 10 * time.Millisecond, lastPause: 50 * time.Millisecond, calm: time.Minute, ends: 1000, breaks: time.Minute,
}

// logs collects what is logged.
type logs struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// eventually polls until done is true.
func eventually(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("not within 20 s: %s", what)
		}
	}
}
