// Package checks has the tests of what CI runs about dependencies.
package checks

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// database makes one of vulnerabilities, in which a function of a module is one, if it
// is named.
func database(t *testing.T, module, pkg, function string) (url string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, v any) {
		text, err := json.Marshal(v)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	const id, when = "GO-2026-0001", "2026-01-01T00:00:00Z"
	type object map[string]any
	type list []any
	write("index/db.json", object{"modified": when})
	if module == "" {
		write("index/modules.json", list{})
		write("index/vulns.json", list{})
		return "file://" + dir
	}
	write("index/modules.json", list{object{"path": module, "vulns": list{object{"id": id, "modified": when}}}})
	write("index/vulns.json", list{object{"id": id, "modified": when}})
	write("ID/"+id+".json", object{
		"schema_version": "1.3.1", "id": id, "modified": when, "published": when, "summary": "made up",
		"database_specific": object{"url": "https://example.com/" + id},
		"affected": list{object{
			"package":            object{"name": module, "ecosystem": "Go"},
			"ranges":             list{object{"type": "SEMVER", "events": list{object{"introduced": "0"}}}},
			"ecosystem_specific": object{"imports": list{object{"path": pkg, "symbols": list{function}}}},
		}},
	})
	return "file://" + dir
}

// run runs a script of CI.
func run(t *testing.T, script string, env []string, args ...string) (out string, ok bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join("..", "..", ".ci", script), args...)
	cmd.Env = append(os.Environ(), env...)
	text, err := cmd.CombinedOutput()
	return string(text), err == nil
}

func TestVulnerabilities(t *testing.T) {
	for _, tt := range []struct {
		name, database string
		ok             bool
		says           string
	}{
		{"none", database(t, "", "", ""), true, "No vulnerabilities found"},
		{"called", database(t, "github.com/klauspost/compress", "github.com/klauspost/compress/zstd", "NewReader"), false, "GO-2026-0001"},
		{"not called", database(t, "github.com/klauspost/compress", "github.com/klauspost/compress/zip", "OpenReader"), true, "No vulnerabilities found"},
		{"of no database", "file:///nonexistent", true, "NOT CHECKED for known vulnerabilities: file:///nonexistent cannot be reached"},
		{"out of reach", "http://127.0.0.1:1", true, "NOT CHECKED for known vulnerabilities: http://127.0.0.1:1 cannot be reached"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, ok := run(t, "vulnerabilities", []string{"GOVULNDB=" + tt.database}, ".")
			if ok != tt.ok || !strings.Contains(out, tt.says) {
				t.Errorf("ok = %t, want %t, with %q:\n%s", ok, tt.ok, tt.says, out)
			}
		})
	}
}

func TestLicences(t *testing.T) {
	if out, ok := run(t, "licences", nil, "exporters/xray"); !ok || !strings.Contains(out, "exporters/xray: ok") {
		t.Errorf("as it is: %s", out)
	}
	if out, ok := run(t, "licences", []string{"ALLOWED=MIT"}, "exporters/xray"); ok || !strings.Contains(out, "Not allowed license 'Apache-2.0' found for library 'github.com/aws/aws-sdk-go-v2'") {
		t.Errorf("with MIT alone: ok = %t:\n%s", ok, out)
	}
	notice, err := os.ReadFile(filepath.Join("..", "..", "NOTICE"))
	if err != nil {
		t.Fatal(err)
	}
	wrong := filepath.Join(t.TempDir(), "NOTICE")
	if err := os.WriteFile(wrong, []byte(strings.Replace(string(notice), "(MPL-2.0)", "(MIT)", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, ok := run(t, "licences", []string{"NOTICE=" + wrong}, "exporters/xray"); ok || !strings.Contains(out, "NOTICE: github.com/hashicorp/go-plugin is not under MIT") {
		t.Errorf("a wrong NOTICE: ok = %t:\n%s", ok, out)
	}
}
