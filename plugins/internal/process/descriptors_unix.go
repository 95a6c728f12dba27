//go:build unix

package process

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// inherited returns what makes [exec.Cmd.ExtraFiles] close every descriptor
// that a child would inherit. Those that Go opens are never inherited, but the
// host may itself have inherited some, or C code may have opened them.
func inherited() []*os.File {
	dir, err := os.Open("/dev/fd")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil
	}
	const first = 3
	var last int
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || fd < first {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			last = max(last, fd)
		}
	}
	if last == 0 {
		return nil
	}
	return make([]*os.File, last-first+1) // one that is nil is closed
}
