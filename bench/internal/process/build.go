package process

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Cached builds a package of the module in dir into the user's cache
// directory, unless the same was built before: its name there is a hash of the
// module and the toolchain.
func Cached(dir, pkg string) (program string, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOOS, runtime.GOARCH, pkg)
	for _, file := range files { // sorted
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %x\n", filepath.Base(file), sha256.Sum256(data))
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	name := filepath.Base(dir)
	program = filepath.Join(cache, "riffle-interop", fmt.Sprintf("%s-%x", name, hash.Sum(nil)[:8]))
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		return "", err
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(program), "building-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(unfinished)
	built := filepath.Join(unfinished, name)
	if err := Build(dir, pkg, built); err != nil {
		return "", err
	}
	return program, os.Rename(built, program)
}

// Build builds a package of the module in dir.
func Build(dir, pkg, output string) error {
	cmd := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", output, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s in %s: %w\n%s", pkg, dir, err, out)
	}
	return nil
}
