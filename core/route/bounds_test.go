package route_test

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/route"
)

// A path is decoded once, wherever a span has it from.
func TestDecodedOnce(t *testing.T) {
	var table route.Table[string]
	for _, p := range []string{"/static/", "/a%20b", "/100%", "/", "/%2573/x"} {
		if err := table.Add(p, p); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		key, value, want string
	}{
		{"url.full", "http://h/%73tatic/orders", "/static/"},
		{"url.full", "http://h/%2573tatic/orders", "/"},
		{"http.target", "/%73tatic/orders?x", "/static/"},
		{"http.target", "/%2573tatic/orders", "/"},
		{"http.target", "/a%20b", "/a%20b"},
		{"http.target", "/a%2520b", "/"},
		{"url.path", "/static/orders", "/static/"},
		{"url.path", "/%73tatic/orders", "/"}, // the client sent %2573
		{"url.path", "/a b", "/a%20b"},
		{"url.path", "/a%20b", "/"},
		{"url.path", "/100%", "/100%"},
		{"url.path", "/100%25", "/"},
		{"url.path", "/%73/x", "/%2573/x"},
		{"http.target", "/%2573/x", "/%2573/x"},
		{"http.target", "/%73/x", "/"},
		{"http.route", "/%73tatic/{rest...}", "/static/"},
	} {
		r, _ := route.RequestOf("GET", []attribute.KeyValue{attribute.String(tt.key, tt.value)})
		if got, _ := table.Lookup(r); got != tt.want {
			t.Errorf("%s=%s is %q, want %q", tt.key, tt.value, got, tt.want)
		}
	}
	for name, want := range map[string]string{"GET /static/x": "/static/", "GET /%73tatic/x": "/"} {
		r, _ := route.RequestOf(name, nil)
		if got, _ := table.Lookup(r); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// Of a path that is too long, what is not known matches nothing that it might not
// be.
func TestLongPaths(t *testing.T) {
	var table route.Table[string]
	for _, p := range []string{"/", "/a/{x}", "/a/{x}/b", "/s/", "/s/{$}", "/r/{x}/{$}", "/r/{x}/{rest...}"} {
		if err := table.Add(p, p); err != nil {
			t.Fatal(err)
		}
	}
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, tt := range []struct{ name, path, want string }{
		{"as long as may be", "/a/" + long(route.MaxPath-3), "/a/{x}"},
		{"a byte more", "/a/" + long(route.MaxPath-2), "/"},
		{"a segment behind", "/a/" + long(route.MaxPath) + "/b", "/"},
		{"cut before a slash", "/a/" + long(route.MaxPath-3) + "/b", "/"},
		{"a slash at the end", "/r/" + long(route.MaxPath-4) + "/", "/r/{x}/{$}"},
		{"below a slash", "/s/" + long(1<<20), "/s/"},
		{"many segments", "/s" + strings.Repeat("/x", 1<<19), "/s/"},
		{"cut behind a slash", "/r/" + long(route.MaxPath-4) + "/x", "/r/{x}/{rest...}"},
		{"the end in sight", "/a/x/b", "/a/{x}/b"},
	} {
		for _, key := range []string{"url.path", "http.target", "url.full"} {
			value := tt.path
			if key == "url.full" {
				value = "https://example.com" + value + "?q=/"
			}
			r, ok := route.RequestOf("GET", []attribute.KeyValue{attribute.String(key, value)})
			if got, _ := table.Lookup(r); !ok || got != tt.want {
				t.Errorf("%s, %s: %q, want %q", tt.name, key, got, tt.want)
			}
		}
	}
}

// What a client sends costs what MaxPath bytes of it do.
func TestCostIsBounded(t *testing.T) {
	table := build(t, append(rules(2)[:1], "/", "/{x}", "/{x}/{y}/b/c"))
	fastest := func(name, key, value string) time.Duration {
		best := time.Hour
		for range 20 {
			start := time.Now()
			if r, ok := route.RequestOf(name, []attribute.KeyValue{attribute.String(key, value)}); ok {
				table.Lookup(r)
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	for _, unit := range []string{"%2541", "%41", "x", "%", "/%2541", "/", "?", "#", ".", " ", "A", "GET /", "://", "{$}", "/{", "/{}", "/:x?", "/*", "}/{"} {
		for _, key := range []string{"url.path", "http.target", "url.full", "http.route", "http.request.method", "name"} {
			cost := func(n int) time.Duration {
				text := strings.Repeat(unit, n/len(unit))
				switch key {
				case "name":
					return max(fastest("GET /"+text, "", ""), fastest("GET"+text, "", ""), fastest(text, "", ""))
				case "url.full":
					return max(fastest("GET", key, "https://h/"+text), fastest("GET", key, "https://"+text))
				}
				return max(fastest("GET", key, "/"+text), fastest("GET", key, text))
			}
			// At most as much as what is looked at, and little more than nothing.
			if short, long := cost(route.MaxPath), cost(1<<20); long > 8*short+20*time.Microsecond {
				t.Errorf("%s of %s: %v for 16 KiB, %v for 1 MiB", key, unit, short, long)
			}
		}
	}
}

// FuzzRequestOf: whatever is sent, a request has a path out of it.
func FuzzRequestOf(f *testing.F) {
	f.Add("GET /x?y", "/x/7", "https://h/x%2573#f", "/x?q", "GET h/x/{$}", "PUT")
	f.Add("", "", "://", "*", "", "")
	f.Add("GET  "+strings.Repeat(" ", 100), "x", "https://"+strings.Repeat("a", 100), "/%", "/", "get")
	table := build(f, []string{"/", "/a", "/x/{y}", "GET /x%20/"})
	f.Fuzz(func(t *testing.T, name, path, full, target, pattern, method string) {
		set := map[string]string{"url.path": path, "url.full": full, "http.target": target, "http.route": pattern, "http.request.method": method}
		var all []attribute.KeyValue
		for key, value := range set {
			all = append(all, attribute.String(key, value))
			set := []attribute.KeyValue{attribute.String(key, value)}
			r, ok := route.RequestOf(name, set)
			if ok != (strings.HasPrefix(r.Path, "/") || strings.HasPrefix(r.Route, "/")) {
				t.Errorf("%s=%q: %+v, %v", key, value, r, ok)
			}
			if !strings.Contains(value+" "+name+"/", r.Path) || !strings.Contains(value, r.Route) {
				t.Errorf("%s=%q: %+v is nowhere", key, value, r)
			}
			table.Lookup(r)
		}
		if r, ok := route.RequestOf(name, all); ok {
			if _, ok := table.Lookup(r); !ok {
				t.Errorf("%+v: / matches everything", r)
			}
		}
		if r, _ := route.RequestOf(name, all); method != "" && r.Method != method && !strings.HasPrefix(pattern, r.Method) {
			t.Errorf("the method is %q", r.Method)
		}
	})
}
