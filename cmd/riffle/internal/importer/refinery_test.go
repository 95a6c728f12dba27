package importer_test

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/cmd/riffle/internal/importer"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
)

// shares explains traces with the configuration that is made of a file.
func shares(t *testing.T, file string) func(tr core.Trace) float64 {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out, err := importer.Import(data, importer.Options{Section: section})
	if err != nil {
		t.Fatal(err)
	}
	spec, err := config.Parse(out, config.Section(section), config.Environ(nil))
	if err != nil {
		t.Fatal(err)
	}
	return func(tr core.Trace) float64 {
		x, err := core.Explain(t.Context(), spec, tr, core.Logger(slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		return x.Probability
	}
}

// span is one of a trace; the first is the local root, and the others are below it.
func span(name string, d time.Duration, attributes ...attribute.KeyValue) core.Case {
	return core.Case{Name: name, Kind: trace.SpanKindInternal, Duration: d, Attributes: attributes}
}

func failed(c core.Case) core.Case {
	c.Status = sdktrace.Status{Code: codes.Error}
	return c
}

func traceOf(root core.Case, below ...core.Case) core.Trace {
	root.ID, root.Kind = "root", trace.SpanKindServer
	tr := core.Trace{Spans: []core.Case{root}}
	for i, c := range below {
		c.ID, c.Parent = fmt.Sprint(i), "root"
		tr.Spans = append(tr.Spans, c)
	}
	return tr
}

func called(tr core.Trace) core.Trace {
	tr.Parent = core.UnsampledParent
	return tr
}

// What Refinery would do with a trace, by its rules, riffle does.
func TestRefineryRules(t *testing.T) {
	share := shares(t, "testdata/refinery/rules.yaml")
	const ms = time.Millisecond
	str, num := attribute.String, attribute.Int
	redis := span("GET", ms, str("db.system", "redis"))
	static := str("url.path", "/static/a.js")
	many := make([]core.Case, 100)
	for i := range many {
		many[i] = span("step", ms)
	}
	for _, tt := range []struct {
		name  string
		trace core.Trace
		want  float64
	}{
		{"no rule but the last", traceOf(span("GET /", ms)), 0.02},
		{"the last, called", called(traceOf(span("GET /", ms))), 0.02},
		{"a probe", traceOf(span("GET /", ms, str("http.route", "/healthz"))), 0},
		{"a probe below", traceOf(span("GET /", ms), span("GET /", ms, str("http.route", "/readyz"))), 0},
		{"a probe that fails: the drop rule is before", traceOf(failed(span("GET /", ms, str("http.route", "/healthz")))), 0},
		{"an error", traceOf(span("GET /", ms), failed(span("SELECT", ms))), 1},
		{"a slow span and a server error, another", traceOf(span("GET /", 1500*ms), span("call", ms, num("http.response.status_code", 503))), 1},
		{"by the older name", traceOf(span("GET /", 1500*ms, num("http.status_code", 500))), 1},
		{"a server error, not slow", traceOf(span("GET /", 1000*ms, num("http.status_code", 500))), 0.02},
		{"a fast static file", traceOf(span("GET /", 50*ms, static)), 0},
		{"a slow one", traceOf(span("GET /", 150*ms, static)), 0.02},
		{"the one is fast, another span is static: no single one is both", traceOf(span("GET /", 150*ms, static), span("call", ms)), 0.02},
		{"a static file that fails: the error's rule is before", traceOf(failed(span("GET /", 50*ms, static))), 1},
		{"the cache", traceOf(span("GET /", ms), redis), 0.001},
		{"the cache, failed", traceOf(failed(span("GET /", ms)), redis), 1},
		{"checkout", traceOf(span("GET /", ms, str("http.route", "/checkout/{id}"))), 0.2},
		{"checkout below another root", traceOf(span("GET /", ms), span("GET /", ms, str("http.route", "/checkout"))), 0.02},
		{"checkout with the cache, whose rule is before", traceOf(span("GET /", ms, str("http.route", "/checkout")), redis), 0.001},
		{"a partner", traceOf(span("order", ms, str("partner", "acme"), str("app.version", "2"))), 1},
		{"of the version", traceOf(span("order", ms, str("partner", "acme"), attribute.Float64("app.version", 1.5))), 0.02},
		{"of no version", traceOf(span("order", ms, str("partner", "acme"))), 0.02},
		{"no partner is not in the list", traceOf(span("order", ms, str("app.version", "2"))), 1},
		{"users", traceOf(span("GET /", ms, str("service.name", "users"))), 0.2},
		{"users, called", called(traceOf(span("GET /", ms, str("service.name", "users")))), 0.02},
		{"large", traceOf(span("GET /", ms), many...), 0.5},
		{"not large", traceOf(span("GET /", ms), many[:99]...), 0.02},
	} {
		if got := share(tt.trace); math.Abs(got-tt.want) > 1e-3*tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// What Datadog's tracers would do by their variables.
func TestDatadogRules(t *testing.T) {
	share := shares(t, "testdata/env/datadog.env")
	str := attribute.String
	for _, tt := range []struct {
		name  string
		trace core.Trace
		want  float64
	}{
		{"the first rule", traceOf(span("GET /healthz", 1, str("tenant.tier", "gold"))), 0},
		{"the second, by no case", traceOf(span("GET /", 1, str("tenant.tier", "GOLD"))), 1},
		{"a status, at the end", traceOf(span("GET /healthz", 1, attribute.Int("http.status_code", 503))), 1},
		{"the last", traceOf(span("GET /", 1)), 0.5},
	} {
		if got := share(tt.trace); math.Abs(got-tt.want) > 1e-3*tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
