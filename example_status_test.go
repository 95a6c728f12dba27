package riffle_test

import (
	"context"
	"crypto/subtle"
	"expvar"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/riffletrace/riffle"
)

// The status is served at an address that is not the public one.
func ExampleTracing_Handler() {
	tracing, err := riffle.Start(context.Background(), "fluxbase.yaml", riffle.App("fluxbase"))
	if err != nil {
		log.Fatal(err)
	}
	defer tracing.Shutdown(context.Background())

	internal := http.NewServeMux()
	internal.Handle("/debug/riffle", tracing.Handler())
	server := &http.Server{Addr: "localhost:6060", Handler: internal, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	go func() { log.Print(server.ListenAndServe()) }()
}

// Or at the public one, for who knows a password.
func ExampleTracing_Handler_password() {
	var tracing *riffle.Tracing
	var mux *http.ServeMux

	status := tracing.Handler()
	password := []byte(os.Getenv("STATUS_PASSWORD"))
	mux.HandleFunc("/debug/riffle", func(w http.ResponseWriter, r *http.Request) {
		_, given, _ := r.BasicAuth()
		if len(password) == 0 || subtle.ConstantTimeCompare([]byte(given), password) != 1 {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		status.ServeHTTP(w, r)
	})
}

// A service that publishes variables publishes the status with them.
func ExampleTracing_Var() {
	var tracing *riffle.Tracing

	expvar.Publish("riffle", tracing.Var())
}
