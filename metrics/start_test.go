package metrics_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"

	"github.com/riffletrace/riffle"
)

// What riffle.Start starts of metrics is the global MeterProvider until Shutdown, and
// stays what it was when the file is read again.
func TestStart(t *testing.T) {
	file, address := filepath.Join(t.TempDir(), "shop.yaml"), port(t)
	write := func(metrics string) {
		text := "observability:\n  tracing:\n    enabled: true\n    service_name: shop\n    exporters: [{type: stdout}]\n    metrics: " + metrics + "\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	same := fmt.Sprintf("{exporter: prometheus, listen: %q}", address)
	write(same)
	before := otel.GetMeterProvider()
	var said log
	tracing, err := riffle.Start(t.Context(), file, riffle.Core(said.option()))
	if err != nil {
		t.Fatal(err)
	}
	if otel.GetMeterProvider() != tracing.Provider().MeterProvider() {
		t.Errorf("the global one is %T", otel.GetMeterProvider())
	}
	counter, err := otel.Meter("shop").Int64Counter("shop.orders")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 1)
	if page, _ := scrape(t, "http://"+address+"/metrics", ""); line(page, `shop_orders_total`) == "" {
		t.Errorf("what instrumentation counts is not scraped:\n%s", page)
	}
	if err := tracing.Reload(t.Context()); err != nil {
		t.Errorf("a file that is the same: %v", err)
	}
	write(`{exporter: prometheus, listen: ""}`)
	const want = "shop.yaml:6:5: observability.tracing.metrics: a reload does not change it: restart the process"
	if err := tracing.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a file with another section: %v, want %s", err, want)
	}
	if err := tracing.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if otel.GetMeterProvider() != before {
		t.Errorf("the global one is %T afterwards", otel.GetMeterProvider())
	}
}
