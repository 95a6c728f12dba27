package doctor

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A disk without room, as a limit of the process makes one: of a process of its own,
// since the limit is on all of its files.
func TestQueueWithoutRoom(t *testing.T) {
	const child = "RIFFLE_DOCTOR_TEST_NO_ROOM"
	if os.Getenv(child) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestQueueWithoutRoom$", "-test.v") //nolint:gosec // this test
		cmd.Env = append(os.Environ(), child+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestQueueWithoutRoom") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	o := options(t, queued(t.TempDir()))
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var unlimited syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &unlimited); err != nil {
		t.Fatal(err)
	}
	limited := syscall.Rlimit{Cur: probeBytes / 2, Max: unlimited.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limited); err != nil {
		t.Fatal(err)
	}
	r := Run(t.Context(), o)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &unlimited); err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Checks {
		if c.Check == "queue" && (c.Status != Fault || c.Do != mendDisk(syscall.EFBIG)) {
			t.Errorf("%+v", c)
		}
	}
}

// A directory that the user may not write, who is not root for a moment.
func TestNotWritable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	if err := os.Mkdir(dir, 0o555); err != nil { //nolint:gosec // it is read
		t.Fatal(err)
	}
	o := options(t, queued(dir, fmt.Sprintf("  - {type: file, path: %q}", filepath.Join(dir, "spans.json"))))
	if os.Geteuid() == 0 {
		const nobody = 65534
		for _, name := range []string{dir, o.File} {
			for up := filepath.Dir(name); up != filepath.Clean(os.TempDir()); up = filepath.Dir(up) { //nolint:usetesting // up to where all tests are
				if err := os.Chmod(up, 0o755); err != nil { //nolint:gosec // others are to come through
					t.Fatal(err)
				}
			}
		}
		if err := os.Chmod(o.File, 0o644); err != nil { //nolint:gosec // and to read it
			t.Fatal(err)
		}
		if err := syscall.Setresuid(-1, nobody, -1); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := syscall.Setresuid(-1, 0, -1); err != nil {
				t.Error(err)
			}
		}()
	}
	diagnose(t, o, want{"queue", Fault, "permission denied", "let the user of the service write there"},
		want{"export", Fault, "it cannot be written: open " + dir, "let the user of the service write there"})
}
