package route_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/route"
)

func ExampleTable() {
	var t route.Table[string]
	for _, pattern := range []string{"/", "/checkout/{id}", "GET /checkout/new", "/static/"} {
		if err := t.Add(pattern, pattern); err != nil {
			fmt.Println(err)
		}
	}
	for _, path := range []string{"/checkout/7", "/checkout/new", "/static/css/main.css", "/elsewhere"} {
		pattern, _ := t.Lookup(route.Request{Method: "GET", Path: path})
		fmt.Println(path, "->", pattern)
	}
	fmt.Println(t.Add("/{page}/new", "/{page}/new"))
	// Output:
	// /checkout/7 -> /checkout/{id}
	// /checkout/new -> GET /checkout/new
	// /static/css/main.css -> /static/
	// /elsewhere -> /
	// "/{page}/new" conflicts with "/checkout/{id}": both match "/checkout/new" and neither is more specific
}

func TestLookup(t *testing.T) {
	var table route.Table[string]
	for _, p := range []string{
		"/a/{x}", "GET /a/{x}", "HEAD /a/b", "/a/{x}/{rest...}", "/s/", "/s/t/{$}", "/e/{$}",
		"/a%2Fb/c", "/caf%C3%A9", "/100%", "POST /s/t/u", "OPTIONS /e/{x}",
	} {
		if err := table.Add(p, p); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/a/1", "GET /a/{x}"},
		{"HEAD", "/a/1", "GET /a/{x}"},
		{"HEAD", "/a/b", "HEAD /a/b"},
		{"GET", "/a/b", "GET /a/{x}"},
		{"POST", "/a/b", "/a/{x}"},
		{"", "/a/b", "/a/{x}"},
		{"_OTHER", "/a/b", "/a/{x}"},
		{"get", "/a/b", "/a/{x}"},
		{"GET", "/a/1/", "/a/{x}/{rest...}"},
		{"GET", "/a/1/2/3", "/a/{x}/{rest...}"},
		{"GET", "/a//2", "/a/{x}/{rest...}"},
		{"GET", "/a", ""},
		{"GET", "/a/", ""},
		{"GET", "/s", ""},
		{"GET", "/s/", "/s/"},
		{"GET", "/s/t", "/s/"},
		{"GET", "/s/t/", "/s/t/{$}"},
		{"GET", "/s/t/u", "/s/"},
		{"POST", "/s/t/u", "POST /s/t/u"},
		{"GET", "/e/", "/e/{$}"},
		{"GET", "/e/f", ""},
		{"OPTIONS", "/e/f", "OPTIONS /e/{x}"},
		{"GET", "/a%2fb/c", "/a%2Fb/c"},
		{"GET", "/a/b/c", "/a/{x}/{rest...}"},
		{"GET", "/café", "/caf%C3%A9"},
		{"GET", "/caf%c3%a9", "/caf%C3%A9"},
		{"GET", "/100%", "/100%"},
		{"GET", "/100%25", "/100%"},
		{"GET", "/a/{x}", "GET /a/{x}"},
		{"GET", "", ""},
		{"GET", "*", ""},
		{"GET", "a/1", ""},
	} {
		r := route.Request{Method: tt.method, Path: tt.path}
		if got, ok := table.Lookup(r); got != tt.want || ok != (tt.want != "") || ok != table.Has(r) {
			t.Errorf("Lookup(%q, %q) = %q, %v, want %q", tt.method, tt.path, got, ok, tt.want)
		}
	}
	var none *route.Table[int]
	if _, ok := none.Lookup(route.Request{Method: "GET", Path: "/"}); ok || none.Has(route.Request{Path: "/"}) {
		t.Error("a nil table has a value")
	}
}

func TestAddErrors(t *testing.T) {
	for pattern, want := range map[string]string{
		"":                   "a pattern is missing: want [METHOD ]/path",
		"GET ":               "a pattern is missing",
		"get /x":             `pattern "get /x": "get" is not a method: want capitals, as in GET`,
		"GET,POST /x":        `"GET,POST" is not a method`,
		"example.com/x":      `the host "example.com" cannot be told from a span`,
		"GET example.com/x":  `the host "example.com"`,
		"checkout":           `the path "checkout" does not start with a slash`,
		"{x}/a":              `the path "{x}/a" does not start with a slash`,
		"/a//b":              `a segment "" is cleaned from a path`,
		"/a/../b":            `a segment ".." is cleaned`,
		"/a{x}":              `the wildcard in "a{x}" does not fill its segment`,
		"/{x}a":              `the wildcard in "{x}a" does not fill its segment`,
		"/{x":                `the wildcard in "{x" does not fill`,
		"/{}":                `"" is not a wildcard's name: want a Go identifier`,
		"/{...}":             `"" is not a wildcard's name`,
		"/{a-b}":             `"a-b" is not a wildcard's name`,
		"/{1}":               `"1" is not a wildcard's name`,
		"/{x}/{x}":           `two wildcards are called "x"`,
		"/{x...}/a":          `{x...} stands before the end`,
		"/{$}/a":             `{$} stands before the end`,
		"GET /x /y and more": "",
	} {
		err := new(route.Table[int]).Add(pattern, 0)
		switch {
		case want == "" && err != nil:
			t.Errorf("Add(%q): %v", pattern, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("Add(%q) = %v, want %q", pattern, err, want)
		}
	}
}

func TestConflicts(t *testing.T) {
	for _, tt := range []struct {
		first, second string
		want          string // "" is none
	}{
		{"/a", "/a", `"/a" matches the same requests as "/a"`},
		{"/a/{x}", "/a/{y}", `"/a/{y}" matches the same requests as "/a/{x}"`},
		{"/a/", "/a/{rest...}", `"/a/{rest...}" matches the same requests as "/a/"`},
		{"/a/{x}", "/{y}/b", `"/{y}/b" conflicts with "/a/{x}": both match "/a/b" and neither is more specific`},
		{"/a/b", "GET /{x}/b", `"GET /{x}/b" conflicts with "/a/b": both match "GET /a/b" and neither is more specific`},
		{"GET /a/", "/a/b", `"/a/b" conflicts with "GET /a/": both match "GET /a/b" and neither is more specific`},
		{"/a/b", "GET /a/", `"GET /a/" conflicts with "/a/b": both match "GET /a/b" and neither is more specific`},
		{"HEAD /a/", "GET /a/b", `"GET /a/b" conflicts with "HEAD /a/": both match "HEAD /a/b" and neither is more specific`},
		{"/a/{x}/c%2Fd/{$}", "GET /a/", `"GET /a/" conflicts with "/a/{x}/c%2Fd/{$}": both match "GET /a/x/c%2Fd/" and neither is more specific`},
		{"/{x}/a/b/", "/c/", `"/c/" conflicts with "/{x}/a/b/": both match "/c/a/b/" and neither is more specific`},
		{"/a/", "/{x}/{y}/{$}", `"/{x}/{y}/{$}" conflicts with "/a/": both match "/a/x/" and neither is more specific`},
		{"/a/{x}", "/a/b", ""},
		{"/a/{$}", "/a/", ""},
		{"/a/{$}", "/a/{x}", ""},
		{"/a", "/a/", ""},
		{"GET /a", "POST /a", ""},
		{"GET /a", "HEAD /a", ""},
		{"GET /a/b", "/a/", ""},
	} {
		var table route.Table[int]
		if err := table.Add(tt.first, 1); err != nil {
			t.Fatal(err)
		}
		err := table.Add(tt.second, 2)
		if tt.want == "" {
			if err != nil {
				t.Errorf("%q after %q: %v", tt.second, tt.first, err)
			}
			continue
		}
		var conflict *route.ConflictError
		if !errors.As(err, &conflict) || conflict.Error() != tt.want {
			t.Errorf("%q after %q:\n got %v\nwant %s", tt.second, tt.first, err, tt.want)
			continue
		}
		if conflict.Pattern != tt.second || conflict.Other != tt.first {
			t.Errorf("%q after %q: names %q and %q", tt.second, tt.first, conflict.Pattern, conflict.Other)
		}
	}
}

// Of several conflicts, the same one is reported each time.
func TestConflictIsStable(t *testing.T) {
	for range 20 {
		var table route.Table[int]
		for _, p := range []string{"/c/{y}", "/a/{y}", "POST /b/{y}", "/b/{y}"} {
			if err := table.Add(p, 0); err != nil {
				t.Fatal(err)
			}
		}
		var conflict *route.ConflictError
		if err := table.Add("/{x}/1", 0); !errors.As(err, &conflict) || conflict.Other != "/a/{y}" {
			t.Fatal(err)
		}
	}
}

// oracle is a ServeMux, with patterns in place of handlers.
type oracle struct{ mux *http.ServeMux }

type named string

func (named) ServeHTTP(http.ResponseWriter, *http.Request) {}

func (o oracle) add(pattern string) (ok bool) {
	defer func() { ok = recover() == nil }()
	o.mux.Handle(pattern, named(pattern))
	return true
}

// lookup is false if the mux would clean the path or redirect.
func (o oracle) lookup(t *testing.T, method, target string) (pattern string, ok bool) {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil || path.Clean(target) != target && path.Clean(target)+"/" != target {
		return "", false
	}
	h, pattern := o.mux.Handler(&http.Request{Method: method, URL: u})
	if _, ours := h.(named); !ours && pattern != "" {
		return "", false
	}
	return pattern, true
}

// compare adds random patterns to a table and to a ServeMux, which must accept
// the same ones and find the same one for random requests.
func compare(t *testing.T, r *rand.Rand) {
	t.Helper()
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	random := func(segments []string, ends []string) string {
		var b strings.Builder
		for range r.IntN(4) {
			b.WriteString("/" + pick(segments...))
		}
		b.WriteString(pick(ends...))
		if b.Len() == 0 {
			return "/"
		}
		return b.String()
	}
	var table route.Table[string]
	mux := oracle{http.NewServeMux()}
	for range 1 + r.IntN(12) {
		p := pick("", "", "", "GET ", "HEAD ", "POST ") + random(
			[]string{"a", "a", "b", "{w}", "{w}", "%61", "%2561", "c%20d"},
			[]string{"", "", "/", "/{$}", "/{rest...}"},
		)
		n := 0
		for strings.Contains(p, "{w}") {
			p = strings.Replace(p, "{w}", fmt.Sprintf("{w%d}", n), 1)
			n++
		}
		err, accepted := table.Add(p, p), mux.add(p)
		if (err == nil) != accepted {
			t.Fatalf("Add(%q): %v; the ServeMux accepts it: %v", p, err, accepted)
		}
		if conflict := (*route.ConflictError)(nil); errors.As(err, &conflict) {
			checkExample(t, conflict)
		}
	}
	for range 40 {
		method := pick("GET", "HEAD", "POST", "PUT")
		target := random([]string{"a", "a", "b", "c", "%61", "%2561", "%252561", "c%20d", "c%2520d"}, []string{"", "", "/"})
		if want, ok := mux.lookup(t, method, target); ok {
			routed(t, &table, method, target, want)
		}
	}
}

// routed looks a request up as spans tell of it, encoded and decoded.
func routed(t *testing.T, table *route.Table[string], method, target, want string) {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range []attribute.KeyValue{
		attribute.String("url.full", "https://example.com"+target), attribute.String("http.target", target), attribute.String("url.path", u.Path),
	} {
		r, _ := route.RequestOf("server", []attribute.KeyValue{attribute.String("http.request.method", method), kv})
		if got, _ := table.Lookup(r); got != want {
			t.Fatalf("%s %s: %s is routed to %q, by the ServeMux to %q", method, target, kv.Key, got, want)
		}
	}
}

// checkExample looks the example of a conflict up under each of the two.
func checkExample(t *testing.T, conflict *route.ConflictError) {
	t.Helper()
	method, target, ok := strings.Cut(conflict.Example, " ")
	if !ok {
		method, target = "", conflict.Example
	}
	for _, p := range []string{conflict.Pattern, conflict.Other} {
		var alone route.Table[bool]
		if err := alone.Add(p, true); err != nil {
			t.Fatal(err)
		}
		if _, ok := alone.Lookup(route.Request{Method: method, Path: target}); !ok {
			t.Fatalf("%v: %q does not match it", conflict, p)
		}
	}
}

func TestLikeServeMux(t *testing.T) {
	for seed := range uint64(5000) {
		r := rand.New(rand.NewPCG(seed, 0))
		compare(t, r)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// FuzzLikeServeMux compares with a ServeMux on patterns and a path that the
// fuzzer makes up.
func FuzzLikeServeMux(f *testing.F) {
	f.Add("GET /a/{x}\n/a/b\n/{r...}", "GET", "/a/b")
	f.Add("/a/{$}\nHEAD /a/\n/%7Bx", "HEAD", "/a/%7Bx")
	f.Fuzz(func(t *testing.T, patterns, method, target string) {
		var table route.Table[string]
		mux := oracle{http.NewServeMux()}
		for p := range strings.SplitSeq(patterns, "\n") {
			if strings.Contains(strings.ToLower(p), "%2f") {
				continue // a ServeMux takes it for {$}
			}
			err := table.Add(p, p)
			conflict := (*route.ConflictError)(nil)
			switch accepted := (err == nil || errors.As(err, &conflict)) && mux.add(p); {
			case err == nil && !accepted:
				t.Fatalf("Add(%q) takes what the ServeMux refuses", p)
			case err != nil && accepted:
				t.Fatalf("Add(%q): %v; the ServeMux takes it", p, err)
			}
			if conflict != nil {
				checkExample(t, conflict)
			}
		}
		table.Lookup(route.Request{Method: method, Path: target})
		if method == "" || method == "CONNECT" || strings.ContainsAny(target, "?#") || strings.Contains(strings.ToLower(target), "%2f") {
			return
		}
		if want, ok := mux.lookup(t, method, target); ok {
			routed(t, &table, method, target, want)
		}
	})
}

// rules returns n patterns as a large service has them.
func rules(n int) []string {
	all := make([]string, 0, n)
	for i := range n {
		switch i % 4 {
		case 0:
			all = append(all, fmt.Sprintf("GET /api/v1/resource%d/{id}", i))
		case 1:
			all = append(all, fmt.Sprintf("/api/v1/resource%d/{id}/items/{item}", i))
		case 2:
			all = append(all, fmt.Sprintf("/static/bundle%d/", i))
		default:
			all = append(all, fmt.Sprintf("POST /api/v2/resource%d", i))
		}
	}
	return all
}

func build(tb testing.TB, patterns []string) *route.Table[int] {
	tb.Helper()
	table := new(route.Table[int])
	for i, p := range patterns {
		if err := table.Add(p, i); err != nil {
			tb.Fatal(err)
		}
	}
	return table
}

func TestManyRules(t *testing.T) {
	// The worst there is: each of one half meets each of the other.
	wild := make([]string, 0, 2000)
	for i := range cap(wild) / 2 {
		wild = append(wild, fmt.Sprintf("/a%d/{x}/1", i), fmt.Sprintf("/{x}/b%d/2", i))
	}
	for name, patterns := range map[string][]string{"ordinary": rules(10_000), "wildcards first": wild} {
		start := time.Now()
		table := build(t, patterns)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: building took %v", name, took)
		}
		for i, p := range patterns {
			method, path, ok := strings.Cut(p, " ")
			if !ok {
				method, path = "GET", p
			}
			if got, ok := table.Lookup(route.Request{Method: method, Path: path}); !ok || got != i {
				t.Fatalf("%s: Lookup(%q, %q) = %d, %v, want %d", name, method, path, got, ok, i)
			}
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		table := build(b, rules(n))
		for _, bb := range []struct{ path, pattern, target string }{
			{"hit", "", "/api/v1/resource5/31/items/7"},
			{"escaped", "", "/api/v1/resource5/31/it%65ms/7"},
			{"miss", "", "/api/v1/unheard-of/31/items/7"},
			{"routed", "/api/v1/resource5/{id}/items/{item}", "/api/v1/resource5/31/items/7"},
			{"of a middleware", "/", "/api/v1/resource5/31/items/7"},
		} {
			b.Run(fmt.Sprintf("rules=%d/path=%s", n, bb.path), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					table.Lookup(route.Request{Method: "GET", Path: bb.target, Route: bb.pattern})
				}
			})
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	patterns := rules(10_000)
	b.Run("rules=10000", func(b *testing.B) {
		for b.Loop() {
			build(b, patterns)
		}
	})
}

func requestOf(table *route.Table[int], attributes []attribute.KeyValue) (int, bool) {
	r, ok := route.RequestOf("GET", attributes)
	if !ok {
		return 0, false
	}
	return table.Lookup(r)
}
