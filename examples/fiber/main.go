// Fiber traces a service made with Fiber v3: it starts one, asks it something,
// and stops. Run it in the directory above:
//
//	GOWORK=off go run ./fiber
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v3"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle"
	"github.com/riffletrace/riffle/core/observability"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	tracing, err := riffle.Start(ctx, "fluxbase.yaml", riffle.App("fluxbase"))
	if err != nil {
		return err
	}
	defer func() {
		if err := tracing.Shutdown(ctx); err != nil { // what did not arrive is no failure of the service
			log.Print(err)
		}
	}()

	// Spans outlive the request, and so must the strings in them.
	app := fiber.New(fiber.Config{Immutable: true})
	app.Use(traced)
	app.Get("/users/:id", func(c fiber.Ctx) error {
		_, span := observability.StartDBSpan(c.Context(), "select", "users")
		defer observability.EndDBSpan(span, nil)
		return c.SendString("user " + c.Params("id"))
	})

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
	err = ask(ctx, "http://"+listener.Addr().String()+"/users/7")
	return errors.Join(err, app.ShutdownWithTimeout(5*time.Second), <-served)
}

// traced is a middleware that makes a span of each request.
func traced(c fiber.Ctx) error {
	ctx := otel.GetTextMapPropagator().Extract(c.Context(), propagation.HeaderCarrier(c.GetReqHeaders()))
	method := c.Method()
	ctx, span := observability.StartSpan(ctx, method,
		trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", method), attribute.String("url.path", c.Path())))
	defer span.End()
	c.SetContext(ctx)

	err := c.Next()
	status := c.Response().StatusCode()
	if err != nil { // the error handler runs later
		status = fiber.StatusInternalServerError
		if failed, ok := errors.AsType[*fiber.Error](err); ok {
			status = failed.Code
		}
	}
	route := c.Route().Path // of the handler that answered
	span.SetName(method + " " + route)
	span.SetAttributes(attribute.String("http.route", route), attribute.Int("http.response.status_code", status))
	switch {
	case status >= fiber.StatusInternalServerError && err != nil:
		observability.RecordError(ctx, err)
	case status >= fiber.StatusInternalServerError:
		span.SetStatus(codes.Error, "")
	}
	return err
}

func ask(ctx context.Context, url string) error {
	client := &http.Client{Transport: observability.Transport(nil)}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Printf("%s: %s\n", resp.Status, body)
	return err
}
