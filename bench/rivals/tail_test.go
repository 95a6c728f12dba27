//go:build linux

package rivals

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/riffletrace/riffle/bench/internal/process"
)

var perSecond = flag.Int("rate", 500, "requests a second in BenchmarkTail")

// riffleConfig keeps what collectorConfig keeps. What is in capitals is
// replaced.
const riffleConfig = `
observability:
  tracing:
    enabled: true
    service_name: SERVICE
    samplers:
      - {type: error}
      - {type: slow, threshold: 250ms}
      - {type: ratio, rate: 0.01}
    exporters:
      - {type: otlp, endpoint: "BACKEND"}
`

// collectorConfig waits long enough for a batch of the SDK, which takes up to
// five seconds to fill. It does not measure itself, and compresses no more than
// riffle does.
const collectorConfig = `
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: COLLECTOR
processors:
  tail_sampling:
    decision_wait: 10s
    num_traces: 50000
    policies:
      - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
      - {name: slow, type: latency, latency: {threshold_ms: 250}}
      - {name: baseline, type: probabilistic, probabilistic: {sampling_percentage: 1}}
  batch: {}
exporters:
  otlp:
    endpoint: BACKEND
    compression: none
    tls:
      insecure: true
service:
  telemetry:
    metrics:
      level: none
  pipelines:
    traces:
      receivers: [otlp]
      processors: [tail_sampling, batch]
      exporters: [otlp]
`

// Names of tiers.
const (
	off       = "off" // nothing is traced: what the requests themselves cost
	alone     = "riffle"
	collector = "stock+collector"
)

// result is what came of a run.
type result struct {
	service, collector usage
	// must counts the traces that had to arrive, missed those of them that did
	// not, and incomplete those of which only a part did.
	must, missed, incomplete int
	// others counts the traces that were neither errors nor slow, and kept those
	// of them that arrived.
	others, kept int
}

// usage is what a process took: CPU time since it was warm, and the most
// memory.
type usage struct {
	cpu      time.Duration
	resident int64
}

// What a trace of a service costs all processes that it takes to keep errors,
// slow traces and 1 % of the others. An operation is a trace. Subtract what
// tier=off costs to leave out the service itself.
func BenchmarkTail(b *testing.B) {
	needsCollector(b)
	for _, tier := range []string{off, alone, collector} {
		b.Run("tier="+tier, func(b *testing.B) {
			r := runTier(b, tier, b.N, *perSecond)
			b.ReportMetric(0, "ns/op") // the pace is given
			b.ReportMetric(float64(r.service.cpu+r.collector.cpu)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(r.service.cpu)/float64(b.N), "service-cpu-ns/op")
			b.ReportMetric(float64(r.collector.cpu)/float64(b.N), "collector-cpu-ns/op")
			b.ReportMetric(float64(r.service.resident+r.collector.resident), "resident-B")
			b.ReportMetric(float64(r.must), "errors+slow")
			b.ReportMetric(float64(r.missed+r.incomplete), "missed")
			b.ReportMetric(float64(r.kept), "baseline")
		})
	}
}

// Both tiers keep every error and every slow trace whole, and about 1 % of the
// others.
func TestTail(t *testing.T) {
	needsCollector(t)
	for _, tier := range []string{alone, collector} {
		t.Run(tier, func(t *testing.T) {
			r := runTier(t, tier, 2000, 400)
			if r.must < 20 || r.missed > 0 || r.incomplete > 0 {
				t.Errorf("of %d errors and slow traces, %d are missing and %d incomplete", r.must, r.missed, r.incomplete)
			}
			// About 20 are expected; each bound is missed once in 100 million runs.
			if r.kept < 1 || r.kept > 50 {
				t.Errorf("%d of %d other traces were kept, want about 1 %%", r.kept, r.others)
			}
			if collected := r.collector.cpu > 0; r.service.cpu <= 0 || collected != (tier == collector) {
				t.Errorf("the service took %v, the Collector %v", r.service, r.collector)
			}
		})
	}
}

func needsCollector(tb testing.TB) {
	tb.Helper()
	if os.Getenv("RIFFLE_INTEROP") != "1" {
		tb.Skip("builds and starts the Collector, for which a cold build takes minutes: set RIFFLE_INTEROP=1, or run make tiers")
	}
}

// runTier drives n requests through a service and compares what it did with
// what arrived.
func runTier(tb testing.TB, tier string, n, perSecond int) (r result) {
	tb.Helper()
	end := startBackend(tb)
	var tail *process.Process
	var variable string
	switch tier {
	case alone:
		text := strings.NewReplacer("SERVICE", serviceName, "BACKEND", end.address).Replace(riffleConfig)
		variable = fileVariable + "=" + writeFile(tb, "riffle.yaml", text)
	case collector:
		var address string
		tail, address = startCollector(tb, end.address)
		variable = collectorVariable + "=" + address
	}
	service, address := startPart(tb, "service", variable)

	must(tb, drive(tb.Context(), address, make([]request, 20), perSecond)) // connects, and fills pools
	before := map[*process.Process]time.Duration{service: cpuOf(tb, service)}
	if tail != nil {
		before[tail] = cpuOf(tb, tail)
	}
	requests := plan(n)
	must(tb, drive(tb.Context(), address, requests, perSecond))
	r.service = finish(tb, service, before[service]) // sends the rest
	if tail != nil {
		last := requests[n-1].id
		must(tb, process.Poll(func() error {
			if got := end.spans(last); got < 2 {
				return fmt.Errorf("%d spans of the last trace, an error, have arrived", got)
			}
			return nil
		}))
		r.collector = finish(tb, tail, before[tail])
	}
	if tier == off {
		return r
	}
	for i := range requests {
		spans := end.spans(requests[i].id)
		switch {
		case requests[i].mustArrive():
			r.must++
			if spans == 0 {
				r.missed++
			} else if spans != 2 {
				r.incomplete++
			}
		case !requests[i].mayArrive():
			r.others++
			if spans > 0 {
				r.kept++
			}
		}
	}
	return r
}

// startCollector starts the Collector of bench/interop, and returns where it
// takes traces.
func startCollector(tb testing.TB, backend string) (*process.Process, string) {
	tb.Helper()
	program, err := process.Cached("../interop/collector", ".")
	must(tb, err)
	return launch(tb, program, func(address string) (env, args []string) {
		text := strings.NewReplacer("COLLECTOR", address, "BACKEND", backend).Replace(collectorConfig)
		return nil, []string{"--config", writeFile(tb, "otelcol.yaml", text)}
	})
}

func writeFile(tb testing.TB, name, text string) string {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), name)
	must(tb, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// finish ends a process and tells what it took.
func finish(tb testing.TB, p *process.Process, before time.Duration) usage {
	tb.Helper()
	resident := residentOf(tb, p)
	state, err := p.Interrupt()
	must(tb, err)
	return usage{cpu: state.UserTime() + state.SystemTime() - before, resident: resident}
}

// cpuOf is the CPU time that a running process has used so far.
func cpuOf(tb testing.TB, p *process.Process) time.Duration {
	tb.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Cmd.Process.Pid))
	must(tb, err)
	// The name of the program, in parentheses, may hold spaces. Behind it, the
	// 12th and 13th fields are ticks, of which Linux tells a hundred a second on
	// every machine that Go runs on.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		must(tb, err)
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}

// residentOf is the most memory that a running process has had so far. What
// the kernel tells when it has ended includes what its parent had.
func residentOf(tb testing.TB, p *process.Process) int64 {
	tb.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	must(tb, err)
	_, rest, _ := strings.Cut(string(data), "VmHWM:")
	var kibibytes int64
	_, err = fmt.Sscan(rest, &kibibytes)
	must(tb, err)
	return kibibytes << 10
}
