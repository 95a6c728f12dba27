package core_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/core/spanmetrics"
)

// measuredBench is a provider whose metrics are read.
type measuredBench struct {
	*testBench
	reader *sdkmetric.ManualReader
}

func newMeasuredBench(t *testing.T, spec core.Spec, opts ...core.Option) *measuredBench {
	t.Helper()
	return newMeasuredBenchWith(t, spec, nil, opts...)
}

// newMeasuredBenchWith makes one whose MeterProvider has options.
func newMeasuredBenchWith(t *testing.T, spec core.Spec, options []sdkmetric.Option, opts ...core.Option) *measuredBench {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	meters := sdkmetric.NewMeterProvider(append(options, sdkmetric.WithReader(reader))...)
	quiet := core.Logger(slog.New(slog.DiscardHandler))
	return &measuredBench{newBench(t, spec, append(opts, core.MeterProvider(meters), quiet)...), reader}
}

// read returns a metric, nil if there is none.
func (b *measuredBench) read(name string) metricdata.Aggregation {
	b.t.Helper()
	var all metricdata.ResourceMetrics
	if err := b.reader.Collect(context.Background(), &all); err != nil {
		b.t.Fatal(err)
	}
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			if m.Name == name {
				return m.Data
			}
		}
	}
	return nil
}

// calls are what is counted, by the values of attributes.
func (b *measuredBench) calls(keys ...attribute.Key) map[string]int {
	b.t.Helper()
	counts := map[string]int{}
	sum, _ := b.read(spanmetrics.Calls).(metricdata.Sum[int64])
	for _, p := range sum.DataPoints {
		counts[valuesOf(p.Attributes, keys)] += int(p.Value)
	}
	durations := map[string]int{}
	histogram, _ := b.read(spanmetrics.Duration).(metricdata.Histogram[float64])
	for _, p := range histogram.DataPoints {
		durations[valuesOf(p.Attributes, keys)] += int(p.Count)
	}
	if diff := cmp.Diff(counts, durations); diff != "" {
		b.t.Errorf("calls and durations differ (-calls +durations):\n%s", diff)
	}
	return counts
}

func valuesOf(set attribute.Set, keys []attribute.Key) string {
	var values []string
	for _, k := range keys {
		v, _ := set.Value(k)
		values = append(values, v.String())
	}
	return strings.Join(values, " ")
}

// orderRequest is one with a child, of which every tenth fails.
func orderRequest(ctx context.Context, tracer trace.Tracer, i int) {
	ctx, root := tracer.Start(ctx, "GET /orders/{id}", trace.WithSpanKind(trace.SpanKindServer))
	_, child := tracer.Start(ctx, "SELECT orders", trace.WithSpanKind(trace.SpanKindClient))
	child.End()
	if i%10 == 0 {
		root.SetStatus(codes.Error, "failed")
	}
	root.End()
}

// Every span counts once, whatever becomes of its trace.
func TestSpanMetricsAreExact(t *testing.T) {
	const requests = 1000
	want := map[string]int{
		"GET /orders/{id} SPAN_KIND_SERVER STATUS_CODE_UNSET": requests - requests/10,
		"GET /orders/{id} SPAN_KIND_SERVER STATUS_CODE_ERROR": requests / 10,
		"SELECT orders SPAN_KIND_CLIENT STATUS_CODE_UNSET":    requests,
	}
	sampled := func(flag bool) func(int) trace.SpanContext {
		return func(i int) trace.SpanContext {
			return trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: trace.TraceID{15: byte(i), 14: byte(i >> 8), 0: 1}, SpanID: trace.SpanID{1}, Remote: true,
				TraceFlags: trace.TraceFlags(0).WithSampled(flag),
			})
		}
	}
	none := func(int) trace.SpanContext { return trace.SpanContext{} }
	budget := &core.BudgetConfig{TracesPerSecond: 1}
	for _, tt := range []struct {
		name   string
		spec   core.Spec
		parent func(int) trace.SpanContext
	}{
		{"one percent, and errors", core.Spec{Samplers: []core.SamplerEntry{use("error", keepsErrors{}), baseline(0.01)}}, none},
		{"the start decides", core.Spec{Samplers: []core.SamplerEntry{baseline(0.01)}}, none},
		{"nothing is kept", core.Spec{Samplers: []core.SamplerEntry{baseline(0)}}, none},
		{"everything is kept", core.Spec{Samplers: []core.SamplerEntry{baseline(1)}}, none},
		{"a budget", core.Spec{Samplers: []core.SamplerEntry{baseline(1)}, Budget: budget}, none},
		{"a parent that is not sampled", core.Spec{Samplers: []core.SamplerEntry{baseline(1)}}, sampled(false)},
		{"a parent that is sampled", core.Spec{Samplers: []core.SamplerEntry{baseline(0)}}, sampled(true)},
		{"a followed parent that is not sampled", core.Spec{Samplers: []core.SamplerEntry{use("error", keepsErrors{}), baseline(1)}, RemoteParent: record.Follow}, sampled(false)},
		{"an ignored parent", core.Spec{Samplers: []core.SamplerEntry{baseline(0)}, RemoteParent: record.Ignore}, sampled(true)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.spec.SpanMetrics = &spanmetrics.Config{}
			b := newMeasuredBench(t, tt.spec)
			for i := range requests {
				orderRequest(trace.ContextWithRemoteSpanContext(t.Context(), tt.parent(i)), b.tracer, i)
			}
			if diff := cmp.Diff(want, b.calls("span.name", "span.kind", "status.code")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if s := b.provider.Stats(); s.Dropped != 0 || s.Unrecorded != 0 {
				t.Errorf("dropped %d, unrecorded %d, want none", s.Dropped, s.Unrecorded)
			}
		})
	}
}

// Where memory is short, what is not recorded to its end is counted as unrecorded. With
// span processors, what was recorded is recorded to its end.
func TestSpanMetricsUnderPressure(t *testing.T) {
	const requests = 3000
	for name, tt := range map[string]struct {
		open    bool
		options []core.Option
	}{
		"ended": {}, "open": {open: true},
		"open, with a span processor": {true, []core.Option{core.SpanProcessor(tracetest.NewSpanRecorder())}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newMeasuredBench(t, core.Spec{
				SpanMetrics: &spanmetrics.Config{}, MaxBytes: 1 << 20,
				Samplers: []core.SamplerEntry{drops("dropped"), use("error", keepsErrors{}), baseline(0.01)},
			}, append(tt.options, core.IDGenerator(newRandomIDs(1)))...)
			var spans []trace.Span // that are open
			var recorded int
			for i := range requests {
				name := "GET /orders"
				if i%100 == 0 {
					name = "dropped"
				}
				ctx, root := b.tracer.Start(t.Context(), name)
				_, child := b.tracer.Start(ctx, "child", trace.WithAttributes(attribute.String("payload", strings.Repeat("x", 4000))))
				if spans = append(spans, root); tt.open {
					spans = append(spans, child)
				} else {
					child.End()
				}
				if i == requests/2 {
					until(t, "memory is short", func() bool { return b.provider.Stats().UnderPressure > 0 })
				}
				if i%20 == 0 {
					n := b.started()["recorded"]
					if n < recorded {
						t.Fatalf("%d were recorded, and %d before: a counter fell", n, recorded)
					}
					recorded = n
				}
			}
			for _, s := range spans {
				s.End()
			}
			b.check(requests, "GET /orders", true)
		})
	}
}

// check fails unless the local roots of a name, those that were dropped and those that
// were not recorded are all that there were.
func (b *measuredBench) check(requests int, name string, pressure bool) {
	b.t.Helper()
	calls, s := b.calls("span.name")[name], b.provider.Stats()
	if calls+int(s.Unrecorded+s.Dropped) != requests {
		b.t.Errorf("%d calls, %d unrecorded, %d dropped: want %d", calls, s.Unrecorded, s.Dropped, requests)
	}
	if pressure && (s.UnderPressure == 0 || calls == 0) {
		b.t.Errorf("%d calls, %d segments let go: there was no pressure, or nothing else", calls, s.UnderPressure)
	}
	if n := b.read("riffle.segments.unrecorded").(metricdata.Sum[int64]).DataPoints[0].Value; n != int64(s.Unrecorded) {
		b.t.Errorf("the metric says %d unrecorded, Stats %d", n, s.Unrecorded)
	}
	started := 0
	for _, n := range b.started() {
		started += n
	}
	if started != requests {
		b.t.Errorf("%d local roots are counted at their start, want %d", started, requests)
	}
}

// started are local roots by what became of them.
func (b *measuredBench) started() map[string]int {
	b.t.Helper()
	counts := map[string]int{}
	for _, p := range b.read("riffle.segments.started").(metricdata.Sum[int64]).DataPoints {
		v, _ := p.Attributes.Value("riffle.outcome")
		counts[v.AsString()] = int(p.Value)
	}
	return counts
}

// dropping drops by name.
type dropping string

func drops(name string) core.SamplerEntry { return use("drop", dropping(name)) }

func (dropping) Traits() sampling.Traits { return sampling.Traits{Description: "drops", MayDrop: true} }

func (d dropping) SampleStart(p sampling.StartParameters) sampling.Answer {
	if p.Name == string(d) {
		return sampling.Drop()
	}
	return sampling.Abstain()
}

// Exemplars point to traces that are exported, and to no others.
func TestExemplarsAreKept(t *testing.T) {
	off := false
	for _, tt := range []struct {
		exemplars *bool
		options   []sdkmetric.Option
	}{
		{nil, nil},
		{nil, []sdkmetric.Option{sdkmetric.WithExemplarFilter(core.ExemplarFilter)}},
		{&off, nil},
	} {
		b := newMeasuredBenchWith(t, core.Spec{
			SpanMetrics: &spanmetrics.Config{Exemplars: tt.exemplars},
			Samplers:    []core.SamplerEntry{use("error", keepsErrors{}), baseline(0)},
		}, tt.options)
		for i := range 100 {
			orderRequest(t.Context(), b.tracer, i)
		}
		kept := map[string]bool{}
		b.flushed()
		for _, s := range b.out.spans {
			sc := s.SpanContext()
			kept[sc.TraceID().String()+sc.SpanID().String()] = true
		}
		var n int
		for _, p := range b.read(spanmetrics.Duration).(metricdata.Histogram[float64]).DataPoints {
			for _, e := range p.Exemplars {
				n++
				if id := hex.EncodeToString(e.TraceID) + hex.EncodeToString(e.SpanID); !kept[id] {
					t.Errorf("an exemplar points to %s, which is not exported", id)
				}
			}
		}
		if want := tt.exemplars == nil; n > 0 != want {
			t.Errorf("%d exemplars, want some: %v", n, want)
		}
	}
}

// A reload turns them off and on, and they go on counting.
func TestReloadOfSpanMetrics(t *testing.T) {
	spec := core.Spec{Enabled: true, Samplers: []core.SamplerEntry{baseline(0)}}
	b := newMeasuredBench(t, spec)
	reload := func(c *spanmetrics.Config, service string) error {
		return b.provider.Reload(t.Context(), func() (core.Spec, error) {
			next := spec
			next.SpanMetrics, next.ServiceName = c, service
			return next, nil
		})
	}
	count := func() int {
		orderRequest(t.Context(), b.tracer, 1)
		return b.calls("span.name")["GET /orders/{id}"]
	}
	c := spanmetrics.Config{Dimensions: []string{"http.route"}}
	said := c.WithDefaults() // the same, written out
	for i, step := range []struct {
		config  *spanmetrics.Config
		service string
		err     string
		calls   int
	}{
		{nil, "", "", 0},
		{&c, "", "", 1},
		{&c, "", "", 2},
		{&said, "", "", 3},
		{&spanmetrics.Config{}, "", "span_metrics: a reload does not change them: restart the process", 4},
		{&c, "another", "span_metrics: a reload does not change the resource of what they have counted: restart the process", 5},
		{nil, "", "", 5},
		{&spanmetrics.Config{MaxSeries: 7}, "", "span_metrics: a reload does not change them: restart the process", 5},
		{&c, "", "", 6},
	} {
		err := reload(step.config, step.service)
		if got := fmt.Sprint(err); step.err == "" && err != nil || step.err != "" && got != step.err {
			t.Errorf("step %d: error %v, want %q", i, err, step.err)
		}
		if n := count(); n != step.calls {
			t.Errorf("step %d: %d calls, want %d", i, n, step.calls)
		}
	}
}

func TestSpanMetricsMistakes(t *testing.T) {
	spec := core.Spec{SpanMetrics: &spanmetrics.Config{
		Dimensions: []string{"span.name", "", "a", "a"}, Exponential: true, MaxSeries: 1,
		Buckets: []component.Duration{0, 5, 5},
	}}
	want := strings.Join([]string{
		`span_metrics.dimensions[0]: "span.name" is one of every series already`,
		`span_metrics.dimensions[1]: empty: want an attribute`,
		`span_metrics.dimensions[3]: "a" is listed twice`,
		`span_metrics.buckets[0]: 0s is not above 0`,
		`span_metrics.buckets[2]: 5ns is not above the one before it (5ns)`,
		`span_metrics.buckets: both buckets and exponential: want one of them`,
		`span_metrics.max_series: 1 is not between 2 and 100000`,
	}, "\n")
	if err := spec.Check(); err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}
