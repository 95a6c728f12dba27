package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
)

// What is committed here is released, and then used as anybody would use it: from
// a proxy, away from the repository.
func TestRelease(t *testing.T) {
	asSomebody(t)
	root := strings.TrimSpace(output(t, ".", nil, "git", "rev-parse", "--show-toplevel"))
	// The path is a symbolic link on some systems.
	tmp, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	clone, proxy := filepath.Join(tmp, "clone"), filepath.Join(tmp, "proxy")
	output(t, tmp, nil, "git", "clone", "--quiet", root, clone)
	before := output(t, clone, nil, "git", "rev-parse", "HEAD")

	// The module cache is everybody's, or all that riffle requires would be compiled
	// again. So the version is of this run, and goes when it ends.
	version := fmt.Sprintf("v0.0.1-test.%d", time.Now().UnixNano())
	forgetAfter(t, version)
	var said bytes.Buffer
	if err := run(t.Context(), clone, []string{"--proxy", proxy, version}, &said); err != nil {
		t.Fatal(err)
	}
	shipped := shippedBy(t, clone)

	t.Run("commit", func(t *testing.T) {
		if after := output(t, clone, nil, "git", "rev-parse", "HEAD"); after != before {
			t.Errorf("HEAD is %s, was %s", after, before)
		}
		if changed := output(t, clone, nil, "git", "status", "--porcelain"); changed != "" {
			t.Errorf("the working tree has changed:\n%s", changed)
		}
		if trees := output(t, clone, nil, "git", "worktree", "list"); strings.Count(trees, "\n") != 1 {
			t.Errorf("a working tree is left behind:\n%s", trees)
		}
		if parent := output(t, clone, nil, "git", "rev-parse", version+"~"); parent != before {
			t.Errorf("the release is a commit on %s, want %s", parent, before)
		}
		var want []string
		for dir := range shipped {
			want = append(want, strings.TrimPrefix(dir+"/"+version, "./"))
		}
		slices.Sort(want)
		got := strings.Fields(output(t, clone, nil, "git", "tag", "--points-at", version))
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("tags (-want +got):\n%s", diff)
		}
		for _, tag := range want {
			if !strings.Contains(said.String(), " "+tag) {
				t.Errorf("nobody is told to push %s:\n%s", tag, said.String())
			}
		}
	})

	t.Run("zips", func(t *testing.T) {
		for dir, path := range shipped {
			checkZip(t, zipOf(proxy, path, version), dir, path+"@"+version+"/")
		}
	})

	// The go command makes its zips from the tags: they are the same, and what tidy
	// finds below is right for them too.
	t.Run("checksums", func(t *testing.T) {
		env := []string{
			"GOWORK=off", "GOFLAGS=-modcacherw", "GOMODCACHE=" + t.TempDir(), "GOPROXY=direct", "GOPRIVATE=", "GONOSUMDB=*",
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url." + fileURL(clone) + ".insteadOf", "GIT_CONFIG_VALUE_0=https://" + shipped["."],
		}
		for dir, path := range shipped {
			want, err := dirhash.HashZip(zipOf(proxy, path, version), dirhash.Hash1)
			if err != nil {
				t.Fatal(err)
			}
			var got struct{ Sum string }
			if err := json.Unmarshal([]byte(output(t, t.TempDir(), env, "go", "mod", "download", "-json", path+"@"+version)), &got); err != nil {
				t.Fatal(err)
			}
			if got.Sum != want {
				t.Errorf("the zip of %s is %s, that of the tag %s", dir, want, got.Sum)
			}
		}
	})

	// The sums of others are in go.sum, which is checked; the database of checksums
	// would need the network.
	env := []string{
		"GOWORK=off", "GOFLAGS=-mod=mod", "GOPRIVATE=", "GONOPROXY=none", "GONOSUMDB=*",
		"GOPROXY=" + fileURL(proxy) + "," + strings.TrimSpace(output(t, ".", nil, "go", "env", "GOPROXY")),
	}

	t.Run("tidy", func(t *testing.T) {
		tree := filepath.Join(tmp, "tree")
		output(t, clone, nil, "git", "worktree", "add", "--quiet", "--detach", tree, version)
		for dir := range shipped {
			output(t, filepath.Join(tree, filepath.FromSlash(dir)), env, "go", "mod", "tidy", "-diff")
		}
		readonly := append(slices.Clone(env), "GOFLAGS=-mod=readonly")
		for _, dir := range []string{"docs", "examples", "bench/interop", "bench/rivals", "bench/routers", "bench/browser"} {
			output(t, filepath.Join(tree, filepath.FromSlash(dir)), readonly, "go", "list", "-m", "all")
		}
	})

	t.Run("install", func(t *testing.T) {
		bin := t.TempDir()
		output(t, bin, append(slices.Clone(env), "GOBIN="+bin), "go", "install", shipped["cmd/riffle"]+"@"+version)
		if got := output(t, bin, nil, filepath.Join(bin, "riffle"), "version"); !strings.HasPrefix(got, "riffle "+version+" ") {
			t.Errorf("riffle version prints %q, want %s", got, version)
		}
	})

	t.Run("import", func(t *testing.T) {
		requires := importing(t, env, version, shipped["."])
		for _, unwanted := range []string{"github.com/aws/", "github.com/Azure", "cloud.google.com/", "github.com/jackc/", "github.com/spf13/", shipped["."] + "/"} {
			if i := slices.IndexFunc(requires, func(r string) bool { return strings.HasPrefix(r, unwanted) }); i >= 0 {
				t.Errorf("who imports riffle requires %s", requires[i])
			}
		}
		requires = importing(t, env, version, shipped["."], shipped["exporters/xray"])
		if !slices.Contains(requires, shipped["exporters/xray"]) {
			t.Errorf("who imports exporters/xray requires %q", requires)
		}
	})
}

// importing builds a program that starts riffle, the first of the modules, and
// imports the others; it returns what the program's go.mod requires once tidy.
func importing(t *testing.T, env []string, version string, modules ...string) (requires []string) {
	t.Helper()
	dir := t.TempDir()
	var imports, mod strings.Builder
	mod.WriteString("module service\n\ngo 1.26.0\n\n")
	for i, m := range modules {
		fmt.Fprintf(&mod, "require %s %s\n", m, version)
		if i > 0 {
			fmt.Fprintf(&imports, "\t_ %q\n", m)
		}
	}
	write(t, dir, "go.mod", mod.String())
	write(t, dir, "main.go", fmt.Sprintf(`package main

import (
	"context"
	"log"

	%q
%s)

func main() {
	if _, err := riffle.Start(context.Background(), "riffle.yaml"); err != nil {
		log.Fatal(err)
	}
}
`, modules[0], imports.String()))
	output(t, dir, env, "go", "mod", "tidy")
	output(t, dir, env, "go", "build", "-o", filepath.Join(dir, "service"), ".")
	f, err := modfile.Parse("go.mod", []byte(read(t, dir, "go.mod")), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range f.Require {
		requires = append(requires, r.Mod.Path)
		if slices.Contains(modules, r.Mod.Path) && r.Mod.Version != version {
			t.Errorf("%s is required as %s", r.Mod.Path, r.Mod.Version)
		}
	}
	return requires
}

func zipOf(proxy, path, version string) string {
	return filepath.Join(proxy, filepath.FromSlash(path), "@v", version+".zip")
}

// checkZip checks that a module's zip has a license, one go.mod, which replaces
// nothing, and no file of a module below its directory.
func checkZip(t *testing.T, name, dir, prefix string) {
	t.Helper()
	r, err := zip.OpenReader(name)
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Close()
	var mods []string
	for _, f := range r.File {
		if strings.HasSuffix(f.Name, "/go.mod") {
			mods = append(mods, f.Name)
		}
		if dir == "." && (strings.HasPrefix(f.Name, prefix+"cmd/") || strings.HasPrefix(f.Name, prefix+"exporters/xray/") || strings.HasPrefix(f.Name, prefix+"tools/")) {
			t.Errorf("%s is in the zip of the root", f.Name)
		}
	}
	if diff := cmp.Diff([]string{prefix + "go.mod"}, mods); diff != "" {
		t.Errorf("go.mod files in the zip of %s (-want +got):\n%s", dir, diff)
	}
	if _, err := fs.Stat(r, prefix+"LICENSE"); err != nil {
		t.Errorf("the zip of %s: %v", dir, err)
	}
	data, err := fs.ReadFile(r, prefix+"go.mod")
	if err != nil {
		t.Errorf("the zip of %s: %v", dir, err)
		return
	}
	f, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		t.Error(err)
		return
	}
	for _, replace := range f.Replace {
		t.Errorf("the go.mod in the zip of %s replaces %s", dir, replace.Old)
	}
	for _, require := range f.Require {
		if require.Mod.Version == "v0.0.0" {
			t.Errorf("the go.mod in the zip of %s requires %s", dir, require.Mod)
		}
	}
}

// shippedBy are the paths of the modules of a workspace, by directory.
func shippedBy(t *testing.T, repo string) map[string]string {
	t.Helper()
	work, err := modfile.ParseWork("go.work", []byte(read(t, repo, "go.work")), nil)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, use := range work.Use {
		all[strings.TrimPrefix(use.Path, "./")] = modfile.ModulePath([]byte(read(t, repo, use.Path+"/go.mod")))
	}
	return all
}

// forgetAfter takes a version of riffle's modules out of the module cache when the
// test ends, and nothing else.
func forgetAfter(t *testing.T, version string) {
	t.Helper()
	cache := strings.TrimSpace(output(t, ".", nil, "go", "env", "GOMODCACHE"))
	t.Cleanup(func() {
		repo := strings.TrimSpace(output(t, ".", nil, "git", "rev-parse", "--show-toplevel"))
		for _, path := range shippedBy(t, repo) {
			escaped, err := module.EscapePath(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := forget(cache, filepath.FromSlash(escaped), version); err != nil {
				t.Error(err)
			}
		}
	})
}

func forget(cache, path, version string) error {
	tree := filepath.Join(cache, path+"@"+version)
	// Directories of the module cache are read-only.
	err := filepath.WalkDir(tree, func(name string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(name, 0o755)
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	err = os.RemoveAll(tree)
	download := filepath.Join(cache, "cache", "download", path, "@v")
	names, _ := filepath.Glob(filepath.Join(download, version+".*"))
	for _, name := range names {
		err = errors.Join(err, os.Remove(name))
	}
	list := filepath.Join(download, "list")
	if data, absent := os.ReadFile(list); absent == nil {
		rest := strings.ReplaceAll(string(data), version+"\n", "")
		if rest == "" {
			err = errors.Join(err, os.Remove(list))
		} else {
			err = errors.Join(err, os.WriteFile(list, []byte(rest), 0o600))
		}
	}
	// The directories may hold real versions; if not, they are empty.
	for _, dir := range []string{filepath.Dir(tree), download} {
		for len(dir) > len(cache) && os.Remove(dir) == nil {
			dir = filepath.Dir(dir)
		}
	}
	return err
}

func fileURL(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // of a drive
	}
	return "file://" + path
}

// asSomebody lets git commit on a machine that nobody has set up.
func asSomebody(t *testing.T) {
	t.Helper()
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		t.Setenv("GIT_"+who+"_NAME", "somebody")
		t.Setenv("GIT_"+who+"_EMAIL", "somebody@example.com")
	}
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "commit.gpgSign")
	t.Setenv("GIT_CONFIG_VALUE_0", "false")
}

func output(t *testing.T, dir string, env []string, command ...string) string {
	t.Helper()
	// Cleanups run when the context of the test is done.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), command[0], command[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s in %s: %v\n%s%s", strings.Join(command, " "), dir, err, out, stderr.Bytes())
	}
	return string(out)
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	name = filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
