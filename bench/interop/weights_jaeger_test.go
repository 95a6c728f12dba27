package interop

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/riffletrace/riffle/bench/internal/process"
)

// Jaeger counts the spans that it has: its search shows as many requests as were kept, and
// what they stand for in a tag alone.
func TestWeightsInJaeger(t *testing.T) {
	needsBackends(t)
	j := startJaeger(t, security{})
	weigh(t, 0.01, j.ports.Local("grpc"))
	var requests, failures int
	stand := tally{of: weighedCase{failures: 1, others: 1}, weights: map[float64]bool{}}
	err := process.Poll(func() error {
		spans, err := j.spans("weights")
		if err != nil {
			return err
		}
		before := requests
		requests, failures = 0, 0
		stand = tally{of: stand.of, weights: map[float64]bool{}}
		for _, s := range spans {
			if s.Kind != "server" {
				continue
			}
			requests++
			failed := s.Status == "ERROR"
			if failed {
				failures++
			}
			if err := stand.add(s.TraceState, failed); err != nil {
				return process.Stop(err)
			}
		}
		if failures < weighedFailures || requests != before {
			return fmt.Errorf("%d requests have arrived, %d of them failures", requests, failures)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if failures != weighedFailures {
		t.Errorf("Jaeger shows %d failures of %d", failures, weighedFailures)
	}
	checkTally(t, &stand)
	text, err := os.ReadFile(weightsPage)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("keeps %d requests, %d %% of them failures", requests, int(math.Round(100*float64(failures)/float64(requests))))
	if !strings.Contains(string(text), want) {
		t.Errorf("%s does not say %q", weightsPage, want)
	}
}

// monitorFlags make Jaeger ask for the names that metrics have in Prometheus; without
// them it leaves out _total and _milliseconds.
var monitorFlags = []string{"--prometheus.query.normalize-calls=true", "--prometheus.query.normalize-duration=true"}

// Jaeger's page Monitor asks a Prometheus for the metrics of span_metrics.
func TestJaegerMonitor(t *testing.T) {
	needsBackends(t)
	var mu sync.Mutex
	var asked []string
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if q := r.FormValue("query"); q != "" {
			asked = append(asked, q)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"matrix","result":[]}}`)
	}))
	t.Cleanup(prometheus.Close)
	t.Setenv("METRICS_STORAGE_TYPE", "prometheus")
	j := startJaeger(t, security{}, append(monitorFlags, "--prometheus.server-url="+prometheus.URL)...)
	for path, want := range map[string][]string{
		"calls":     {"traces_span_metrics_calls_total{service_name", `span_kind =~ "SPAN_KIND_SERVER"`},
		"errors":    {"traces_span_metrics_calls_total{service_name", `status_code = "STATUS_CODE_ERROR"`},
		"latencies": {"traces_span_metrics_duration_milliseconds_bucket{service_name"},
	} {
		mu.Lock()
		asked = nil
		mu.Unlock()
		resp, err := http.Get("http://" + j.ports.At("query") + "/api/metrics/" + path + "?quantile=0.95&service=" + serviceName)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		mu.Lock()
		got := strings.Join(asked, "\n")
		mu.Unlock()
		for _, w := range want {
			if resp.StatusCode != http.StatusOK || !strings.Contains(got, w) {
				t.Errorf("%s: %s asks Prometheus %q, want %s\n%.300s", resp.Status, path, got, w, body)
			}
		}
	}
}
