package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The map of docs/architecture.md has every package of what is shipped, once.
func TestMap(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.ImportPath}}", "work")
	list.Env = append(os.Environ(), "GOWORK=") // these tests run outside of the workspace
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for path := range strings.FieldsSeq(string(out)) {
		path = strings.TrimPrefix(strings.TrimPrefix(path, modulePath), "/")
		if path == "" {
			path = "."
		}
		want = append(want, path)
	}
	page, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "## The map")
	table, _, _ = strings.Cut(table, "\n## ")
	var got []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1) {
		got = append(got, m[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/architecture.md (-packages +map):\n%s", diff)
	}
}

// The functions that docs/architecture.md names are in the files that it names with them:
// in a table as `name` in [file](path), in a drawing as name (file.go).
func TestNamedFunctions(t *testing.T) {
	page, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	declares := func(path, name string) bool {
		text, err := os.ReadFile(path)
		name = name[strings.LastIndex(name, ".")+1:]
		return err == nil && regexp.MustCompile(`(?m)^(func (\([^)]*\) )?|type )`+name+`\b`).Match(text)
	}
	linked := regexp.MustCompile("`([A-Za-z.]+)` (?:in|of) \\[[^]]*\\]\\(\\.\\./([^)]*\\.go)\\)").FindAllStringSubmatch(string(page), -1)
	for _, m := range linked {
		if !declares(m[2], m[1]) {
			t.Errorf("docs/architecture.md: there is no %s in %s", m[1], m[2])
		}
	}
	drawn := regexp.MustCompile(`(?m)(?:^|[>:|]|  ) *([A-Za-z.]+) \(((?:[a-z_]+/)*[a-z]+\.go)`).FindAllStringSubmatch(string(page), -1)
	for _, m := range drawn {
		var found bool
		for _, dir := range []string{"core/record", "core/delivery", "plugins/internal", "."} {
			found = found || declares(filepath.Join(dir, m[2]), m[1])
		}
		if !found {
			t.Errorf("docs/architecture.md: there is no %s in %s", m[1], m[2])
		}
	}
	if len(linked) < 20 || len(drawn) < 15 {
		t.Errorf("%d and %d functions were found", len(linked), len(drawn))
	}
}

// The table of locks has every mutex of what is shipped, but of programs and tests.
func TestLocks(t *testing.T) {
	want := map[string]bool{}
	isMutex := func(e ast.Expr) bool {
		s, ok := e.(*ast.SelectorExpr)
		return ok && (s.Sel.Name == "Mutex" || s.Sel.Name == "RWMutex")
	}
	notShipped := regexp.MustCompile(`^(\.git|cmd|bench|docs|examples|tools)$|test$|hostile$`)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && notShipped.MatchString(path):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			general, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range general.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					of, ok := spec.Type.(*ast.StructType)
					if !ok {
						continue
					}
					for _, f := range of.Fields.List {
						for _, name := range f.Names {
							if isMutex(f.Type) {
								want[spec.Name.Name+"."+name.Name] = true
							}
						}
					}
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						if isMutex(spec.Type) {
							want[name.Name] = true
						}
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| lock |")
	table, _, _ = strings.Cut(table, "\n\n")
	got := map[string]bool{}
	for line := range strings.Lines(table) {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(first, -1) {
			got[m[1]] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/architecture.md (-code +table):\n%s", diff)
	}
}
