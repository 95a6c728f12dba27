package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"net"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/exporters/stdout/tree"
	"github.com/riffletrace/riffle/samplers/ratio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options(t *testing.T, rate float64, requests int) Options {
	t.Helper()
	return Options{
		Spec: core.Spec{
			Enabled:     true,
			ServiceName: "riffle-demo",
			Samplers:    []core.SamplerEntry{core.UseSampler(ratio.Factory, "", ratio.Config{Rate: rate})},
		},
		Exporters:   component.Exporters,
		Requests:    requests,
		Concurrency: 64,
		Seed:        1,
		Logger:      slog.New(slog.DiscardHandler),
		Progress:    func() {},
	}
}

func TestRun(t *testing.T) {
	const n, rate = 1000, 0.1
	r, err := Run(t.Context(), options(t, rate, n))
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests != n || r.RequestsError != 30 || r.RequestsSlow != 10 || r.RequestsHealth != 100 || r.Interrupted {
		t.Errorf("requests: %+v", r)
	}
	// Of a binomial count of n at this rate, weighted by 1/rate.
	bound := 4 * math.Sqrt(n*(1-rate)/rate)
	if math.Abs(r.WeightedRequests-n) > bound {
		t.Errorf("weighted_requests %v is more than 4 standard errors (%v) from %d", r.WeightedRequests, bound, n)
	}
	if got := r.WeightedStandardError; got == nil || *got < 60 || *got > 130 {
		t.Errorf("weighted_requests_standard_error %v, want about %v", got, bound/4)
	}
	if r.SpansExported <= r.TracesKept || r.Exporters[0].Sent != uint64(r.SpansExported) || r.Exporters[0].Lost != 0 {
		t.Errorf("exported: %+v", r)
	}

	if r.received != r.TracesKept {
		t.Errorf("%d traces arrived, of which %d are of requests", r.received, r.TracesKept)
	}

	again, err := Run(t.Context(), options(t, rate, n))
	if err != nil {
		t.Fatal(err)
	}
	if r.TracesKept != again.TracesKept || r.TracesKeptError != again.TracesKeptError || r.SpansExported != again.SpansExported {
		t.Errorf("the same seed kept other traces: %+v, then %+v", r, again)
	}

	var text bytes.Buffer
	if err := r.Print(&text, tree.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"GET /products/{id}", "authenticate", "errors", "requests"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in:\n%s", want, &text)
		}
	}
}

func TestRunKeepsEverything(t *testing.T) {
	r, err := Run(t.Context(), options(t, 1, 300))
	if err != nil {
		t.Fatal(err)
	}
	if r.TracesKept != 300 || r.TracesKeptError != r.RequestsError || r.TracesKeptSlow != r.RequestsSlow || r.WeightedRequests != 300 {
		t.Errorf("%+v", r)
	}
	if len(r.Samples) != 3 {
		t.Errorf("%d sample traces, want a failed, a slow and a plain one", len(r.Samples))
	}
}

func TestRunKeepsNothing(t *testing.T) {
	r, err := Run(t.Context(), options(t, 0, 50))
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests != 50 || r.TracesKept != 0 || r.SpansExported != 0 || r.WeightedRequests != 0 {
		t.Errorf("%+v", r)
	}
}

// Without propagation, what the second service does are traces of its own.
func TestNoPropagation(t *testing.T) {
	o := options(t, 1, 50)
	o.Spec.Propagators = []string{"none"}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.TracesKept != 50 || r.WeightedRequests != 50 || r.received <= 50 {
		t.Errorf("%+v, %d traces received", r, r.received)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := options(t, 1, 100_000)
	var done atomic.Int64
	o.Progress = func() {
		if done.Add(1) == 100 {
			cancel()
		}
	}
	r, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || r.Requests < 100 || r.Requests > 100+o.Concurrency || r.TracesKept != r.Requests {
		t.Errorf("%+v", r)
	}
}

// A backend of the user's that is not there is reported, and costs no more
// than the time to close.
func TestDeadExporter(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	o := options(t, 1, 20)
	o.Spec.Exporters = []core.ExporterEntry{core.UseExporter(otlp.Factory, "", otlp.Config{Endpoint: dead, Protocol: otlp.HTTP})}
	start := time.Now()
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 2*closeTimeout {
		t.Errorf("took %v", took)
	}
	if len(r.Exporters) != 2 || r.Exporters[0].Name != "otlp" || r.Exporters[0].Lost == 0 || r.Exporters[1].Lost != 0 {
		t.Errorf("exporters: %+v", r.Exporters)
	}
	if r.TracesKept != 20 {
		t.Errorf("%d traces at the demo's own backend, want 20", r.TracesKept)
	}
}

func TestJSON(t *testing.T) {
	b, err := json.Marshal(&Result{Exporters: []Exporter{{}}})
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(b, &object); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"requests", "requests_error", "requests_slow", "requests_slow_unplanned", "requests_health", "requests_dropped",
		"requests_unrecorded", "calls", "calls_error", "calls_slow", "traces_kept_sampled", "weighted_requests_standard_error",
		"weighted_error", "weighted_error_standard_error", "weighted_slow", "weighted_slow_standard_error",
		"traces_kept", "traces_kept_error", "traces_kept_slow", "spans_exported", "weighted_requests", "exporters",
	} {
		if _, ok := object[key]; !ok {
			t.Errorf("no key %q in %s", key, b)
		}
	}
	exporter, _ := object["exporters"].([]any)[0].(map[string]any)
	if want := map[string]any{"name": "", "sent": 0.0, "lost": 0.0}; !reflect.DeepEqual(exporter, want) {
		t.Errorf("exporter %v, want %v", exporter, want)
	}
}
