package docs

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/config"
)

// TestOpenTelemetryReference holds the table of properties to the one that files are
// checked by.
func TestOpenTelemetryReference(t *testing.T) {
	const page = "docs/opentelemetry-configuration.md"
	const mark = "<!-- The rest of this page is made by: go -C docs test -run OpenTelemetryReference -update -->\n"
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), mark)
	if !ok {
		t.Fatalf("%s has no line %s", page, mark)
	}
	var b strings.Builder
	for _, typ := range config.Describe().OpenTelemetry {
		if len(typ.Properties) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n", typ.Name)
		if typ.Open && strings.HasPrefix(typ.Kind, "one key") {
			b.WriteString("One of these keys, or the name of another component.\n\n")
		} else if strings.HasPrefix(typ.Kind, "one key") {
			b.WriteString("One of these keys.\n\n")
		}
		b.WriteString("| property | type | | |\n|---|---|---|---|\n")
		for _, p := range typ.Properties {
			fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", p.Key, p.Type, p.Fate, p.Doc)
		}
	}
	if *update {
		if err := os.WriteFile(page, []byte(head+mark+b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(b.String(), rest); diff != "" {
		t.Errorf("%s is not current; go -C docs test -run OpenTelemetryReference -update (-want +got):\n%s", page, diff)
	}
}

// The code of these pages is in migration_test.go, which is compiled and run.
func TestComingFrom(t *testing.T) {
	shownIn(t, "docs/coming-from-the-sdk.md", "docs/migration_test.go")
	shownIn(t, "docs/coming-from-otelconf.md", "docs/migration_test.go")
}
