//go:build !race

package match_test

import (
	"testing"

	"github.com/riffletrace/riffle/core/match"
)

func TestAllocations(t *testing.T) {
	start, end := realistic(t)
	all := typical(t)
	all["start"], all["end"] = start, end
	all["any_span"] = subjectOf{
		compile(t, read(t, "{any_span: {kind: client, status: ok}, not: {any: [{any_span: {kind: producer}}, {any_span: {name: x}}, {any_span: {scope: x}}]}}")),
		checkout(t).complete(),
	}
	for name, tt := range all {
		if n := testing.AllocsPerRun(100, func() {
			s := tt.subject // as the caller has it on its stack
			tt.matcher.Match(&s)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	// A text that looks like a number, and is none.
	number := compile(t, attributes("a", object{"min": 1, "max": 10}))
	for _, text := range []string{"1e99", "1e999", "9999999999999999999999", "1.5.2", "-", "GET"} {
		span := attributesOf("a", text)
		if n := testing.AllocsPerRun(100, func() {
			s := match.Subject{Span: span, IsRoot: true}
			number.Match(&s)
		}); n != 0 {
			t.Errorf("%q: %v allocations", text, n)
		}
	}
}
