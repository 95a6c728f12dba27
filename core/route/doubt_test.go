package route_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core/route"
)

// A pattern in the syntax of another router is told with the one of net/http.
func TestDoubt(t *testing.T) {
	for pattern, want := range map[string]string{
		"/users/{id}": "", "GET /users/{id}": "", "/static/": "", "/{$}": "", "/files/{path...}": "", "/a:b/c": "", "/v1/models:predict": "",
		"/a?b": "", "QUERY /x": "", "/a(1)": "", "": "", "/a/../b": "",

		"/users/:id": "/users/{id}", "GET /users/:user-id/x": "GET /users/{user_id}/x", "/a/:id?": "/a/{id}", `/a/:id(\d+)/b`: "/a/{id}/b",
		"/api/*": "/api/{rest...}", "/api/**": "/api/{rest...}", "/api/*/x": "/api/{rest}/x", "/files/*path": "/files/{path...}", "/a/:p*": "/a/{p...}",
		"/*/*": "/{rest}/{rest2...}", "/a/<id>": "/a/{id}", "/a/<int:id>": "/a/{id}", "/a/<path:p>": "/a/{p...}", "/a/[id]": "/a/{id}", "/a/[...all]": "/a/{all...}",
		`/a/(\d+)`: "/a/{part}", `/a/\d+/b`: "/a/{part}/b", "/a/.*": "/a/{part}", "/a/x*.js": "/a/{part}",
		"/a?b=1": "/a", "/a$": "/a", "ANY /x": "/x", "ALL /x/:id": "/x/{id}",
	} {
		got := ""
		if err := route.Doubt(pattern); err != nil {
			_, quoted, ok := strings.Cut(err.Error(), `: write "`)
			if got = strings.TrimSuffix(quoted, `"`); !ok {
				got = err.Error()
			}
		}
		if got != want {
			t.Errorf("%s: write %q, want %q", pattern, got, want)
		}
		if want == "" {
			continue
		}
		if err := new(route.Table[int]).Add(want, 1); err != nil {
			t.Errorf("%s is no pattern: %v", want, err)
		}
		if err := route.Doubt(want); err != nil {
			t.Errorf("%s is in doubt itself: %v", want, err)
		}
	}
}

func TestDoubtMethod(t *testing.T) {
	for pattern, want := range map[string]string{
		"POSTS /x":    "no request has the method POSTS (did you mean POST?)",
		"SHUTDOWN /x": "hardly a request has the method SHUTDOWN: known are CONNECT, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY, TRACE",
	} {
		err := route.Doubt(pattern)
		if err == nil {
			t.Errorf("%s is in no doubt", pattern)
		} else if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", pattern, diff)
		}
	}
}

// What is refused is told with what was meant too.
func TestRefusedPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		"get /users/{id}":                        `"get" is not a method: want capitals, as in GET: write "GET /users/{id}"`,
		"https://shop.example.com/users/:id?x=1": `write "/users/{id}"`,
		"^/users/":                               `write "/users/"`,
		"/users/{id:[0-9]+}":                     `write "/users/{id}"`,
		"/a/{*rest}":                             `write "/a/{rest...}"`,
		"/a/{x?}":                                `write "/a/{x}"`,
		"* /x/:id":                               `is not a method: want capitals, as in GET: write "/x/{id}"`,
	} {
		err := new(route.Table[int]).Add(pattern, 1)
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", pattern, err, want)
		}
		if err := route.Doubt(pattern); err != nil {
			t.Errorf("%s is a mistake and no doubt: %v", pattern, err)
		}
	}
}

func FuzzDoubt(f *testing.F) {
	for _, s := range []string{"/users/:id", "GET /a/*", "https://x/y?z=1", "/<int:id>/[x]/{a:b}", "^/$", "ANY /"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		err := route.Doubt(pattern)
		if err == nil {
			return
		}
		if refused := new(route.Table[int]).Add(pattern, 1); refused != nil {
			t.Errorf("%q is refused and in doubt: %v", pattern, refused)
		}
	})
}
