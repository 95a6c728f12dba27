package doctor

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
)

const (
	// defaultQueue is how much a memory queue holds where an entry says nothing.
	defaultQueue = 32 << 20
	// fewFiles is how many open files are a warning.
	fewFiles = 256
	// unlimited is more than any machine has: what cgroups say for no limit is near it.
	unlimited = 1 << 60
)

// checkMemory compares what riffle may hold with what the process may.
func (x *examination) checkMemory(context.Context) []Result {
	r := Result{Check: "memory", Status: OK}
	most := int64(cmp.Or(x.spec.MaxBytes, 64<<20))
	parts := []string{fmt.Sprintf("max_bytes %s", component.Size(most))}
	for i := range x.spec.Exporters {
		e := &x.spec.Exporters[i]
		size := int64(defaultQueue)
		if d := e.Delivery; d != nil {
			if d.Queue.Storage == delivery.StorageDisk {
				continue
			}
			size = int64(cmp.Or(d.Queue.MaxBytes, defaultQueue))
		}
		most += size
		parts = append(parts, fmt.Sprintf("queue of %s %s", e.ID(), component.Size(size)))
	}
	r.Found = fmt.Sprintf("riffle holds at most about %s (%s)", component.Size(most), strings.Join(parts, ", "))
	limit, by := x.memoryLimit()
	switch {
	case limit >= unlimited:
		r.Found += "; this process has no limit"
	case most > limit/2:
		r.Status = Warning
		r.Found += fmt.Sprintf(", more than half of what this process may have: %s, says %s", component.Size(limit), by)
		r.Do = "write a smaller max_bytes and queue.max_bytes, or give the service more memory; run this where the service runs, since limits of containers are theirs"
	default:
		r.Found += fmt.Sprintf(", of %s that this process may have, says %s", component.Size(limit), by)
	}
	return []Result{r}
}

// memoryLimit is the least of the limits of this process, and who sets it.
func (x *examination) memoryLimit() (limit int64, by string) {
	limit, by = math.MaxInt64, ""
	if own := debug.SetMemoryLimit(-1); own < limit {
		limit, by = own, "GOMEMLIMIT"
	}
	for _, name := range x.cgroupFiles() {
		data, err := os.ReadFile(name) //nolint:gosec // the kernel's
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil && n > 0 && n < limit {
			limit, by = n, "the cgroup ("+name+")"
		}
	}
	return limit, by
}

// maxGroups bounds how many cgroups are looked at.
const maxGroups = 32

// cgroupFiles are where the kernel tells the limits of memory of this process, of both
// versions of cgroups.
func (x *examination) cgroupFiles() []string {
	root := filepath.Join(x.system, "sys/fs/cgroup")
	all := []string{filepath.Join(root, "memory.max"), filepath.Join(root, "memory/memory.limit_in_bytes")}
	data, err := os.ReadFile(filepath.Join(x.system, "proc/self/cgroup"))
	if err != nil {
		return all
	}
	for line := range strings.Lines(string(data)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, ok := strings.Cut(rest, ":")
		if !ok || controllers != "" && controllers != "memory" {
			continue
		}
		for at := filepath.Clean("/" + path); at != "/" && len(all) < maxGroups; at = filepath.Dir(at) {
			if controllers == "" {
				all = append(all, filepath.Join(root, at, "memory.max"))
			} else {
				all = append(all, filepath.Join(root, "memory", at, "memory.limit_in_bytes"))
			}
		}
	}
	return all
}

// inContainer guesses whether this process runs in a container.
func (x *examination) inContainer() bool {
	for _, name := range []string{".dockerenv", "run/.containerenv"} {
		if _, err := os.Stat(filepath.Join(x.system, name)); err == nil {
			return true
		}
	}
	return os.Getenv("KUBERNETES_SERVICE_HOST") != ""
}

// checkFiles says whether there are enough files for connections and queues.
func (*examination) checkFiles(context.Context) []Result {
	r := Result{Check: "files", Status: OK}
	n, ok := maxFiles()
	switch {
	case !ok:
		r.Status, r.Found = Skipped, "this system does not tell how many files can be open"
	case n < fewFiles:
		r.Status, r.Found = Warning, fmt.Sprintf("at most %d files can be open: connections and queues need some", n)
		r.Do = "raise the limit: ulimit -n, or LimitNOFILE of the unit"
	case n > math.MaxInt32:
		r.Found = "as many files can be open as there are"
	default:
		r.Found = fmt.Sprintf("%d files can be open", n)
	}
	return []Result{r}
}
