package routers

import (
	"testing"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/contrib/instrumentation/github.com/gin-gonic/gin/otelgin"
)

func newGin() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(otelgin.Middleware("shop"))
	handler := func(c *gin.Context) {
		status := statusOf(c.Query("status"))
		query(c.Request.Context(), c.Request.URL.Path, status)
		c.Status(status)
	}
	r.GET("/healthz", handler)
	r.Any("/static/*path", handler)
	r.Any("/checkout/:id", handler)
	r.Any("/files/*path", handler)
	r.PUT("/orders/:id", handler)
	r.POST("/orders/:id", handler)
	r.Any("/other/:id", handler)
	r.Any("/ws/:id", handler)
	return r
}

func TestGin(t *testing.T) {
	p := start(t)
	h := newGin()
	p.serve(h, outcomes...)
	p.serve(h,
		request{"GET", "/checkout/7/", 301, nothing}, // no middleware sees a redirect
		request{"GET", "/checkout/a%2Fb", 404, nothing},
		request{"GET", "//checkout/7", 404, nothing},
		request{"GET", "/CHECKOUT/7", 404, nothing})
	p.serve(override(h), request{"POST as PUT", "/orders/7", 200, orders})
	raw := newGin()
	raw.UseRawPath = true
	p.serve(raw, request{"GET", "/checkout/a%2Fb", 200, checkout})
}
