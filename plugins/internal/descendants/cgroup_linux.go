package descendants

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const cgroupPrefix = "riffle-plugin-"

// cgroup is a control group below that of this process.
type cgroup struct{ dir *os.File }

// newCgroup makes one; nil where that is not allowed, or the kernel cannot kill what
// is in one (before Linux 5.14).
func newCgroup(mark string) *cgroup {
	parent := ownCgroup()
	if parent == "" {
		return nil
	}
	name := filepath.Join(parent, cgroupPrefix+mark)
	if os.Mkdir(name, 0o755) != nil {
		return nil
	}
	return openCgroup(name)
}

func openCgroup(name string) *cgroup {
	dir, err := os.Open(name)
	if err == nil {
		if unix.Access(filepath.Join(name, "cgroup.kill"), unix.W_OK) == nil {
			return &cgroup{dir}
		}
		_ = dir.Close()
	}
	_ = os.Remove(name)
	return nil
}

// ownCgroup is the directory of the control group that this process is in; "" if there
// is none of version 2.
func ownCgroup() string {
	var path, root, mount string
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			path = p
		}
	}
	if text, err = os.ReadFile("/proc/self/mountinfo"); err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		before, after, _ := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if strings.HasPrefix(after, "cgroup2 ") && len(fields) > 4 {
			root, mount = fields[3], fields[4]
		}
	}
	relative, err := filepath.Rel(root, path)
	if path == "" || mount == "" || err != nil || strings.HasPrefix(relative, "..") {
		return ""
	}
	return filepath.Join(mount, relative)
}

// kill ends all that is in the group.
func (c *cgroup) kill() {
	_ = os.WriteFile(filepath.Join(c.dir.Name(), "cgroup.kill"), []byte("1"), 0) // remove tells
	for end := time.Now().Add(endWithin); time.Now().Before(end); time.Sleep(again) {
		events, err := os.ReadFile(filepath.Join(c.dir.Name(), "cgroup.events"))
		if err != nil || bytes.Contains(events, []byte("populated 0")) {
			return
		}
	}
}

// dead are those that have ended in the group and are children of this process, but
// for one.
func (c *cgroup) dead(but int) (all []ended) {
	self, name := strconv.Itoa(os.Getpid()), filepath.Base(c.dir.Name())
	for _, pid := range pids() {
		fields := stat(pid)
		if pid == but || fields == nil || fields[0] != zombie || fields[1] != self {
			continue
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok && slices.Contains(strings.Split(path, "/"), name) {
				all = append(all, ended{pid, fields[starttime]})
			}
		}
	}
	return all
}

// remove removes an empty group, and those that were made in it.
func (c *cgroup) remove() {
	_ = c.dir.Close()
	removeGroups(c.dir.Name()) // what is left there is told by its mark
}

func removeGroups(name string) {
	entries, _ := os.ReadDir(name)
	for _, e := range entries {
		if e.IsDir() {
			removeGroups(filepath.Join(name, e.Name()))
		}
	}
	_ = os.Remove(name)
}

// endCgroups ends what is in groups that others have left.
func endCgroups(theirs func(mark string) bool) {
	parent := ownCgroup()
	if parent == "" {
		return
	}
	entries, _ := os.ReadDir(parent)
	for _, e := range entries {
		mark, ok := strings.CutPrefix(e.Name(), cgroupPrefix)
		if !ok || !theirs(mark) {
			continue
		}
		if c := openCgroup(filepath.Join(parent, e.Name())); c != nil {
			c.kill()
			c.remove()
		}
	}
}
