package redact

import (
	"regexp"
	"testing"
)

// holds tells whether a text has what is needed.
func (n needs) holds(s string) bool {
	for _, set := range n.bytes {
		found := false
		for i := range len(s) {
			found = found || set[s[i]]
		}
		if !found {
			return false
		}
	}
	return len(s) >= n.length
}

func TestNeeds(t *testing.T) {
	tests := []struct {
		expr        string
		length      int
		sets        int
		with, other string // a match, and a text without what is needed
	}{
		{`\d{3}-\d{2}-\d{4}`, 11, 2, "078-05-1120", "no number - none"},
		{`eyJ[\w-]+\.[\w-]+\.[\w-]+`, 8, 5, "eyJh.eyJh.abc", "something.that.has.dots"},
		{`(?i)key=\S+`, 5, 4, "Key=x", "the key of everything"},
		{`(?i)k`, 1, 1, "\u212a", "no such letter: j"},
		{`a|bc`, 1, 1, "bc", "xyz"},
		{`a|.`, 1, 0, "x", ""},
		{`(foo)?bar`, 3, 3, "bar", "foo"},
		{`\x{FFFD}`, 1, 0, "\xff", ""},
		{`[^a]`, 1, 0, "\xff", ""},
	}
	for _, tt := range tests {
		n, err := needsOf(tt.expr)
		if err != nil {
			t.Fatal(err)
		}
		if n.length != tt.length || len(n.bytes) != tt.sets {
			t.Errorf("%s needs %d bytes, %d sets: want %d, %d", tt.expr, n.length, len(n.bytes), tt.length, tt.sets)
		}
		if !regexp.MustCompile(tt.expr).MatchString(tt.with) || !n.holds(tt.with) {
			t.Errorf("%s: %q has not what it needs", tt.expr, tt.with)
		}
		if n.holds(tt.other) {
			t.Errorf("%s: %q has what it needs", tt.expr, tt.other)
		}
	}
}

// What matches has what is needed: else secrets would stay.
func FuzzNeeds(f *testing.F) {
	f.Add(`(?i)k[a-z]+|ſ.{2}\d`, "\u212aelvin")
	f.Add(`(a|b*)+c{2,}[^x]\x{FFFD}`, "acc\xff\xff")
	f.Fuzz(func(t *testing.T, expr, s string) {
		re, err := regexp.Compile(expr)
		if err != nil || len(expr) > 200 {
			return
		}
		n, err := needsOf(expr)
		if err != nil {
			t.Fatal(err)
		}
		if re.MatchString(s) && !n.holds(s) {
			t.Errorf("%s matches %q, which has not what it needs: %d bytes", expr, s, n.length)
		}
	})
}
