package route_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/route"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func shapeOf(s *route.Shapes, path string) string { return string(s.AppendShape(nil, path, began)) }

func TestShapesOfIDs(t *testing.T) {
	for path, want := range map[string]string{
		"/":                   "/",
		"/users":              "/users",
		"/users/":             "/users/",
		"/users/7":            "/users/*",
		"/users/7/orders/12":  "/users/*/orders/*",
		"/2026-01-02/summary": "/*/summary",
		"/jobs/9f86d081-884c-4d65-9a2f-eaa0c55ad015": "/jobs/*",
		"/objects/9f86d081884c7d65":                  "/objects/*",
		"/cafe/decade/feed":                          "/cafe/decade/feed",
		"/v1/h264":                                   "/v1/h264",
		"//x":                                        "//x",
		"/*/7":                                       "/*/*",
		"/" + strings.Repeat("x", 41):                "/*",
		"/1/2/3/4/5/6/7/8":                           "/*/*/*/*/*/*/*/*",
		"/1/2/3/4/5/6/7/8/":                          "/*/*/*/*/*/*/*/*/...",
		"/a" + strings.Repeat("/1", 1<<20):           "/a/*/*/*/*/*/*/*/...",
	} {
		var s route.Shapes
		if got := shapeOf(&s, path); got != want {
			t.Errorf("%.40s: %s, want %s", path, got, want)
		}
	}
}

// Where words are IDs, their number tells.
func TestShapesOfWords(t *testing.T) {
	var s route.Shapes
	late := map[string]bool{}
	for i := range 10_000 {
		shape := shapeOf(&s, fmt.Sprintf("/users/name-%c%c%c/orders", 'g'+i%13, 'g'+i/13%13, 'g'+i/169%13))
		if i > 2000 {
			late[shape] = true
		}
	}
	if len(late) != 1 || !late["/users/*/orders"] {
		t.Errorf("after 2000 requests the shapes are %v", late)
	}
	for range 2 { // the first time it is learned
		if got := shapeOf(&s, "/users"); got != "/users" {
			t.Errorf("/users has the shape %s", got)
		}
	}
}

// What scanners ask for does not hide the routes that there are.
func TestShapesBesideScanners(t *testing.T) {
	var s route.Shapes
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 5000 {
		path := "/orders/7"
		if i%2 == 0 {
			path = fmt.Sprintf("/wp-%x/setup.php", random.Uint32())
		}
		shapeOf(&s, path)
	}
	if got := shapeOf(&s, "/orders/8"); got != "/orders/*" {
		t.Errorf("/orders/8 has the shape %s", got)
	}
	if got := shapeOf(&s, "/wp-login/setup.php"); got != "/*/setup.php" {
		t.Errorf("/wp-login/setup.php has the shape %s", got)
	}
}

// A place that had too many values is learned again; one that had not is remembered.
func TestShapesRelearn(t *testing.T) {
	var s route.Shapes
	for i := range 1000 {
		shapeOf(&s, fmt.Sprintf("/g%dy", i))
	}
	if got := shapeOf(&s, "/orders"); got != "/*" {
		t.Fatalf("/orders has the shape %s among a thousand others", got)
	}
	later := began.Add(11 * time.Minute)
	if got := string(s.AppendShape(nil, "/orders", later)); got != "/orders" {
		t.Errorf("/orders has the shape %s later", got)
	}
}

// What is below a value that no longer stands for itself makes room for others.
func TestShapesMakeRoom(t *testing.T) {
	var s route.Shapes
	const values = 32
	for i := range values {
		for j := range values {
			shapeOf(&s, fmt.Sprintf("/tenant-%cy/z-%cy", 'A'+i, 'A'+j))
		}
	}
	shapeOf(&s, "/another") // one too many, after enough requests
	for i := range values {
		for j := range values {
			path := fmt.Sprintf("/z-%cy/x-%cy", 'A'+i, 'A'+j)
			if got := shapeOf(&s, "/w"+path); got != "/*"+path {
				t.Fatalf("%s has the shape %s", path, got)
			}
		}
	}
}

// Paths of a client that wants to fill the memory.
func TestShapesAreBounded(t *testing.T) {
	var s route.Shapes
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n := fill(&s)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 2<<20 {
		t.Errorf("%d bytes were learned", grown)
	}
	if n > 5000 {
		t.Errorf("%d shapes", n)
	}
	runtime.KeepAlive(&s)
}

// fill asks for as many paths as have places for themselves, and returns how many shapes
// they have.
func fill(s *route.Shapes) int {
	random := rand.New(rand.NewPCG(3, 4))
	shapes := map[string]bool{}
	for range 200_000 {
		path := ""
		for range 1 + random.IntN(12) {
			path += fmt.Sprintf("/g%030x", random.IntN(25)) // no place has too many
		}
		shapes[shapeOf(s, path)] = true
	}
	return len(shapes)
}

func TestAppendRoute(t *testing.T) {
	attr := func(kvs ...string) (all []attribute.KeyValue) {
		for i := 0; i < len(kvs); i += 2 {
			all = append(all, attribute.String(kvs[i], kvs[i+1]))
		}
		return all
	}
	for _, tt := range []struct {
		name       string
		attributes []attribute.KeyValue
		want       string // "" is not ok
	}{
		{"GET", attr("http.route", "/users/{id}", "url.path", "/users/7"), "/users/{id}"},
		{"GET", attr("http.route", "/", "url.path", "/users/7"), "/users/*"},
		{"GET", attr("http.route", "/*", "http.target", "/users/7?a=b"), "/users/*"},
		{"GET", attr("http.route", "/"), "/"},
		{"GET", attr("http.route", "/api", "url.path", "/api/users/7"), "/api/users/*"},
		{"GET", attr("http.route", "/api", "url.path", "/api/"), "/api"},
		{"GET", attr("http.route", "/static/", "url.path", "/static/css/main.css"), "/static/"},
		{"shop.Cart/Add", attr("rpc.system", "grpc"), "shop.Cart/Add"},
		{"GET", attr("url.path", "/users/7"), "/users/*"},
		{"GET", attr("url.full", "https://example.com/users/7?a=b"), "/users/*"},
		{"GET /users/7", nil, "/users/*"},
		{"work", nil, ""},
		{"GET", []attribute.KeyValue{attribute.Int("http.route", 7)}, ""},
	} {
		var s route.Shapes
		got, ok := s.AppendRoute(nil, tt.name, tt.attributes, began)
		if string(got) != tt.want || ok != (tt.want != "") {
			t.Errorf("%s %v: %s, %v, want %s", tt.name, tt.attributes, got, ok, tt.want)
		}
	}
	var s route.Shapes
	for name, want := range map[string]string{"GET /users/7?a=b": "GET /users/*", "work 7": "work 7", "GET": "GET", "/x/7": " /x/*"} {
		if got := string(s.AppendName(nil, name, began)); got != want {
			t.Errorf("the name %q becomes %q, want %q", name, got, want)
		}
	}
}

func TestShapesConcurrently(t *testing.T) {
	var s route.Shapes
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			var buf []byte
			for i := range 5000 {
				buf = s.AppendShape(buf[:0], fmt.Sprintf("/users/u%dx/%d", (i*7+g)%200, i), began.Add(time.Duration(i)*time.Second))
				if got := string(buf); !strings.HasPrefix(got, "/users/") && !strings.HasPrefix(got, "/*") {
					t.Errorf("shape %s", got)
					return
				}
			}
		})
	}
	all.Wait()
}

func FuzzShapes(f *testing.F) {
	for _, path := range []string{"/", "//", "/users/7", "/a/b/c/d/e/f/g/h/i", "/%2541", "/é/\xff", "/*/..."} {
		f.Add(path)
	}
	var s route.Shapes
	f.Fuzz(func(t *testing.T, path string) {
		if !strings.HasPrefix(path, "/") {
			path = "/" + path
		}
		shape := shapeOf(&s, path)
		if len(shape) > 8*41+len("/...") || strings.Count(shape, "/") > 9 {
			t.Errorf("%q has the shape %q", path, shape)
		}
	})
}

func BenchmarkShape(b *testing.B) {
	var s route.Shapes
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = s.AppendShape(buf[:0], "/api/v1/users/7/orders", began)
	}
}
