package delivery

import "github.com/riffletrace/riffle/core/delivery/disk"

// WithFS returns settings with a file system for disk queues.
func (s Settings) WithFS(fs disk.FS) Settings {
	s.fs = fs
	return s
}

// ForgetCompressors forgets those that are not in use.
func ForgetCompressors() {
	for range cap(idle) {
		select {
		case <-idle:
		default:
		}
	}
}

// KeepsGzip reports whether a compressor that is not in use has a writer.
func KeepsGzip() (kept bool) {
	for range len(idle) {
		c := <-idle
		kept = kept || c.gzip != nil
		idle <- c
	}
	return kept
}
