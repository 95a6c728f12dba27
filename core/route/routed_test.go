package route_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/route"
)

func tableOf(tb testing.TB, patterns ...string) *route.Table[string] {
	tb.Helper()
	table := new(route.Table[string])
	for _, p := range patterns {
		if err := table.Add(p, p); err != nil {
			tb.Fatal(err)
		}
	}
	return table
}

// A rule in the syntax of a ServeMux is found for what other routers write, with and
// without the path.
func TestRoutesOfRouters(t *testing.T) {
	table := tableOf(t, "/users/{id}", "/users/", "/users/{id}/items/{item}", "/files/{path...}", "/{$}", "/orders/{id}", "/exact/{$}")
	for _, tt := range []struct{ route, path, want string }{
		// gin, echo
		{"/users/:id", "/users/7", "/users/{id}"},
		{"/users/:id/items/:item", "/users/7/items/8", "/users/{id}/items/{item}"},
		{"/files/*path", "/files/a/b", "/files/{path...}"},
		{"/files/*", "/files/a/b", "/files/{path...}"},
		{"/users/*", "/users/7/x", "/users/"},
		{"/users/*any", "/users/7/x", "/users/"},
		{"/orders/*", "/orders/7/x", ""},
		// Fiber
		{"/users/:id?", "/users/7", "/users/{id}"},
		{"/users/:id<int>", "/users/7", "/users/{id}"},
		{"/users/:id<regex(a{2})>", "/users/aa", "/users/{id}"},
		{"/users/:from-:to", "/users/a-b", "/users/{id}"},
		{"/users/+", "/users/7/x", "/users/"},
		{"/files/*.jpg", "/files/a/b.jpg", "/files/{path...}"},
		// chi, gorilla
		{"/users/{id}", "/users/7", "/users/{id}"},
		{"/users/{id:[0-9]+}", "/users/7", "/users/{id}"},
		{"/users/{id:[0-9]+}/items/{item:(a/b|c)}", "/users/7/items/c", "/users/{id}/items/{item}"},
		{"/users/{rest:.*}", "/users/7/x", "/users/"},
		{"/users/{rest:.+}", "/users/7/x", "/users/"},
		// ServeMux
		{"GET /users/{id}", "/users/7", "/users/{id}"},
		{"GET example.com/users/{id}", "/users/7", "/users/{id}"},
		{"/files/{path...}", "/files/a/b", "/files/{path...}"},
		{"/users/", "/users/7/x", "/users/"},
		{"GET /{$}", "/", "/{$}"},
		{"/exact/{$}", "/exact/", "/exact/{$}"},
	} {
		for _, path := range []string{tt.path, ""} {
			attributes := []attribute.KeyValue{attribute.String("http.route", tt.route)}
			if path != "" {
				attributes = append(attributes, attribute.String("url.path", path))
			}
			r, _ := route.RequestOf("GET", attributes)
			if got, ok := table.Lookup(r); got != tt.want || ok != (tt.want != "") || ok != table.Has(r) {
				t.Errorf("http.route %q, path %q: %q, want %q", tt.route, path, got, tt.want)
			}
		}
	}
}

// Of a route and a path, the more specific pattern wins, on equal the route's.
func TestRouteAndPath(t *testing.T) {
	table := tableOf(t,
		"/", "/{$}", "/api/", "/api", "/users", "/users/{id}", "/users/new", "GET /users/{id}/x", "/users/{id}/x", "PUT /old", "/new", "/dir/{x}/{$}", "/dir/",
		"/opt/{id}", "/opt", "/case/{id}", "/health", "/a/{x}/b/", "/a/{x}/b/{y}", "/tilde/:id", "/tilde/{id}")
	for _, tt := range []struct{ name, method, route, path, want string }{
		{"a middleware's", "GET", "/", "/api/x", "/api/"},
		{"a middleware's, and no rule", "GET", "/", "/elsewhere", "/"},
		{"a middleware's, at the top", "GET", "/", "/", "/{$}"},
		{"a group's", "GET", "/api", "/api/x", "/api/"},
		{"a group's, and an exact rule", "GET", "/users", "/users/7/y", "/"},
		{"not a group's", "GET", "/users", "/users/", "/users"},
		{"the path's is more specific", "GET", "/users/:id", "/users/new", "/users/new"},
		{"the route's is more specific", "GET", "/users/new", "/anything", "/users/new"},
		{"rewritten", "PUT", "/new", "/old", "/new"},
		{"the method's is more specific", "GET", "/users/:id/x", "/users/7/x", "GET /users/{id}/x"},
		{"another method", "POST", "/users/:id/x", "/users/7/x", "/users/{id}/x"},
		{"a mux's trailing slash", "GET", "/dir/{x}/", "/dir/a/b", "/dir/"},
		{"a mux's trailing slash, exactly", "GET", "/dir/{x}/", "/dir/a/", "/dir/{x}/{$}"},
		{"optional, and there", "GET", "/opt/:id?", "/opt/7", "/opt/{id}"},
		{"optional, and not there", "GET", "/opt/:id?", "/opt", "/opt"},
		{"optional, and empty", "GET", "/opt/:id?", "/opt/", "/opt"},
		{"optional, and rewritten", "GET", "/opt/:id?", "/x/7", "/opt/{id}"},
		{"letter case", "GET", "/case/:id", "/CASE/7", "/case/{id}"},
		{"trailing slash", "GET", "/health", "/health/", "/health"},
		{"two slashes", "GET", "/health", "//health", "/health"},
		{"a decoded slash", "GET", "/users/{id}", "/users/a/b", "/users/{id}"},
		{"a longer path", "GET", "/users/{id}", "/users/a/x", "/users/{id}"},
		{"a longer route", "POST", "/users/:id/x", "/users/new", "/users/{id}/x"},
		{"a prefix that was stripped", "GET", "/users/{id}", "/v1/users/7", "/users/{id}"},
		{"below", "GET", "/a/{x}/b/{y}", "/a/1/b/2", "/a/{x}/b/{y}"},
		{"below, the whole", "GET", "/a/:x/b/*", "/a/1/b/2/3", "/a/{x}/b/"},
		{"the router's own syntax", "GET", "/tilde/:id", "/tilde/7", "/tilde/:id"},
	} {
		r := route.Request{Method: tt.method, Route: tt.route, Path: tt.path, Decoded: true}
		if got, _ := table.Lookup(r); got != tt.want {
			t.Errorf("%s: route %q, path %q: %q, want %q", tt.name, tt.route, tt.path, got, tt.want)
		}
	}
}

func TestLookupProcedure(t *testing.T) {
	table := tableOf(t, "/grpc.health.v1.Health/", "/shop.Checkout/{method}", "/shop.Checkout/Pay", "POST /shop.Cart/")
	for procedure, want := range map[string]string{
		"grpc.health.v1.Health/Check": "/grpc.health.v1.Health/",
		"shop.Checkout/Pay":           "/shop.Checkout/Pay",
		"shop.Checkout/List":          "/shop.Checkout/{method}",
		"shop.Cart/Add":               "", // a call does not tell its method
		"other/x":                     "",
		strings.Repeat("x", 1<<20):    "",
	} {
		r := route.Request{Procedure: procedure}
		if got, ok := table.Lookup(r); got != want || ok != table.Has(r) {
			t.Errorf("%.40s: %q, want %q", procedure, got, want)
		}
	}
}

// FuzzRouted: with a path that is known, whatever stands in the route, the rule for
// everything is met, and nothing is where nothing matches.
func FuzzRouted(f *testing.F) {
	for _, s := range []string{"/users/:id?", "/{id:[0-9/]+}/x", "/*", "/{$}", "/{", "/a}/{b/", "//", "/:", "/{x...}/y"} {
		f.Add(s, "/users/7")
	}
	everything, nothing := tableOf(f, "/", "/a/{x}/{y...}", "/{x}/{$}"), tableOf(f, "/no-such/rule")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		r := route.Request{Route: "/" + pattern, Path: "/" + path}
		if _, ok := everything.Lookup(r); !ok {
			t.Errorf("%+v: / matches everything", r)
		}
		if _, ok := nothing.Lookup(r); ok && !strings.Contains(pattern+path, "rule") && !strings.Contains(pattern+path, "%") {
			t.Errorf("%+v meets a rule that it does not have", r)
		}
	})
}

// What is not looked up because the path is enough would have changed nothing.
func TestCoveredRoutes(t *testing.T) {
	patterns := []string{"/", "/a", "/a/", "/a/{x}", "/a/{x}/{$}", "/a/b", "GET /a/{x}/c", "/{$}", "/d/{x...}"}
	routes := []string{
		"/", "/a", "/a/", "/a/:x", "/a/*", "/a/{x}", "/a/{x:[a-z]+}", "/a/{x}/", "/a/b", "/a/{x}/c", "/a/:x?", "/:y/b", "/*", "/{$}", "/d/{x...}", "/d/*x", "/e",
	}
	paths := []string{"/", "/a", "/a/", "/a/b", "/a/1", "/a/1/", "/a/1/c", "/a//c", "//a", "/d/1/2", "/d", "/e", "/A/b", "/%61/b"}
	quick := tableOf(t, patterns...)
	thorough := tableOf(t, append(patterns, "/no-such/:rule")...) // one in another syntax: nothing is left out
	for _, pattern := range routes {
		for _, path := range paths {
			for _, decoded := range []bool{false, true} {
				r := route.Request{Method: "GET", Route: pattern, Path: path, Decoded: decoded}
				got, ok := quick.Lookup(r)
				if want, _ := thorough.Lookup(r); got != want {
					t.Errorf("%+v: %q, want %q", r, got, want)
				}
				if has := quick.Has(r); has != ok {
					t.Errorf("%+v: has one %v, and finds one %v", r, has, ok)
				}
			}
		}
	}
}
