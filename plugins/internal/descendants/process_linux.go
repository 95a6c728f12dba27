package descendants

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is one that is held by a descriptor.
type process struct {
	ended
	fd int
}

func open(pid int) (process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	return process{ended{pid, startOf(pid)}, fd}, err
}

func (p process) kill() {
	_ = unix.PidfdSendSignal(p.fd, unix.SIGKILL, nil, 0) // it may have ended
}

func (p process) close() { _ = unix.Close(p.fd) }

// pids are those of all processes but this one.
func pids() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // what there is of them
	var all []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid != os.Getpid() {
			all = append(all, pid)
		}
	}
	return all
}

// markOf is the mark of a process; "" if it has none, or is another user's.
func markOf(pid int) string {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return ""
	}
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if mark, ok := bytes.CutPrefix(entry, []byte(Variable+"=")); ok {
			return string(mark)
		}
	}
	return ""
}

// below are the children of a process, and theirs, as many as may be.
func below(pid, most int) []process {
	children := map[int][]int{}
	for _, p := range pids() {
		if fields := stat(p); fields != nil {
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], p)
		}
	}
	var all []process
	for left := children[pid]; len(left) > 0 && len(all) < most; {
		child := left[0]
		left = append(left[1:], children[child]...)
		began := startOf(child)
		p, err := open(child)
		if err != nil {
			continue
		}
		if began == "" || p.began != began { // another has its number
			p.close()
			continue
		}
		all = append(all, p)
	}
	return all
}

// ended is a process that was killed, without a descriptor: there may be many.
type ended struct {
	pid   int
	began string
}

// reap waits until they have ended, and takes what is left of those that have become
// children of this process, as where that is the first one of a container: nobody else
// does it.
func reap(killed []ended) {
	self := strconv.Itoa(os.Getpid())
	for end := time.Now().Add(endWithin); len(killed) > 0 && time.Now().Before(end); time.Sleep(again) {
		parents := map[string]bool{self: true}
		for _, p := range killed {
			parents[strconv.Itoa(p.pid)] = true
		}
		killed = slices.DeleteFunc(killed, func(p ended) bool {
			fields := stat(p.pid)
			switch {
			case fields == nil || fields[starttime] != p.began:
				return true
			case fields[0] != zombie:
				return false
			case fields[1] == self:
				_, _ = unix.Wait4(p.pid, nil, unix.WNOHANG, nil) // somebody else may have been first
				return true
			default:
				return !parents[fields[1]] // its parent may end, and leave it to this process
			}
		})
	}
}

// The fields of stat that have a name here, counted from the state, which is the third.
const (
	zombie    = "Z"
	starttime = 22 - 3
)

// stat are the fields of /proc/PID/stat from the state on; nil if there is no such
// process.
func stat(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	_, after, _ := strings.Cut(string(text[bytes.LastIndexByte(text, ')')+1:]), " ")
	fields := strings.Fields(after)
	const least = 20
	if len(fields) < least {
		return nil
	}
	return fields
}

// startOf is when a process was started, in ticks since the machine was; "" if there
// is none. With the number it is one process.
func startOf(pid int) string {
	fields := stat(pid)
	if fields == nil {
		return ""
	}
	return fields[starttime]
}
