package interop

import (
	"os/exec"
	"syscall"
)

// dieWithTest ends the process with this one, however this one ends.
func dieWithTest(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
