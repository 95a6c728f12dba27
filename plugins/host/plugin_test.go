package host

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/plugins"
	"github.com/riffletrace/riffle/plugins/internal/hostile"
	"github.com/riffletrace/riffle/plugins/internal/wire"
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
		return plugins.Main(plugins.Sampler(tierFactory), plugins.Exporter(countFactory), plugins.Sampler(slowRootFactory))
	case "file":
		return plugins.Main(plugins.Exporter(fileFactory), plugins.Sampler(tierFactory))
	case "told":
		return plugins.Main(plugins.Sampler(toldFactory))
	case "otlp":
		return plugins.Main(plugins.Exporter(otlp.Factory))
	case "host":
		return playHost()
	case "refused":
		return plugins.Main(plugins.Sampler(endFactory), plugins.Sampler(unkeyedFactory), plugins.Component{})
	default:
		return 1
	}
}

// hostVariable is the plugin of a test binary that plays a host.
const hostVariable = "RIFFLE_TEST_HOST"

func playHost() int {
	p, err := Open(context.Background(), os.Getenv(hostVariable), OpenOptions{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Printf("plugin is %d\n", p.PID())
	select {}
}

// tier is a sampler by tenant and plan.
type tierConfig struct {
	_    struct{} `doc:"keeps traces by tenant and plan"`
	Gold string   `yaml:"gold" doc:"the tenant of which all is kept"`
	Rate float64  `yaml:"rate" doc:"share of the others"`
}

func (c *tierConfig) Validate() error {
	if c.Rate < 0 || c.Rate > 1 {
		return &component.FieldError{Path: "rate", Err: fmt.Errorf("%v is not a rate: want a number from 0 to 1", c.Rate)}
	}
	return nil
}

var tierFactory = component.NewFactory("tier", tierConfig{Gold: "acme", Rate: 0.5}, newTier)

type tier struct {
	config tierConfig
	rest   sampling.Threshold

	mu      sync.Mutex
	starts  uint64
	asked   int
	changed func(...sampling.StartParameters)
}

func newTier(_ context.Context, s component.Settings, c tierConfig) (sampling.Sampler, error) {
	s.Logger.Info("tier is made", "gold", c.Gold)
	t, err := sampling.ThresholdFromProbability(c.Rate)
	return &tier{config: c, rest: t}, err
}

func (t *tier) Traits() sampling.Traits {
	return sampling.Traits{Description: "tier of " + t.config.Gold, Keyed: true, Keys: []attribute.Key{"tenant", "plan"}}
}

func (t *tier) SampleStart(p sampling.StartParameters) sampling.Answer {
	for _, kv := range p.Attributes {
		if kv.Key == "tenant" && kv.Value.AsString() == t.config.Gold {
			return sampling.At(sampling.Always).Because("gold")
		}
	}
	return sampling.At(t.rest)
}

func (t *tier) Lease(p sampling.StartParameters, starts uint64) (sampling.Answer, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.starts += starts
	t.asked++
	return t.SampleStart(p), time.Minute
}

func (t *tier) Changes(ctx context.Context, changed func(...sampling.StartParameters)) {
	t.mu.Lock()
	t.changed = changed
	t.mu.Unlock()
	<-ctx.Done()
}

// slowRoot is a segment sampler that looks at the local root alone.
var slowRootFactory = component.NewFactory("slow_root", struct{}{}, func(context.Context, component.Settings, struct{}) (sampling.Sampler, error) {
	return slowRoot{}, nil
})

type slowRoot struct{}

func (slowRoot) Traits() sampling.Traits {
	return sampling.Traits{Description: "slow roots", RootOnly: true, RootKeys: []attribute.Key{"tenant"}}
}

func (slowRoot) SampleSegments(_ context.Context, segments []sampling.Segment, answers []sampling.Answer) {
	for i, s := range segments {
		switch {
		case s.Root == nil:
		case slices.Contains(s.Root.Attributes(), attribute.String("tenant", "bot")):
			answers[i] = sampling.AtMost(sampling.Never).Because("a bot")
		case s.Root.EndTime().Sub(s.Root.StartTime()) >= time.Second:
			answers[i] = sampling.At(sampling.Always)
		}
	}
}

// count is an exporter that counts.
var countFactory = component.NewFactory("count", struct{}{}, func(context.Context, component.Settings, struct{}) (sdktrace.SpanExporter, error) {
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

var fileFactory = component.NewFactory("file", fileConfig{}, func(_ context.Context, _ component.Settings, c fileConfig) (sdktrace.SpanExporter, error) {
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
	endFactory = component.NewFactory("end", struct{}{}, func(context.Context, component.Settings, struct{}) (sampling.Sampler, error) {
		return endSampler{}, nil
	})
	unkeyedFactory = component.NewFactory("unkeyed", struct{}{}, func(context.Context, component.Settings, struct{}) (sampling.Sampler, error) {
		return unkeyed{}, nil
	})
)

type endSampler struct{}

func (endSampler) Traits() sampling.Traits                          { return sampling.Traits{Description: "end"} }
func (endSampler) SampleEnd(sampling.EndParameters) sampling.Answer { return sampling.Abstain() }

type unkeyed struct{}

func (unkeyed) Traits() sampling.Traits                              { return sampling.Traits{Description: "unkeyed"} }
func (unkeyed) SampleStart(sampling.StartParameters) sampling.Answer { return sampling.Abstain() }

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
	if err := os.WriteFile(filepath.Join(dir, wire.Prefix+name), []byte(script), 0o700); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// opened starts a plugin that plays a part, with its logs and limits.
func opened(tb testing.TB, part string, change func(*timing)) (*Plugin, *logs) {
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
var fast = timing{
	start: 10 * time.Second, stop: 3 * time.Second, health: 200 * time.Millisecond, maxFailedChecks: 2,
	minBackoff: 10 * time.Millisecond, maxBackoff: 50 * time.Millisecond, exitWindow: time.Minute, maxExits: 1000,
	suspension: time.Minute, exporterSuspension: time.Minute,
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
