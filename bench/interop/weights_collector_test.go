package interop

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.yaml.in/yaml/v4"

	"github.com/riffletrace/riffle/bench/internal/process"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
)

// weigh plays the population to riffle, which sends what it keeps to the endpoint. Of the
// same rate it is the same in every run, since the IDs are.
func weigh(t *testing.T, rate float64, endpoint string) {
	t.Helper()
	spec, err := config.Parse(fmt.Appendf(nil, `
observability:
  tracing:
    enabled: true
    service_name: %s
    resource: {%s: weights}
    samplers: [{type: ratio, rate: %v}, {type: error}]
    exporters: [{type: otlp, endpoint: %q}]
`, serviceName, caseKey, rate, endpoint), config.Environ([]string{}))
	if err != nil {
		t.Fatal(err)
	}
	p, err := core.New(t.Context(), spec, core.IDGenerator(&seededIDs{rand.New(rand.NewPCG(25, 158))}), core.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	tracer := p.TracerProvider().Tracer("shop")
	for i := range weighedRequests {
		ctx, request := tracer.Start(context.Background(), "GET /cart", trace.WithSpanKind(trace.SpanKindServer))
		_, query := tracer.Start(ctx, "SELECT cart", trace.WithSpanKind(trace.SpanKindClient))
		query.End()
		if i%33 == 0 {
			request.SetStatus(codes.Error, "")
		}
		request.End()
	}
	// Not that of the test: it waits for what is under way.
	if err := p.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// seededIDs are as random as IDs must be, and the same in every run.
type seededIDs struct{ *rand.Rand }

func (g *seededIDs) NewIDs(ctx context.Context) (id trace.TraceID, _ trace.SpanID) {
	binary.BigEndian.PutUint64(id[:8], g.Uint64())
	binary.BigEndian.PutUint64(id[8:], g.Uint64())
	return id, g.NewSpanID(ctx, id)
}

func (g *seededIDs) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	binary.BigEndian.PutUint64(id[:], g.Uint64())
	return id
}

// weighing is a Collector in which what arrives goes to span_metrics, and through the
// processor of each case.
type weighing struct {
	endpoint string
	process  *process.Process
	cases    []weighedCase
	dir      string
}

func startWeighing(t *testing.T, gate bool) *weighing {
	t.Helper()
	w := &weighing{dir: t.TempDir()}
	processors, pipelines := map[string]any{}, map[string]any{
		"traces/arrived":  map[string]any{"receivers": []string{"otlp"}, "exporters": []string{"file/arrived", "span_metrics"}},
		"metrics/arrived": map[string]any{"receivers": []string{"span_metrics"}, "exporters": []string{"file/metrics"}},
	}
	exporter := func(name string) map[string]any {
		return map[string]any{"path": filepath.Join(w.dir, name+".json"), "flush_interval": "50ms"}
	}
	exporters := map[string]any{"file/arrived": exporter("arrived"), "file/metrics": exporter("metrics")}
	for i, c := range weighedCases {
		if c.gate != gate && c.name == "tail_sampling" {
			continue
		}
		var processor map[string]any
		if err := yaml.Unmarshal([]byte(c.processor), &processor); err != nil {
			t.Fatal(c.setting, err)
		}
		if c.name == "tail_sampling" {
			// What is not decided when the Collector ends is decided then.
			maps.Copy(processor, map[string]any{"decision_wait": "1h", "num_traces": 2 * weighedRequests})
		}
		name := fmt.Sprintf("case%d", i)
		processors[c.name+"/"+name], exporters["file/"+name] = processor, exporter(name)
		pipelines["traces/"+name] = map[string]any{
			"receivers": []string{"otlp"}, "processors": []string{c.name + "/" + name}, "exporters": []string{"file/" + name},
		}
		c.processor = name
		w.cases = append(w.cases, c)
	}
	text, err := yaml.Marshal(map[string]any{
		"receivers":  map[string]any{"otlp": map[string]any{"protocols": map[string]any{"grpc": map[string]any{"endpoint": "0.0.0.0:4317"}}}},
		"connectors": map[string]any{"span_metrics": map[string]any{"metrics_flush_interval": "100ms"}},
		"processors": processors, "exporters": exporters,
		"service": map[string]any{"telemetry": map[string]any{"metrics": map[string]any{"level": "none"}}, "pipelines": pipelines},
	})
	if err != nil {
		t.Fatal(err)
	}
	var args []string
	if gate {
		args = append(args, "--feature-gates="+useTracestate)
	}
	ports, collector := startWithConfig(t, string(text), args...)
	w.endpoint, w.process = ports.Local("grpc"), collector
	return w
}

// lines are those of a file that are whole; of one that is not there, none.
func (w *weighing) lines(name string) ([]string, error) {
	data, err := os.ReadFile(filepath.Join(w.dir, name+".json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	text := string(data)
	return strings.SplitAfter(text[:strings.LastIndexByte(text, '\n')+1], "\n"), nil
}

// tally reads what the processor of a case has let out.
func (w *weighing) tally(t *testing.T, c weighedCase) tally {
	t.Helper()
	got, err := w.read(c)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (w *weighing) read(c weighedCase) (tally, error) {
	got := tally{of: c, weights: map[float64]bool{}}
	lines, err := w.lines(c.processor)
	if err != nil {
		return got, err
	}
	for _, line := range lines {
		if line == "" {
			continue
		}
		td, err := new(ptrace.JSONUnmarshaler).UnmarshalTraces([]byte(line))
		if err != nil {
			return got, err
		}
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					if s.Kind() != ptrace.SpanKindServer {
						continue
					}
					if err := got.add(s.TraceState().AsRaw(), s.Status().Code() == ptrace.StatusCodeError); err != nil {
						return got, fmt.Errorf("%s: %w", c.setting, err)
					}
				}
			}
		}
	}
	return got, nil
}

// arrived waits until the file has what riffle has delivered.
func (w *weighing) arrived(t *testing.T) (got tally) {
	t.Helper()
	err := process.Poll(func() (err error) {
		before := got.spans
		got, err = w.read(weighedCase{name: "riffle", setting: "what it sends", processor: "arrived", failures: 1, others: 1})
		if err == nil && (got.failures.sum < weighedFailures || got.spans != before) {
			err = fmt.Errorf("%d requests have arrived", got.spans)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// checkMetrics waits until span_metrics shows what the weights of the spans that have
// arrived add up to. It rounds the weights of spans, each by less than 1, up or down by
// chance; a weight of 1 needs no rounding.
func (w *weighing) checkMetrics(t *testing.T, arrived *tally) {
	t.Helper()
	weighed := float64(arrived.spans) - arrived.failures.sum
	err := process.Poll(func() error {
		calls, failures, timed, err := w.metrics()
		switch {
		case err != nil:
			return err
		case math.Abs(calls-arrived.calls.sum) > weighed || failures != arrived.failures.sum || timed != calls:
			return fmt.Errorf("span_metrics shows %v calls, %v of them errors, and %v durations, want %.0f within %v and %v", calls, failures, timed, arrived.calls.sum, weighed, arrived.failures.sum)
		}
		t.Logf("span_metrics shows %v calls and %v errors: %.2f %%; without weights they are %.0f %%", calls, failures, 100*failures/calls, 100*arrived.failures.sum/float64(arrived.spans))
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// metrics are the newest about requests: all, those that failed, and how many have a
// duration.
func (w *weighing) metrics() (calls, failures, timed float64, err error) {
	lines, err := w.lines("metrics")
	if err != nil {
		return 0, 0, 0, err
	}
	if len(lines) < 2 {
		return 0, 0, 0, errors.New("there are no metrics")
	}
	md, err := new(pmetric.JSONUnmarshaler).UnmarshalMetrics([]byte(lines[len(lines)-2]))
	if err != nil {
		return 0, 0, 0, err
	}
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				switch m.Name() {
				case "traces.span.metrics.calls":
					for _, p := range m.Sum().DataPoints().All() {
						if kind, _ := p.Attributes().Get("span.kind"); kind.Str() != "SPAN_KIND_SERVER" {
							continue
						}
						calls += float64(p.IntValue())
						if status, _ := p.Attributes().Get("status.code"); status.Str() == "STATUS_CODE_ERROR" {
							failures += float64(p.IntValue())
						}
					}
				case "traces.span.metrics.duration":
					for _, p := range m.Histogram().DataPoints().All() {
						if kind, _ := p.Attributes().Get("span.kind"); kind.Str() == "SPAN_KIND_SERVER" {
							timed += float64(p.Count())
						}
					}
				}
			}
		}
	}
	return calls, failures, timed, nil
}
