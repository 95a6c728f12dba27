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

// RequestOf finds the request that a span is about, for [Table.Lookup]. It is
// false if the span is about none.
//
// The path is http.route if the span has it, else url.path, else the path of
// url.full, of http.target, or of a name like "GET /x". The method is
// http.request.method, else http.method, else what stands before the path in
// http.route or in the name, else "". It allocates nothing.
func RequestOf(name string, attributes []attribute.KeyValue) (method, path string, ok bool) {
	var route, url, full, target, oldMethod string
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
	if method == "" {
		method = oldMethod
	}
	if route != "" {
		var inRoute string
		inRoute, route = splitMethod(route)
		if method == "" {
			method = inRoute
		}
		path = pathOfRoute(route)
	}
	switch {
	case path != "":
	case isPath(url):
		path = url
	case full != "" && isPath(pathOfURL(full)):
		path = pathOfURL(full)
	case isPath(target):
		path = withoutQuery(target)
	}
	if path != "" && method != "" {
		return method, path, true
	}
	inName, named := splitMethod(name)
	if method == "" {
		method = inName
	}
	if path == "" && isPath(named) {
		path = withoutQuery(named)
	}
	return method, path, path != ""
}

func isPath(s string) bool { return s != "" && s[0] == '/' }

// splitMethod splits "GET /x", and "GET" alone.
func splitMethod(s string) (method, rest string) {
	i := strings.IndexByte(s, ' ')
	if i < 0 {
		i = len(s)
	}
	if i == 0 || strings.ContainsFunc(s[:i], notInMethod) {
		return "", s
	}
	return s[:i], strings.TrimLeft(s[i:], " ")
}

// pathOfRoute leaves out the host and the {$} that a pattern of ServeMux may
// have.
func pathOfRoute(route string) string {
	i := strings.IndexByte(route, '/')
	if i < 0 {
		return ""
	}
	return strings.TrimSuffix(route[i:], "{$}")
}

// pathOfURL returns "" if there is no path to find.
func pathOfURL(url string) string {
	_, after, ok := strings.Cut(url, "://")
	if !ok {
		return ""
	}
	i := strings.IndexAny(after, "/?#")
	if i < 0 || after[i] != '/' {
		return "/"
	}
	return withoutQuery(after[i:])
}

func withoutQuery(path string) string {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		return path[:i]
	}
	return path
}
