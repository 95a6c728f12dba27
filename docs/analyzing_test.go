package docs

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/findings"
)

// The table of docs/analyzing.md has every kind in its order, with the thresholds and
// their defaults.
func TestFindingsTable(t *testing.T) {
	page, err := os.ReadFile("docs/analyzing.md")
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string][]string{}
	fields, _ := component.FieldsOf(findings.Defaults())
	for _, f := range fields {
		for _, key := range f.Fields() {
			keys[f.Key] = append(keys[f.Key], fmt.Sprintf("`%s` %s", component.JoinPath(f.Key, key.Key), key.Default))
		}
	}
	var want, got []string
	for _, k := range findings.Kinds() {
		want = append(want, string(k)+": "+strings.Join(keys[string(k)], ", "))
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|[^|]*\\|([^|]*)\\|[^|]*\\|$").FindAllStringSubmatch(string(page), -1) {
		got = append(got, m[1]+": "+strings.TrimSpace(m[2]))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/analyzing.md (-code +page):\n%s", diff)
	}
	if want := fmt.Sprintf("`examples` (%d)", findings.Defaults().Examples); !strings.Contains(string(page), want) {
		t.Errorf("docs/analyzing.md does not say %s", want)
	}
}
