//go:build unix

package bench

import (
	"os"
	"syscall"
	"time"
)

const (
	costPages = 1024
	costCalls = 20_000
)

// faultCost measures what the first use of a page takes. The process pays it for memory
// that its heap grows by, or gets back after it was returned.
func faultCost() time.Duration {
	size := os.Getpagesize()
	return costOf(costPages, func() (time.Duration, error) {
		pages, err := syscall.Mmap(-1, 0, costPages*size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			return 0, err
		}
		began := time.Now()
		for i := 0; i < len(pages); i += size {
			pages[i] = 1
		}
		took := time.Since(began)
		return took, syscall.Munmap(pages)
	})
}

// callCost measures a system call that does next to nothing.
func callCost() time.Duration {
	return costOf(costCalls, func() (time.Duration, error) {
		began := time.Now()
		for range costCalls {
			_ = syscall.Getppid()
		}
		return time.Since(began), nil
	})
}
