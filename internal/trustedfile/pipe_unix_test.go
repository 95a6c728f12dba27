//go:build unix

package trustedfile_test

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/riffletrace/riffle/internal/trustedfile"
)

// A pipe that nobody writes to holds nobody up.
func TestPipe(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(name, 0o600))
	if _, err := trustedfile.ReadSetting(name, 4); !errors.Is(err, trustedfile.ErrNotRegular) {
		t.Errorf("read: %v", err)
	}
	if err := trustedfile.CheckSetting(name, 4); !errors.Is(err, trustedfile.ErrNotRegular) {
		t.Errorf("checked: %v", err)
	}
}
