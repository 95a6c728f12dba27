//go:build unix

package pin

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// own reports whether it belongs to the user of this process.
func own(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// foreign refuses what belongs to somebody else than this process or root.
func foreign(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid == 0 || int(stat.Uid) == os.Geteuid() {
		return nil
	}
	return fmt.Errorf("belongs to user %d, who is neither root nor the user of this process (%d)", stat.Uid, os.Geteuid())
}

// writable refuses what others can write.
func writable(info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("can be written by others (mode %04o): chmod go-w it", mode)
	}
	return nil
}

// runnable refuses what is no program.
func runnable(info fs.FileInfo) error {
	if info.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("is not executable (mode %04o): chmod +x it", info.Mode().Perm())
	}
	return nil
}
