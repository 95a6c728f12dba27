//go:build !darwin && !freebsd && !linux

package doctor

func freeBytes(string) (free int64, ok bool) { return 0, false }

func isFull(error) bool { return false }

func maxFiles() (n uint64, ok bool) { return 0, false }
