package descendants

import (
	"crypto/rand"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Group is what one process of a plugin starts.
type Group struct {
	mark   string
	cgroup *cgroup // nil: there is none

	mu    sync.Mutex
	known []process
}

// New makes a group for a process that is to be started.
func New() *Group {
	g := &Group{mark: owner() + "-" + rand.Text()}
	g.cgroup = newCgroup(g.mark)
	return g
}

// Missing says why some descendants may outlive their plugin here; "" if none do.
func (g *Group) Missing() string {
	if g.cgroup != nil {
		return ""
	}
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return fmt.Sprintf("this kernel has no descriptors of processes (%v)", err)
	}
	_ = unix.Close(fd)
	if _, err := os.ReadFile("/proc/self/environ"); err != nil {
		return fmt.Sprintf("there is no /proc (%v)", err)
	}
	return ""
}

// Knows tells whether it knows all of them: there is a control group.
func (g *Group) Knows() bool { return g.cgroup != nil }

// Env is what the process must have in its environment.
func (g *Group) Env() []string { return []string{Variable + "=" + g.mark} }

// Join has a process that is started with attr belong to the group.
func (g *Group) Join(attr *syscall.SysProcAttr) {
	if g.cgroup != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, int(g.cgroup.dir.Fd())
	}
}

// Leave has Join do less, for where the system refused it, and tells whether it does.
func (g *Group) Leave() bool {
	if g.cgroup == nil {
		return false
	}
	g.cgroup.remove()
	g.cgroup = nil
	return true
}

// Note remembers what the process has started so far, before it ends: who has another
// environment and loses its parent cannot be found later.
func (g *Group) Note(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known = append(g.known, below(pid, maxKnown-len(g.known))...)
}

const (
	// maxKnown bounds the descriptors that a plugin can have this process open.
	maxKnown = 256
	// endWithin is how long all of them may take to end, again how often it is looked.
	endWithin = 2 * time.Second
	again     = 5 * time.Millisecond
)

// End ends all of them, and returns how many it could not. The process itself, 0 if
// there was none, has ended, and is left to who waits for it.
func (g *Group) End(pid int) int {
	g.mu.Lock()
	known := g.known
	g.known = nil
	g.mu.Unlock()
	var killed []ended
	for _, p := range known {
		if fields := stat(p.pid); fields != nil && fields[starttime] == p.began {
			killed = append(killed, p.ended)
		}
		p.kill()
		p.close()
	}
	if g.cgroup != nil {
		g.cgroup.kill()
	}
	left, marked := endMarked(func(_ int, mark string) bool { return mark == g.mark })
	reap(append(killed, marked...))
	if g.cgroup != nil {
		reap(g.cgroup.dead(pid))
		g.cgroup.remove()
	}
	return left
}

// EndOrphans ends what plugins have left whose hosts were killed: hosts that this
// process can tell are gone.
func EndOrphans() {
	endCgroups(isOrphan)
	endMarked(func(_ int, mark string) bool { return isOrphan(mark) })
}

// EndMine ends what this process has started, a plugin at its end: its host may be
// gone, and nobody else does it.
func EndMine() {
	for _, p := range below(os.Getpid(), math.MaxInt) {
		p.kill()
		p.close()
	}
	mine := os.Getenv(Variable)
	if mine == "" {
		return
	}
	above := map[int]bool{}
	for pid := os.Getppid(); pid > 1 && !above[pid]; {
		above[pid] = true
		if fields := stat(pid); fields != nil {
			pid, _ = strconv.Atoi(fields[1])
		}
	}
	endMarked(func(pid int, mark string) bool { return mark == mine && !above[pid] })
}

// endMarked kills until it finds nobody any more: they may start others meanwhile.
func endMarked(ours func(pid int, mark string) bool) (left int, killed []ended) {
	for end := time.Now().Add(endWithin); ; time.Sleep(again) {
		left = 0
		for _, pid := range pids() {
			if !ours(pid, markOf(pid)) {
				continue
			}
			p, err := open(pid)
			if err != nil {
				continue // it has ended
			}
			if ours(pid, markOf(pid)) {
				left++
				killed = append(killed, p.ended)
				p.kill()
			}
			p.close()
		}
		if left == 0 || time.Now().After(end) {
			return left, killed
		}
	}
}

// owner names this process: by the namespace of its number, the number, and when it was
// started.
func owner() string {
	namespace, _ := os.Readlink("/proc/self/ns/pid")
	digits := strings.Trim(namespace, "pid:[]")
	return fmt.Sprintf("%s-%d-%s", digits, os.Getpid(), startOf(os.Getpid()))
}

// isOrphan reports whether the host that made a mark is gone. Of another namespace this
// process knows nothing.
func isOrphan(mark string) bool {
	fields := strings.Split(mark, "-")
	if len(fields) != 4 || !strings.HasPrefix(owner(), fields[0]+"-") || fields[0] == "" {
		return false
	}
	pid, err := strconv.Atoi(fields[1])
	return err == nil && fields[2] != "" && startOf(pid) != fields[2]
}
