package pin

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// copyVariable makes the test binary a process that holds a copy of the program in
// the directory, until it is killed.
const copyVariable = "RIFFLE_TEST_COPY"

func TestMain(m *testing.M) {
	if dir := os.Getenv(copyVariable); dir != "" {
		p, err := Copy(dir, file, "", false)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(p.Path)
		select {}
	}
	os.Exit(m.Run())
}

// holder starts a process that holds a copy.
func holder(t *testing.T, dir, tmp string) (path string, kill func()) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), copyVariable+"="+dir, "TMPDIR="+tmp)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var once sync.Once
	kill = func() {
		once.Do(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
	t.Cleanup(kill)
	path, err = bufio.NewReader(out).ReadString('\n')
	must(t, err)
	return strings.TrimSpace(path), kill
}

// The next process of the same user removes the copies of those that were killed,
// and none of those that live, nor what is nobody's copy.
func TestAbandoned(t *testing.T) {
	dir, tmp := pinned(t), t.TempDir()
	dead, kill := holder(t, dir, tmp)
	kill()
	if !exists(t, dead) {
		t.Fatal("the copy of a killed process is gone by itself")
	}
	living, _ := holder(t, dir, tmp)
	ours, err := Copy(dir, file, tmp, false)
	must(t, err)
	must(t, os.Mkdir(filepath.Join(tmp, copyPrefix+"1"), 0o700)) // of one that was killed before it was locked
	var kept []string
	for _, name := range []string{copyPrefix + "zipkin/" + copyLock, copyPrefix + "2/main.go"} {
		name = filepath.Join(tmp, name)
		must(t, os.Mkdir(filepath.Dir(name), 0o700))
		must(t, os.WriteFile(name, nil, 0o600))
		kept = append(kept, name)
	}
	second, err := Copy(dir, file, tmp, false)
	must(t, err)
	for _, path := range append(kept, living, ours.Path, second.Path) {
		if !exists(t, path) {
			t.Errorf("%s was removed", path)
		}
	}
	for _, path := range []string{filepath.Dir(dead), filepath.Join(tmp, copyPrefix+"1")} {
		if exists(t, path) {
			t.Errorf("%s is left", path)
		}
	}
	must(t, errors.Join(ours.Remove(), second.Remove()))
}

// However many start and end at once, none loses its copy.
func TestAbandonedConcurrent(t *testing.T) {
	dir, tmp := pinned(t), t.TempDir()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 25 {
				p, err := Copy(dir, file, tmp, false)
				if err != nil {
					t.Error(err)
					return
				}
				if !exists(t, p.Path) {
					t.Errorf("%s was removed", p.Path)
				}
				if err := p.Remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// A copy that was deleted is made again of the same file, and of no other.
func TestRenew(t *testing.T) {
	dir, tmp := pinned(t), t.TempDir()
	p, err := Copy(dir, file, tmp, false)
	must(t, err)
	defer func() { must(t, p.Remove()) }()
	first := p.Path
	must(t, p.Renew())
	if p.Path != first {
		t.Error("a copy that is there was made again")
	}
	for name, deleted := range map[string]func() string{
		"the copy":      func() string { return p.Path },
		"its directory": func() string { return filepath.Dir(p.Path) },
	} {
		before := p.Path
		must(t, os.RemoveAll(deleted()))
		must(t, p.Renew())
		if !exists(t, p.Path) || p.Path == before {
			t.Errorf("%s was deleted and is not made again", name)
		}
	}
	if left, _ := os.ReadDir(tmp); len(left) != 1 {
		t.Errorf("%d directories, want that of the copy", len(left))
	}

	must(t, os.Remove(p.Path))
	write(t, dir, "#!/bin/sh\nanother\n")
	fails := func(want string) {
		t.Helper()
		if err := p.Renew(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "was deleted and cannot be made again") {
			t.Errorf("the error is %v, without %s", err, want)
		}
	}
	fails("is not the file that was pinned")
	sum, err := Sum(dir, file)
	must(t, err)
	must(t, (Lock{}).With(Pin{File: file, SHA256: sum}).Write(dir))
	fails("is another file than the one that was started: restart the service to run it")
	must(t, os.Remove(filepath.Join(dir, file)))
	fails("no such file")
	if left, _ := os.ReadDir(tmp); len(left) != 1 {
		t.Errorf("%d directories are left, want one", len(left))
	}
}

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Lstat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	return err == nil
}
