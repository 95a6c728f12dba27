package interop

import (
	"context"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/jaegerremote"
)

// strategies is a file of Jaeger's.
const strategies = `{
  "default_strategy": {"type": "probabilistic", "param": 0.25},
  "service_strategies": [
    {"service": "limited", "type": "ratelimiting", "param": 7},
    {"service": "shop", "type": "probabilistic", "param": 0.125, "operation_strategies": [
      {"operation": "GET /cart", "type": "probabilistic", "param": 0.5},
      {"operation": "GET /healthz", "type": "probabilistic", "param": 0}
    ]}
  ]
}`

// The sampler jaeger_remote follows what Jaeger reads from a file.
func TestStrategiesOfJaeger(t *testing.T) {
	needsBackends(t)
	file := filepath.Join(t.TempDir(), "strategies.json")
	if err := os.WriteFile(file, []byte(strategies), 0o600); err != nil {
		t.Fatal(err)
	}
	j := startJaeger(t, security{}, "--sampling.strategies-file="+file)
	for _, tt := range []struct {
		service, operation string
		want               float64
		reason             string
	}{
		{"other", "GET /cart", 0.25, "25%"},
		{"limited", "GET /cart", 1, "at most 7/s"},
		{"shop", "GET /cart", 0.5, "operation, 50%"},
		{"shop", "GET /healthz", 0, "operation, 0%"},
		{"shop", "GET /", 0.125, "12.5%"},
	} {
		c, _ := jaegerremote.Factory.Plan("", nil).Config().(jaegerremote.Config)
		c.Endpoint = "http://" + j.ports.At("collector") + "/api/sampling"
		s, err := jaegerremote.New(t.Context(), component.Settings{Logger: slog.New(slog.DiscardHandler), ServiceName: tt.service}, c)
		if err != nil {
			t.Fatal(err)
		}
		start := sampling.StartParameters{ParentContext: t.Context(), Name: tt.operation}
		if err := s.(sampling.Preparer).Prepare(t.Context(), start); err != nil {
			t.Fatalf("%s: %v", tt.service, err)
		}
		a := s.(sampling.StartSampler).SampleStart(start)
		if th, ok := a.Threshold(); !ok || math.Abs(th.Probability()-tt.want) > 1e-3 || a.Reason != tt.reason {
			t.Errorf("%s of %s: %v, %q, want %v, %q", tt.operation, tt.service, th.Probability(), a.Reason, tt.want, tt.reason)
		}
		if err := s.(component.Shutdowner).Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
