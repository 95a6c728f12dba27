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
	StorageMemory Storage = "memory"
	StorageDisk   Storage = "disk"
)

// ConfigSchema lists the values.
func (Storage) ConfigSchema() component.Schema { return component.Enum(StorageMemory, StorageDisk) }

// Fsync says when what is written to a disk is made to survive the machine.
type Fsync string

// The values of fsync that are no durations: for each batch, or when the
// operating system thinks fit.
const (
	FsyncAlways Fsync = "always"
	FsyncNever  Fsync = "never"
)

// interval is how long a batch may wait for being written.
func (f Fsync) interval() (time.Duration, error) {
	switch f {
	case FsyncAlways, FsyncNever:
		return 0, nil
	case "":
		return time.Second, nil
	}
	d, err := time.ParseDuration(strings.TrimSpace(string(f)))
	if err != nil {
		return 0, fmt.Errorf("%s is not %s, %s or a duration, such as 1s", component.Shown(string(f)), FsyncAlways, FsyncNever)
	}
	if d < minFsync || d > maxFsync {
		return 0, fmt.Errorf("%s is not from %s to %s; for less, there is %s", string(f), minFsync, maxFsync, FsyncAlways)
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

// maxBytes is max_bytes or its default.
func (q *QueueConfig) maxBytes() component.Size {
	switch {
	case q.MaxBytes != 0:
		return q.MaxBytes
	case q.Storage == StorageDisk:
		return diskBytes
	default:
		return memoryBytes
	}
}

// inMemory bounds what waits in memory.
func (q *QueueConfig) inMemory() int64 {
	if q.Storage == StorageDisk {
		return int64(min(q.maxBytes(), memoryBytes))
	}
	return int64(q.maxBytes())
}

// check finds the mistakes in what is about storage.
func (q *QueueConfig) check(add func(path string, err error)) {
	switch q.Storage {
	case StorageMemory, "":
		if q.Dir != "" {
			add("queue.dir", errors.New("only a queue with storage: disk has one"))
		}
	case StorageDisk:
		if q.Dir == "" {
			add("queue.dir", errors.New("missing: storage: disk needs a directory"))
		}
	default:
		add("queue.storage", fmt.Errorf("%s is not one of %s, %s", component.Shown(string(q.Storage)), StorageMemory, StorageDisk))
	}
	if _, err := q.Fsync.interval(); err != nil {
		add("queue.fsync", err)
	}
	if q.MaxAge < 0 {
		add("queue.max_age", fmt.Errorf("%s is negative", q.MaxAge))
	}
}
