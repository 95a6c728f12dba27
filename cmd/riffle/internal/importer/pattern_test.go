package importer

import (
	"slices"
	"testing"
)

func TestGlobsOf(t *testing.T) {
	for pattern, want := range map[string][]string{
		"^GET /health":         {"GET /health*"},
		"health":               {"*health*"},
		"^GET /x$":             {"GET /x"},
		"^GET .*/x$":           {"GET */x"},
		"/(?:a|ab)$":           nil,
		"^GET /a$|^POST /b":    {"GET /a", "POST /b*"},
		"(^GET /a$)|(^/b.c$)":  {"GET /a", "/b?c"},
		"(?i)health":           nil,
		"[0-9]+":               nil,
		"^a+$":                 nil,
		`what\?`:               nil,
		`^\*$`:                 nil,
		"^$":                   nil,
		"(":                    nil,
		"":                     {"*"},
		"a$b":                  nil,
		"(?s)^a.*b.*$":         {"a*b*"},
		`^orders\.v1\.Orders/`: {"orders.v1.Orders/*"},
	} {
		if got, ok := globsOf(pattern); !slices.Equal(got, want) || ok != (want != nil) {
			t.Errorf("%s: %q, %v, want %q", pattern, got, ok, want)
		}
	}
}
