package routers

import (
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"go.opentelemetry.io/contrib/instrumentation/github.com/labstack/echo/otelecho"
)

func newEcho() *echo.Echo {
	e := echo.New()
	e.Pre(middleware.MethodOverride())
	e.Use(otelecho.Middleware("shop"))
	handler := func(c echo.Context) error {
		status := statusOf(c.QueryParam("status"))
		query(c.Request().Context(), c.Request().URL.Path, status)
		return c.NoContent(status)
	}
	e.GET("/healthz", handler)
	e.Any("/static/*", handler)
	e.Any("/checkout/:id", handler)
	e.Any("/files/*", handler)
	e.PUT("/orders/:id", handler)
	e.POST("/orders/:id", handler)
	e.Any("/other/:id", handler)
	e.Any("/ws/:id", handler)
	return e
}

func TestEcho(t *testing.T) {
	p := start(t)
	h := newEcho()
	p.serve(h, outcomes...)
	p.serve(h,
		request{"GET", "/checkout/7/", 200, checkout}, // the parameter is "7/"
		request{"GET", "/checkout/a%2Fb", 200, checkout},
		request{"GET", "//checkout/7", 404, nothing},
		request{"GET", "/CHECKOUT/7", 404, nothing},
		request{"POST as PUT", "/orders/7", 200, orders}) // the middleware is one of Pre
}
