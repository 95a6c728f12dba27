package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// licences are told by a sentence of their text.
var licences = []struct{ name, says string }{
	{"MPL-2.0", "Mozilla Public License"},
	{"Apache-2.0", "Apache License"},
	{"MIT", "Permission is hereby granted, free of charge"},
	{"BSD-3-Clause", "Neither the name"},
	{"BSD-2-Clause", "Redistribution and use"},
}

// NOTICE names every module that the command is linked from, under its licence.
func TestNotice(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Dir}}{{end}}", ".")
	cmd.Dir = filepath.Join("cmd", "riffle")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		module, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.HasPrefix(module, modulePath) {
			name := licence(t, dir)
			want[name] = append(want[name], module)
		}
	}
	for name, modules := range want {
		slices.Sort(modules)
		want[name] = slices.Compact(modules)
	}
	notice, err := os.ReadFile("NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	var under string
	for line := range strings.Lines(string(notice)) {
		switch line = strings.TrimSuffix(line, "\n"); {
		case strings.HasSuffix(line, ")") && !strings.HasPrefix(line, " "):
			under = strings.TrimSuffix(line[strings.LastIndexByte(line, '(')+1:], ")")
		case strings.HasPrefix(line, "  "):
			got[under] = append(got[under], strings.TrimSpace(line))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("NOTICE is not current (-linked +named):\n%s", diff)
	}
}

func licence(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "LICEN[SC]E*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no licence (%v)", dir, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range licences {
		if strings.Contains(string(text), l.says) || l.name == "BSD-3-Clause" && strings.Contains(string(text), "names of its contributors") {
			return l.name
		}
	}
	t.Fatalf("%s has a licence that this test does not know", files[0])
	return ""
}
