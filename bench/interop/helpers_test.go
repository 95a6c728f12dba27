package interop

import (
	"cmp"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/bench/internal/process"
)

// TestInteropHelpers runs the end-to-end test of the span helpers against
// Jaeger: a request, its queries, the job that it enqueued, the function that
// the job called, and what that asked the service, are one trace there too.
func TestInteropHelpers(t *testing.T) {
	needsBackends(t)
	backend := startJaeger(t, security{})
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-run", "^TestEndToEnd$/^Go$", ".")
	cmd.Dir = "../../core/observability/pgxtrace"
	cmd.Env = append(process.Environ(), "RIFFLE_POSTGRES=1",
		"RIFFLE_END_TO_END_ENDPOINT="+backend.address("grpc"),
		"OTEL_SERVICE_NAME="+serviceName,
		"OTEL_RESOURCE_ATTRIBUTES="+caseKey+"=helpers")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const want = `HTTP POST (client)
  POST /orders (server)
    db.begin (client)
    db.commit (client)
    db.insert (client)
    db.insert (client)
    job.billing.invoice (consumer)
      function.invoices.render (server)
        GET /orders/{id} (server)
          db.select (client)
`
	var got []span
	err := process.Poll(func() (err error) {
		if got, err = backend.spans("helpers"); err == nil && !strings.Contains(draw(got, "", ""), "db.select") {
			err = fmt.Errorf("%d spans have arrived", len(got))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, draw(got, "", "")); diff != "" {
		t.Errorf("the trace in Jaeger (-want +got):\n%s", diff)
	}
	for _, s := range got {
		if s.TraceID != got[0].TraceID {
			t.Errorf("%s is in another trace", s.Name)
		}
		for key, value := range map[string]map[string]string{
			"db.select":                {"db.table": "orders", "db.operation": "select"},
			"job.billing.invoice":      {"job.id": "j-1", "job.status": "completed", "worker.name": "worker"},
			"function.invoices.render": {"function.execution_id": "e-1", "user.id": "u-1"},
			"POST /orders":             {"http.route": "/orders"},
		}[s.Name] {
			if fmt.Sprint(s.Attributes[key]) != value {
				t.Errorf("%s: %s = %v, want %q", s.Name, key, s.Attributes[key], value)
			}
		}
	}
}

// draw is the tree below a parent, by name, without what the connections of the
// database do.
func draw(spans []span, parent, indent string) string {
	var children []span
	for _, s := range spans {
		switch s.Name {
		case "db.prepare", "db.acquire", "db.connect":
		default:
			if s.Parent == parent {
				children = append(children, s)
			}
		}
	}
	slices.SortFunc(children, func(a, b span) int { return cmp.Compare(a.Name, b.Name) })
	var text strings.Builder
	for _, s := range children {
		fmt.Fprintf(&text, "%s%s (%s)\n%s", indent, s.Name, s.Kind, draw(spans, s.ID, indent+"  "))
	}
	return text.String()
}
