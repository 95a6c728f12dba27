package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/delivery/disk"
	"github.com/riffletrace/riffle/internal/trustedfile"
)

const (
	// stale is how old what waits may be, where no process works with it.
	stale = time.Hour
	// probeBytes is what is written to find out whether there is room.
	probeBytes = 64 << 10
)

// checkQueues looks at the directories of disk queues.
func (x *examination) checkQueues(ctx context.Context) (results []Result) {
	var known []disk.Identity
	dirs := map[string]bool{}
	for i := range x.spec.Exporters {
		e := &x.spec.Exporters[i]
		id := disk.Identity{Name: e.ID(), Type: e.Type()}
		if c, ok := e.Connection(); ok {
			id.Endpoint = c.Endpoint
		}
		known = append(known, id)
	}
	for i := range x.spec.Exporters {
		e := &x.spec.Exporters[i]
		if e.Delivery == nil || e.Delivery.Queue.Storage != delivery.StorageDisk {
			continue
		}
		if ctx.Err() != nil {
			return append(results, interrupted("queue", e.ID()))
		}
		dir := e.Delivery.Queue.Dir
		if dir == "" {
			results = append(results, Result{Check: "queue", Subject: e.ID(), Status: Skipped, Found: "queue.dir has a mistake"})
			continue
		}
		results = append(results, checkQueue(e, known[i], dir))
		if !dirs[dir] {
			dirs[dir] = true
			results = append(results, x.strangers(dir, known)...)
		}
	}
	if len(results) == 0 {
		results = []Result{{Check: "queue", Status: OK, Found: "what waits is in memory, and is lost with the process"}}
	}
	return results
}

// checkQueue looks at the directory of one exporter, as its queue would use it.
func checkQueue(e *core.ExporterEntry, id disk.Identity, dir string) Result {
	r := Result{Check: "queue", Subject: e.ID(), Status: OK}
	fault := func(found, do string) Result {
		r.Status, r.Found, r.Do = Fault, found, do
		return r
	}
	there := dir
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if there = existing(dir); there == "" {
			return fault(dir+" does not exist, nor anything above it", "correct queue.dir")
		}
		r.Found = dir + " does not exist yet, and can be made"
	case err != nil:
		return fault(err.Error(), "let the user of the service read it, or correct queue.dir")
	case !info.IsDir():
		return fault(dir+" is not a directory", "correct queue.dir")
	default:
		if err := trustedfile.Owner(info); err != nil {
			return fault(dir+" "+err.Error(), "run this as the user of the service; if that is who you are, chown the directory")
		}
		r.Found = dir
	}
	if err := tryWrite(there); err != nil {
		return fault("cannot be written: "+err.Error(), mendDisk(err))
	}
	if free, ok := freeBytes(there); ok {
		r.Found += fmt.Sprintf(", %s free", component.Size(free/(1<<20)*(1<<20)))
		if most := cmp.Or(e.Delivery.Queue.MaxBytes, 1<<30); free < int64(most) {
			r.Status, r.Do = Warning, "make room, or write a smaller queue.max_bytes: then the queue drops by its own rule before the disk is full"
			r.Found += fmt.Sprintf(", less than queue.max_bytes (%s)", most)
		}
	}
	if wd, err := os.Getwd(); err == nil && !filepath.IsAbs(dir) {
		r.Details = append(r.Details, "it is relative to the working directory, which for the service may be another than "+wd)
	}
	if there != dir {
		return r
	}
	queues, err := disk.Inspect(disk.OS{AnyOwner: true}, dir)
	if err != nil && len(queues) == 0 {
		return fault(err.Error(), "let the user of the service read it")
	}
	for _, q := range queues {
		if q.Equal(id) || q.Name == id.Name && q.Type == id.Type && id.Endpoint == "" {
			lookInto(&r, q, dir)
		}
	}
	return r
}

// lookInto tells what waits for an exporter.
func lookInto(r *Result, q disk.Queue, dir string) {
	if info, err := os.Lstat(q.Dir); err == nil {
		if err := trustedfile.Owner(info); err != nil {
			r.Status, r.Found = Fault, q.Dir+" "+err.Error()
			r.Do = "run this as the user of the service; if that is who you are, chown the directory: what is in it is not taken over meanwhile"
			return
		}
	}
	batches, spans := q.Waiting()
	damaged, bytes := 0, int64(0)
	var oldest time.Time
	for _, p := range q.Parts {
		damaged += len(p.Damaged)
		for _, e := range p.Ready {
			bytes += e.Size
			if oldest.IsZero() || e.FirstEnd.Before(oldest) {
				oldest = e.FirstEnd
			}
		}
	}
	if batches > 0 {
		age := time.Since(oldest)
		r.Found += fmt.Sprintf("; %s with %d spans wait, %s, the oldest of %s", plural(batches, "batch", "batches"), spans, component.Size(bytes), oldest.UTC().Format(time.RFC3339))
		if age > stale && r.Status == OK {
			r.Status, r.Do = Warning, "find out why nobody sends them: the receiver refuses, or no service runs with this configuration"
		}
	}
	if damaged > 0 {
		r.Details = append(r.Details, fmt.Sprintf("%d damaged files: riffle queue ls %s names them", damaged, dir))
	}
}

// strangers are batches that no exporter of the configuration sends.
func (x *examination) strangers(dir string, known []disk.Identity) (results []Result) {
	queues, _ := disk.Inspect(disk.OS{AnyOwner: true}, dir) // what cannot be looked at was told
	for _, q := range queues {
		ours := false
		for _, id := range known {
			ours = ours || q.Equal(id) || q.Name == id.Name && q.Type == id.Type && id.Endpoint == ""
		}
		batches, spans := q.Waiting()
		if ours || batches == 0 || q.InUse() {
			continue
		}
		results = append(results, Result{
			Check: "queue", Subject: q.Name, Status: Warning,
			Found: fmt.Sprintf("%s with %d spans wait in %s for %s, and no exporter of this configuration is that", plural(batches, "batch", "batches"), spans, dir, cmp.Or(q.Endpoint, "an exporter that is not known")),
			Do:    fmt.Sprintf("send them: %s queue send %s --to ENDPOINT; or delete them: %[1]s queue purge %[2]s; with --exporter and --endpoint as %[1]s queue ls shows them", x.Program, dir),
		})
	}
	return results
}

// existing is the directory above that is there; "" if none is.
func existing(dir string) string {
	for at := filepath.Dir(filepath.Clean(dir)); ; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err == nil {
			if !info.IsDir() {
				return ""
			}
			return at
		}
		if at == filepath.Dir(at) {
			return ""
		}
	}
}

// tryWrite writes a file and deletes it.
func tryWrite(dir string) (err error) {
	f, err := os.CreateTemp(dir, ".riffle-doctor-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.Write(make([]byte, probeBytes))
	return errors.Join(err, f.Sync(), f.Close())
}

// mendDisk is what to do where a file cannot be written.
func mendDisk(err error) string {
	switch {
	case isFull(err):
		return "make room: batches wait in memory meanwhile, and are lost with the process"
	case errors.Is(err, fs.ErrPermission):
		return "let the user of the service write there, or correct queue.dir"
	default:
		return "correct queue.dir, or what it is mounted from"
	}
}
