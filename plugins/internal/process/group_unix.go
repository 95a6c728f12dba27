//go:build unix

package process

import (
	"errors"
	"os"
	"syscall"
)

// ownGroup gives the process a group of its own: signals of the terminal do
// not reach it, and what it starts ends with it.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func killGroup(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) } // it may be empty

func isBusy(err error) bool { return errors.Is(err, syscall.ETXTBSY) }
