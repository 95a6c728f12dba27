package redact

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestBeginnings(t *testing.T) {
	tests := []struct {
		expr, text string
		start      int
	}{
		{`eyJ[\w-]+\.[\w-]+\.[\w-]+`, "token eyJhbGci", 6},
		{`eyJ[\w-]+\.[\w-]+\.[\w-]+`, "token eyJhbGci.eyJz.", 6},
		{`eyJ[\w-]+\.[\w-]+\.[\w-]+`, "token eyJhbGci. ", -1},
		{`eyJ[\w-]+\.[\w-]+\.[\w-]+`, "token e", 6},
		{`\b\d{3}-\d{2}-\d{4}\b`, "ssn 078-05-1", 4},
		{`\b\d{3}-\d{2}-\d{4}\b`, "ssn 078-05-1120", 4},
		{`\b\d{3}-\d{2}-\d{4}\b`, "ssn a078-05-1", 12},
		{`\b\d{3}-\d{2}-\d{4}\b`, "ssn 0781", -1},
		{`(?i)(api[_-]?key|password)=[^&\s]+`, "a=b&PASSWORD=hunter", 4},
		{`(?i)(api[_-]?key|password)=[^&\s]+`, "a=b&Api", 4},
		{`(?i)(api[_-]?key|password)=[^&\s]+`, "password=x&user", -1},
		{`'[^']*'`, "SELECT 'secr", 7},
		{`'[^']*'`, "SELECT ''", 7},
		{`(ab)+c`, "xababab", 1},
		{`(ab)+c`, "xabababa", 1},
		{`(ab)+c`, "xabababb", -1},
		{`(?s)BEGIN.*END`, "a BEGIN\nsecret", 2},
		{`^secret \w+$`, "secret ab", 0},
		{`a{3}b`, "caa", 1},
		{`a{3}b`, "caaa", 1},
		{`a{2,}b`, "caaaaaa", 1},
		{`x{0}y?z`, "cz", 1},
		{`[^a]{1000}`, strings.Repeat("b", 500), 0},
		{`secret|`, "sec", 0},
	}
	for _, tt := range tests {
		if got := prefix(tt.expr)(tt.text); got != tt.start {
			t.Errorf("%s may begin in %q at %d, want %d", tt.expr, tt.text, got, tt.start)
		}
	}
	// What is too large takes the whole text with it.
	large := strings.Repeat(`(?:[a-z]{100}|[0-9]{100}){9}`, 10)
	if beginningsOf(large) != nil || prefix(large)("whatever") != 0 {
		t.Error("no bound")
	}
}

// However a match is cut, what is left of it is found, from its start.
func FuzzBeginnings(f *testing.F) {
	f.Add(`eyJ[\w-]+\.[\w-]+`, "a eyJab.cd e", uint8(4))
	f.Add(`(?i)\bpass(word|)=(\S{2,5}x?)*?$`, "PASSword=abcdeé", uint8(9))
	f.Add(`(a|bc*)+?d{2,}[^e]|\Bf`, "bccadd.", uint8(3))
	f.Fuzz(func(t *testing.T, expr, s string, n uint8) {
		re, err := regexp.Compile(expr)
		if err != nil || len(expr) > 60 || len(s) > 100 || re.MatchString("") {
			return
		}
		open := prefix(expr)
		for _, at := range re.FindAllStringIndex(s, -1) {
			if at[0] == at[1] {
				continue
			}
			end := min(at[0]+1+int(n), at[1])
			for end < at[1] && !utf8.RuneStart(s[end]) {
				end++
			}
			if got := open(s[:end]); got < 0 || got > at[0] {
				t.Errorf("%s matches %q from %d to %d; of %q it finds %d", expr, s, at[0], at[1], s[:end], got)
			}
		}
	})
}
