package host

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/riffletrace/riffle/plugins/internal/descendants"
	"github.com/riffletrace/riffle/plugins/internal/hostile"
	"github.com/riffletrace/riffle/plugins/internal/wire"
)

// leftOf are the processes that a plugin of that process ID has left behind.
func leftOf(t *testing.T, plugin int) (found int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		words, _ := os.ReadFile(name) // it may have ended
		if bytes.Equal(words, []byte("/bin/sleep\x00"+hostile.Left(plugin)+"\x00")) {
			found++
		}
	}
	return found
}

// stranger is a process of the application, in a session of its own.
func stranger(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), "/bin/sleep", "600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// What a plugin starts ends with it, whatever that is told or does, and nothing else
// does.
func TestDescendants(t *testing.T) {
	own := descendants.New()
	grouped := own.Knows()
	own.End(0)
	for _, kind := range []string{"detaches", "strips", "daemon"} {
		for _, end := range []string{"Close", "kill"} {
			if !grouped && (kind == "daemon" || kind == "strips" && end == "kill") {
				continue // documented: without control groups nobody can tell
			}
			t.Run(kind+" "+end, func(t *testing.T) {
				p, _ := openHostile(t, kind, nil)
				own, pid := stranger(t), p.PID()
				eventually(t, "it has left a process behind", func() bool { return leftOf(t, pid) == 1 })
				if end == "Close" {
					if err := p.Close(t.Context()); err != nil {
						t.Error(err)
					}
				} else {
					if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
						t.Fatal(err)
					}
					eventually(t, "there is another process", func() bool { return p.PID() != pid && p.PID() != 0 })
				}
				if n := leftOf(t, pid); n != 0 {
					t.Errorf("%d processes are left", n)
				}
				if !isAlive(own.Process.Pid) {
					t.Error("a process of the application was killed")
				}
			})
		}
	}
}

// killedHost starts a host with a plugin, waits until that has left a process behind,
// and returns what kills the host.
func killedHost(t *testing.T, path string) (plugin int, kill func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	host := exec.CommandContext(context.Background(), self)
	host.Env = append(os.Environ(), role+"=host", hostVariable+"="+path, "TMPDIR="+shortDir(t))
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = host.Process.Kill()
		_ = host.Wait()
	})
	t.Cleanup(kill)
	if _, err := fmt.Fscanf(out, "plugin is %d\n", &plugin); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has left a process behind", func() bool { return leftOf(t, plugin) == 1 })
	return plugin, kill
}

// What a killed host leaves is ended by the next one.
func TestDescendantsOfAKilledHost(t *testing.T) {
	pid, kill := killedHost(t, hostile.Script(t, "detaches"))
	own := stranger(t)
	descendants.EndOrphans()
	if leftOf(t, pid) != 1 {
		t.Error("it was ended while its host lives")
	}
	kill()
	descendants.EndOrphans()
	if n := leftOf(t, pid); n != 0 {
		t.Errorf("%d processes are left", n)
	}
	if !isAlive(own.Process.Pid) {
		t.Error("a process of the application was killed")
	}
}

// A plugin in Go ends what it has started when its host is gone.
func TestDescendantsOfAGoPlugin(t *testing.T) {
	path := filepath.Join(program(t, "leaves", "good"), wire.Prefix+"leaves")
	script, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	leave := "\nsetsid sh -c '/bin/sleep 600.'$$' >/dev/null 2>&1 &'\nexec "
	if err := os.WriteFile(path, bytes.Replace(script, []byte("\nexec "), []byte(leave), 1), 0o700); err != nil {
		t.Fatal(err)
	}
	pid, kill := killedHost(t, path)
	kill()
	eventually(t, "nothing is left", func() bool { return leftOf(t, pid) == 0 })
}
