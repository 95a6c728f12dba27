package docs

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	_ "github.com/riffletrace/riffle/all"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core/component"
	_ "github.com/riffletrace/riffle/samplers/standard"
)

var update = flag.Bool("update", false, "write the generated part of the reference")

const (
	docsPage = "docs/configuration.md"
	docsMark = "<!-- The rest of this page is made by: go -C docs test -run Reference -update -->\n"
)

func referencePage(t *testing.T) (head, rest string) {
	t.Helper()
	data, err := os.ReadFile(docsPage)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), docsMark)
	if !ok {
		t.Fatalf("%s has no line %s", docsPage, docsMark)
	}
	return head, rest
}

// TestReference holds the reference to the structs that it describes.
func TestReference(t *testing.T) {
	head, rest := referencePage(t)
	want := reference(config.Describe(config.App("fluxbase")))
	if *update {
		if err := os.WriteFile(docsPage, []byte(head+docsMark+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, rest); diff != "" {
		t.Errorf("%s is not current; go -C docs test -run Reference -update (-want +got):\n%s", docsPage, diff)
	}
}

// TestReferenceExamples parses what the page shows, and compares the messages
// that it shows.
func TestReferenceExamples(t *testing.T) {
	head, _ := referencePage(t)
	blocks := regexp.MustCompile("(?s)```(yaml|text)\n(.*?)```").FindAllStringSubmatch(head, -1)
	if len(blocks) == 0 {
		t.Fatal("no examples")
	}
	for i, block := range blocks {
		if block[1] != "yaml" {
			continue
		}
		spec, err := config.Parse([]byte(block[2]), config.File("fluxbase.yaml"), config.Environ([]string{"COLLECTOR_KEY=x"}))
		var got, want string
		if err != nil {
			got = err.Error() + "\n"
		} else if !spec.Enabled {
			t.Errorf("tracing is off by\n%s", block[2])
		}
		if i+1 < len(blocks) && blocks[i+1][1] == "text" {
			want = blocks[i+1][2]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("message about\n%s(-want +got):\n%s", block[2], diff)
		}
	}
}

// reference writes the second half of the page.
func reference(r config.Reference) string {
	var b strings.Builder
	b.WriteString("\n## Keys\n\nThese stand under `observability.tracing`.\n\n")
	table(&b, r.Section)
	b.WriteString("\n## Variables\n\n| variable | key |\n|---|---|\n")
	for _, v := range r.Variables {
		fmt.Fprintf(&b, "| `%s` | `%s` |\n", v.Name, v.Key)
	}
	b.WriteString("\n## Entries of samplers and exporters\n\nEvery entry has these keys, and those of its type.\n\n")
	table(&b, r.Entry)
	b.WriteString("\n## Samplers\n\nEvery entry also has these keys; [Sampling](sampling.md) explains them.\n\n")
	hostKeys := map[string]string{}
	rows(&b, r.SamplerKeys, "", hostKeys)
	for _, f := range r.Samplers {
		describe(&b, f.Name(), f.Doc(), f.Fields())
	}
	b.WriteString("\n## Exporters\n\nEvery entry also has these keys, about its line; [Delivery](delivery.md) explains them.\n\n")
	rows(&b, r.ExporterKeys, "", hostKeys)
	for _, f := range r.Exporters {
		describe(&b, f.Name(), f.Doc(), f.Fields())
	}
	b.WriteString("\n## Metrics\n\nThe section `metrics` has this key, and those of what it names; [Metrics](metrics.md) explains them.\n\n")
	rows(&b, r.MetricsKeys, "", hostKeys)
	for _, f := range r.MeterProviders {
		entry(&b, "exporter", f.Name(), f.Doc(), f.Fields())
	}
	b.WriteString("\nWhat `otlp` leaves out is filled from these variables, and for the connection from those without `METRICS_` [below](#opentelemetrys-variables); for nothing else they are read.\n\n| variable | |\n|---|---|\n")
	for _, v := range r.MetricsVariables {
		fmt.Fprintf(&b, "| `%s` | %s |\n", v.Name, v.Doc)
	}
	b.WriteString("\n## OpenTelemetry's variables\n\n" +
		"They fill only what nothing else sets: those of exporters, the keys that an entry leaves out. Those of `OTEL_EXPORTER_OTLP_*` are about one endpoint, and [count for no other](exporters.md#variables).\n\n" +
		"They are read as OpenTelemetry's specification says: upper and lower case are the same in names of values, the space around a value is left out, and an empty value is none. A value that makes no sense, or is out of range, is ignored with one warning that names the variable; it is never an error. Of two variables for one thing, such as `OTEL_EXPORTER_OTLP_TRACES_TIMEOUT` and `OTEL_EXPORTER_OTLP_TIMEOUT`, the first in this table wins, and the second counts where the first makes no sense. Departing from the specification, a list of attributes or headers with a mistake in it is not left out as a whole. All other `OTEL_*` variables are ignored, with one warning that names them. Where a limit is no number, OpenTelemetry's own API prints another warning when the program starts, before riffle can say anything.\n\n" +
		"| variable | sets | |\n|---|---|---|\n")
	for _, v := range r.OTelVariables {
		sets := ""
		if v.Key != "" {
			sets = "`" + v.Key + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.Name, sets, v.Doc)
	}
	return b.String()
}

func describe(b *strings.Builder, name, doc string, fields []component.Field) {
	entry(b, "type", name, doc, fields)
}

func entry(b *strings.Builder, key, name, doc string, fields []component.Field) {
	fmt.Fprintf(b, "\n### `%s: %s`\n\n%s\n", key, name, sentence(doc))
	if len(fields) > 0 {
		b.WriteString("\n")
		table(b, fields)
	}
}

func table(b *strings.Builder, fields []component.Field) {
	rows(b, fields, "", map[string]string{})
}

// rows writes keys and what is below them. seen are the paths of sections by their keys:
// one that stands in several places is written once.
func rows(b *strings.Builder, fields []component.Field, path string, seen map[string]string) {
	if path == "" {
		b.WriteString("| key | type | default | |\n|---|---|---|---|\n")
	}
	for _, f := range fields {
		def := f.Default
		if def != "" {
			def = "`" + def + "`"
		}
		doc, inside := strings.ReplaceAll(f.Doc, "|", `\|`), f.Fields()
		keys := fmt.Sprint(inside)
		if where, again := seen[keys]; again && len(inside) > maxRepeated {
			doc, inside = fmt.Sprintf("%s; its keys are those of `%s`", doc, where), nil
		} else {
			seen[keys] = path + f.Key
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s | %s |\n", path, f.Key, f.Schema, def, doc)
		below := path + f.Key + "."
		if f.Schema.Kind == component.List {
			below = path + f.Key + "[]."
		}
		rows(b, inside, below, seen)
	}
}

// maxRepeated is how many keys of a section are written again.
const maxRepeated = 4

func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}
