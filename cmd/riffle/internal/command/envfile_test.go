package command

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseEnv(t *testing.T) {
	const text = "\ufeff# a comment\n\nA=1\n  export B = \nC=x y # comment\r\nD='a # \\n $B'  # c\nE=\"a\\n\\\"\\$\\\\ #\"\nF=a#b\nG=$A${A}\nH=#x\nI=a=b\nexport\tJ=1\n"
	got, err := ParseEnv("f", strings.ReplaceAll(strings.ReplaceAll(text, "export B = ", "export B="), "export\tJ", "J"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"A=1", "B=", "C=x y", `D=a # \n $B`, "E=a\n\"$\\ #", "F=a#b", "G=$A${A}", "H=", "I=a=b", "J=1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Every mistake is told with its line, and no value is.
func TestParseEnvMistakes(t *testing.T) {
	const text = "OK=1\nhunter2\nA B=hunter2\nOK=hunter2\nC='hunter2\nD=\"hunter2\\\nE=\"hunter2\\x\"\nF=\"a\"hunter2\n1G=hunter2\nexport\nH =hunter2\nI=\x00hunter2\n"
	const want = `f:2: want NAME=VALUE, or # before a comment
f:3: the name before = is none of a variable: want letters, digits and _, without spaces
f:4: OK is in line 1 already
f:5: C: the quote is not closed in its line
f:6: D: the quote is not closed in its line
f:7: E: a \ in double quotes stands before n, r, t, ", \ or $ alone
f:8: F: something follows the closing quote
f:9: the name before = is none of a variable: want letters, digits and _, without spaces
f:10: want NAME=VALUE, or # before a comment
f:11: the name before = is none of a variable: want letters, digits and _, without spaces
f:12: I: there is a control character in the value`
	_, err := ParseEnv("f", text)
	if err == nil {
		t.Fatal("no mistakes")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzParseEnv(f *testing.F) {
	f.Add("A=1\nexport B='x' # y\n\"C=\\n\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := ParseEnv("f", text)
		for _, kv := range all {
			if name, _, ok := strings.Cut(kv, "="); !ok || !envName.MatchString(name) || strings.ContainsRune(kv, 0) {
				t.Errorf("%q", kv)
			}
		}
		if err != nil && len(all) > 0 {
			t.Error("variables of a file with mistakes")
		}
	})
}
