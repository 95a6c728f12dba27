//go:build unix

package bench

import (
	"syscall"
	"time"
)

// resources is what this process took so far.
func resources() (usage, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return usage{}, err
	}
	return usage{User: time.Duration(r.Utime.Nano()), System: time.Duration(r.Stime.Nano()), Faults: uint64(r.Minflt) + uint64(r.Majflt)}, nil
}
