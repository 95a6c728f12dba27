package process

import (
	"errors"
	"os/exec"

	"golang.org/x/sys/unix"
)

// await waits for the end of a child and leaves it to be waited for, so that
// its process ID stays its own.
func await(cmd *exec.Cmd) {
	var info unix.Siginfo
	for errors.Is(unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
}
