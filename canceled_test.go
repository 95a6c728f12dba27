package riffle_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/riffletrace/riffle/core/observability"
)

// As a service does it: from a file, behind a real server, with clients that go away and
// one that stays.
func TestClientsThatGoAway(t *testing.T) {
	for _, tt := range []struct {
		sampler string
		kept    int // of requests
	}{
		{"{type: error}", 4},
		{"{type: error, ignore_canceled: true}", 1},
		{"{type: error, ignore_canceled: true, http_status: [400-599], exceptions: true}", 1},
	} {
		t.Run(tt.sampler, func(t *testing.T) {
			tracing, spans, logs, err := start(t, configFile(t, `
observability:
  tracing:
    enabled: true
    service_name: shop
    endpoint: memory
    samplers: [`+tt.sampler+`, {type: ratio, rate: 0}]
`))
			if err != nil {
				t.Fatal(err, logs)
			}
			for range 3 {
				ask(t, true)
			}
			ask(t, false)
			if err := tracing.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			requests := 0
			for _, s := range spans.GetSpans() {
				if s.Name == "GET /orders/{id}" {
					requests++
				}
			}
			if requests != tt.kept {
				t.Errorf("%d requests are kept, want %d", requests, tt.kept)
			}
		})
	}
}

// ask asks a server that fails, and goes away before it answers, or not. It returns when
// the request is served.
func ask(t *testing.T, goes bool) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		ctx, query := observability.StartDBSpan(r.Context(), "select", "orders")
		if goes {
			leave()
			<-ctx.Done()
		}
		observability.EndDBSpan(query, ctx.Err())
		http.Error(w, "no orders", http.StatusInternalServerError)
	})
	traced := observability.Middleware(mux)
	served := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(served)
		traced.ServeHTTP(w, r)
	}))
	defer server.Close()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/orders/7", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Do(request)
	if err == nil {
		err = answer.Body.Close()
	}
	if (err != nil) != goes {
		t.Errorf("the client: %v", err)
	}
	<-served
}
