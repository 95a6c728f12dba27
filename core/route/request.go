package route

import (
	"net/http"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// The attributes that tell what request a span is about, those of older
// conventions included.
const (
	httpRoute         attribute.Key = "http.route"
	urlPath           attribute.Key = "url.path"
	urlFull           attribute.Key = "url.full"
	httpTarget        attribute.Key = "http.target"
	httpRequestMethod attribute.Key = "http.request.method"
	httpMethod        attribute.Key = "http.method"
	methodOriginal    attribute.Key = "http.request.method_original"
	rpcSystemName     attribute.Key = "rpc.system.name"
	rpcSystem         attribute.Key = "rpc.system"
)

var keys = []attribute.Key{httpRoute, urlPath, urlFull, httpTarget, httpRequestMethod, httpMethod, methodOriginal, rpcSystemName, rpcSystem}

// Keys lists the attributes that [RequestOf] looks at.
func Keys() []attribute.Key { return slices.Clone(keys) }

// Request is what a span tells of a request. A pattern matches it by its route or by
// its path.
type Request struct {
	// Method is "" if it is not known: only patterns without a method match then.
	Method string
	// Route is the router's pattern, in its own syntax; "" if it is not known.
	Route string
	// Path is "" if it is not known.
	Path string
	// Decoded tells that Path is not percent-encoded, so that what looks like it
	// is not.
	Decoded bool
	// Procedure is that of a call of gRPC or Connect, "service/method": its path
	// without the slash at the start. It is looked up where Path is "".
	Procedure string
}

// otherMethod is what instrumentation says of a method that it does not know; the method
// itself is another attribute then.
const otherMethod = "_OTHER"

// told is what the attributes of a span say, before it is known which of it counts.
type told struct {
	route, path, full, target   string
	method, oldMethod, original string
	rpc                         bool
}

func (t *told) read(attributes []attribute.KeyValue) {
	for i := range attributes {
		kv := &attributes[i]
		switch len(kv.Key) { // most keys are none of these, and have other lengths
		case len(urlPath), len(httpRoute), len(httpTarget), len(httpRequestMethod), len(rpcSystemName), len(methodOriginal):
		default:
			continue
		}
		if kv.Value.Type() != attribute.STRING {
			continue
		}
		switch kv.Key {
		case httpRoute:
			t.route = kv.Value.AsString()
		case urlPath:
			t.path = kv.Value.AsString()
		case urlFull:
			t.full = kv.Value.AsString()
		case httpTarget:
			t.target = kv.Value.AsString()
		case httpRequestMethod:
			t.method = kv.Value.AsString()
		case httpMethod:
			t.oldMethod = kv.Value.AsString()
		case methodOriginal:
			t.original = kv.Value.AsString()
		case rpcSystemName, rpcSystem:
			t.rpc = true
		}
	}
	if t.method == "" {
		t.method = t.oldMethod
	}
	if t.method == otherMethod && t.original != "" {
		t.method = t.original
	}
}

// RequestOf finds the request that a span is about. It is false if the span is
// about none.
//
// The route is http.route. The path is url.path, else the path of url.full, else that
// of http.target, else, where there is no route either, that of a name like "GET /x".
// The method is http.request.method, or http.request.method_original of one that
// OpenTelemetry does not know, else http.method, else what stands in the name,
// else "". Where http.route has one, as a ServeMux writes it, that is the one that the
// request was routed by, whatever the client sent; only that GET also stands for HEAD.
// A call of gRPC or Connect, which has rpc.system or rpc.system.name, has its procedure
// from its name, "service/method". It allocates nothing.
func RequestOf(name string, attributes []attribute.KeyValue) (r Request, ok bool) {
	var t told
	t.read(attributes)
	r.Method = t.method
	if t.route != "" {
		inRoute, route := splitMethod(t.route)
		if inRoute != "" && (inRoute != http.MethodGet || r.Method != http.MethodHead) {
			r.Method = inRoute
		}
		r.Route = pathOfRoute(route)
	}
	switch {
	case isPath(t.path):
		r.Path, r.Decoded = t.path, true
	case t.full != "":
		r.Path = pathOfURL(t.full)
	}
	if r.Path == "" && isPath(t.target) {
		r.Path = withoutQuery(t.target)
	}
	known := r.Route != "" || r.Path != ""
	if known && r.Method != "" {
		return r, true
	}
	if !known && t.rpc && isProcedure(name) {
		r.Procedure = name
		return r, true
	}
	inName, named := splitMethod(name)
	if r.Method == "" {
		r.Method = inName
	}
	if !known && isPath(named) {
		r.Path, r.Decoded = withoutQuery(named), true
	}
	return r, known || r.Path != ""
}

// isProcedure tells "service/method" from other names.
func isProcedure(name string) bool {
	i := strings.IndexByte(first(name), '/')
	return i > 0 && strings.IndexByte(name[:i], ' ') < 0
}

func isPath(s string) bool { return s != "" && s[0] == '/' }

// maxStart bounds what stands before the path: a method and spaces, or a scheme.
const maxStart = 64

// splitMethod splits "GET /x", and "GET" alone.
func splitMethod(s string) (method, rest string) {
	if isPath(s) { // as most routes are
		return "", s
	}
	start := s[:min(len(s), maxStart)]
	i := strings.IndexByte(start, ' ')
	if i < 0 && len(start) == len(s) {
		i = len(s)
	}
	if i <= 0 || strings.ContainsFunc(s[:i], notInMethod) {
		return "", s
	}
	return s[:i], s[len(start)-len(strings.TrimLeft(start[i:], " ")):]
}

// pathOfRoute leaves out the host that a pattern of ServeMux may have.
func pathOfRoute(route string) string {
	if isPath(route) {
		return route
	}
	i := strings.IndexByte(first(route), '/')
	if i < 0 {
		return ""
	}
	return route[i:]
}

// pathOfURL returns "" if there is no path to find. Some write what the client sent
// without scheme and host.
func pathOfURL(url string) string {
	if isPath(url) {
		return withoutQuery(url)
	}
	i := strings.Index(url[:min(len(url), maxStart)], "://")
	if i < 0 {
		return ""
	}
	after := url[i+len("://"):]
	start := first(after)
	switch i = strings.IndexAny(start, "/?#"); {
	case i >= 0 && start[i] == '/':
		return withoutQuery(after[i:])
	case i < 0 && len(start) < len(after):
		return "" // no host is that long
	default:
		return "/"
	}
}

// withoutQuery looks as far as Lookup does.
func withoutQuery(path string) string {
	if i := strings.IndexAny(first(path), "?#"); i >= 0 {
		return path[:i]
	}
	return path
}

// first is what is looked at of a text.
func first(s string) string { return s[:min(len(s), MaxPath+1)] }
