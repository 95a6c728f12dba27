package python_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/internal/pytest"
	"github.com/riffletrace/riffle/plugins/host"
)

// open starts the plugin for tests.
func open(t *testing.T) *host.Plugin {
	t.Helper()
	pytest.Need(t)
	p, err := host.Open(t.Context(), "testdata/plugin.py", host.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// What an exporter raises is for the line in front of it what OTLP says: Retry is
// tried again (UNAVAILABLE), and anything else loses the batch (UNKNOWN).
func TestVerdicts(t *testing.T) {
	p := open(t)
	request := delivery.Request{Body: otlp.AppendRequest(nil, []sdktrace.ReadOnlySpan{tracetest.SpanStub{Name: "span"}.Snapshot()}), Spans: 1}
	for _, test := range []struct {
		how  string
		want delivery.Outcome
		says string // "": it is delivered
	}{
		{how: "well"},
		{"retry", delivery.Retry, "the backend is busy"},
		{"lose", delivery.Refused, "no such table"},
	} {
		t.Run(test.how, func(t *testing.T) {
			e, err := p.Exporter(t.Context(), component.Settings{ID: test.how}, "", component.JSON(fmt.Sprintf(`{"how": %q}`, test.how)))
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := e.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			}()
			_, err = e.(delivery.RequestExporter).ExportRequest(t.Context(), request)
			if test.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var f *delivery.ExportError
			if !errors.As(err, &f) || f.Outcome != test.want || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v (%+v): want verdict %v and %q", err, f, test.want, test.says)
			}
		})
	}
}
