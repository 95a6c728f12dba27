//go:build unix

package bench

import (
	"syscall"
	"time"
)

// cpuTime is what this process took so far, as a user and in the kernel.
func cpuTime() (time.Duration, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0, err
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), nil
}
