//go:build unix

package hostile

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// Left is the argument of the process that a plugin leaves behind, by which it is found.
func Left(plugin int) string { return fmt.Sprintf("600.%d", plugin) }

// leave starts a process that is in no group of the plugin's.
func leave(kind string) error {
	sleep := "/bin/sleep " + Left(os.Getpid())
	if kind != "strips" {
		sleep += " &" // the shell ends
	}
	cmd := exec.Command("/bin/sh", "-c", sleep) //nolint:noctx // it is to stay
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if kind != "detaches" {
		cmd.Env = []string{}
	}
	if kind == "strips" {
		return cmd.Start()
	}
	return cmd.Run()
}
