package disk_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/riffletrace/riffle/core/delivery/disk"
)

// vanishing is a file system in which parts that others have are removed when somebody
// looks at them for the last time.
type vanishing struct {
	disk.OS
	looks map[string]int
}

func (v vanishing) Lstat(name string) (fs.FileInfo, error) {
	if strings.HasPrefix(filepath.Base(name), "part-") && v.looks[name] > 0 {
		if v.looks[name]--; v.looks[name] > 0 {
			return v.OS.Lstat(name)
		}
		if err := os.RemoveAll(name); err != nil {
			return nil, err
		}
	}
	return v.OS.Lstat(name)
}

// A line that a reload has taken off removes its part while the one in its place opens
// the queue.
func TestOpenWhileAPartIsRemoved(t *testing.T) {
	for look := 1; look <= 4; look++ {
		dir, id := t.TempDir(), disk.Identity{Name: "one"}
		for range 2 {
			s, _, err := disk.Open(disk.OS{}, dir, id)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
		}
		parts, err := filepath.Glob(filepath.Join(dir, "*", "part-*"))
		if err != nil || len(parts) != 2 {
			t.Fatalf("there are %q, %v", parts, err)
		}
		v := vanishing{looks: map[string]int{parts[0]: look, parts[1]: look}}
		s, _, err := disk.Open(v, dir, id)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
