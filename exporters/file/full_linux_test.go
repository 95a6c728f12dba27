package file_test

import (
	"errors"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/riffletrace/riffle/exporters/file"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// When there is no room, an export fails as a whole: no half line is left,
// and the next one that has room succeeds. The limit that stands in for a full
// disk is the process's, so that this runs in one of its own: the limit would also
// hold for what the testing package writes.
func TestNoRoom(t *testing.T) {
	const child = "RIFFLE_TEST_NO_ROOM"
	if os.Getenv(child) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNoRoom$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestNoRoom") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	path := at(t)
	e := open(t, file.Config{Path: path})
	export(t, e, "before")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}

	// Some bytes fit.
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var unlimited syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &unlimited); err != nil {
		t.Fatal(err)
	}
	limited := syscall.Rlimit{Cur: uint64(info.Size()) + 20, Max: unlimited.Max}
	if limited.Cur > math.MaxInt32 {
		t.Fatal("the file is not as small as it should be")
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limited); err != nil {
		t.Fatal(err)
	}
	exportErr := e.ExportSpans(t.Context(), otlptest.Spans("lost"))
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &unlimited); err != nil {
		t.Fatal(err)
	}

	if !errors.Is(exportErr, syscall.EFBIG) {
		t.Errorf("got %v, want EFBIG", exportErr)
	}
	wantSpans(t, path, "before")
	export(t, e, "after")
	wantSpans(t, path, "before", "after")
}
