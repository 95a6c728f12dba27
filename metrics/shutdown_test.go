package metrics_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	colmetricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"
)

// callsIn are the spans of a name that a request counts.
func callsIn(t *testing.T, body []byte, name string) (n int64) {
	t.Helper()
	var msg colmetricspb.ExportMetricsServiceRequest
	if err := proto.Unmarshal(body, &msg); err != nil {
		t.Error(err)
	}
	for _, of := range msg.GetResourceMetrics() {
		for _, scope := range of.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				if m.GetName() != "traces.span.metrics.calls" {
					continue
				}
				for _, p := range m.GetSum().GetDataPoints() {
					for _, a := range p.GetAttributes() {
						if a.GetKey() == "span.name" && a.GetValue().GetStringValue() == name {
							n += p.GetAsInt()
						}
					}
				}
			}
		}
	}
	return n
}

// Where each export has what no other has, Shutdown does not break off the one that is
// under way.
func TestShutdownWhileExporting(t *testing.T) {
	var got atomic.Int64
	arrived, ending := make(chan struct{}, 1), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n := callsIn(t, body, "one")
		if n == 0 {
			return
		}
		select {
		case arrived <- struct{}{}:
			<-ending
			select {
			case <-r.Context().Done():
				return // it was broken off
			case <-time.After(200 * time.Millisecond): // a while in which it would be
			}
		default:
		}
		got.Add(n)
	}))
	defer s.Close()
	p := started(t, fmt.Sprintf("span_metrics: {}\nmetrics: {exporter: otlp, protocol: http/protobuf, endpoint: %q, interval: 100ms, temporality: delta}", s.URL))
	span(t, p, "one")
	<-arrived
	ended := make(chan error, 1)
	go func() { ended <- p.Shutdown(t.Context()) }()
	until(t, "it ends", func() bool {
		_, s := p.TracerProvider().Tracer("test").Start(t.Context(), "two")
		defer s.End()
		return !s.IsRecording()
	})
	close(ending)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := got.Load(); n != 1 {
		t.Errorf("%d calls arrived, want the one of the export that was under way", n)
	}
}
