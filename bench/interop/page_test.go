package interop

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/config"
	_ "github.com/riffletrace/riffle/exporters/standard"
	_ "github.com/riffletrace/riffle/samplers/standard"
)

const page = "../../docs/backends.md"

// variables are those that the configurations of the page name.
var variables = []string{"COLLECTOR_KEY=s3cret", "TEMPO_BASIC_AUTH=dXNlcjpwYXNzd29yZA=="}

func readPage(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var fileName = regexp.MustCompile("`([a-z-]+\\.yaml)`")

// files returns the YAML blocks of the page by the file that the text named
// last before each.
func files(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for text := range strings.SplitSeq(readPage(t), "\n```\n") {
		before, block, ok := strings.Cut(text, "```yaml\n")
		if !ok {
			continue
		}
		names := fileName.FindAllStringSubmatch(before, -1)
		if len(names) == 0 {
			t.Fatalf("a block has no name before it:\n%s", block)
		}
		name := names[len(names)-1][1]
		if all[name] != "" {
			t.Fatalf("%s is there twice", name)
		}
		all[name] = block + "\n"
	}
	return all
}

// isRiffle tells riffle's configurations from the backends' own.
func isRiffle(text string) bool { return strings.HasPrefix(text, "observability:\n") }

// rows returns the cells of the table with this head.
func rows(t *testing.T, head string) [][]string {
	t.Helper()
	return tableIn(t, readPage(t), head)
}

// tableIn is likewise of another page.
func tableIn(t *testing.T, text, head string) [][]string {
	t.Helper()
	_, rest, ok := strings.Cut(text, head+"\n")
	if !ok {
		t.Fatalf("there is no table %s", head)
	}
	var all [][]string
	for i, line := range strings.Split(rest, "\n") {
		if !strings.HasPrefix(line, "|") {
			break
		}
		if i == 0 {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		all = append(all, cells)
	}
	return all
}

// What the page says was verified is what TestInteropPage runs, and leaves
// out none of its configurations.
func TestPageRows(t *testing.T) {
	var want [][]string
	for _, r := range runs {
		want = append(want, []string{"`" + r.file + "`", r.protocol, r.connection, r.against})
	}
	if diff := cmp.Diff(want, rows(t, "| configuration | protocol | connection | ran against |")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", page, diff)
	}
	all := files(t)
	for name, text := range all {
		used := slices.ContainsFunc(runs, func(r run) bool {
			return r.file == name || !isRiffle(text) && strings.Contains(r.against, "`"+name+"`")
		})
		if !used {
			t.Errorf("%s is run by nothing", name)
		}
	}
	for _, r := range runs {
		if got, want := strings.Contains(all[r.file], "compression: gzip"), strings.Contains(r.connection, "gzip"); got != want {
			t.Errorf("%s: compression is %v, the table says %v", r.file, got, want)
		}
	}
}

// The page lists the messages that TestInteropMistakes provokes, each once,
// whatever the port.
func TestPageMessages(t *testing.T) {
	var want [][]string
	said := map[string]bool{}
	for _, m := range mistakes {
		_, text, _ := strings.Cut(m.message, " ")
		if !said[text] {
			want = append(want, []string{"`" + m.message + "`", m.matter})
		}
		said[text] = true
	}
	if diff := cmp.Diff(want, rows(t, "| message | what was the matter |")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", page, diff)
	}
}

func TestPageConfigurations(t *testing.T) {
	all := files(t)
	a := newAuthority(t)
	a.issue(t, "client")
	t.Chdir(a.dir)
	for name, text := range all {
		if !isRiffle(text) {
			continue
		}
		spec, err := config.Parse([]byte(text), config.File(name), config.Environ(variables))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !spec.Enabled {
			t.Errorf("%s: tracing is off", name)
		}
	}
}

// The images that the page starts are what was verified, with files that it
// shows.
func TestPageVersions(t *testing.T) {
	text, all := readPage(t), files(t)
	for _, m := range regexp.MustCompile(`-v \./(\S+):`).FindAllStringSubmatch(text, -1) {
		if all[m[1]] == "" {
			t.Errorf("%s mounts %s, and does not show it", page, m[1])
		}
	}
	for _, v := range []struct{ module, requirement, image, prose string }{
		{"jaeger", "github.com/jaegertracing/jaeger v", "jaegertracing/all-in-one:", "Jaeger is "},
		{"collector", "go.opentelemetry.io/collector/otelcol v", "otel/opentelemetry-collector-contrib:", "the Collector is "},
	} {
		data, err := os.ReadFile(filepath.Join(v.module, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(data), v.requirement)
		version, _, _ := strings.Cut(rest, "\n")
		version, _, _ = strings.Cut(version, " ")
		for _, want := range []string{v.image + version, v.prose + version} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q", page, want)
			}
		}
	}
}
