package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	rootMod = "module example.com/r\n\ngo 1.26.0\n"
	aMod    = "module example.com/r/a\n\ngo 1.26.0\n\nrequire example.com/r v0.0.0\n\nreplace example.com/r => ..\n"
	toolMod = "module example.com/r/tool\n\ngo 1.26.0\n"
	workMod = "go 1.26.0\n\nuse (\n\t.\n\t./a\n)\n"
)

// repository commits files besides those of a repository of two modules that are
// shipped and one that is not.
func repository(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	asSomebody(t)
	dir = t.TempDir()
	for name, text := range map[string]string{
		"go.work": workMod, "go.mod": rootMod, "a/go.mod": aMod, "tool/go.mod": toolMod, "LICENSE": "free\n",
	} {
		write(t, dir, name, text)
	}
	for name, text := range files {
		write(t, dir, name, text)
	}
	output(t, dir, nil, "git", "init", "--quiet")
	output(t, dir, nil, "git", "add", ".")
	output(t, dir, nil, "git", "commit", "--quiet", "-m", "all")
	return dir
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		args  string
		files map[string]string
		after func(dir string) // the commit
		want  string
	}{
		{"no version", "", nil, nil, "usage: release [--dry-run] [--proxy DIR] VERSION"},
		{"flag after the version", "v0.2.0 --dry-run", nil, nil, "usage: release [--dry-run] [--proxy DIR] VERSION"},
		{"unknown flag", "--push v0.2.0", nil, nil, "flag provided but not defined: -push; usage: release [--dry-run] [--proxy DIR] VERSION"},
		{"no v", "0.2.0", nil, nil, `"0.2.0" is not a version: want vX.Y.Z, or vX.Y.Z-rc.1`},
		{"two numbers", "v0.2", nil, nil, `"v0.2" is not a version: want vX.Y.Z, or vX.Y.Z-rc.1`},
		{"build", "v0.2.0+linux", nil, nil, `"v0.2.0+linux" is not a version: want vX.Y.Z, or vX.Y.Z-rc.1`},
		{"pseudo-version", "v0.0.0-20260102030405-0123456789ab", nil, nil, `"v0.0.0-20260102030405-0123456789ab" is not a version: Go takes it for the name of a commit`},
		{"major version", "v2.0.0", nil, nil, `a/go.mod: example.com/r/a@v2.0.0: invalid version: should be v0 or v1, not v2`},
		{"changed", "v0.2.0", nil, func(dir string) { write(t, dir, "go.mod", rootMod+"\n") }, "the working tree is not clean: 1 changed or new, such as go.mod"},
		{"new", "v0.2.0", nil, func(dir string) { write(t, dir, "a/new.go", "package a\n") }, "the working tree is not clean: 1 changed or new, such as a/new.go"},
		{"tag", "v0.2.0", nil, func(dir string) { output(t, dir, nil, "git", "tag", "a/v0.2.0") }, "the tag a/v0.2.0 exists"},
		{"no module", "v0.2.0", map[string]string{"go.work": workMod + "\nuse ./b\n"}, nil, "go.work uses 3 directories, 2 of which have a go.mod"},
		{"replaces another", "v0.2.0", map[string]string{"a/go.mod": aMod + "\nreplace example.com/b => ../b\n"}, nil, "a/go.mod: replaces example.com/b, which go install refuses"},
		{"requires what is not shipped", "v0.2.0", map[string]string{"a/go.mod": aMod + "\nrequire example.com/r/tool v0.0.0\n"}, nil, "a/go.mod: requires example.com/r/tool, which go.work does not use"},
		{"cycle", "v0.2.0", map[string]string{"go.mod": rootMod + "\nrequire example.com/r/a v0.0.0\n"}, nil, "example.com/r/a requires itself through its siblings"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := repository(t, tt.files)
			if tt.after != nil {
				tt.after(dir)
			}
			before := output(t, dir, nil, "git", "for-each-ref")
			var out bytes.Buffer
			err := run(t.Context(), dir, strings.Fields(tt.args), &out)
			if err == nil {
				t.Fatal("it was released")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, output(t, dir, nil, "git", "for-each-ref")); diff != "" {
				t.Errorf("branches and tags (-before +after):\n%s", diff)
			}
		})
	}
}

func TestDryRun(t *testing.T) {
	dir := repository(t, nil)
	before := output(t, dir, nil, "git", "for-each-ref")
	var out bytes.Buffer
	if err := run(t.Context(), dir, []string{"--dry-run", "--proxy", "proxy", "v0.2.0-rc.1"}, &out); err != nil {
		t.Fatal(err)
	}
	want := `v0.2.0-rc.1 would be a commit beside HEAD

example.com/r
	tag      v0.2.0-rc.1

example.com/r/a
	tag      a/v0.2.0-rc.1
	require  example.com/r v0.2.0-rc.1
	drop     replace example.com/r

and the shipped modules would be in proxy, which GOPROXY can name
`
	head := output(t, dir, nil, "git", "rev-parse", "HEAD")[:12]
	if diff := cmp.Diff(want, strings.ReplaceAll(out.String(), head, "HEAD")); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, output(t, dir, nil, "git", "for-each-ref")); diff != "" {
		t.Errorf("branches and tags (-before +after):\n%s", diff)
	}
}

// A proxy holds one version after the other, and a release can be made from the
// commit of another.
func TestAgain(t *testing.T) {
	dir, proxy := repository(t, nil), t.TempDir()
	for _, version := range []string{"v0.10.0", "v0.9.0"} {
		var out bytes.Buffer
		if err := run(t.Context(), dir, []string{"--proxy", proxy, version}, &out); err != nil {
			t.Fatal(err)
		}
		output(t, dir, nil, "git", "checkout", "--quiet", version)
	}
	if diff := cmp.Diff("v0.9.0\nv0.10.0\n", read(t, proxy, "example.com/r/a/@v/list")); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("module example.com/r/a\n\ngo 1.26.0\n\nrequire example.com/r v0.9.0\n", read(t, dir, "a/go.mod")); diff != "" {
		t.Errorf("a/go.mod (-want +got):\n%s", diff)
	}
	if sum := read(t, dir, "a/go.sum"); strings.Contains(sum, "v0.10.0") || strings.Count(sum, "example.com/r v0.9.0") != 2 {
		t.Errorf("a/go.sum:\n%s", sum)
	}
}
