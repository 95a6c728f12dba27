//go:build darwin || freebsd || linux

package doctor

import (
	"errors"
	"syscall"
)

// freeBytes is how much there is room for where a directory is.
func freeBytes(dir string) (free int64, ok bool) {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true //nolint:unconvert // they are not the same everywhere
}

// isFull reports whether there was no room to write.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// maxFiles is how many files this process can have open.
func maxFiles() (n uint64, ok bool) {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0, false
	}
	return uint64(l.Max), true //nolint:unconvert // likewise; Go has raised the other one to it
}
