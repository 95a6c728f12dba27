package routers

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/observability"
)

// What a request comes to, unless a rule keeps it.
const (
	nothing = "-"     // it is not kept
	byError = "error" // no rule was found, and it failed
	byRatio = "ratio" // no rule was found, and everything else is kept
)

// The rules of the page, as a kept trace names them.
const (
	checkout = "rules[3]: /checkout/{id}"
	files    = "rules[4]: /files/{path...}"
	orders   = "rules[5]: PUT /orders/{id}"
	pay      = "rules[6]: /shop.v1.Checkout/Pay"
)

// request is one to a router, and what is to come of it.
type request struct {
	method, target string // "POST as PUT" asks for another method in a header
	status         int    // that the router answers with
	want           string // the rule or the sampler that keeps it
}

// outcomes are of requests that every router routes alike. The ones that are dropped
// fail: without their rule they would be kept as errors.
var outcomes = []request{
	{"GET", "/healthz?status=500", 500, nothing},
	{"GET", "/static/css/main.css?status=500", 500, nothing},
	{"GET", "/checkout/7", 200, checkout},
	{"GET", "/files/a/b", 200, files},
	{"PUT", "/orders/7", 200, orders},
	{"POST", "/orders/7", 200, nothing},
	{"GET", "/other/7", 200, nothing},
	{"GET", "/other/7?status=500", 500, byError},
	{"GET", "/ws/7?status=500", 500, nothing},
}

// statusOf is what a request asks its handler for.
func statusOf(query string) int {
	if status, err := strconv.Atoi(query); err == nil {
		return status
	}
	return http.StatusOK
}

// answer is the handler of every route of routers of net/http.
func answer(w http.ResponseWriter, r *http.Request) {
	status := statusOf(r.URL.Query().Get("status"))
	query(r.Context(), r.URL.Path, status)
	w.WriteHeader(status)
}

// query makes a span below /ws/, which fails as its request will.
func query(ctx context.Context, path string, status int) {
	if !strings.HasPrefix(path, "/ws/") {
		return
	}
	ctx, span := observability.StartDBSpan(ctx, "select", "orders")
	defer span.End()
	if status >= http.StatusInternalServerError {
		observability.RecordError(ctx, errors.New("no"))
	}
}

// receiver is an exporter that remembers, and forgets nothing when it is shut down.
type receiver struct{ *tracetest.InMemoryExporter }

func (receiver) Shutdown(context.Context) error { return nil }

// traced is a process that is traced as the page says.
type traced struct {
	t       *testing.T
	tracing *riffle.Tracing
	spans   receiver
}

// start starts riffle with the first configuration of the page, without its baseline, so
// that nothing is kept by chance.
func start(t *testing.T) *traced {
	t.Helper()
	return startWith(t, page(t, 0), "0")
}

func startWith(t *testing.T, text, rate string) *traced {
	t.Helper()
	file := filepath.Join(t.TempDir(), "shop.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &traced{t: t, spans: receiver{tracetest.NewInMemoryExporter()}}
	exporters := component.NewExporters()
	exporters.MustAdd(component.NewFactory("otlp", struct{}{}, func(context.Context, component.Settings, struct{}) (sdktrace.SpanExporter, error) {
		return p.spans, nil
	}))
	var err error
	p.tracing, err = riffle.Start(t.Context(), file, riffle.App("shop"), riffle.Exporters(exporters),
		riffle.Config(config.Environ([]string{"SHOP_OBSERVABILITY_TRACING_SAMPLE_RATE=" + rate})), riffle.Logger(slog.New(slog.NewTextHandler(t.Output(), nil))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.tracing.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// page is a configuration of the page's part on routers.
func page(t *testing.T, n int) string {
	t.Helper()
	data, err := os.ReadFile("../../docs/instrumentation.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(data), "\n## Routers\n")
	if !ok {
		t.Fatal("docs/instrumentation.md has no part on routers")
	}
	part, _, _ = strings.Cut(part, "\n## ")
	blocks := strings.Split(part, "```yaml\n")[1:]
	if n >= len(blocks) {
		t.Fatalf("the part on routers has %d configurations", len(blocks))
	}
	block, _, _ := strings.Cut(blocks[n], "```")
	return block
}

// kept returns the local roots that arrived since it was last asked.
func (p *traced) kept() tracetest.SpanStubs {
	p.t.Helper()
	if err := p.tracing.ForceFlush(context.Background()); err != nil {
		p.t.Fatal(err)
	}
	var roots tracetest.SpanStubs
	for _, s := range p.spans.GetSpans() {
		if !s.Parent.IsValid() {
			roots = append(roots, s)
		}
	}
	p.spans.Reset()
	return roots
}

// by is the rule, or else the sampler, that kept a trace.
func by(root tracetest.SpanStub) (who string) {
	for _, kv := range root.Attributes {
		switch kv.Key {
		case "sampling.rule":
			return kv.Value.AsString()
		case "sampling.sampler":
			who = kv.Value.AsString()
		}
	}
	return who
}

// serve serves requests one after the other and looks what comes of each.
func (p *traced) serve(h http.Handler, requests ...request) {
	p.t.Helper()
	for _, r := range requests {
		w := httptest.NewRecorder()
		method, as, overridden := strings.Cut(r.method, " as ")
		req := httptest.NewRequestWithContext(p.t.Context(), method, r.target, strings.NewReader("{}"))
		req.Header.Set("Content-Type", "application/json")
		if overridden {
			req.Header.Set("X-HTTP-Method-Override", as)
		}
		h.ServeHTTP(w, req)
		if w.Code != r.status {
			p.t.Errorf("%s %s: status %d, want %d", r.method, r.target, w.Code, r.status)
		}
		got := nothing
		switch roots := p.kept(); {
		case len(roots) == 1:
			got = by(roots[0])
		case len(roots) > 1:
			p.t.Errorf("%s %s: %d traces", r.method, r.target, len(roots))
		}
		if got != r.want {
			p.t.Errorf("%s %s is kept by %s, want %s", r.method, r.target, got, r.want)
		}
	}
}

// copyAnswer hands on what a router that is none of net/http has answered.
func copyAnswer(w http.ResponseWriter, from *http.Response) {
	defer from.Body.Close()
	maps.Copy(w.Header(), from.Header)
	w.WriteHeader(from.StatusCode)
	_, _ = io.Copy(w, from.Body)
}
