//go:build unix

package host

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/plugins/internal/hostile"
	"github.com/riffletrace/riffle/plugins/internal/process"
	"github.com/riffletrace/riffle/plugins/internal/wire"
)

var (
	kills = flag.Int("kills", 5, "how often the plugin is killed under load")
	hosts = flag.Int("hosts", 3, "how many hosts are killed")
)

// A plugin that is killed under load loses nothing of what the exporter's line
// holds, and is no error of a sampler.
func TestKillUnderLoad(t *testing.T) {
	p, logs := opened(t, "file", nil)
	out := filepath.Join(t.TempDir(), "spans")
	e, err := p.Exporter(t.Context(), settings(logs), "", component.JSON(fmt.Sprintf(`{"path": %q}`, out)))
	if err != nil {
		t.Fatal(err)
	}
	built, err := p.Sampler(t.Context(), settings(logs), "", "")
	if err != nil {
		t.Fatal(err)
	}
	sampler := built.(sampling.StartSampler)
	answered(t, sampler, start("acme"))

	config := delivery.Defaults()
	config.Batch.MaxAge = component.Duration(5 * time.Millisecond)
	config.Send.Backoff.Initial = component.Duration(10 * time.Millisecond)
	config.Send.Backoff.Max = component.Duration(100 * time.Millisecond)
	var lines delivery.Lines
	line := lines.Add(e, config, delivery.Settings{Name: "plugin", Type: "plugin", Logger: logs.logger(), MeterProvider: sdkmetric.NewMeterProvider()})
	handed := 0
	var slowest time.Duration
	load := func(until time.Time) {
		for time.Now().Before(until) {
			lines.HandOver(spans(handed, 20)...)
			handed += 20
			before := time.Now()
			sampler.SampleStart(start("acme"))
			slowest = max(slowest, time.Since(before))
			time.Sleep(time.Millisecond)
		}
	}
	for i := range *kills {
		load(time.Now().Add(30 * time.Millisecond))
		pid := p.PID()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatalf("killing process %d for the %dth time: %v", pid, i+1, err)
		}
		for p.PID() == pid || p.PID() == 0 {
			load(time.Now().Add(5 * time.Millisecond))
		}
	}
	load(time.Now().Add(50 * time.Millisecond))
	if err := line.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown of the line: %v", err)
	}
	if err := built.(component.Shutdowner).Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown of the sampler: %v", err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	arrived := map[string]bool{}
	for id := range strings.FieldsSeq(string(b)) {
		arrived[id] = true
	}
	if len(arrived) != handed {
		t.Errorf("%d of %d spans arrived; the line says %+v", len(arrived), handed, line.Stats())
	}
	if got := p.Stats().Restarts; got != uint64(*kills) {
		t.Errorf("%d restarts after %d kills", got, *kills)
	}
	t.Logf("%d spans, %d kills; the slowest answer took %s", handed, *kills, slowest)
}

// A plugin is gone within two seconds of its host, also if that was killed.
func TestKillHost(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	limit := make(chan struct{}, 2)
	path := filepath.Join(program(t, "orphan", "good"), wire.Prefix+"orphan")
	for i := range *hosts {
		all.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			host := exec.Command(self)
			tmp := shortDir(t) // what a killed host leaves
			host.Env = append(os.Environ(), role+"=host", hostVariable+"="+path, "TMPDIR="+tmp)
			out, err := host.StdoutPipe()
			if err != nil {
				t.Error(err)
				return
			}
			if err := host.Start(); err != nil {
				t.Error(err)
				return
			}
			var pid int
			_, err = fmt.Fscanf(out, "plugin is %d\n", &pid)
			_ = host.Process.Kill()
			killed := time.Now()
			_ = host.Wait()
			if err != nil {
				t.Errorf("host %d: %v", i, err)
				return
			}
			for isAlive(pid) {
				if time.Since(killed) > 2*time.Second {
					t.Errorf("the plugin of host %d is still there after %s", i, time.Since(killed))
					_ = syscall.Kill(-pid, syscall.SIGKILL)
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	all.Wait()
}

// A plugin that does not answer health checks is killed and started again, and
// its instances answer as before.
func TestHangsAndRestarts(t *testing.T) {
	p, logs := opened(t, "good", nil)
	built, err := p.Sampler(t.Context(), settings(logs), "tier", `{"gold": "initech"}`)
	if err != nil {
		t.Fatal(err)
	}
	defer built.(component.Shutdowner).Shutdown(context.Background())
	pid := p.PID()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another process", func() bool { return p.PID() != 0 && p.PID() != pid })
	if got := answered(t, built.(sampling.StartSampler), start("initech")).String(); got != "threshold 0: gold" {
		t.Errorf("the answer is %q", got)
	}
	for _, want := range []string{"plugin is down and will be restarted", "it does not answer health checks", "plugin is running again"} {
		if n := strings.Count(logs.String(), want); n != 1 {
			t.Errorf("%q is logged %d times: want one line per change", want, n)
		}
	}
	if isAlive(pid) {
		t.Error("the first process is still there")
	}
}

// One that exits again and again is suspended.
func TestCrashLoop(t *testing.T) {
	p, logs := openHostile(t, "dies", func(l *timing) { l.maxExits, l.suspension = 3, time.Hour })
	eventually(t, "it is suspended", func() bool { return p.Stats().State == Suspended })
	if n := strings.Count(logs.String(), "plugin exits again and again: it is suspended"); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
	if !strings.Contains(logs.String(), "exit status 3") {
		t.Errorf("the log does not say how it ended:\n%s", logs)
	}
	if _, err := p.Sampler(t.Context(), settings(logs), "", ""); err == nil || err.Error() != `plugin "dies" is suspended` {
		t.Errorf("an instance of it: %v", err)
	}
}

// A call to a process that was killed fails at once; go-plugin's own client,
// waiting for readiness, hangs until its deadline.
func TestCallsAfterCrashFailFast(t *testing.T) {
	p, _ := opened(t, "good", func(l *timing) { l.minBackoff = time.Minute })
	l := p.current.Load()
	if err := syscall.Kill(l.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-l.gone
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	before := time.Now()
	_, err := grpc_health_v1.NewHealthClient(l.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if took := time.Since(before); err == nil || took > 2*time.Second {
		t.Errorf("the call returned %v after %s", err, took)
	}
}

// Ending a plugin that listens takes no time, unlike go-plugin's two seconds
// for one in another language.
func TestEndIsPrompt(t *testing.T) {
	p, _ := opened(t, "good", nil)
	before := time.Now()
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(before); took > time.Second {
		t.Errorf("it took %s", took)
	}
}

// Messages of more than 4 MiB, which go-plugin's server refuses, arrive.
func TestLargeMessages(t *testing.T) {
	p, logs := opened(t, "good", nil)
	e, err := p.Exporter(t.Context(), settings(logs), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Shutdown(context.Background())
	if err := e.ExportSpans(t.Context(), spans(0, 100_000)); err != nil {
		t.Errorf("a batch of about 6 MiB: %v", err)
	}
}

// A process cannot be told twice to start: each start is a new one. go-plugin
// returns the address of the old for it, and no error.
func TestStartAfterExit(t *testing.T) {
	s := process.Settings{Name: "test", Path: hostile.Script(t, "exits"), Dir: shortDir(t), Handshake: wire.Handshake, Logger: (&logs{}).logger(), Timeout: 5 * time.Second}
	for range 2 {
		if p, err := process.Start(t.Context(), s); err == nil {
			_ = p.Stop(t.Context())
			t.Error("a program that exits was started")
		}
	}
	left, err := os.ReadDir(s.Dir)
	if err != nil || len(left) > 0 {
		t.Errorf("%d files are left in the private directory: %v", len(left), err)
	}
}

func TestMetrics(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	p, logs := opened(t, "good", nil)
	s := settings(logs)
	s.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	built, err := p.Sampler(t.Context(), s, "tier", "")
	if err != nil {
		t.Fatal(err)
	}
	answered(t, built.(sampling.StartSampler), start("acme"))
	if got := p.Stats(); got.Leases.Hits == 0 || got.Leases.Misses == 0 || got.Leases.Keys != 1 || got.Calls == 0 || got.Latency == 0 || got.State != Running {
		t.Errorf("the counters are %+v", got)
	}
	names := func() (all []string) {
		var data metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &data); err != nil {
			t.Fatal(err)
		}
		for _, scope := range data.ScopeMetrics {
			for _, m := range scope.Metrics {
				all = append(all, m.Name)
			}
		}
		return all
	}
	if got := strings.Join(names(), " "); got != "riffle.plugin.state riffle.plugin.restarts riffle.plugin.leases.starts riffle.plugin.leases.skipped riffle.plugin.leases.keys riffle.plugin.call.duration" {
		t.Errorf("the metrics are %s", got)
	}
	if err := built.(component.Shutdowner).Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
