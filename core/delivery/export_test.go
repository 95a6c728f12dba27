package delivery

import "github.com/riffletrace/riffle/core/delivery/disk"

// WithFS returns settings with a file system for disk queues.
func (s Settings) WithFS(fs disk.FS) Settings {
	s.fs = fs
	return s
}
