package spanmetrics

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/record"
)

// shop is the resource of the service that is measured.
var shop = resource.NewSchemaless(attribute.String("service.name", "shop"), attribute.String("deployment.environment.name", "test"))

// measuring is a recorder whose spans are measured.
type measuring struct {
	t       *testing.T
	tracer  trace.Tracer
	reader  *sdkmetric.ManualReader
	metrics *Metrics
}

func newMeasuring(t *testing.T, c Config) *measuring {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	m, err := New(&c, shop, sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test"))
	if err != nil {
		t.Fatal(err)
	}
	p := record.NewTracerProvider(record.Config{Resource: shop, Limits: sdktrace.NewSpanLimits(), Measure: m.Measure})
	t.Cleanup(func() {
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &measuring{t, p.Tracer("test"), reader, m}
}

// span makes a span that took so long.
func (m *measuring) span(name string, took time.Duration, options []trace.SpanStartOption, late ...attribute.KeyValue) {
	start := time.Now()
	_, s := m.tracer.Start(context.Background(), name, append(options, trace.WithTimestamp(start))...)
	s.SetAttributes(late...)
	s.End(trace.WithTimestamp(start.Add(took)))
}

// read returns all metrics by name.
func (m *measuring) read() map[string]metricdata.Metrics {
	m.t.Helper()
	var all metricdata.ResourceMetrics
	if err := m.reader.Collect(context.Background(), &all); err != nil {
		m.t.Fatal(err)
	}
	byName := map[string]metricdata.Metrics{}
	for _, s := range all.ScopeMetrics {
		for _, metric := range s.Metrics {
			byName[metric.Name] = metric
		}
	}
	return byName
}

// calls are the values of the counter by its attributes.
func (m *measuring) calls() map[string]int64 {
	counts := map[string]int64{}
	for _, p := range m.read()[Calls].Data.(metricdata.Sum[int64]).DataPoints {
		counts[p.Attributes.Encoded(attribute.DefaultEncoder())] += p.Value
	}
	return counts
}

func server(attrs ...attribute.KeyValue) []trace.SpanStartOption {
	return []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attrs...)}
}

func TestDimensions(t *testing.T) {
	m := newMeasuring(t, Config{Dimensions: []string{"http.response.status_code", "deployment.environment.name", "tenant"}})
	status := attribute.Int("http.response.status_code", 500)
	m.span("GET /", 1, server(status))
	m.span("GET /", 1, server(attribute.String("http.response.status_code", "200")), status)    // the last counts
	m.span("GET /", 1, server(attribute.String("http.response.status_code", "500")))            // the same as a text
	m.span("GET /", 1, server(status, attribute.String("deployment.environment.name", "here"))) // before the resource
	m.span("GET /", 1, server(attribute.StringSlice("tenant", []string{"a", "b"})))
	want := map[string]int64{
		"deployment.environment.name=test,http.response.status_code=500,service.name=shop,span.kind=SPAN_KIND_SERVER,span.name=GET /,status.code=STATUS_CODE_UNSET": 3,
		"deployment.environment.name=here,http.response.status_code=500,service.name=shop,span.kind=SPAN_KIND_SERVER,span.name=GET /,status.code=STATUS_CODE_UNSET": 1,
		`deployment.environment.name=test,service.name=shop,span.kind=SPAN_KIND_SERVER,span.name=GET /,status.code=STATUS_CODE_UNSET,tenant=["a"\,"b"]`:             1,
	}
	if diff := cmp.Diff(want, m.calls()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A dimension of the span that says the same as the resource makes no other series.
func TestDimensionsLikeTheResource(t *testing.T) {
	m := newMeasuring(t, Config{Dimensions: []string{"deployment.environment.name"}})
	m.span("GET /", 1, nil)
	m.span("GET /", 1, nil, attribute.String("deployment.environment.name", "test"))
	m.span("GET /", 1, nil, attribute.String("deployment.environment.name", "")) // as if it were not there
	if n := len(m.metrics.spans.all); n != 1 {
		t.Errorf("%d series, want 1", n)
	}
	want := map[string]int64{"deployment.environment.name=test,service.name=shop,span.kind=SPAN_KIND_INTERNAL,span.name=GET /,status.code=STATUS_CODE_UNSET": 3}
	if diff := cmp.Diff(want, m.calls()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Routes are told apart, also where a place in their paths has many values. Where nothing
// says that a name is a route, it is taken for one of many paths.
func TestRoutesInNames(t *testing.T) {
	m := newMeasuring(t, Config{})
	const routes = 100
	names := func() (routes, others int64) {
		for set, n := range m.calls() {
			if strings.Contains(set, "*") {
				others += n
			} else {
				routes++
			}
		}
		return routes, others
	}
	for i := range routes {
		route := fmt.Sprintf("/api/resource-%c%c/{id}", 'a'+i/10, 'a'+i%10)
		for range 3 {
			m.span("GET "+route, time.Millisecond, server(), attribute.String("http.route", route))
		}
	}
	if told, others := names(); told != routes || others != 0 {
		t.Errorf("%d routes are told apart and %d calls are not, want %d and none", told, others, routes)
	}
	for i := range routes { // middleware above the router says / of all
		m.span(fmt.Sprintf("GET /files/name-%c%c/", 'a'+i/10, 'a'+i%10), time.Millisecond, server(attribute.String("http.route", "/")))
	}
	const literals = 32 // of a place in a path, until it is learned
	if told, others := names(); told > routes+literals || others < routes-literals {
		t.Errorf("%d names are told apart and %d calls are not, want at most %d and %d", told, others, routes+literals, routes-literals)
	}
}

func TestKindsAndStatuses(t *testing.T) {
	m := newMeasuring(t, Config{})
	want := map[string]int64{}
	for kind := trace.SpanKindUnspecified; kind <= trace.SpanKindConsumer; kind++ {
		for _, status := range []codes.Code{codes.Unset, codes.Error, codes.Ok, 77} {
			_, s := m.tracer.Start(context.Background(), "span", trace.WithSpanKind(kind))
			s.SetStatus(status, "")
			s.End()
			asKind, asStatus := kind, status
			if asKind == trace.SpanKindUnspecified {
				asKind = trace.SpanKindInternal // as the SDK has it
			}
			if asStatus == 77 {
				asStatus = codes.Unset
			}
			want[fmt.Sprintf("service.name=shop,span.kind=%s,span.name=span,status.code=%s", kinds[asKind], statuses[asStatus])]++
		}
	}
	if diff := cmp.Diff(want, m.calls()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDurations(t *testing.T) {
	for _, tt := range []struct {
		config Config
		bounds []float64
		counts []uint64
	}{
		{Config{}, []float64{2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10_000, 15_000}, []uint64{2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}},
		{Config{Buckets: []component.Duration{component.Duration(2500 * time.Microsecond), component.Duration(time.Minute)}}, []float64{2.5, 60_000}, []uint64{2, 2, 1}},
	} {
		m := newMeasuring(t, tt.config)
		for _, took := range []time.Duration{-time.Second, 2 * time.Millisecond, 2500*time.Microsecond + 1, 1400 * time.Millisecond, time.Hour} {
			m.span("span", took, nil)
		}
		read := m.read()[Duration]
		p := read.Data.(metricdata.Histogram[float64]).DataPoints[0]
		if diff := cmp.Diff([]any{tt.bounds, tt.counts, 0.0, 3_600_000.0, "ms"}, []any{p.Bounds, p.BucketCounts, value(p.Min), value(p.Max), read.Unit}); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func value(e metricdata.Extrema[float64]) float64 {
	v, _ := e.Value()
	return v
}

// http.server.request.duration is of server spans that have a method, by the attributes of
// the semantic conventions.
func TestHTTPDurations(t *testing.T) {
	m := newMeasuring(t, Config{HTTPDurations: true, MaxSeries: 4})
	method, scheme := attribute.String("http.request.method", "GET"), attribute.String("url.scheme", "https")
	m.span("GET /users/{id}", 30*time.Millisecond, server(method, scheme, attribute.String("url.path", "/users/7")),
		attribute.String("http.route", "/users/{id}"), attribute.Int("http.response.status_code", 500), attribute.String("error.type", "500"))
	m.span("GET", time.Second, server(method, attribute.String("http.response.status_code", "200")))
	m.span("GET", time.Second, []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(method)})
	m.span("job", time.Second, server())
	for i := range 5 {
		m.span("GET", time.Second, server(method), attribute.Int("http.response.status_code", 200+i))
	}
	read := m.read()[HTTPDuration]
	got := map[string]float64{}
	for _, p := range read.Data.(metricdata.Histogram[float64]).DataPoints {
		got[p.Attributes.Encoded(attribute.DefaultEncoder())] += p.Sum
	}
	want := map[string]float64{
		"error.type=500,http.request.method=GET,http.response.status_code=500,http.route=/users/{id},url.scheme=https": 0.03,
		"http.request.method=GET":                               1, // a status that is no number is none
		"http.request.method=GET,http.response.status_code=200": 1,
		"otel.metric.overflow=true":                             4,
	}
	if diff := cmp.Diff(want, got); diff != "" || read.Unit != "s" {
		t.Errorf("unit %s, (-want +got):\n%s", read.Unit, diff)
	}
	if calls := m.calls(); len(calls) != 4 || calls["otel.metric.overflow=true"] == 0 {
		t.Errorf("calls: %v", calls)
	}
}

// failing is a meter whose instruments cannot be made.
type failing struct{ noop.Meter }

var errFailing = errors.New("no more instruments")

func (failing) Int64ObservableCounter(string, ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	return nil, errFailing
}

func TestInstrumentsThatCannotBeMade(t *testing.T) {
	if _, err := New(&Config{}, shop, failing{}); !errors.Is(err, errFailing) {
		t.Errorf("error %v", err)
	}
}
