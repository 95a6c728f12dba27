package routers

import (
	"net/http"
	"testing"

	fiberotel "github.com/gofiber/contrib/v3/otel"
	"github.com/gofiber/fiber/v3"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// fiberApp serves a request of net/http.
type fiberApp struct {
	t   *testing.T
	app *fiber.App
}

func (a fiberApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resp, err := a.app.Test(r, fiber.TestConfig{})
	if err != nil {
		a.t.Fatal(err)
	}
	copyAnswer(w, resp)
}

func newFiber(t *testing.T, middleware fiber.Handler, configure ...func(*fiber.Config)) http.Handler {
	t.Helper()
	config := fiber.Config{Immutable: true}
	for _, c := range configure {
		c(&config)
	}
	app := fiber.New(config)
	app.Use(middleware)
	route(app)
	return fiberApp{t, app}
}

func route(app *fiber.App) {
	handler := func(c fiber.Ctx) error {
		status := statusOf(c.Query("status"))
		query(c.Context(), c.Path(), status)
		if status >= fiber.StatusBadRequest {
			return fiber.NewError(status)
		}
		return nil
	}
	app.Get("/healthz", handler)
	app.All("/static/*", handler)
	app.All("/checkout/:id?", handler)
	app.All("/files/*", handler)
	app.Put("/orders/:id", handler)
	app.Post("/orders/:id", handler)
	app.All("/other/:id", handler)
	app.All("/ws/:id", handler)
}

func TestFiber(t *testing.T) {
	p := start(t)
	// Spans outlive the request, and so must the strings in them.
	app := fiber.New(fiber.Config{Immutable: true})
	app.Use(fiberotel.Middleware())
	route(app)
	h := fiberApp{t, app}
	p.serve(h, outcomes...)
	// The route comes too late: the path decides, as it was sent.
	p.serve(h,
		request{"GET", "/checkout/7/", 200, nothing},
		request{"GET", "/healthz/?status=500", 500, byError},
		request{"GET", "/checkout/a%2Fb", 200, nothing}, // url.path has a slash more
		request{"GET", "//checkout/7", 404, checkout},   // url.path has a slash less
		request{"GET", "/CHECKOUT/7", 200, nothing})
	p.serve(override(h), request{"POST as PUT", "/orders/7", 200, orders})
	// So strict, Fiber routes as the rules do.
	p.serve(newFiber(t, fiberotel.Middleware(), func(c *fiber.Config) { c.StrictRouting, c.CaseSensitive = true, true }),
		request{"GET", "/checkout/7/", 404, nothing},
		request{"GET", "/CHECKOUT/7", 404, nothing})
}

// A regular expression takes no more notice of letter case and slashes than Fiber does.
func TestFiberHealth(t *testing.T) {
	p := startWith(t, page(t, 1), "0")
	p.serve(newFiber(t, fiberotel.Middleware()),
		request{"GET", "/healthz?status=500", 500, nothing},
		request{"GET", "/healthz/?status=500", 500, nothing},
		request{"GET", "/HEALTHZ?status=500", 500, nothing},
		request{"GET", "/other/healthz?status=500", 500, byError})
}

// early is a middleware that tells the route and the status before either is known: the
// route is its own, and the status is 200 while an error is on its way to the handler of
// errors. Ok is final, so that Error changes nothing any more.
func early(c fiber.Ctx) error {
	ctx := otel.GetTextMapPropagator().Extract(c.Context(), propagation.HeaderCarrier(c.GetReqHeaders()))
	ctx, span := otel.Tracer("shop").Start(ctx, c.Method()+" "+c.Route().Path, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", c.Method()),
		attribute.String("url.full", c.OriginalURL()),
		attribute.String("http.route", c.Route().Path),
	))
	defer span.End()
	c.SetContext(ctx)
	err := c.Next()
	status := c.Response().StatusCode()
	span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= fiber.StatusBadRequest {
		span.SetStatus(codes.Error, "")
	} else {
		span.SetStatus(codes.Ok, "")
	}
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}

func TestFiberEarly(t *testing.T) {
	h := newFiber(t, early)
	p := start(t)
	p.serve(h, outcomes[2:7]...)
	p.serve(h, request{"GET", "/other/7?status=500", 500, nothing})
	p = startWith(t, page(t, 2), "0")
	p.serve(h,
		request{"GET", "/healthz?status=500", 500, nothing},
		request{"GET", "/other/7", 200, nothing},
		request{"GET", "/other/7?status=500", 500, byError},
		request{"GET", "/other/7?status=404", 404, byError})
}

// Its url.full has the path as it was sent.
func TestFiberEarlyPaths(t *testing.T) {
	p := start(t)
	p.serve(newFiber(t, early),
		request{"GET", "/checkout/7/", 200, nothing},
		request{"GET", "/checkout/a%2Fb", 200, checkout},
		request{"GET", "//checkout/7", 404, nothing},
		request{"GET", "/CHECKOUT/7", 200, nothing})
}
