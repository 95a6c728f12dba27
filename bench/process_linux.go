package bench

import (
	"os/exec"
	"syscall"
)

// bind ends the process with this one, however this one ends: one that is paused could
// not notice.
func bind(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// pause stops the process until resume, so that while it waits for its turn it costs
// nothing, neither itself nor the others.
func (p *process) pause() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }

func (p *process) resume() error { return p.cmd.Process.Signal(syscall.SIGCONT) }
