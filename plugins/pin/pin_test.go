package pin

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const file = "riffle-plugin-x"

func install(t *testing.T, content string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func pinned(t *testing.T) (dir string) {
	t.Helper()
	dir = install(t, "#!/bin/sh\n")
	sum, err := Sum(dir, file)
	if err != nil {
		t.Fatal(err)
	}
	if err := (Lock{}).With(Pin{File: file, SHA256: sum}).Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCopy(t *testing.T) {
	dir, tmp := pinned(t), t.TempDir()
	p, err := Copy(dir, file, tmp, false)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x", sha256.Sum256([]byte("#!/bin/sh\n"))); p.SHA256 != want || !p.Pinned {
		t.Errorf("the program is %+v, want %s", p, want)
	}
	info, err := os.Stat(filepath.Dir(p.Path))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory of the copy has mode %v: %v", info.Mode(), err)
	}
	if err := p.Remove(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

func TestRefused(t *testing.T) {
	tests := []struct {
		name     string
		spoil    func(t *testing.T, dir string)
		unpinned bool
		want     string
	}{
		{"unpinned", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, LockFile))) }, false, "is not pinned in riffle-plugins.lock"},
		{"different", func(t *testing.T, dir string) { write(t, dir, "other") }, true, "is not the file that was pinned"},
		{"writable", func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, file), 0o722)) }, true, "can be written by others (mode 0722)"},
		{"directory writable", func(t *testing.T, dir string) { must(t, os.Chmod(dir, 0o777)) }, true, "its directory: can be written by others"},
		{"not executable", func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, file), 0o600)) }, true, "is not executable"},
		{"link out", func(t *testing.T, dir string) {
			out := install(t, "#!/bin/sh\n")
			must(t, os.Remove(filepath.Join(dir, file)))
			must(t, os.Symlink(filepath.Join(out, file), filepath.Join(dir, file)))
		}, true, "is a link out of its directory"},
		{"directory", func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, file)))
			must(t, os.Mkdir(filepath.Join(dir, file), 0o700))
		}, true, "is not a file"},
		{"missing", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, file))) }, true, "no such file"},
		{"lock writable", func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, LockFile), 0o666)) }, true, "can be written by others"},
		{"lock foreign", func(t *testing.T, dir string) {
			giveAway(t, filepath.Join(dir, LockFile))
		}, true, "belongs to user 4711, who is neither root nor the user of this process"},
		{"program foreign", func(t *testing.T, dir string) { giveAway(t, filepath.Join(dir, file)) }, true, "belongs to user 4711, who is neither root nor the user of this process"},
		{"directory foreign", func(t *testing.T, dir string) { giveAway(t, dir) }, true, "its directory: belongs to user 4711"},
		{"parent foreign", func(t *testing.T, dir string) { giveAway(t, filepath.Dir(dir)) }, true, "belongs to user 4711"},
		{"parent writable", func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Dir(dir), 0o777)) }, true, "can be written by others (mode 0777): chmod go-w it, or set its sticky bit"},
		{"huge", func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, file), 1<<40)) }, true, "is larger than 1 GiB"},
		{"lock huge", func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, LockFile), 1<<40)) }, true, "is too large: want at most 1 MiB"},
		{"lock broken", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, LockFile), []byte("nonsense\n"), 0o600))
		}, true, "line 1: want 64 hex digits"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, tmp := pinned(t), t.TempDir()
			tt.spoil(t, dir)
			_, err := Copy(dir, file, tmp, tt.unpinned)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), dir) && tt.name != "missing" {
				t.Errorf("the error is\n%v\nwithout\n%s", err, tt.want)
			}
			if left, _ := os.ReadDir(tmp); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		})
	}
}

// giveAway makes a file another user's.
func giveAway(t *testing.T, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away; CI runs as root")
	}
	must(t, os.Chown(path, 4711, -1))
}

// A copy is not made where others could put another in its place.
func TestCopyDirectory(t *testing.T) {
	dir, tmp := pinned(t), t.TempDir()
	must(t, os.Chmod(tmp, 0o777))
	if _, err := Copy(dir, file, tmp, false); err == nil || !strings.Contains(err.Error(), "the private copy would not be private: the directory "+tmp+" can be written by others") {
		t.Errorf("the error is %v", err)
	}
	must(t, os.Chmod(tmp, 0o777|os.ModeSticky))
	p, err := Copy(dir, file, tmp, false)
	must(t, err)
	must(t, p.Remove())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir, content string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, file), []byte(content), 0o700))
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(header + strings.Repeat("a", 64) + "  riffle-plugin-x\n"))
	f.Add([]byte(strings.Repeat("a", 64) + "  ../x\n\n#\nnonsense"))
	f.Fuzz(func(t *testing.T, data []byte) {
		lock, err := Parse(data)
		if err != nil {
			return
		}
		for _, p := range lock {
			if p.File != filepath.Base(p.File) || len(p.SHA256) != 64 {
				t.Errorf("it has the pin %+v", p)
			}
		}
	})
}
