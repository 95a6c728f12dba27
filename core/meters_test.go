package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/spanmetrics"
)

// meters is what a metrics section starts in a test. It notes what is asked of it, and
// what it would export then.
type meters struct {
	*metric.MeterProvider
	reader   *metric.ManualReader
	settings component.Settings

	mu    sync.Mutex
	asked []string
}

type metersConfig struct {
	Label string `yaml:"label"`
}

// entry starts them.
func (m *meters) entry(label string) *core.MetricsEntry {
	f := component.NewFactory("noted", metersConfig{}, func(_ context.Context, s component.Settings, c metersConfig) (component.MeterProvider, error) {
		if c.Label == "unfit" {
			return nil, &component.FieldError{Path: "label", Err: errors.New("unfit")}
		}
		m.settings = s
		m.reader = metric.NewManualReader()
		m.MeterProvider = metric.NewMeterProvider(metric.WithReader(m.reader), metric.WithResource(s.Metrics.Resource))
		m.note("started")
		return m, nil
	})
	return core.UseMetrics(f, metersConfig{Label: label})
}

func (m *meters) note(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, what)
}

func (m *meters) ForceFlush(ctx context.Context) error {
	m.note("flush " + m.spans(ctx))
	return m.MeterProvider.ForceFlush(ctx)
}

func (m *meters) Shutdown(ctx context.Context) error {
	what := "shutdown " + m.spans(ctx)
	if err := ctx.Err(); err != nil {
		what = "shutdown: " + err.Error()
	}
	m.note(what)
	return m.MeterProvider.Shutdown(ctx)
}

// spans are those that were kept, and those that are sent, as a reader would see it.
func (m *meters) spans(ctx context.Context) string {
	var all metricdata.ResourceMetrics
	_ = m.reader.Collect(context.WithoutCancel(ctx), &all)
	counts := map[string]int64{}
	for _, scope := range all.ScopeMetrics {
		for _, one := range scope.Metrics {
			if sum, ok := one.Data.(metricdata.Sum[int64]); ok {
				for _, p := range sum.DataPoints {
					by, ok := p.Attributes.Value("riffle.outcome")
					if !ok {
						by, _ = p.Attributes.Value("error.type")
					}
					counts[strings.TrimSuffix(one.Name+" "+by.AsString(), " ")] += p.Value
				}
			}
		}
	}
	return fmt.Sprintf("kept=%d sent=%d", counts["riffle.spans.ended kept"], counts["otel.sdk.exporter.span.exported"])
}

// What a metrics section starts is what everything is measured with. It is flushed and shut
// down when there is nothing left to count.
func TestMeters(t *testing.T) {
	// The default one would hand what was ever registered with it to the first that is
	// installed.
	others := otel.GetMeterProvider()
	otel.SetMeterProvider(noop.NewMeterProvider())
	defer otel.SetMeterProvider(others)
	m, b := &meters{}, &backend{got: map[string]int{}}
	p, err := core.New(t.Context(), core.Spec{
		Enabled: true, ServiceName: "shop", Metrics: m.entry(""), Exporters: []core.ExporterEntry{b.entry("", "", nil)},
		SpanMetrics: &spanmetrics.Config{Exponential: true, MaxSeries: 3000},
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.MeterProvider() != m {
		t.Errorf("measured with %T", p.MeterProvider())
	}
	if name, _ := m.settings.Metrics.Resource.Set().Value("service.name"); name.AsString() != "shop" {
		t.Errorf("the resource is of %q", name.AsString())
	}
	if s := m.settings.Metrics; !s.Exponential || s.MaxSeries != 3000 {
		t.Errorf("of span metrics it is told %+v", s)
	}
	before := otel.GetMeterProvider()
	undo := p.Install()
	if otel.GetMeterProvider() != m {
		t.Errorf("the global one is %T", otel.GetMeterProvider())
	}
	undo()
	if otel.GetMeterProvider() != before {
		t.Errorf("the global one is %T afterwards", otel.GetMeterProvider())
	}
	tracer := p.TracerProvider().Tracer("test")
	_, span := tracer.Start(t.Context(), "one")
	span.End()
	if err := p.ForceFlush(t.Context()); err != nil {
		t.Error(err)
	}
	tracer.Start(t.Context(), "unfinished")
	if err := errors.Join(p.Shutdown(t.Context()), p.Shutdown(t.Context())); err != nil {
		t.Error(err)
	}
	want := []string{"started", "flush kept=1 sent=1", "shutdown kept=2 sent=2"}
	if diff := cmp.Diff(want, m.asked); diff != "" {
		t.Error(diff)
	}
}

// Backends that do not answer leave them time.
func TestMetersTime(t *testing.T) {
	m, b := &meters{}, &backend{got: map[string]int{}}
	b.down.Store(true)
	p, err := core.New(t.Context(), core.Spec{Enabled: true, Metrics: m.entry(""), Exporters: []core.ExporterEntry{b.entry("", "", nil)}})
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.TracerProvider().Tracer("test").Start(t.Context(), "one")
	span.End()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // of which a fifth is long enough for a busy machine
	defer cancel()
	if err := p.Shutdown(ctx); err == nil {
		t.Error("a span that did not arrive is not told")
	}
	if diff := cmp.Diff([]string{"started", "shutdown kept=1 sent=0"}, m.asked); diff != "" {
		t.Error(diff)
	}
}

// A start that fails leaves none, and nothing is started where nothing is traced.
func TestMetersNotStarted(t *testing.T) {
	unfit := component.NewFactory("unfit", struct{}{}, func(context.Context, component.Settings, struct{}) (sdktrace.SpanExporter, error) {
		return nil, errors.New("cannot be built")
	})
	tests := []struct {
		name  string
		spec  core.Spec
		opts  []core.Option
		label string
		want  string // the error
		asked []string
	}{
		{name: "disabled", spec: core.Spec{}, label: "a"},
		{name: "another mistake", spec: core.Spec{Enabled: true, Propagators: []string{"b4"}}, want: `propagators[0]: unknown propagator "b4" (did you mean "b3"?)`},
		{
			name: "an exporter", spec: core.Spec{Enabled: true, Exporters: []core.ExporterEntry{core.UseExporter(unfit, "", struct{}{})}},
			want: `exporters[0]: building exporter "unfit": cannot be built`, asked: []string{"started", "shutdown kept=0 sent=0"},
		},
		{name: "itself", spec: core.Spec{Enabled: true}, label: "unfit", want: "metrics.label: unfit"},
		{
			name: "given", spec: core.Spec{Enabled: true}, opts: []core.Option{core.MeterProvider(noop.NewMeterProvider())},
			want: "metrics: the application gives a MeterProvider itself: leave this section out, or core.MeterProvider",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &meters{}
			tt.spec.Metrics = m.entry(tt.label)
			p, err := core.New(t.Context(), tt.spec, tt.opts...)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			} else if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
			if diff := cmp.Diff(tt.asked, m.asked); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A reload leaves it as it is, and says so where that is not what is wanted.
func TestMetersReload(t *testing.T) {
	const changed = "metrics: a reload does not change it: restart the process"
	m := &meters{}
	p, err := core.New(t.Context(), core.Spec{Enabled: true, Metrics: m.entry("a")})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		metrics *core.MetricsEntry
		want    string
	}{
		{"same", m.entry("a"), ""},
		{"changed", m.entry("b"), changed},
		{"gone", nil, changed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := p.Reload(t.Context(), func() (core.Spec, error) {
				return core.Spec{Enabled: true, MaxBytes: 2 << 20, Metrics: tt.metrics}, nil
			})
			if got := fmt.Sprint(err); tt.want == "" && err != nil || tt.want != "" && got != tt.want {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		config spanmetrics.Config
		want   string
	}{
		{spanmetrics.Config{Exponential: true}, "span_metrics.exponential: a reload does not change it: restart the process"},
		{spanmetrics.Config{MaxSeries: 5000}, "span_metrics.max_series: a reload does not raise it: restart the process"},
		{spanmetrics.Config{}, "<nil>"},
	} {
		err := p.Reload(t.Context(), func() (core.Spec, error) {
			return core.Spec{Enabled: true, Metrics: m.entry("a"), SpanMetrics: &tt.config}, nil
		})
		if got := fmt.Sprint(err); got != tt.want {
			t.Error(cmp.Diff(tt.want, got))
		}
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"started", "shutdown kept=0 sent=0"}, m.asked); diff != "" {
		t.Error(diff)
	}
	none, err := core.New(t.Context(), core.Spec{Enabled: true})
	if err != nil {
		t.Fatal(err)
	}
	defer none.Shutdown(t.Context())
	err = none.Reload(t.Context(), func() (core.Spec, error) { return core.Spec{Enabled: true, Metrics: m.entry("a")}, nil })
	if err == nil || err.Error() != changed {
		t.Errorf("a section that is new: %v", err)
	}
}
