package process

import (
	"os/exec"
	"syscall"
)

// DieWithTest ends the process with this one, however this one ends.
func DieWithTest(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
