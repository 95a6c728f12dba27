package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`")
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
)

// The threat model says nothing that is not tested: each row of its tables names the
// tests that show what holds, and they are there.
func TestThreatModel(t *testing.T) {
	tests := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") && !strings.HasPrefix(path, "plugins/plugintest/") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
			tests[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for i, line := range strings.Split(string(text), "\n") {
		columns := strings.Split(strings.Trim(line, "| "), " | ")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| who ") {
			continue
		}
		rows++
		if len(columns) != 3 {
			t.Errorf("docs/security.md:%d: %d columns, want 3", i+1, len(columns))
			continue
		}
		named := testName.FindAllStringSubmatch(columns[2], -1)
		if len(named) == 0 {
			t.Errorf("docs/security.md:%d: no test is named", i+1)
		}
		for _, m := range named {
			if !tests[m[1]] {
				t.Errorf("docs/security.md:%d: there is no test %s", i+1, m[1])
			}
		}
	}
	if rows < 20 {
		t.Errorf("%d rows were found", rows)
	}
}
