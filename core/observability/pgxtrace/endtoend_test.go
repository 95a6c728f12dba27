package pgxtrace_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/observability"
	"github.com/riffletrace/riffle/core/observability/internal/functiontest"
	"github.com/riffletrace/riffle/core/observability/internal/spantest"
	"github.com/riffletrace/riffle/core/observability/pgxtrace"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/internal/pgtest"
)

// shop is a service with a database, a job queue and an edge function.
type shop struct {
	pool *pgxpool.Pool
	url  string
}

func (s *shop) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", s.order)
	mux.HandleFunc("GET /orders/{id}", s.read)
	return observability.Middleware(mux)
}

// order stores an order, and a job beside it, in one transaction.
func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO orders VALUES (7, 'a book')"); err != nil {
			return err
		}
		stored, err := json.Marshal(observability.InjectMap(ctx))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO jobs VALUES ($1, $2)", "j-1", stored)
		return err
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (s *shop) read(w http.ResponseWriter, r *http.Request) {
	var what string
	err := s.pool.QueryRow(r.Context(), "SELECT what FROM orders WHERE id::text = $1", r.PathValue("id")).Scan(&what)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, what)
}

// work takes a job and runs it, which calls an edge function.
func (s *shop) work(ctx context.Context, queue *pgx.Conn, function *exec.Cmd) error {
	var id string
	var stored []byte
	err := queue.QueryRow(ctx, "DELETE FROM jobs WHERE id = (SELECT id FROM jobs LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id, trace").Scan(&id, &stored)
	if err != nil {
		return err
	}
	var m map[string]string
	if err := json.Unmarshal(stored, &m); err != nil {
		return err
	}
	ctx, span := observability.StartJobSpan(observability.ExtractMap(ctx, m), observability.JobSpanConfig{
		JobID: id, JobName: "invoice", Namespace: "billing", Priority: 3, ScheduledAt: "2026-03-01T12:00:00Z",
		WorkerID: "w-1", WorkerName: "worker", UserID: "u-1",
	})
	defer span.End()
	start := time.Now()
	err = s.render(ctx, function)
	observability.SetJobProgress(ctx, 100, "rendered")
	observability.SetJobResult(ctx, "completed", time.Since(start), err)
	return err
}

func (s *shop) render(ctx context.Context, function *exec.Cmd) error {
	ctx, span := observability.StartFunctionSpan(ctx, observability.FunctionSpanConfig{
		ExecutionID: "e-1", Name: "render", Namespace: "invoices", UserID: "u-1", Method: "POST", URL: "https://example.com/render",
	})
	defer span.End()
	start := time.Now()
	function.Env = append(os.Environ(), functiontest.Callback+"="+s.url+"/orders/7")
	function.Env = append(function.Env, observability.FlattenEnv(observability.GetTraceContextEnv(ctx))...)
	out, err := function.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	observability.SetFunctionResult(ctx, 200, time.Since(start), err)
	return err
}

// A request, its queries, the job that it enqueued, the function that the job
// called, and what the function asked the service: one trace.
func TestEndToEnd(t *testing.T) {
	url := pgtest.Start(t)
	for name, function := range functiontest.Commands(t) {
		t.Run(name, func(t *testing.T) {
			cmd := function(t)
			queue, err := pgx.Connect(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			defer queue.Close(context.Background())
			if _, err := queue.Exec(t.Context(), "DROP TABLE IF EXISTS orders, jobs; CREATE TABLE orders (id int, what text); CREATE TABLE jobs (id text, trace jsonb)"); err != nil {
				t.Fatal(err)
			}
			cfg, err := pgxpool.ParseConfig(url)
			if err != nil {
				t.Fatal(err)
			}
			cfg.ConnConfig.Tracer = pgxtrace.New()
			pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()

			arrived := spantest.Install(t, core.Spec{Exporters: backend()})
			s := &shop{pool: pool}
			server := httptest.NewServer(s.handler())
			defer server.Close()
			s.url = server.URL

			client := &http.Client{Transport: observability.Transport(&http.Transport{DisableKeepAlives: true})}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/orders", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Fatal(resp.Status)
			}
			if err := s.work(t.Context(), queue, cmd); err != nil {
				t.Fatal(err)
			}
			server.Close() // waits for the handlers, whose spans have ended then
			check(t, arrived(), resp.Header.Get(observability.TraceIDHeader))
		})
	}
}

// endpointVariable is where bench/interop wants to see the spans too.
const endpointVariable = "RIFFLE_END_TO_END_ENDPOINT"

func backend() []core.ExporterEntry {
	endpoint := os.Getenv(endpointVariable)
	if endpoint == "" {
		return nil
	}
	return []core.ExporterEntry{core.UseExporter(otlp.Factory, "", otlp.Config{Endpoint: endpoint})}
}

func check(t *testing.T, spans tracetest.SpanStubs, traceID string) {
	t.Helper()
	for _, s := range spans {
		if s.SpanContext.TraceID().String() != traceID {
			t.Errorf("%s is in another trace", s.Name)
		}
	}
	const want = `
HTTP POST (client)
  POST /orders (server)
    db.begin (client)
    db.insert (client)
    db.insert (client)
    db.commit (client)
    job.billing.invoice (consumer)
      function.invoices.render (server)
        GET /orders/{id} (server)
          db.select (client)
`
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), tree(spans, trace.SpanID{}, "")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	attrs := map[string]map[string]string{
		"POST /orders":     {"http.route": "/orders", "http.request.method": "POST", "http.response.status_code": "200"},
		"GET /orders/{id}": {"http.route": "/orders/{id}", "url.path": "/orders/7", "http.response.status_code": "200"},
		"db.select": {
			"db.system": "postgresql", "db.operation": "select", "db.table": "orders", "db.name": "postgres", "server.address": "127.0.0.1",
			"db.query.text": "SELECT what FROM orders WHERE id::text = $1", "db.response.returned_rows": "1",
		},
		"job.billing.invoice": {
			"job.id": "j-1", "job.name": "invoice", "job.namespace": "billing", "job.priority": "3", "job.scheduled_at": "2026-03-01T12:00:00Z",
			"worker.id": "w-1", "worker.name": "worker", "user.id": "u-1", "job.status": "completed",
		},
		"function.invoices.render": {
			"function.execution_id": "e-1", "function.name": "render", "function.namespace": "invoices", "user.id": "u-1", "http.method": "POST",
			"http.request.method": "POST", "http.url": "https://example.com/render", "url.full": "https://example.com/render",
			"http.status_code": "200", "http.response.status_code": "200",
		},
	}
	for _, s := range spans {
		got := spantest.Attributes(s)
		for key, value := range attrs[s.Name] {
			if got[key] != value {
				t.Errorf("%s: %s = %q, want %q", s.Name, key, got[key], value)
			}
		}
		delete(attrs, s.Name)
		if s.Name == "job.billing.invoice" && spantest.Events(s)["job.progress"]["job.progress_percent"] != "100" {
			t.Errorf("events of the job: %v", s.Events)
		}
	}
	for name := range attrs {
		t.Errorf("there is no span %s", name)
	}
}

// tree draws the spans below a parent, without those of connections.
func tree(spans tracetest.SpanStubs, parent trace.SpanID, indent string) string {
	var children tracetest.SpanStubs
	for _, s := range spans {
		switch s.Name {
		case "db.prepare", "db.acquire", "db.connect":
		default:
			if s.Parent.SpanID() == parent {
				children = append(children, s)
			}
		}
	}
	slices.SortStableFunc(children, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	var b strings.Builder
	for _, s := range children {
		fmt.Fprintf(&b, "%s%s (%s)\n%s", indent, s.Name, s.SpanKind, tree(spans, s.SpanContext.SpanID(), indent+"  "))
	}
	return b.String()
}
