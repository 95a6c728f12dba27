package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// MaxWait bounds every wait. It is long because machines are busy; nothing
// waits for it to pass.
const MaxWait = time.Minute

// Ports are free ports of loopback, by what they are for.
type Ports map[string]int

// FreePorts finds a port for each name.
func FreePorts(t testing.TB, names ...string) Ports {
	t.Helper()
	p := Ports{}
	var open []net.Listener
	for _, name := range names {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, l) // so that no two are the same
		p[name] = l.Addr().(*net.TCPAddr).Port
	}
	for _, l := range open {
		l.Close()
	}
	return p
}

// At is the address, for servers and clients.
func (p Ports) At(name string) string { return fmt.Sprintf("127.0.0.1:%d", p[name]) }

// Local is the address as users write it.
func (p Ports) Local(name string) string { return fmt.Sprintf("localhost:%d", p[name]) }

// Process is a running server.
type Process struct {
	// Cmd is the command that was started. Its ProcessState is there when Wait
	// has returned.
	Cmd *exec.Cmd
	// Output is what the process says.
	Output *Output

	exited chan struct{}
}

// Launch starts a server, without the variables of the environment that change
// how programs trace but with more, and waits until it listens on all of its
// ports. It ends with the test.
func Launch(t testing.TB, p Ports, more []string, program string, args ...string) (*Process, error) {
	t.Helper()
	s := &Process{Cmd: exec.CommandContext(t.Context(), program, args...), Output: &Output{}, exited: make(chan struct{})}
	s.Cmd.Stdout, s.Cmd.Stderr = s.Output, s.Output
	s.Cmd.Env = Environ(more...)
	s.Cmd.Dir = t.TempDir()
	DieWithTest(s.Cmd)
	if err := s.Cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.Cmd.Wait() // by a signal, nearly always
		close(s.exited)
	}()
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("the last words of %s:\n%s", filepath.Base(program), s.Output.Tail())
		}
	})
	for name := range p {
		err := Poll(func() error {
			select {
			case <-s.exited:
				return Stop(fmt.Errorf("%s ended:\n%s", filepath.Base(program), s.Output.Tail()))
			default:
			}
			c, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.At(name))
			if err == nil {
				c.Close()
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("waiting for the port %s: %w", name, err)
		}
	}
	return s, nil
}

// Kill ends the process at once, and returns when it has ended.
func (s *Process) Kill() {
	_ = s.Cmd.Process.Kill() // or it has ended
	<-s.exited
}

// Interrupt asks the process to end, and returns what it was when it did.
func (s *Process) Interrupt() (*os.ProcessState, error) {
	if err := s.Cmd.Process.Signal(os.Interrupt); err != nil {
		return nil, err
	}
	select {
	case <-s.exited:
	case <-time.After(MaxWait):
		return nil, fmt.Errorf("still there after %v:\n%s", MaxWait, s.Output.Tail())
	}
	if !s.Cmd.ProcessState.Success() {
		return nil, fmt.Errorf("%s: %v\n%s", filepath.Base(s.Cmd.Path), s.Cmd.ProcessState, s.Output.Tail())
	}
	return s.Cmd.ProcessState, nil
}

// Environ is the environment without what changes how programs trace, and
// with more.
func Environ(more ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "OTEL_") || strings.HasPrefix(name, "FLUXBASE_") || strings.HasPrefix(name, "DD_") ||
			strings.HasSuffix(strings.ToLower(name), "_proxy")
	})
	return append(env, more...)
}

type final struct{ error }

// Stop is err, which repeating does not mend.
func Stop(err error) error { return final{err} }

// Poll repeats f until it has no error, or Patience is out.
func Poll(f func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), MaxWait)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		if stop := (final{}); errors.As(err, &stop) {
			return stop.error
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("still after %v: %w", MaxWait, err)
		case <-tick.C:
		}
	}
}

// Output is what a process says.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *Output) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *Output) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Tail is the end of it.
func (b *Output) Tail() string {
	s := b.String()
	return s[max(0, len(s)-4000):]
}

var _ io.Writer = (*Output)(nil)
