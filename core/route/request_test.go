package route_test

import (
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/route"
)

func TestRequestOf(t *testing.T) {
	s := attribute.String
	for _, tt := range []struct {
		name         string
		attributes   []attribute.KeyValue
		method, path string // no path: no request
	}{
		{name: "GET /x", method: "GET", path: "/x"},
		{name: "GET  /x?y=/z", method: "GET", path: "/x"},
		{name: "/x", path: "/x"},
		{name: "GET"},
		{name: "checkout"},
		{name: "grpc.health.v1.Health/Check"},
		{name: "SELECT a/b"},
		{name: ""},
		{name: "HTTP GET", attributes: []attribute.KeyValue{s("url.path", "/x")}, method: "HTTP", path: "/x"},
		{name: "GET", attributes: []attribute.KeyValue{s("url.path", "/x")}, method: "GET", path: "/x"},
		{name: "server", attributes: []attribute.KeyValue{s("url.path", "/x")}, path: "/x"},
		{
			name:       "GET /name",
			attributes: []attribute.KeyValue{s("http.request.method", "PUT"), s("url.path", "/x/7"), s("http.route", "/x/{id}")},
			method:     "PUT", path: "/x/{id}",
		},
		{attributes: []attribute.KeyValue{s("http.route", "GET /x/{id}"), s("url.path", "/x/7")}, method: "GET", path: "/x/{id}"},
		{attributes: []attribute.KeyValue{s("http.route", "GET /x/{id}"), s("http.request.method", "HEAD")}, method: "HEAD", path: "/x/{id}"},
		{attributes: []attribute.KeyValue{s("http.route", "GET example.com/x/{$}")}, method: "GET", path: "/x/"},
		{attributes: []attribute.KeyValue{s("http.route", "/x/{rest...}")}, path: "/x/{rest...}"},
		{attributes: []attribute.KeyValue{s("http.route", ""), s("url.path", "/x")}, path: "/x"},
		{attributes: []attribute.KeyValue{s("url.path", "/p"), s("url.full", "https://h/f"), s("http.target", "/t")}, path: "/p"},
		{attributes: []attribute.KeyValue{s("url.full", "https://user@h:1/f/g?q=/z#f"), s("http.target", "/t")}, path: "/f/g"},
		{attributes: []attribute.KeyValue{s("url.full", "https://h?q=/z")}, path: "/"},
		{attributes: []attribute.KeyValue{s("url.full", "https://h")}, path: "/"},
		{attributes: []attribute.KeyValue{s("url.full", "mailto:a"), s("http.target", "/t?q")}, path: "/t"},
		{name: "POST /n", attributes: []attribute.KeyValue{s("http.method", "GET"), s("http.target", "*")}, method: "GET", path: "/n"},
		{attributes: []attribute.KeyValue{s("http.method", "OLD"), s("http.request.method", "NEW"), s("url.path", "/x")}, method: "NEW", path: "/x"},
		{attributes: []attribute.KeyValue{attribute.Int("url.path", 7)}},
	} {
		r, ok := route.RequestOf(tt.name, tt.attributes)
		if r.Path != tt.path || ok != (tt.path != "") || ok && r.Method != tt.method {
			t.Errorf("RequestOf(%q, %v) = %+v, %v, want %q, %q", tt.name, tt.attributes, r, ok, tt.method, tt.path)
		}
	}
}

// RequestOf must depend on nothing but what Keys lists.
func TestKeys(t *testing.T) {
	for _, k := range route.Keys() {
		value := map[bool]string{true: "PUT", false: "https://h/x"}[k == "http.request.method" || k == "http.method"]
		r, _ := route.RequestOf("GET /", []attribute.KeyValue{k.String(value)})
		old, _ := route.RequestOf("GET /", nil)
		if k != "url.path" && k != "http.target" && r.Method == old.Method && r.Path == old.Path {
			t.Errorf("%s changes nothing", k)
		}
	}
	route.Keys()[0] = "changed"
	if route.Keys()[0] == "changed" {
		t.Error("the caller can change the keys")
	}
}
