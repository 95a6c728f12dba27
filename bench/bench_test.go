package bench

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/bench/internal/parts"
	"github.com/riffletrace/riffle/config"
)

// plainTarget is a service of one span.
func plainTarget() Target {
	return Target{
		Name: "plain",
		Handler: func(_ context.Context, s Service) (http.Handler, func(), error) {
			tracer := s.Tracers.Tracer("test")
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, span := tracer.Start(r.Context(), "GET /", trace.WithSpanKind(trace.SpanKindServer))
				defer span.End()
				s.Seen(ctx)
				_, _ = io.WriteString(w, "hello")
			}), nil, nil
		},
		Requests:        []Request{{Path: "/"}},
		SpansPerRequest: 1,
		Rounds:          1,
		Duration:        60 * time.Millisecond,
	}
}

// Every variant there is runs, and loses nothing.
func TestRunOfEverything(t *testing.T) {
	target := plainTarget()
	target.Variants = FullVariants([]float64{1})
	if testing.Short() {
		target.Variants = []Variant{off(), RiffleAt(1, true, HTTP), StockAt(1, HTTP)}
	}
	target.ProfileDir = t.TempDir()
	done := 0
	target.Progress = func(n, total int) {
		if n != done || n >= total {
			t.Errorf("progress %d of %d, want %d", n, total, done)
		}
		done++
	}
	r, err := Run(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Variants {
		m := &r.Variants[i]
		if len(m.Rounds) != 1 || m.CPU().Value <= 0 || m.Rounds[0].Allocs == 0 || m.Rounds[0].HeapHigh == 0 || len(m.Latency) == 0 || m.Timed() == 0 || len(m.Throughput) != 1 || m.Profiled == 0 {
			t.Errorf("%s: %+v", m.Name, m)
		}
		if !m.Complete() {
			t.Errorf("%s: lost: %+v", m.Name, m.Counts)
		}
		if sends := m.Kind == Riffle || m.Kind == Stock; sends != (m.Counts.Kept > 0) {
			t.Errorf("%s: kept %d", m.Name, m.Counts.Kept)
		}
	}
	files, err := filepath.Glob(filepath.Join(target.ProfileDir, "*.cpu.pprof"))
	if err != nil || len(files) != len(r.Variants) {
		t.Errorf("%d profiles, %v; want %d", len(files), err, len(r.Variants))
	}
}

func TestRunOfTheShop(t *testing.T) {
	t.Run("in memory", func(t *testing.T) {
		if testing.Short() {
			t.Skip("like the other; CI runs this without -short too")
		}
		runShop(t, Shop(), off(), RiffleAt(1, false, HTTP))
	})
	t.Run("PostgreSQL", func(t *testing.T) { // or, with a note that says why, in memory again
		target, closeStore, err := OpenShop(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := closeStore(); err != nil {
				t.Error(err)
			}
		}()
		if len(target.Notes) != 1 {
			t.Errorf("notes: %q", target.Notes)
		}
		t.Log(target.Notes)
		runShop(t, target, off(), RiffleAt(0, true, HTTP), StockAt(1, HTTP))
	})
}

func runShop(t *testing.T, target Target, variants ...Variant) {
	t.Helper()
	target.Variants = variants
	target.Rounds, target.Duration = 1, 60*time.Millisecond
	r, err := Run(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Variants {
		if m := &r.Variants[i]; !m.Complete() || m.Counts.Kept%6 != 0 || m.Kind != Off && m.Counts.Kept == 0 {
			t.Errorf("%s: %+v, want whole traces of 6 spans", m.Name, m.Counts)
		}
	}
}

// A user's configuration has the user's environment, the other variants do not.
func TestOwnConfiguration(t *testing.T) {
	target := plainTarget()
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "absent.pem") // each of the others would fail
	t.Setenv("FLUXBASE_OBSERVABILITY_TRACING_SAMPLE_RATE", "7")
	t.Setenv("SHOP_OBSERVABILITY_TRACING_SAMPLE_RATE", "0")
	own := RiffleConfigured("mine", "shop", config.DefaultSection, `
observability:
  tracing:
    enabled: true
    sample_rate: 1
    exporters:
      - {type: stdout, format: otlp_json, output: stderr}
`)
	target.Variants = []Variant{off(), RiffleAt(1, false, HTTP), StockAt(1, HTTP), own}
	r, err := Run(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Variants {
		m := &r.Variants[i]
		if !m.Complete() || (m.Counts.Kept > 0) != (m.Kind != Off && !m.Own) {
			t.Errorf("%s: %+v", m.Name, m.Counts)
		}
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	target := plainTarget()
	target.Rounds = 50
	target.Variants = []Variant{off(), StockAt(1, HTTP)}
	target.Progress = func(done, _ int) {
		if done == 3 {
			cancel()
		}
	}
	r, err := Run(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || !r.begun() {
		t.Errorf("%+v", r)
	}
	for i := range r.Variants {
		if m := &r.Variants[i]; !m.Complete() {
			t.Errorf("%s: the interrupted round counts in part: %+v", m.Name, m.Counts)
		}
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	target.Progress = nil
	if _, err := Run(ctx, target); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "before the first round") {
		t.Errorf("interrupted from the start: %v", err)
	}
}

func TestMistakes(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Target)
		says   string
	}{
		"no handler":  {func(t *Target) { t.Handler = nil }, "Handler is nil"},
		"no requests": {func(t *Target) { t.Requests = nil }, "Requests is empty"},
		"no off":      {func(t *Target) { t.Variants = []Variant{StockAt(1, HTTP)} }, `no variant "off"`},
		"twice":       {func(t *Target) { t.Variants = []Variant{off(), off()} }, `has "off" twice`},
		"not in Main": {func(t *Target) { t.Name = "another" }, `target "another": bench.Main was not given it`},
		"broken config": {func(t *Target) {
			t.Variants = []Variant{off(), RiffleConfigured("mine", "", config.DefaultSection, "observability: {tracing: {enabled: true, sample_rate: 2}}")}
			t.Rounds = 1
		}, `variant "mine"`},
	} {
		t.Run(name, func(t *testing.T) {
			target := plainTarget()
			test.change(&target)
			if _, err := Run(t.Context(), target); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %q in it", err, test.says)
			}
		})
	}
	t.Run("inside a role", func(t *testing.T) {
		t.Setenv(roleVariable, roleLoad)
		if _, err := Run(t.Context(), plainTarget()); err == nil || !strings.Contains(err.Error(), "call bench.Main first") {
			t.Error(err)
		}
	})
}

func TestScalePoint(t *testing.T) {
	seen := map[Dimension]bool{}
	for _, o := range scaleSchedule() {
		if seen[o.Dimension] && o.Variant.Kind == Riffle {
			continue
		}
		seen[o.Dimension] = true
	}
	if len(seen) != len(Dimensions()) {
		t.Errorf("%v", seen)
	}
	several := RiffleAt(1, false, HTTP)
	if got := strings.Count(withExporters(several.Config, 3), "type: otlp"); got != 3 {
		t.Errorf("%d exporters", got)
	}
}

func TestCompare(t *testing.T) {
	at := func(off, with time.Duration) *Result {
		r := &Result{Format: formatVersion, Variants: []Measured{{Variant: Variant{Name: "off", Kind: Off}}, {Variant: StockAt(1, HTTP)}}}
		for i := range 9 {
			wobble := time.Duration(i%3) * time.Microsecond
			r.Variants[0].Rounds = append(r.Variants[0].Rounds, Round{Cycle: i, Requests: 1, User: off + wobble, Allocs: 5})
			r.Variants[1].Rounds = append(r.Variants[1].Rounds, Round{Cycle: i, Requests: 1, User: with + 2*wobble, Allocs: 9})
		}
		return r
	}
	before := at(100*time.Microsecond, 130*time.Microsecond)
	verdict := func(r *Result) (worse, better bool) {
		for _, c := range r.Compare(before) {
			worse, better = worse || c.Worse, better || c.Better
		}
		return worse, better
	}
	if worse, better := verdict(at(100*time.Microsecond, 130*time.Microsecond)); worse || better {
		t.Error("the same is not the same")
	}
	if worse, _ := verdict(at(200*time.Microsecond, 260*time.Microsecond)); worse {
		t.Error("a machine of half the speed is a regression")
	}
	if worse, _ := verdict(at(100*time.Microsecond, 160*time.Microsecond)); !worse {
		t.Error("twice the overhead is none")
	}
	if _, better := verdict(at(100*time.Microsecond, 110*time.Microsecond)); !better {
		t.Error("a third of the overhead is not better")
	}
	lossy := at(100*time.Microsecond, 130*time.Microsecond)
	lossy.Variants[1].Counts = Counts{Kept: 5, Sent: 5, Received: 4}
	if worse, _ := verdict(lossy); !worse {
		t.Error("a lost span is not worse")
	}
}

func TestOverhead(t *testing.T) {
	r := &Result{Variants: []Measured{{Variant: off()}, {Variant: RiffleAt(1, false, HTTP)}, {Variant: StockAt(1, HTTP)}}}
	for i := range 6 {
		drift := time.Duration(i) * time.Millisecond // hits all alike, so pairs do not see it
		for v, more := range []time.Duration{0, 10 * time.Microsecond, 40 * time.Microsecond} {
			r.Variants[v].Rounds = append(r.Variants[v].Rounds, Round{Cycle: i, Requests: 1, User: time.Millisecond, System: drift + more})
		}
	}
	ns, _ := r.Overhead(&r.Variants[1])
	if want := (Estimate{Value: 1e4, Low: 1e4, High: 1e4}); ns != want {
		t.Errorf("overhead %+v, want %+v", ns, want)
	}
	goals := r.Goals()
	if first := goals[0]; first.Result() != "not in this run" {
		t.Errorf("%+v", first)
	}
	if full := goals[2]; !full.Known || !full.Met || full.Doubtful || full.Figure.Value != 0.25 || full.Result() != "met" {
		t.Errorf("%+v", full)
	}
}

// What a profile is split by is still called so.
func TestPartsAreThere(t *testing.T) {
	program := filepath.Join(t.TempDir(), "riffle") // programs of go test have no symbols
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Dir = filepath.Join("..", "cmd", "riffle") // a module of its own
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	symbols, err := exec.CommandContext(t.Context(), "go", "tool", "nm", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, prefix := range parts.Code() {
		if !bytes.Contains(symbols, []byte(" "+prefix)) {
			t.Errorf("no function is called %s...", prefix)
		}
	}
}

func TestResources(t *testing.T) {
	before, err := resources()
	if err != nil {
		t.Fatal(err)
	}
	pages := make([]byte, 8<<20) // of the system, since no heap of a test has them free
	for began := time.Now(); time.Since(began) < 30*time.Millisecond; {
		for i := 0; i < len(pages); i += 4096 {
			pages[i]++
		}
	}
	after, err := resources()
	if err != nil || after.User+after.System <= before.User+before.System {
		t.Errorf("%v, then %v, %v", before, after, err)
	}
	if after.Faults <= before.Faults && runtime.GOOS != "windows" {
		t.Errorf("%d page faults, then %d", before.Faults, after.Faults)
	}
}

func TestMachine(t *testing.T) {
	t.Setenv("GOGC", "150")
	m := thisMachine()
	if known := runtime.GOOS != "windows"; m.Fault > 0 != known || m.Call > 0 != known {
		t.Errorf("a page fault of %v, a call of %v", m.Fault, m.Call)
	}
	if !slices.Contains(m.Variables, "GOGC=150") {
		t.Errorf("variables: %q", m.Variables)
	}
}
