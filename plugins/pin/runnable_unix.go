//go:build unix

package pin

import (
	"fmt"
	"io/fs"
)

// runnable refuses what is no program.
func runnable(info fs.FileInfo) error {
	if info.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("is not executable (mode %04o): chmod +x it", info.Mode().Perm())
	}
	return nil
}
