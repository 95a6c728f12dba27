package routers

import (
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/gorilla/mux"
	"github.com/riandyrn/otelchi"
	"go.opentelemetry.io/contrib/instrumentation/github.com/gorilla/mux/otelmux"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/riffletrace/riffle/core/observability"
)

// override is a handler that replaces the method before the router sees it.
func override(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if method := r.Header.Get("X-HTTP-Method-Override"); method != "" {
			r = r.Clone(r.Context())
			r.Method = method
		}
		next.ServeHTTP(w, r)
	})
}

func serveMux() *http.ServeMux {
	m := http.NewServeMux()
	for _, pattern := range []string{"GET /healthz", "/static/", "/checkout/{id}", "/files/{path...}", "PUT /orders/{id}", "POST /orders/{id}", "/other/{id}", "/ws/{id}"} {
		m.HandleFunc(pattern, answer)
	}
	return m
}

func TestServeMux(t *testing.T) {
	p := start(t)
	h := observability.Middleware(serveMux())
	p.serve(h, outcomes...)
	p.serve(h,
		request{"GET", "/checkout/7/", 404, nothing},
		request{"GET", "/checkout/a%2Fb", 200, checkout},
		request{"GET", "//checkout/7", 307, checkout}, // a redirect has the route that it leads to
		request{"GET", "/CHECKOUT/7", 404, nothing})
	p.serve(override(h), request{"POST as PUT", "/orders/7", 200, orders})
	p.serve(observability.Middleware(override(serveMux())), request{"POST as PUT", "/orders/7", 200, nothing})
}

// Behind another handler, the path decides, or the mux is named.
func TestServeMuxWrapped(t *testing.T) {
	p := start(t)
	m := serveMux()
	p.serve(observability.Middleware(override(m)), outcomes...)
	p.serve(observability.Middleware(override(m)), request{"GET", "/checkout/a%2Fb", 200, nothing})
	p.serve(observability.Middleware(override(m), observability.WithMux(m)), outcomes...)
	p.serve(observability.Middleware(override(m), observability.WithMux(m)), request{"GET", "/checkout/a%2Fb", 200, checkout})
}

// Of otelhttp alone, a span has its path at its start.
func TestOTelHTTP(t *testing.T) {
	p := start(t)
	h := otelhttp.NewHandler(serveMux(), "server")
	p.serve(h, outcomes...)
	p.serve(h,
		request{"GET", "/checkout/7/", 404, nothing},
		request{"GET", "/checkout/a%2Fb", 200, nothing}, // url.path has a slash more
		request{"GET", "//checkout/7", 307, nothing},
		request{"GET", "/CHECKOUT/7", 404, nothing})
}

func newChi() http.Handler {
	r := chi.NewRouter()
	r.Use(otelchi.Middleware("shop", otelchi.WithChiRoutes(r)))
	return routeChi(r)
}

func newChiWithoutRoutes() http.Handler {
	r := chi.NewRouter()
	r.Use(otelchi.Middleware("shop"))
	return routeChi(r)
}

func routeChi(r chi.Router) http.Handler {
	r.Get("/healthz", answer)
	r.HandleFunc("/static/*", answer)
	r.HandleFunc("/checkout/{id:[0-9a-zA-Z%]+}", answer)
	r.HandleFunc("/files/*", answer)
	r.Put("/orders/{id}", answer)
	r.Post("/orders/{id}", answer)
	r.HandleFunc("/other/{id}", answer)
	r.HandleFunc("/ws/{id}", answer)
	return r
}

func TestChi(t *testing.T) {
	p := start(t)
	h := newChi()
	p.serve(h, outcomes...)
	p.serve(h,
		request{"GET", "/checkout/7/", 404, nothing},
		request{"GET", "/checkout/a%2Fb", 200, nothing}, // otelchi looks for the decoded path
		request{"GET", "//checkout/7", 404, nothing},
		request{"GET", "/CHECKOUT/7", 404, nothing})
}

// Without the routes, otelchi tells neither the route nor the path when a span starts:
// there is nothing that a rule could go by.
func TestChiWithoutRoutes(t *testing.T) {
	p := start(t)
	p.serve(newChiWithoutRoutes(),
		request{"GET", "/healthz?status=500", 500, byError},
		request{"GET", "/checkout/7", 200, nothing},
		request{"GET", "/ws/7?status=500", 500, nothing}) // at the end, the route is known
	// The path of a span around it decides.
	p.serve(observability.Middleware(newChiWithoutRoutes()), outcomes...)
}

func newGorilla() *mux.Router {
	r := mux.NewRouter()
	r.Use(otelmux.Middleware("shop"))
	return r
}

func routeGorilla(r *mux.Router) http.Handler {
	r.HandleFunc("/healthz", answer).Methods(http.MethodGet)
	r.PathPrefix("/static/").HandlerFunc(answer)
	r.HandleFunc("/checkout/{id:[0-9a-zA-Z%]+}", answer)
	r.HandleFunc("/files/{path:.*}", answer)
	r.HandleFunc("/orders/{id}", answer).Methods(http.MethodPut, http.MethodPost)
	r.HandleFunc("/other/{id}", answer)
	r.HandleFunc("/ws/{id}", answer)
	return r
}

func TestGorilla(t *testing.T) {
	p := start(t)
	h := routeGorilla(newGorilla())
	p.serve(h, outcomes...)
	p.serve(h,
		request{"GET", "/checkout/7/", 404, nothing},
		request{"GET", "/checkout/a%2Fb", 404, nothing},
		request{"GET", "//checkout/7", 301, nothing}, // no middleware sees a redirect
		request{"GET", "/CHECKOUT/7", 404, nothing})
	p.serve(override(h), request{"POST as PUT", "/orders/7", 200, orders})
	p.serve(routeGorilla(newGorilla().UseEncodedPath()), request{"GET", "/checkout/a%2Fb", 200, checkout})
	p.serve(routeGorilla(newGorilla().StrictSlash(true)), request{"GET", "/checkout/7/", 301, checkout}) // this redirect is a route
}
