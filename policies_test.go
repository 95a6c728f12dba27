package riffle_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core/sampling"
)

// served is a request that a test plays: a server span with a query below it. Its route
// is known when it ends, as most routers have it.
type served struct {
	name, path, route string
	status            int
	queryFails        bool
}

func (s served) play(tracer trace.Tracer) {
	ctx, root := tracer.Start(context.Background(), s.name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", "GET"), attribute.String("url.path", s.path)))
	_, query := tracer.Start(ctx, "query", trace.WithAttributes(attribute.String("db.system.name", "postgresql")))
	if s.queryFails {
		query.SetStatus(codes.Error, "deadlock")
	}
	query.End()
	if s.route != "" {
		root.SetAttributes(attribute.String("http.route", s.route))
	}
	if s.status != 0 {
		root.SetAttributes(attribute.Int("http.response.status_code", s.status))
	}
	root.End()
}

// startWith starts riffle with a samplers list.
func startWith(t *testing.T, samplers string) (*riffle.Tracing, *tracetest.InMemoryExporter) {
	t.Helper()
	spans, exporters := memoryRegistry()
	file := filepath.Join(t.TempDir(), "riffle.yaml")
	text := "observability:\n  tracing:\n    enabled: true\n    service_name: shop\n    exporters: [{type: memory}]\n    samplers:\n"
	for line := range strings.Lines(samplers) {
		text += "      " + line
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tracing, err := riffle.Start(t.Context(), file, riffle.Exporters(exporters),
		riffle.Logger(slog.New(slog.DiscardHandler)), riffle.Config(config.Environ(nil), config.Exporters(exporters)))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	t.Cleanup(func() { _ = tracing.Shutdown(context.Background()) })
	return tracing, spans
}

// What policies in a file mean.
func TestPolicies(t *testing.T) {
	checkout := served{name: "checkout", path: "/checkout/7", route: "/checkout/{id}", queryFails: true}
	socket := served{name: "socket", path: "/ws/1", route: "/ws/{id}", queryFails: true}
	missing := served{name: "missing", path: "/none", status: 404}
	fine := served{name: "fine", path: "/fine", route: "/fine", status: 200}
	all := []served{checkout, socket, missing, fine}
	const nothingElse = "- {type: ratio, rate: 0}\n"
	for _, tt := range []struct{ name, samplers, want string }{
		{"an error, but not below a route", "- {type: error, match: {not: {route: /ws/}}}\n" + nothingElse, "checkout"},
		{"an error below a route", "- {type: error, match: {route: '/checkout/{id}'}}\n" + nothingElse, "checkout"},
		{"an error of a kind of span", "- {type: error, match: {db.system.name: postgresql}}\n" + nothingElse, "checkout socket"},
		{"an error of this service", "- {type: error, match: {service.name: shop}}\n" + nothingElse, "checkout socket"},
		{"an error of another service", "- {type: error, match: {service.name: other}}\n" + nothingElse, ""},
		{"no share of errors", "- {type: error, sample: 0}\n" + nothingElse, ""},
		{"at most none of a status", "- {type: at_most, sample: 0, match: {http.response.status_code: 404}}\n- {type: ratio, rate: 1}\n", "checkout fine socket"},
		{"at most all of it", "- {type: at_most, sample: 1, match: {http.response.status_code: 404}}\n- {type: ratio, rate: 1}\n", "checkout fine missing socket"},
		{"what any span is", "- {type: attribute, at: end, sample: 1, match: {root: {not: {http.response.status_code: {exists: true}}}, any_span: {status: error}}}\n" + nothingElse, "checkout socket"},
		{"a baseline at the end", "- {type: adaptive, at: end, target_per_second: 100}\n", "checkout fine missing socket"},
		{"the first of each status", "- {type: rare, first: 1, key: [http.response.status_code]}\n" + nothingElse, "checkout fine missing"},
		{"a route that the path tells", "- {type: route, rules: [{route: /fine, sample: 1}, {route: '/checkout/{id}', sample: 1}]}\n" + nothingElse, "checkout fine"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tracing, spans := startWith(t, tt.samplers)
			for _, s := range all {
				s.play(tracing.Provider().TracerProvider().Tracer(""))
				if err := tracing.ForceFlush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := tracing.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			var kept []string
			for _, s := range spans.GetSpans() {
				if s.SpanKind == trace.SpanKindServer {
					kept = append(kept, s.Name)
				}
			}
			slices.Sort(kept)
			if got := strings.Join(kept, " "); got != tt.want {
				t.Errorf("kept %q, want %q", got, tt.want)
			}
		})
	}
}

// A rule that has spoken is named on the local root.
func TestRuleOnTheRoot(t *testing.T) {
	tracing, spans := startWith(t, "- {type: route, rules: [{route: /a, sample: drop}, {route: /fine, sample: 1}]}\n- {type: ratio, rate: 0}\n")
	served{name: "fine", path: "/fine"}.play(tracing.Provider().TracerProvider().Tracer(""))
	if err := tracing.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	said := map[string]int{}
	for _, s := range spans.GetSpans() {
		for _, kv := range s.Attributes {
			if kv.Key == sampling.RuleKey {
				said[fmt.Sprintf("%s: %s", s.Name, kv.Value.AsString())]++
			}
		}
	}
	if len(said) != 1 || said["fine: rules[1]: /fine"] != 1 {
		t.Errorf("rules are %v", said)
	}
}
