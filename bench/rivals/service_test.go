//go:build linux

package rivals

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle"
)

// What the process of a service is told besides its address: a riffle
// configuration, or where a Collector takes everything; without both it does
// not trace.
const (
	fileVariable      = "RIFFLE_RIVALS_FILE"
	collectorVariable = "RIFFLE_RIVALS_COLLECTOR"
)

// The service answers each request with its trace ID. A request says how long
// its query takes, and whether it fails.
const (
	traceIDHeader = "X-Trace-Id"
	workHeader    = "Rivals-Work" // a duration
	failHeader    = "Rivals-Fail" // "true"
)

// runService serves until it is interrupted, and then sends what is left.
func runService(address string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	shutdown, err := startTracing(ctx)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", serveUser)
	server := &http.Server{Addr: address, Handler: mux, BaseContext: func(net.Listener) context.Context { return context.Background() }}
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }()
	select {
	case err := <-served:
		return errors.Join(err, shutdown(context.Background()))
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return errors.Join(server.Shutdown(ctx), shutdown(ctx))
}

func startTracing(ctx context.Context) (shutdown func(context.Context) error, err error) {
	if file := os.Getenv(fileVariable); file != "" {
		tracing, err := riffle.Start(ctx, file)
		if err != nil {
			return nil, err
		}
		return tracing.Shutdown, nil
	}
	collector := os.Getenv(collectorVariable)
	if collector == "" {
		return func(context.Context) error { return nil }, nil
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(collector), otlptracegrpc.WithInsecure())
	if err != nil {
		return nil, err
	}
	p := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.AlwaysSample()),
		sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", serviceName))),
	)
	otel.SetTracerProvider(p)
	return p.Shutdown, nil
}

func serveUser(w http.ResponseWriter, r *http.Request) {
	tracer := otel.Tracer(scope)
	ctx, span := tracer.Start(r.Context(), serverName, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(serverAttributes...))
	defer span.End()
	w.Header().Set(traceIDHeader, span.SpanContext().TraceID().String())
	status := http.StatusOK
	if err := queryUser(ctx, tracer, r); err != nil {
		status = http.StatusInternalServerError
		span.SetStatus(codes.Error, err.Error())
	}
	span.SetAttributes(attribute.Int("http.response.status_code", status))
	w.WriteHeader(status)
	fmt.Fprintln(w, r.PathValue("id"))
}

func queryUser(ctx context.Context, tracer trace.Tracer, r *http.Request) error {
	_, span := tracer.Start(ctx, queryName, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(queryAttributes...))
	defer span.End()
	if work, err := time.ParseDuration(r.Header.Get(workHeader)); err == nil {
		time.Sleep(work)
	}
	if r.Header.Get(failHeader) != "true" {
		return nil
	}
	err := errors.New("connection reset by the database")
	span.RecordError(err)
	span.SetStatus(codes.Error, err.Error())
	return err
}
