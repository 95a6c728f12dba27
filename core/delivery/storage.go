package delivery

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/riffletrace/riffle/core/component"
)

// Storage is where a queue is.
type Storage string

// The values of storage.
const (
	Memory Storage = "memory"
	Disk   Storage = "disk"
)

// Fsync says when what is written to a disk is made to survive the machine.
type Fsync string

// The values of fsync that are no durations: for each batch, or when the
// operating system thinks fit.
const (
	Always Fsync = "always"
	Never  Fsync = "never"
)

// interval is how long a batch may wait for being written.
func (f Fsync) interval() (time.Duration, error) {
	switch f {
	case Always, Never:
		return 0, nil
	case "":
		return time.Second, nil
	}
	d, err := time.ParseDuration(strings.TrimSpace(string(f)))
	if err != nil {
		return 0, fmt.Errorf("%q is not %s, %s or a duration, such as 1s", string(f), Always, Never)
	}
	if d < minFsync || d > maxFsync {
		return 0, fmt.Errorf("%s is not from %s to %s; for less, there is %s", string(f), minFsync, maxFsync, Always)
	}
	return d, nil
}

const (
	minFsync = 10 * time.Millisecond
	maxFsync = time.Minute
)

// The defaults of max_bytes.
const (
	memoryBytes component.Size = 32 << 20
	diskBytes   component.Size = 1 << 30
)

// limit is max_bytes or its default.
func (q *Queue) limit() component.Size {
	switch {
	case q.MaxBytes != 0:
		return q.MaxBytes
	case q.Storage == Disk:
		return diskBytes
	default:
		return memoryBytes
	}
}

// inMemory bounds what waits in memory.
func (q *Queue) inMemory() int64 {
	if q.Storage == Disk {
		return int64(min(q.limit(), memoryBytes))
	}
	return int64(q.limit())
}

// check finds the mistakes in what is about storage.
func (q *Queue) check(add func(path string, err error)) {
	switch q.Storage {
	case Memory, "":
		if q.Dir != "" {
			add("queue.dir", errors.New("only a queue with storage: disk has one"))
		}
	case Disk:
		if q.Dir == "" {
			add("queue.dir", errors.New("missing: storage: disk needs a directory"))
		}
	default:
		add("queue.storage", fmt.Errorf("%q is not one of %s, %s", string(q.Storage), Memory, Disk))
	}
	if _, err := q.Fsync.interval(); err != nil {
		add("queue.fsync", err)
	}
	if q.MaxAge < 0 {
		add("queue.max_age", fmt.Errorf("%s is negative", q.MaxAge))
	}
}
