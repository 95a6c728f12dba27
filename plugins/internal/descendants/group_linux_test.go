package descendants

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// plugin starts a shell that belongs to a group, and waits for what it has started in
// the background.
func plugin(t *testing.T, g *Group, script string) (cmd *exec.Cmd, child int) {
	t.Helper()
	cmd = exec.Command("/bin/sh", "-c", script)
	cmd.Env = g.Env()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	g.Join(cmd.SysProcAttr)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscan(out, &child); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(child, syscall.SIGKILL) })
	return cmd, child
}

func lives(pid int) bool {
	fields := stat(pid)
	return fields != nil && fields[0] != "Z"
}

func gone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); lives(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("process %d is alive", pid)
		}
	}
}

// Without a control group, what has the mark is found, and what had its parent when it
// was looked at last.
func TestMark(t *testing.T) {
	for name, tt := range map[string]struct {
		script string
		note   bool
	}{
		"marked":       {`setsid sh -c 'sleep 600 >/dev/null & echo $!'; exec sleep 600`, false},
		"without mark": {`env -i setsid sh -c 'echo $$; exec sleep 600 >/dev/null' & exec sleep 600`, true},
		"forks on":     {`setsid sh -c 'echo $$; while :; do sleep 600 >/dev/null & sleep 0.01; done' & exec sleep 600`, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := New()
			g.Leave()
			cmd, child := plugin(t, g, tt.script)
			others := New()
			other, bystander := plugin(t, others, `echo $$; exec sleep 600`)
			if tt.note {
				g.Note(cmd.Process.Pid)
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if left := g.End(cmd.Process.Pid); left != 0 {
				t.Errorf("%d are left", left)
			}
			gone(t, child)
			if !lives(bystander) {
				t.Error("another plugin's was killed")
			}
			_ = other.Process.Kill()
			_ = other.Wait()
			others.End(other.Process.Pid)
		})
	}
}

func TestIsOrphan(t *testing.T) {
	own := strings.Split(owner(), "-")
	dead := exec.Command("/bin/true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	for mark, want := range map[string]bool{
		"":             false,
		owner() + "-X": false, // this process lives
		fmt.Sprintf("%s-%d-%s-X", own[0], os.Getpid(), own[2]+"0"):   true, // another had its number
		fmt.Sprintf("%s-%d-%s-X", own[0], dead.Process.Pid, own[2]):  true,
		fmt.Sprintf("1%s-%d-%s-X", own[0], dead.Process.Pid, own[2]): false, // it may live in that namespace
		fmt.Sprintf("%s-x-%s-X", own[0], own[2]):                     false,
		fmt.Sprintf("%s-%d--X", own[0], dead.Process.Pid):            false,
		fmt.Sprintf("-%d-%s-X", dead.Process.Pid, own[2]):            false,
		fmt.Sprintf("%s-%d-%s", own[0], dead.Process.Pid, own[2]):    false,
	} {
		if got := isOrphan(mark); got != want {
			t.Errorf("%q: %t", mark, got)
		}
	}
}

// Where this process is the first one of a container, what a plugin leaves becomes its
// children: none stays as a zombie, and the application's own are left to it.
func TestReaped(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal("Linux has it since 3.4:", err)
	}
	t.Cleanup(func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) })
	for name, leave := range map[string]bool{"control group": false, "marks": true} {
		t.Run(name, func(t *testing.T) {
			own := exec.Command("/bin/true")
			if err := own.Start(); err != nil {
				t.Fatal(err)
			}
			g := New()
			if leave {
				g.Leave()
			} else if !g.Knows() {
				t.Skip("no control group can be made here; CI has one")
			}
			cmd, _ := plugin(t, g, `setsid sh -c 'sleep 600 >/dev/null & sleep 600 >/dev/null & echo $!; exec sleep 600' & exec sleep 600`)
			_ = cmd.Process.Kill()
			for stat(cmd.Process.Pid)[0] != zombie {
				time.Sleep(time.Millisecond)
			}
			if left := g.End(cmd.Process.Pid); left != 0 {
				t.Errorf("%d are left", left)
			}
			if err := cmd.Wait(); err == nil || cmd.ProcessState == nil {
				t.Errorf("the plugin was not left to who waits for it: %v", err)
			}
			for _, pid := range pids() {
				if fields := stat(pid); fields != nil && fields[1] == strconv.Itoa(os.Getpid()) && pid != own.Process.Pid {
					t.Errorf("process %d is left: %q", pid, fields[0])
				}
			}
			if err := own.Wait(); err != nil {
				t.Errorf("a child of the application: %v", err)
			}
		})
	}
}

// A plugin with many children does not have this process open as many descriptors.
func TestKnownIsBounded(t *testing.T) {
	g := New()
	g.Leave()
	cmd, _ := plugin(t, g, `i=0; while [ $i -lt 300 ]; do sleep 600 >/dev/null & i=$((i+1)); done; echo $!; exec sleep 600`)
	g.Note(cmd.Process.Pid)
	g.Note(cmd.Process.Pid)
	if n := len(g.known); n > maxKnown {
		t.Errorf("%d processes are known", n)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if left := g.End(cmd.Process.Pid); left != 0 {
		t.Errorf("%d are left", left)
	}
}

// A plugin that makes control groups in its own leaves none of them.
func TestGroupsInAGroup(t *testing.T) {
	g := New()
	if !g.Knows() {
		t.Skip("no control group can be made here; CI has one")
	}
	name := g.cgroup.dir.Name()
	cmd, child := plugin(t, g, fmt.Sprintf(`mkdir -p %[1]s/a/b && (echo 0 >%[1]s/a/b/cgroup.procs; exec sleep 600 >/dev/null) & echo $!; exec sleep 600`, name))
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if text, err := os.ReadFile(name + "/a/b/cgroup.procs"); err == nil && len(text) > 0 {
			break
		}
		if time.Now().After(end) {
			t.Skip("no group can be made in one")
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if left := g.End(cmd.Process.Pid); left != 0 {
		t.Errorf("%d are left", left)
	}
	gone(t, child)
	if _, err := os.Stat(name); err == nil {
		t.Errorf("%s is left", name)
	}
}
