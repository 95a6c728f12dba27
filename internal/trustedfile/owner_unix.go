//go:build unix

package trustedfile

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"syscall"
)

// Checked tells that owners and modes are checked on this system.
const Checked = true

// Flags of [os.OpenFile]: a link is not followed, and a pipe holds nobody up.
const (
	NoFollow = syscall.O_NOFOLLOW
	NonBlock = syscall.O_NONBLOCK
)

// Own reports whether it belongs to the user of this process.
func Own(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// Owner refuses what belongs to somebody else than this process or root.
func Owner(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid == 0 || int(stat.Uid) == os.Geteuid() {
		return nil
	}
	return fmt.Errorf("belongs to user %d, who is neither root nor the user of this process (%d): chown it if it is yours", stat.Uid, os.Geteuid())
}

// Mode refuses what others can write.
func Mode(info fs.FileInfo, g Group) error {
	mode := info.Mode().Perm()
	if mode&0o002 != 0 || mode&0o020 != 0 && (!bool(g) || !InGroup(info)) {
		return fmt.Errorf("can be written by others (mode %04o): chmod go-w it", mode)
	}
	return nil
}

// worldMode refuses what everybody can write.
func worldMode(info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o002 != 0 {
		return fmt.Errorf("can be written by everybody (mode %04o): chmod o-w it", mode)
	}
	return nil
}

// sharedMode refuses directories in which others can replace what is not theirs. A
// group of root's is one that root has chosen.
func sharedMode(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode()
	switch {
	case mode&fs.ModeSticky != 0:
		return nil
	case mode&0o002 != 0, mode&0o020 != 0 && ok && stat.Uid != 0 && !InGroup(info):
		return fmt.Errorf("can be written by others (mode %04o): chmod go-w it, or set its sticky bit with chmod +t", mode.Perm())
	default:
		return nil
	}
}

// Links is how many names a file has.
func Links(info fs.FileInfo) uint64 {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 1
	}
	return uint64(stat.Nlink) //nolint:unconvert // it is not the same everywhere
}

// InGroup reports whether this process is in the group of a file.
func InGroup(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && slices.Contains(groups(), int(stat.Gid))
}

var groups = sync.OnceValue(func() []int {
	more, _ := os.Getgroups()
	return append(more, os.Getegid())
})
