package observability_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/riffletrace/riffle/core/observability"
)

// point is what was measured of a series.
type point struct {
	Count uint64
	Sum   int64 // of bytes; durations differ
	Unit  string
	About string
	Bound []float64
}

// measured returns the points of each metric by their attributes.
func measured(t *testing.T, reader sdkmetric.Reader) map[string]map[string]point {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]map[string]point{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if !strings.HasPrefix(m.Name, "http.") {
				continue // riffle's own
			}
			points := map[string]point{}
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					points[p.Attributes.Encoded(attribute.DefaultEncoder())] = point{p.Count, 0, m.Unit, m.Description, p.Bounds}
				}
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					points[p.Attributes.Encoded(attribute.DefaultEncoder())] = point{p.Count, p.Sum, m.Unit, m.Description, p.Bounds}
				}
			}
			got[m.Name] = points
		}
	}
	return got
}

func setMeterProvider(t *testing.T) sdkmetric.Reader {
	t.Helper()
	reader, before := sdkmetric.NewManualReader(), otel.GetMeterProvider()
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	t.Cleanup(func() { otel.SetMeterProvider(before) })
	return reader
}

// What is measured is what otelhttp measures, without what clients choose, and with the
// cause where a request failed. Panics, which otelhttp does not measure, are apart.
func TestRequestMetrics(t *testing.T) {
	newRecorder(t)
	h := answers()
	serve := func(traced func(http.Handler) http.Handler) map[string]map[string]point {
		reader := setMeterProvider(t)
		h := traced(h)
		for _, request := range []struct{ method, path string }{
			{"GET", "/pattern/1"}, {"GET", "/pattern/2"}, {"POST", "/echo"}, {"BREW", "/status/404"}, {"get", "/nothing"},
		} {
			r := httptest.NewRequestWithContext(t.Context(), request.method, request.path, strings.NewReader("hello"))
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		return measured(t, reader)
	}
	want := serve(func(h http.Handler) http.Handler { return otelhttp.NewHandler(h, "") })
	for _, points := range want {
		for attributes, p := range points {
			delete(points, attributes)
			points[strings.TrimSuffix(attributes, "server.address=example.com,url.scheme=http")+"url.scheme=http"] = p
		}
	}
	if diff := cmp.Diff(want, serve(func(h http.Handler) http.Handler { return observability.Middleware(h) })); diff != "" {
		t.Errorf("(-otelhttp +Middleware):\n%s", diff)
	}
}

func TestRequestMetricsOfFailures(t *testing.T) {
	newRecorder(t)
	reader := setMeterProvider(t)
	h := observability.Middleware(testMux())
	serveTest(t, h, "GET", "http://example.com/broken/a")
	func() {
		defer func() { _ = recover() }()
		serveTest(t, h, "GET", "/panic/1")
	}()
	serveTest(t, h, "GET", "/health") // left out
	const of = "http.request.method=GET,"
	want := map[string]bool{
		"error.type=502," + of + "http.response.status_code=502,http.route=/broken/{x...},network.protocol.name=http,network.protocol.version=1.1,url.scheme=http": true,
		"error.type=*errors.errorString," + of + "http.route=/panic/{id},network.protocol.name=http,network.protocol.version=1.1,url.scheme=http":                  true,
	}
	for name, points := range measured(t, reader) {
		got := map[string]bool{}
		for attributes := range points {
			got[attributes] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Requests are measured that no span is recorded of.
func TestRequestMetricsWithoutSpan(t *testing.T) {
	setProvider(t, serving(t)["dropped"])
	reader := setMeterProvider(t)
	h := observability.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	serveTest(t, h, "GET", "/x")
	for name, points := range measured(t, reader) {
		if len(points) != 1 {
			t.Errorf("%s has %d series", name, len(points))
		}
		for _, p := range points {
			if name == "http.server.response.body.size" && p.Sum != 5 {
				t.Errorf("%s: %+v", name, p)
			}
		}
	}
}
