package docs

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	_ "github.com/riffletrace/riffle/all"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/internal/pytest"
	_ "github.com/riffletrace/riffle/samplers/standard"
)

// The pages name files from the top of the repository.
func TestMain(m *testing.M) {
	if err := os.Chdir(".."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// secrets are the variables that the configurations of the pages name.
var secrets = []string{
	"REDACT_SALT=of a test",
	"AXIOM_TOKEN=x", "DD_API_KEY=x", "DYNATRACE_TOKEN=x", "ELASTIC_API_KEY=x", "GRAFANA_TOKEN=x", "HONEYCOMB_API_KEY=x",
	"NEW_RELIC_LICENSE_KEY=x", "SIGNOZ_KEY=x", "UPTRACE_DSN=x",
}

const modulePath = "github.com/riffletrace/riffle"

// pages are those whose blocks are checked here. docs/configuration.md is
// made from the code, and checked by the tests of package config.
func pages(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(page string) bool { return page == "docs/configuration.md" })
	return append(all, "README.md", "CONTRIBUTING.md")
}

// block is a fenced block of a page.
type block struct {
	line     int
	language string
	file     string // the last file that the text named before the block; may be empty
	text     string
}

var fileName = regexp.MustCompile("`([a-z]+\\.(?:yaml|go|json|env))`")

func blocksOf(t testing.TB, page string) []block {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var (
		all  []block
		file string
		open *block
	)
	for i, line := range strings.Split(string(data), "\n") {
		language, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &block{line: i + 1, language: language, file: file}
		case fence:
			all = append(all, *open)
			open, file = nil, ""
		case open != nil:
			open.text += line + "\n"
		default:
			for _, m := range fileName.FindAllStringSubmatch(line, -1) {
				file = m[1]
			}
		}
	}
	if open != nil {
		t.Fatalf("%s:%d: the block does not end", page, open.line)
	}
	return all
}

// firstBlock returns the first block of a page in a language.
func firstBlock(t *testing.T, page, language string) string {
	t.Helper()
	for _, b := range blocksOf(t, page) {
		if b.language == language {
			return b.text
		}
	}
	t.Fatalf("%s has no %s block", page, language)
	return ""
}

// buildCommand builds the command line.
func buildCommand(t *testing.T, program string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	cmd.Dir = filepath.Join("cmd", "riffle")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the command: %v\n%s", err, out)
	}
}

// variables are set before a command.
var variables = regexp.MustCompile(`^([A-Z]+=\S+ +)+`)

// Every configuration shown can be loaded, and every command run.
func TestDocs(t *testing.T) {
	riffle := filepath.Join(t.TempDir(), "riffle")
	buildCommand(t, riffle)
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var required []string
	for _, m := range shipped(t) {
		required = append(required, m.Module.Path)
		required = append(required, m.direct()...)
	}

	command := func(t *testing.T, dir, line string) (stdout string) {
		t.Helper()
		if rest, ok := strings.CutPrefix(line, "go run ./cmd/riffle "); ok {
			line = "riffle " + rest
		}
		bare := variables.ReplaceAllString(line, "")
		args := strings.Fields(bare)
		if slices.ContainsFunc([]string{"riffle bench", "riffle status", "riffle view"}, func(c string) bool { return strings.HasPrefix(bare, c) }) {
			line += " --help" // its flags are read; that it runs is a test of the command
		}
		switch {
		case args[0] == "riffle":
			cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
			cmd.Dir, cmd.Env = dir, append(environ(), "PATH="+filepath.Dir(riffle)+string(filepath.ListSeparator)+os.Getenv("PATH"))
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Errorf("%s: %v\n%s%s", line, err, out, &stderr)
			}
			return string(out)
		case args[0] == "make":
			if len(args) > 1 && !bytes.Contains(makefile, []byte("\n"+args[1]+":")) {
				t.Errorf("%s: there is no such target", line)
			}
		case strings.HasPrefix(line, "go get "):
			for _, pkg := range args[2:] {
				if pkg != modulePath && !slices.Contains(required, pkg) {
					t.Errorf("%s: go.mod does not know %s", line, pkg)
				}
			}
		case strings.HasPrefix(line, "go mod init "), strings.HasPrefix(line, "go test "), args[0] == "git":
		default:
			t.Errorf("%s: nobody knows how to check this command", line)
		}
		return ""
	}

	for _, page := range pages(t) {
		switch page {
		case "docs/backends.md":
			continue // its configurations run against real backends, in bench/interop
		case "docs/plugins-languages.md":
			continue // TestOtherLanguages, and the tests of plugins/plugintest
		}
		t.Run(page, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, dir, "fluxbase.yaml", firstBlock(t, "README.md", "yaml"))
			var output string // of the last command
			for _, b := range blocksOf(t, page) {
				switch b.language {
				case "yaml":
					file := b.file
					if !strings.HasSuffix(file, ".yaml") {
						file = "fluxbase.yaml"
					}
					if _, err := config.Parse([]byte(b.text), config.File(file), config.Environ(secrets)); err != nil {
						t.Errorf("%s:%d: %v", page, b.line, err)
					}
					writeFile(t, dir, file, b.text)
				case "sh":
					for line := range strings.Lines(b.text) {
						output = command(t, dir, strings.TrimSpace(line))
					}
				case "json", "env", "yaml of another program":
					writeFile(t, dir, b.file, b.text)
				case "output":
					if diff := cmp.Diff(b.text, output); diff != "" {
						t.Errorf("%s:%d: the command before prints\n%s", page, b.line, diff)
					}
				case "output of doctor": // the tests of cmd/riffle/cli
				case "go": // the tests below
				case "diagram":
				case "output of a service": // TestStatusCommand
				case "sh plugins": // the tests of examples/plugins
				case "yaml excerpt": // about a component that only the page has
				default:
					t.Errorf("%s:%d: a block of %q is checked by nothing", page, b.line, b.language)
				}
			}
		})
	}
}

// The links between the pages lead somewhere, and their pictures are there.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`(?:\]\(|(?:src|srcset)=")([^):#"]+)[^)"]*[)"]`)
	for _, page := range pages(t) {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(data), -1) {
			if m[1] == "https" {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

// The README's setup commands are what a newcomer, and CI, runs.
func TestSetupCommands(t *testing.T) {
	want := "go run ./cmd/riffle demo\ngo test work\n"
	if diff := cmp.Diff(want, firstBlock(t, "README.md", "sh")); diff != "" {
		t.Errorf("README.md (-want +got):\n%s", diff)
	}
}

// The components that the page shows are the examples of package core, which
// are compiled and run.
func TestWritingComponents(t *testing.T) {
	shown := shownIn(t, "docs/writing-components.md", "core/example_*_test.go")
	for _, b := range shown {
		if lines := strings.Count(b.text, "\n"); lines > 40 {
			t.Errorf("docs/writing-components.md:%d: %d lines, want at most 40", b.line, lines)
		}
	}
}

// So are the snippets about instrumentation.
func TestInstrumentation(t *testing.T) {
	shownIn(t, "docs/instrumentation.md",
		"core/observability/example_*_test.go", "core/observability/*/example_test.go", "examples/*/main.go", "bench/routers/*_test.go")
}

// And the service of one's own that is measured.
func TestBenchPage(t *testing.T) { shownIn(t, "docs/bench.md", "bench/example_test.go") }

// The plugin of docs/plugins-languages.md is the example, and its commands make
// it and find nothing wrong with it.
func TestOtherLanguages(t *testing.T) {
	pytest.Need(t)
	const page = "docs/plugins-languages.md"
	program := firstBlock(t, page, "python")
	example, err := os.ReadFile("examples/plugins/riffle-plugin-sqlite/__main__.py")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(example), program); diff != "" {
		t.Errorf("%s (-example +page):\n%s", page, diff)
	}
	support, err := os.ReadFile("plugins/python/riffle_plugin.py")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sqlite"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "riffle_plugin.py", string(support))
	writeFile(t, dir, "sqlite/__main__.py", program)
	buildCommand(t, filepath.Join(dir, "riffle"))
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", firstBlock(t, page, "sh"))
	cmd.Dir, cmd.Env = dir, append(environ(), "PATH="+dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "keeps all") {
		t.Errorf("%v\n%s", err, out)
	}
}

// shownIn returns the Go blocks of a page, each of which must stand in a file
// that matches one of the patterns.
func shownIn(t *testing.T, page string, patterns ...string) (shown []block) {
	t.Helper()
	var examples strings.Builder
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, files, err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			examples.Write(data)
		}
	}
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	all := squeeze(examples.String())
	for _, b := range blocksOf(t, page) {
		if b.language != "go" {
			continue
		}
		shown = append(shown, b)
		if !strings.Contains(all, squeeze(b.text)) {
			t.Errorf("%s:%d: no example has this code", page, b.line)
		}
	}
	if len(shown) == 0 {
		t.Errorf("%s shows no code", page)
	}
	return shown
}

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// environ is the environment, without what speaks of tracing.
func environ() []string {
	return append(slices.Clone(secrets), slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "OTEL_") || strings.HasPrefix(v, "FLUXBASE_")
	})...)
}
