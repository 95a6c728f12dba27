//go:build !linux

package descendants

import "syscall"

// Group is what one process of a plugin starts.
type Group struct{}

// New makes a group for a process that is to be started.
func New() *Group { return &Group{} }

// Missing says why some descendants may outlive their plugin here; "" if none do.
func (*Group) Missing() string { return "this system does not tell which processes come from a plugin" }

// Env is what the process must have in its environment.
func (*Group) Env() []string { return nil }

// Join has a process that is started with attr belong to the group.
func (*Group) Join(*syscall.SysProcAttr) {}

// Leave has Join do less, for where the system refused it.
func (*Group) Leave() bool { return false }

// Note remembers what the process has started so far, before it ends.
func (*Group) Note(int) {}

// End ends all of them, and returns how many it could not.
func (*Group) End(int) int { return 0 }

// EndMine ends what this process has started, a plugin at its end.
func EndMine() {}

// EndOrphans ends what plugins have left whose hosts were killed.
func EndOrphans() {}
