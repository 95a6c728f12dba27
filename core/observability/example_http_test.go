package observability_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/riffletrace/riffle/core/observability"
)

func service(secret string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "user %s", r.PathValue("id"))
	})
	return observability.Middleware(mux, observability.WithForceHeader("X-Trace-Force", secret))
}

func ExampleMiddleware() {
	printNames(func(ctx context.Context) {
		handler := service("from the environment")
		for _, path := range []string{"/health", "/users/7"} {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody))
			fmt.Printf("%s: sampled %q\n", path, w.Header().Get("X-Trace-Sampled"))
		}
	})
	// Output:
	// /health: sampled ""
	// GET /users/{id} (server)
	// /users/7: sampled "1"
}

func fetch(ctx context.Context, url string) (*http.Response, error) {
	client := &http.Client{Transport: observability.Transport(nil)}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}

func ExampleTransport() {
	printNames(func(ctx context.Context) {
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			fmt.Println("traceparent arrives:", r.Header.Get("Traceparent") != "")
		}))
		defer server.Close()
		resp, err := fetch(ctx, server.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	// Output:
	// traceparent arrives: true
	// HTTP GET (client)
}
