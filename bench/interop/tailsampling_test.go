package interop

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/collector/pdata/ptrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.yaml.in/yaml/v4"

	"github.com/riffletrace/riffle/bench/internal/process"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	_ "github.com/riffletrace/riffle/samplers/standard"
)

// tailCase are policies of the Collector's tail_sampling.
type tailCase struct {
	name     string
	policies string // the list in YAML
	// share is what is kept of the traces that selected is true of, where that is
	// no matter of the traces alone; of the others nothing is.
	share    float64
	selected func(*recorded) bool
}

// TestTailSampling plays the same traces to the Collector's processor and to riffle with
// what riffle import makes of the processor's configuration.
func TestTailSampling(t *testing.T) {
	needsBackends(t)
	traces := recordedTraces()
	collected := collectorKeeps(t, traces)
	for _, c := range tailCases {
		t.Run(c.name, func(t *testing.T) {
			kept := riffleKeeps(t, c, traces)
			if c.selected != nil {
				checkShare(t, "the Collector", c, traces, collected[c.name])
				checkShare(t, "riffle", c, traces, kept)
				return
			}
			n := 0
			for _, tr := range traces {
				if collected[c.name][tr.id] > 0 {
					n++
				}
				if want, got := collected[c.name][tr.id] > 0, kept[tr.id]; want != (got > 0) {
					t.Errorf("the Collector keeps it: %v, riffle: %v\n%v", want, got > 0, tr)
				} else if want && got != 1 {
					t.Errorf("the weight is %v, want 1\n%v", got, tr)
				}
			}
			if n == 0 || n == len(traces) {
				t.Errorf("%d of %d traces are kept: that shows nothing", n, len(traces))
			}
		})
	}
}

// checkShare checks what one side keeps, by the number and by the weights.
func checkShare(t *testing.T, who string, c tailCase, traces []*recorded, kept map[trace.TraceID]float64) {
	t.Helper()
	n, got, weight := 0, 0, 0.0
	for _, tr := range traces {
		w, isKept := kept[tr.id]
		if !c.selected(tr) {
			if isKept {
				t.Errorf("%s keeps what the policy does not select\n%v", who, tr)
			}
			continue
		}
		if n++; isKept {
			got++
		}
		weight += w
	}
	errs := 4 * math.Sqrt(float64(n)*c.share*(1-c.share))
	if math.Abs(float64(got)-float64(n)*c.share) > errs {
		t.Errorf("%s keeps %d of %d, want a share of %v", who, got, n, c.share)
	}
	// The Collector's spans have no weight.
	if who == "riffle" && math.Abs(weight-float64(n)) > errs/c.share {
		t.Errorf("the weights of what riffle keeps are %v, want about %d", weight, n)
	}
}

// tailCollector is a Collector that has all the cases, each in a pipeline of its own.
type tailCollector struct {
	url     string
	process *process.Process
	file    func(tailCase) string // what a case keeps
}

func startTailCollector(t *testing.T, cases []tailCase, wait string, traces int) *tailCollector {
	t.Helper()
	dir := t.TempDir()
	processors, exporters, pipelines := map[string]any{}, map[string]any{}, map[string]any{}
	file := func(c tailCase) string { return filepath.Join(dir, c.name+".json") }
	for _, c := range cases {
		var policies any
		if err := yaml.Unmarshal([]byte(c.policies), &policies); err != nil {
			t.Fatal(c.name, err)
		}
		processors["tail_sampling/"+c.name] = map[string]any{"policies": policies, "decision_wait": wait, "num_traces": 2 * traces}
		exporters["file/"+c.name] = map[string]any{"path": file(c)}
		pipelines["traces/"+c.name] = map[string]any{
			"receivers": []string{"otlp"}, "processors": []string{"tail_sampling/" + c.name}, "exporters": []string{"file/" + c.name},
		}
	}
	text, err := yaml.Marshal(map[string]any{
		"receivers":  map[string]any{"otlp": map[string]any{"protocols": map[string]any{"grpc": map[string]any{"endpoint": "0.0.0.0:4317"}, "http": map[string]any{"endpoint": "0.0.0.0:4318"}}}},
		"processors": processors, "exporters": exporters,
		"service": map[string]any{"telemetry": map[string]any{"metrics": map[string]any{"level": "none"}}, "pipelines": pipelines},
	})
	if err != nil {
		t.Fatal(err)
	}
	ports, collector := startWithConfig(t, string(text))
	return &tailCollector{"http://" + ports.At("http") + "/v1/traces", collector, file}
}

// collectorKeeps plays the traces to one Collector that has all the cases. What is kept
// has the weight 1.
func collectorKeeps(t *testing.T, traces []*recorded) map[string]map[trace.TraceID]float64 {
	t.Helper()
	// What is not decided when the Collector ends is decided then.
	c := startTailCollector(t, tailCases, "5s", len(traces))
	for _, tr := range traces {
		send(t, c.url, tr.otlp())
	}
	return c.kept(t, tailCases)
}

// kept ends the Collector and returns what each case has kept.
func (c *tailCollector) kept(t *testing.T, cases []tailCase) map[string]map[trace.TraceID]float64 {
	t.Helper()
	if _, err := c.process.Interrupt(); err != nil {
		t.Fatal(err)
	}
	all := map[string]map[trace.TraceID]float64{}
	for _, tc := range cases {
		all[tc.name] = map[trace.TraceID]float64{}
		data, err := os.ReadFile(c.file(tc))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			td, err := new(ptrace.JSONUnmarshaler).UnmarshalTraces([]byte(line))
			if err != nil {
				t.Fatal(tc.name, err)
			}
			for _, rs := range td.ResourceSpans().All() {
				for _, ss := range rs.ScopeSpans().All() {
					for _, s := range ss.Spans().All() {
						all[tc.name][trace.TraceID(s.TraceID())] = 1
					}
				}
			}
		}
	}
	return all
}

func send(t *testing.T, url string, td ptrace.Traces) {
	t.Helper()
	data, err := new(ptrace.ProtoMarshaler).MarshalTraces(td)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
}

// tailRiffle is a provider with what riffle import makes of a case.
type tailRiffle struct {
	*core.Provider
	ids *givenIDs
	out *keptSpans
}

func startTailRiffle(t *testing.T, c tailCase) *tailRiffle {
	t.Helper()
	r := &tailRiffle{ids: &givenIDs{}, out: &keptSpans{weights: map[trace.TraceID]float64{}}}
	spec := imported(t, "tail_sampling:\n  policies:\n"+c.policies)
	spec.Resource = tailResource
	spec.Exporters = []core.ExporterEntry{core.UseExporter(component.NewFactory("kept", struct{}{}, func(context.Context, component.Settings, struct{}) (sdktrace.SpanExporter, error) {
		return r.out, nil
	}), "", struct{}{})}
	var err error
	if r.Provider, err = core.New(t.Context(), spec, core.IDGenerator(r.ids), core.Logger(slog.New(slog.DiscardHandler))); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *tailRiffle) play(tr *recorded) {
	r.ids.next = tr.id
	tr.play(r.TracerProvider())
}

// kept ends riffle and returns the weights of the local roots that it has kept.
func (r *tailRiffle) kept(t *testing.T) map[trace.TraceID]float64 {
	t.Helper()
	if err := r.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	return r.out.weights
}

// riffleKeeps plays the traces to riffle, and returns the weights of their local roots.
func riffleKeeps(t *testing.T, c tailCase, traces []*recorded) map[trace.TraceID]float64 {
	t.Helper()
	r := startTailRiffle(t, c)
	for _, tr := range traces {
		r.play(tr)
	}
	return r.kept(t)
}

// imported is what riffle import makes of a Collector's configuration.
func imported(t *testing.T, text string) core.Spec {
	t.Helper()
	program, err := riffleProgram()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "import", "-")
	cmd.Stdin = strings.NewReader(text)
	var stderr bytes.Buffer
	cmd.Env, cmd.Stderr = process.Environ(), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	// What one policy does not use, the others can.
	said := bytes.ReplaceAll(out, []byte("rate_allocation is left out"), nil)
	if bytes.Contains(said, []byte("left out")) {
		t.Fatalf("something cannot be said:\n%s", out)
	}
	file := filepath.Join(t.TempDir(), "riffle.yaml")
	if err := os.WriteFile(file, out, 0o600); err != nil {
		t.Fatal(err)
	}
	spec, err := config.Load(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s", out)
		}
	})
	return spec
}

// keptSpans is an exporter that keeps the weights of local roots.
type keptSpans struct {
	mu      sync.Mutex
	weights map[trace.TraceID]float64
}

func (k *keptSpans) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range spans {
		if s.Parent().IsValid() && !s.Parent().IsRemote() {
			continue
		}
		th := sampling.ThresholdIn(s.SpanContext().TraceState())
		k.weights[s.SpanContext().TraceID()] = th.AdjustedCount()
	}
	return nil
}

func (*keptSpans) Shutdown(context.Context) error { return nil }

// givenIDs gives traces the ID that is next.
type givenIDs struct {
	next  trace.TraceID
	spans uint64
}

func (g *givenIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	return g.next, g.NewSpanID(ctx, g.next)
}

func (g *givenIDs) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	g.spans++
	binary.BigEndian.PutUint64(id[:], g.spans)
	return id
}
