package match_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/riffletrace/riffle/core/match"
)

// expressions are regular expressions as people write them, and with what is hard to
// take apart, with what they are made into.
var expressions = []struct{ expr, form string }{
	{"", "contains"},
	{"^/api/v[0-9]+/", "sequence"},
	{"(?i)bot|crawler|spider", "contains"},
	{"^GET /users/[^/]+$", "sequence"},
	{".*timeout.*", "contains"},
	{"^(gold|silver)$", "equals"},
	{"^gold|golden$", "prefix|suffix"},
	{"^/healthz$|^/readyz$", "equals|equals"},
	{"/(live|ready|health)z?$", "suffix"},
	{`\.(css|js|png)$`, "suffix"},
	{"^(?:GET|HEAD) ", "prefix"},
	{"^/api/(v1|v2)/users/[0-9]{1}/", "prefix"},
	{"^/(api|admin)/[a-z]+/[0-9]+$", "sequence"},
	{"(?i)^mozilla/[45]", "prefix"},
	{"(?i)stra(ss|ß)e", "contains"},
	{"(?i)kiss", "contains"},
	{"(?i)k", "regexp with "},
	{"[Tt]imeout", "contains"},
	{"[ax]y", "contains"},
	{"^.*timeout", "regexp with timeout"},
	{"(?s)^.*timeout", "contains"},
	{"(?s)timeout.*$", "contains"},
	{"^.+@example\\.com$", "regexp with @example.com"},
	{"deadline.*exceeded|^timeout", "regexp with deadline|prefix"},
	{"(a+|c.d)$", "regexp with "},
	{"(?m)^line$", "regexp with line"},
	{`\bword\b`, "regexp with word"},
	{"^a*b", "sequence"},
	{"^a*ab", "regexp with ab"},
	{"^a?b?c", "prefix"},
	{"^a?b?b", "prefix"},
	{"^[a-z]*$", "sequence"},
	{"^[^a]$", "sequence"},
	{"^(a|ab)(c|bcd)(d*)$", "regexp with a"},
	{"^(a|ab)$", "equals"},
	{"^(a|ab)[0-9]", "prefix"},
	{"^(a|ab)[0-9]+", "regexp with a"},
	{"^x.y", "sequence"},
	{"^x.*?y", "regexp with x"},
	{"^$", "equals"},
	{"$", "suffix"},
	{"^", "prefix"},
	{"$a", "regexp with a"},
	{"a^", "regexp with a"},
	{"a{2,3}", "contains"},
	{"^[0-9]{2,}-", "sequence"},
	{"^[0-9]{1,3}-", "regexp with -"},
	{"(a*)*b", "contains"},
	{"\uFFFD", "regexp with "},
	{"[\uFFFE-\uFFFF]", "contains"},
	{"^[^\u00e9]+é", "sequence"},
	{`\x{D800}`, "regexp with "},
	{"(?i)[a-c]x", "contains"},
	{"(?i)a(?-i)B", "contains"},
	{"[^\\x00-\\x{10FFFF}]", "regexp with "},
}

func TestForms(t *testing.T) {
	for _, tt := range expressions {
		if got, err := match.FormOf(tt.expr); err != nil || got != tt.form {
			t.Errorf("%q is made into %q, want %q (%v)", tt.expr, got, tt.form, err)
		}
	}
}

// sameAsGo compares with Go's package.
func sameAsGo(t *testing.T, expr string, ignoreCase bool, texts ...string) {
	t.Helper()
	find, err := match.FindPattern(expr, ignoreCase)
	if err != nil {
		t.Fatalf("%q: %v", expr, err)
	}
	if ignoreCase {
		expr = "(?i)" + expr
	}
	want := regexp.MustCompile(expr)
	for _, text := range texts {
		if got := find(text); got != want.MatchString(text[:min(len(text), match.MaxRegex)]) {
			t.Fatalf("%q matches %q = %v", expr, text, got)
		}
	}
}

var strangeTexts = []string{
	"", "a", "ab", "abc", "abcd", "xx\ny", "x\ny", "x\nline\ny", "GET /users/7", "GET /users/7/", "GET /users/", "/api/v12/", "/api/v1/users/7/x", "/api/v/",
	"a ROBOT", "Spider", "\u017fpider", "\u212aiSS", "\u212a\u017f", "STRASSE", "Straße", "strase", "timeout\n", "\ntimeout", "Timeout", "gold", "golden", "a golden",
	"\xff", "\uFFFD", "\uFFFE", "é", "xé", "xéé", "\xe9é", "\xff\xffé", "aB", "AB", "AY", "Ay", "ay", "bx", "/healthz", "/readyz", "00-", "0-", "1234-", "@example.com", "a@example.com", "word", "words",
}

func TestExpressions(t *testing.T) {
	for _, tt := range expressions {
		for _, ignoreCase := range []bool{false, true} {
			sameAsGo(t, tt.expr, ignoreCase, strangeTexts...)
		}
	}
}

// Random expressions of parts that can be taken apart, and of some that cannot.
func TestRandomExpressions(t *testing.T) {
	parts := []string{
		"a", "b", "ab", "k", "S", "é", "[ab]", "[^a]", "[a-c]", ".", ".*", "a*", "b+", "a?", "(a|b)", "(ab|c)", "(|a)", "(?i:aK)", "(?i:s)", "^", "$", "|", "(?s:.)*", "b*?", "(a+|b.)", "[0-9]+", "a{2}", "\\b", "\n",
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 30_000 {
		var expr strings.Builder
		if r.IntN(3) == 0 {
			expr.WriteByte('^')
		}
		for range r.IntN(5) {
			expr.WriteString(parts[r.IntN(len(parts))])
		}
		if r.IntN(3) == 0 {
			expr.WriteByte('$')
		}
		if _, err := regexp.Compile(expr.String()); err != nil {
			continue // such as ^*
		}
		var texts []string
		for range 12 {
			texts = append(texts, random(r, "aabbcckKsSé1\n\u017f", 8))
		}
		sameAsGo(t, expr.String(), r.IntN(4) == 0, texts...)
	}
}

func FuzzRegex(f *testing.F) {
	for i, tt := range expressions {
		f.Add(tt.expr, strangeTexts[i%len(strangeTexts)], i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, expr, text string, ignoreCase bool) {
		prefix := ""
		if ignoreCase {
			prefix = "(?i)"
		}
		if _, err := regexp.Compile(prefix + expr); err != nil || len(expr) > 100 {
			return
		}
		sameAsGo(t, expr, ignoreCase, text)
	})
}

// A long text costs what its first 4 KiB do.
func TestRegexIsBounded(t *testing.T) {
	fastest := func(m *match.Matcher, text string) time.Duration {
		s := match.Subject{Span: attributesOf("k", text), IsRoot: true}
		best := time.Hour
		for range 10 {
			start := time.Now()
			m.Match(&s)
			best = min(best, time.Since(start))
		}
		return best
	}
	exprs := []string{"(a+)+b$", "(?i)aaab|aaac|kab", "^(a|ab)*c", "(?i)(bo)*t", "[a-z]*[a-z]*[a-z]*0", "^[a-z]+[0-9]", "é.*é.*z"}
	for _, tt := range expressions {
		exprs = append(exprs, tt.expr)
	}
	for _, expr := range exprs {
		m := compile(t, attributes("k", object{"regex": expr}))
		for _, unit := range []string{"a", "bo", "aab", "é", "b", "\xff", "/api/v1"} {
			long := strings.Repeat(unit, 1<<20/len(unit))
			var first, all time.Duration
			for range 5 { // others use the machine too
				first, all = fastest(m, long[:match.MaxRegex]), fastest(m, long)
				if all <= 4*first+20*time.Microsecond {
					break
				}
			}
			if all > 4*first+20*time.Microsecond || first > 50*time.Millisecond {
				t.Errorf("%q on %q...: %v for 4 KiB, %v for 1 MiB", expr, unit, first, all)
			}
		}
	}
}

// What stands behind the first 4 KiB is not there.
func TestRegexOfLongTexts(t *testing.T) {
	long := strings.Repeat("x", match.MaxRegex)
	for _, tt := range []struct {
		expr, text string
		want       bool
	}{
		{"bot", long + "bot", false},
		{"xbot", long[4:] + "xbot" + long, true},
		{"x$", long + "y", true},
		{"[^x].x", long + "zyx", false},
	} {
		find, err := match.FindPattern(tt.expr, false)
		if err != nil || find(tt.text) != tt.want {
			t.Errorf("%q: %v, %v", tt.expr, find(tt.text), err)
		}
	}
}
