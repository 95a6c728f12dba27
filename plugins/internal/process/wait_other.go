//go:build !linux

package process

import "os/exec"

// await has nothing to wait with that would not release the process ID.
func await(cmd *exec.Cmd) { _ = cmd.Wait() } // how it ended stays in the command
