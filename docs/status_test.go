package docs

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/status"
)

const statusPage = "docs/status.md"

// The snippets are examples, which are compiled.
func TestStatusPage(t *testing.T) { shownIn(t, statusPage, "example_status_test.go") }

// shop is the service that the page shows.
func shop() core.Status {
	at := time.Now()
	ago := func(d time.Duration) time.Time { return at.Add(-d) }
	const failing = 200 * time.Second
	return core.Status{
		Version: core.StatusVersion, At: at, Started: ago(125 * time.Minute), State: core.Running, Service: "shop",
		Problems: []core.Problem{{About: `exporter "otlp"`, Text: "failing for 3m20s, 1840 spans wait: collector:4317 refused the connection: nothing listens there"}},
		Segments: core.SegmentStatus{
			Started: 120300, Dropped: 40100, Kept: 1950, KeptBy: map[string]uint64{"ratio": 1180, "error": 770}, NotKept: 118348, Overdue: 2,
			SpansKept: 11702, SpansNotKept: 709800, Open: 2, RememberedTraces: 12, HeldBytes: 18842, MaxBytes: 64 << 20, Probability: 1,
		},
		Samplers: []core.SamplerStatus{
			{
				Name: "route", Description: "route by 2 rules", Asked: core.AskedStatus{Starts: 160400}, Answered: core.AnswerStatus{Drops: 40100},
				Rules: []core.RuleStatus{{Name: "rules[0]: GET /healthz", Answered: 40100}, {Name: "rules[1]: POST /orders/{i}"}},
			},
			{Name: "error", Description: "error", Asked: core.AskedStatus{Ends: 721502}, Answered: core.AnswerStatus{Thresholds: 770}, Kept: 770},
			{Name: "ratio", Description: "ratio 1%", Asked: core.AskedStatus{Starts: 120300}, Answered: core.AnswerStatus{Thresholds: 120300}, Kept: 1180},
		},
		Exporters: []core.ExporterStatus{{
			Name: "otlp", Type: "otlp", Endpoint: "collector:4317", State: "backing_off", FailingSince: ago(failing), BackingOffUntil: ago(-12 * time.Second),
			LastSuccess: ago(failing + time.Second), LastError: "collector:4317 refused the connection: nothing listens there", LastErrorAt: ago(18 * time.Second),
			WaitingSpans: 1840, QueueBytes: 412 << 10, OldestSeconds: 201, Sent: 9862, Attempts: 61, Retried: 12,
		}},
		LongestOpen: []core.OpenStatus{
			{Name: "GET /reports/{id}", Route: "/reports/{id}", AgeSeconds: 250, OpenSpans: 3, EndedSpans: 41},
			{Name: "nightly import", AgeSeconds: 12, OpenSpans: 1, EndedSpans: 7},
		},
		Reloads: core.ReloadStatus{Succeeded: 1, Last: ago(65 * time.Minute)},
	}
}

// What the page shows of riffle status is what it prints.
func TestStatusCommand(t *testing.T) {
	server := httptest.NewServer(http.StripPrefix("/debug/riffle", status.New(shop)))
	defer server.Close()
	program := filepath.Join(t.TempDir(), "riffle")
	buildCommand(t, program)
	cmd := exec.CommandContext(t.Context(), program, "status", server.URL+"/debug/riffle")
	out, err := cmd.Output()
	if err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("it ends with %v, want 1: there is something to look at", err)
	}
	if diff := cmp.Diff(firstBlock(t, statusPage, "output of a service"), string(out)); diff != "" {
		t.Errorf("%s (-page +command):\n%s", statusPage, diff)
	}
}

// The page tells of each key of the JSON.
func TestStatusKeys(t *testing.T) {
	page, err := os.ReadFile(statusPage)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var walk func(reflect.Type)
	walk = func(of reflect.Type) {
		for of.Kind() == reflect.Slice || of.Kind() == reflect.Map || of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct || of == reflect.TypeFor[time.Time]() {
			return
		}
		for f := range of.Fields() {
			key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if n++; key == "" || !strings.Contains(string(page), "`"+key+"`") {
				t.Errorf("%s.%s: the page does not tell of %q", of, f.Name, key)
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[core.Status]())
	if n < 80 {
		t.Errorf("only %d keys were looked at", n)
	}
}
