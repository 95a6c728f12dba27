package bench

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/riffletrace/riffle/bench/internal/stats"
)

// modules are those whose versions a report tells.
var modules = []string{
	"go.opentelemetry.io/otel/sdk",
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp",
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc",
	"github.com/jackc/pgx/v5",
}

// costRepeats is how often a cost is measured.
const costRepeats = 9

func newResult(t *Target) *Result {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	r := &Result{
		Format:   formatVersion,
		Target:   t.Name,
		Started:  time.Now().UTC().Truncate(time.Second),
		Machine:  thisMachine(),
		Versions: versions(info),
		Notes:    t.Notes,
		Settings: t.settings(),
	}
	for _, v := range t.Variants {
		r.Variants = append(r.Variants, Measured{Variant: v})
	}
	return r
}

func thisMachine() Machine {
	m := Machine{CPU: runtime.GOARCH, Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if model := procField("/proc/cpuinfo", "model name"); model != "" {
		m.CPU = model
	}
	var kib uint64
	if _, err := fmt.Sscanf(procField("/proc/meminfo", "MemTotal"), "%d kB", &kib); err == nil {
		m.Memory = kib << 10
	}
	for _, name := range []string{"GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT"} {
		if value := os.Getenv(name); value != "" {
			m.Variables = append(m.Variables, name+"="+value)
		}
	}
	m.Fault, m.Call = faultCost(), callCost()
	return m
}

// procField reads "name: value" of a file that Linux has.
func procField(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if key, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// costOf is the median of what one of n takes, in nanoseconds; 0 if it fails.
func costOf(n int, measure func() (time.Duration, error)) time.Duration {
	var each []float64
	for range costRepeats {
		took, err := measure()
		if err != nil {
			return 0
		}
		each = append(each, float64(took)/float64(n))
	}
	return time.Duration(stats.Median(each))
}

// versions are of what a program was built from, as far as it knows: riffle's is the
// commit, or where a program requires a release of it, that.
func versions(info *debug.BuildInfo) map[string]string {
	v := map[string]string{"riffle": "unknown"}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v["riffle"] = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			if s.Value == "true" {
				v["riffle"] += " (modified)"
			}
		}
	}
	for _, dep := range info.Deps {
		for _, m := range modules {
			if dep.Path == m {
				v[m] = dep.Version
			}
		}
		if dep.Path == "github.com/riffletrace/riffle" && dep.Version != "(devel)" {
			v["riffle"] = dep.Version
		}
	}
	return v
}
