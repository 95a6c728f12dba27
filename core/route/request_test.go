package route_test

import (
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/route"
)

func TestRequestOf(t *testing.T) {
	s := attribute.String
	for _, tt := range []struct {
		name                string
		attributes          []attribute.KeyValue
		method, route, path string // neither route nor path: no request
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
			method:     "PUT", route: "/x/{id}", path: "/x/7",
		},
		{attributes: []attribute.KeyValue{s("http.route", "GET /x/{id}"), s("url.path", "/x/7")}, method: "GET", route: "/x/{id}", path: "/x/7"},
		{attributes: []attribute.KeyValue{s("http.route", "GET /x/{id}"), s("http.request.method", "HEAD")}, method: "HEAD", route: "/x/{id}"},
		{attributes: []attribute.KeyValue{s("http.route", "PUT /x/{id}"), s("http.request.method", "POST")}, method: "PUT", route: "/x/{id}"},
		{name: "GET /name", attributes: []attribute.KeyValue{s("http.route", "/x")}, method: "GET", route: "/x"},
		{attributes: []attribute.KeyValue{s("http.route", "GET example.com/x/{$}")}, method: "GET", route: "/x/{$}"},
		{attributes: []attribute.KeyValue{s("http.route", "/x/{rest...}")}, route: "/x/{rest...}"},
		{attributes: []attribute.KeyValue{s("http.route", ""), s("url.path", "/x")}, path: "/x"},
		{attributes: []attribute.KeyValue{s("url.path", "/p"), s("url.full", "https://h/f"), s("http.target", "/t")}, path: "/p"},
		{attributes: []attribute.KeyValue{s("url.full", "https://user@h:1/f/g?q=/z#f"), s("http.target", "/t")}, path: "/f/g"},
		{attributes: []attribute.KeyValue{s("url.full", "https://h?q=/z")}, path: "/"},
		{attributes: []attribute.KeyValue{s("url.full", "https://h")}, path: "/"},
		{attributes: []attribute.KeyValue{s("url.full", "/f/g?q=/z#f")}, path: "/f/g"}, // of Fiber's OriginalURL
		{attributes: []attribute.KeyValue{s("url.full", "mailto:a"), s("http.target", "/t?q")}, path: "/t"},
		{name: "POST /n", attributes: []attribute.KeyValue{s("http.method", "GET"), s("http.target", "*")}, method: "GET", path: "/n"},
		{attributes: []attribute.KeyValue{s("http.method", "OLD"), s("http.request.method", "NEW"), s("url.path", "/x")}, method: "NEW", path: "/x"},
		{attributes: []attribute.KeyValue{s("http.request.method", "_OTHER"), s("http.request.method_original", "PROPFIND"), s("url.path", "/x")}, method: "PROPFIND", path: "/x"},
		{attributes: []attribute.KeyValue{s("http.request.method", "GET"), s("http.request.method_original", "get"), s("url.path", "/x")}, method: "GET", path: "/x"},
		{attributes: []attribute.KeyValue{attribute.Int("url.path", 7)}},
	} {
		r, ok := route.RequestOf(tt.name, tt.attributes)
		if r.Path != tt.path || r.Route != tt.route || ok != (tt.path+tt.route != "") || ok && r.Method != tt.method {
			t.Errorf("RequestOf(%q, %v) = %+v, %v, want %q, %q, %q", tt.name, tt.attributes, r, ok, tt.method, tt.route, tt.path)
		}
	}
}

func TestProcedure(t *testing.T) {
	s := attribute.String
	for _, tt := range []struct {
		name       string
		attributes []attribute.KeyValue
		want       route.Request
	}{
		{"grpc.health.v1.Health/Check", []attribute.KeyValue{s("rpc.system", "grpc")}, route.Request{Procedure: "grpc.health.v1.Health/Check"}},
		{"a.B/C", []attribute.KeyValue{s("rpc.system.name", "connect_rpc")}, route.Request{Procedure: "a.B/C"}},
		{"a.B/C", nil, route.Request{}},
		{"a.B", []attribute.KeyValue{s("rpc.system", "grpc")}, route.Request{}},
		{"/a.B/C", []attribute.KeyValue{s("rpc.system", "grpc")}, route.Request{Path: "/a.B/C", Decoded: true}},
		{"POST a.B/C", []attribute.KeyValue{s("rpc.system", "grpc")}, route.Request{}},
		{"a.B/C", []attribute.KeyValue{s("rpc.system", "grpc"), s("url.path", "/x")}, route.Request{Path: "/x", Decoded: true}},
	} {
		got, ok := route.RequestOf(tt.name, tt.attributes)
		got.Method = ""
		if ok != (tt.want != route.Request{}) || got != tt.want {
			t.Errorf("RequestOf(%q, %v) = %+v, %v, want %+v", tt.name, tt.attributes, got, ok, tt.want)
		}
	}
}

// RequestOf must depend on nothing but what Keys lists, and depends on all of it.
func TestKeys(t *testing.T) {
	for _, k := range route.Keys() {
		if k == "http.request.method_original" {
			continue // of another one's value
		}
		value := map[bool]string{true: "PUT", false: "https://h/x"}[k == "http.request.method" || k == "http.method"]
		if k == "url.path" || k == "http.target" {
			value = "/x"
		}
		r, _ := route.RequestOf("a/b", []attribute.KeyValue{k.String(value)})
		if (r == route.Request{}) {
			t.Errorf("%s changes nothing", k)
		}
	}
	route.Keys()[0] = "changed"
	if route.Keys()[0] == "changed" {
		t.Error("the caller can change the keys")
	}
}
