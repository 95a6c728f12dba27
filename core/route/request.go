package route

import (
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
)

var keys = []attribute.Key{httpRoute, urlPath, urlFull, httpTarget, httpRequestMethod, httpMethod}

// Keys lists the attributes that [RequestOf] looks at.
func Keys() []attribute.Key { return slices.Clone(keys) }

// RequestOf finds the request that a span is about. It is false if the span is
// about none.
//
// The path is http.route if the span has it, else url.path, else the path of
// url.full, of http.target, or of a name like "GET /x". The method is
// http.request.method, else http.method, else what stands before the path in
// http.route or in the name, else "". It allocates nothing.
func RequestOf(name string, attributes []attribute.KeyValue) (r Request, ok bool) {
	var route, url, full, target, method, oldMethod string
	for i := range attributes {
		kv := &attributes[i]
		switch len(kv.Key) { // most keys are none of these, and have other lengths
		case len(urlPath), len(httpRoute), len(httpTarget), len(httpRequestMethod):
		default:
			continue
		}
		if kv.Value.Type() != attribute.STRING {
			continue
		}
		switch kv.Key {
		case httpRoute:
			route = kv.Value.AsString()
		case urlPath:
			url = kv.Value.AsString()
		case urlFull:
			full = kv.Value.AsString()
		case httpTarget:
			target = kv.Value.AsString()
		case httpRequestMethod:
			method = kv.Value.AsString()
		case httpMethod:
			oldMethod = kv.Value.AsString()
		}
	}
	r.Method = method
	if r.Method == "" {
		r.Method = oldMethod
	}
	if route != "" {
		var inRoute string
		inRoute, route = splitMethod(route)
		if r.Method == "" {
			r.Method = inRoute
		}
		r.Path = pathOfRoute(route)
	}
	if r.Path == "" {
		switch {
		case isPath(url):
			r.Path, r.Decoded = url, true
		case full != "":
			r.Path = pathOfURL(full)
		}
	}
	if r.Path == "" && isPath(target) {
		r.Path = withoutQuery(target)
	}
	if r.Path != "" && r.Method != "" {
		return r, true
	}
	inName, named := splitMethod(name)
	if r.Method == "" {
		r.Method = inName
	}
	if r.Path == "" && isPath(named) {
		r.Path, r.Decoded = withoutQuery(named), true
	}
	return r, r.Path != ""
}

func isPath(s string) bool { return s != "" && s[0] == '/' }

// maxStart bounds what stands before the path: a method and spaces, or a scheme.
const maxStart = 64

// splitMethod splits "GET /x", and "GET" alone.
func splitMethod(s string) (method, rest string) {
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

// pathOfRoute leaves out the host and the {$} that a pattern of ServeMux may
// have.
func pathOfRoute(route string) string {
	i := strings.IndexByte(first(route), '/')
	if i < 0 {
		return ""
	}
	return strings.TrimSuffix(route[i:], "{$}")
}

// pathOfURL returns "" if there is no path to find.
func pathOfURL(url string) string {
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
