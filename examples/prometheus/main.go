// Prometheus is a service whose traces are kept by rules, and whose metrics, exact for
// every span, Prometheus scrapes:
//
//	GOWORK=off go run .            # in this directory
//	curl localhost:8080/users/7    # or -X POST localhost:8080/checkout: every tenth fails
//	curl localhost:9464/metrics
//
// prometheus.yml scrapes it, alerts.yml has the rules for what goes wrong, and
// dashboard.json is for Grafana.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/riffletrace/riffle"
	_ "github.com/riffletrace/riffle/metrics" // metrics: {exporter: prometheus}
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	tracing, err := riffle.Start(ctx, "shop.yaml", riffle.App("shop"))
	if err != nil {
		return err
	}
	defer func() {
		if err := tracing.Shutdown(context.WithoutCancel(ctx)); err != nil { // what did not arrive is no failure of the service
			log.Print(err)
		}
	}()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address())
	if err != nil {
		return err
	}
	server := &http.Server{Handler: routes(), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	log.Print("serving at http://", listener.Addr())

	<-ctx.Done()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err = server.Shutdown(closing)
	if serving := <-served; !errors.Is(serving, http.ErrServerClosed) {
		err = errors.Join(err, serving)
	}
	return err
}

func address() string {
	if a := os.Getenv("SHOP_LISTEN"); a != "" {
		return a
	}
	return "localhost:8080"
}

// routes are those of the service. The span of a request is called after its route, so
// that there are as many series as routes, not as users.
func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "user %s\n", r.PathValue("id"))
	})
	var orders atomic.Int64
	mux.HandleFunc("POST /checkout", func(w http.ResponseWriter, _ *http.Request) {
		if orders.Add(1)%10 == 0 {
			http.Error(w, "the payment service does not answer", http.StatusBadGateway)
			return
		}
		fmt.Fprintln(w, "thank you")
	})
	return otelhttp.NewHandler(mux, "request")
}
