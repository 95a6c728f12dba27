package component_test

import (
	"testing"

	"github.com/riffletrace/riffle/core/component"
)

func TestShown(t *testing.T) {
	for text, want := range map[string]string{
		"fast": `"fast"`, "waterfall": `"waterfall"`, "tail_sampling": `"tail_sampling"`, "1.5": `"1.5"`, "10%": `"10%"`, "1e999": `"1e999"`,
		"250 ms": `"250 ms"`, "": `""`, "b5": `"b5"`, "a\nb": `"a\nb"`,
		"hunter2": "a text of 7 characters", "hunter2secretpa": "a text of 15 characters", "AKIAIOSFODNN7": "a text of 13 characters",
		"99999999999999999999": "a text of 20 characters", "a=b=c": "a text of 5 characters", "päßwörd": "a text of 7 characters",
		"sixteen-letters-ab": "a text of 18 characters", "http://a": "a text of 8 characters",
	} {
		if got := component.Shown(text); got != want {
			t.Errorf("Shown(%q) = %s, want %s", text, got, want)
		}
	}
}
