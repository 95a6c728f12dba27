package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait. It is long because machines are busy; nothing
// waits for it to pass.
const patience = time.Minute

// needsBackends skips the test unless it was asked for.
func needsBackends(t *testing.T) {
	t.Helper()
	if os.Getenv("RIFFLE_INTEROP") != "1" {
		t.Skip("builds and starts Jaeger and the Collector, for which a cold build takes minutes: set RIFFLE_INTEROP=1, or run make interop")
	}
}

// jaegerProgram and collectorProgram are the backends' executables, from the
// cache if nothing has changed, and riffleProgram is the command line.
var (
	jaegerProgram    = sync.OnceValues(func() (string, error) { return cached("jaeger", "github.com/jaegertracing/jaeger/cmd/all-in-one") })
	collectorProgram = sync.OnceValues(func() (string, error) { return cached("collector", ".") })
	riffleProgram    = sync.OnceValues(func() (string, error) {
		program := filepath.Join(scratch, "riffle")
		return program, build("../..", "./cmd/riffle", program)
	})
)

// scratch is a directory for what all tests share.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "riffle-interop-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

// cached builds a package of the module in dir, unless the same was built
// before: its name in the cache is a hash of the module and the toolchain.
func cached(dir, pkg string) (program string, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOOS, runtime.GOARCH, pkg)
	for _, file := range files { // sorted
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %x\n", filepath.Base(file), sha256.Sum256(data))
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	program = filepath.Join(cache, "riffle-interop", fmt.Sprintf("%s-%x", dir, hash.Sum(nil)[:8]))
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		return "", err
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(program), "building-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(unfinished)
	built := filepath.Join(unfinished, dir)
	if err := build(dir, pkg, built); err != nil {
		return "", err
	}
	return program, os.Rename(built, program)
}

func build(dir, pkg, output string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", output, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s in %s: %w\n%s", pkg, dir, err, out)
	}
	return nil
}

// ports are free ports of loopback, by what they are for.
type ports map[string]int

func freePorts(t testing.TB, names ...string) ports {
	t.Helper()
	p := ports{}
	var open []net.Listener
	for _, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
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

// at is the address, for servers and clients.
func (p ports) at(name string) string { return fmt.Sprintf("127.0.0.1:%d", p[name]) }

// local is the address as users write it.
func (p ports) local(name string) string { return fmt.Sprintf("localhost:%d", p[name]) }

// process is a running server.
type process struct {
	cmd    *exec.Cmd
	output *buffer
	exited chan struct{}
}

// launch starts a server and waits until it listens on all of its ports. It
// ends with the test.
func launch(t testing.TB, p ports, program string, args ...string) (*process, error) {
	t.Helper()
	s := &process{cmd: exec.Command(program, args...), output: &buffer{}, exited: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	s.cmd.Env = environ("OTEL_TRACES_SAMPLER=always_off") // Jaeger traces itself
	s.cmd.Dir = t.TempDir()
	dieWithTest(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait() // by a signal, always
		close(s.exited)
	}()
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the last words of %s:\n%s", filepath.Base(program), s.output.tail())
		}
	})
	for name := range p {
		err := poll(func() error {
			select {
			case <-s.exited:
				return stop{fmt.Errorf("%s ended:\n%s", filepath.Base(program), s.output.tail())}
			default:
			}
			c, err := net.Dial("tcp", p.at(name))
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

// kill ends the process at once, and returns when it has ended.
func (s *process) kill() {
	_ = s.cmd.Process.Kill() // or it has ended
	<-s.exited
}

// environ is the environment without what changes how programs trace.
func environ(more ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "OTEL_") || strings.HasPrefix(name, "FLUXBASE_") ||
			strings.HasSuffix(strings.ToLower(name), "_proxy")
	})
	return append(env, more...)
}

// stop is an error that repeating does not mend.
type stop struct{ error }

// poll repeats f until it has no error, or patience is out.
func poll(f func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		if final := (stop{}); errors.As(err, &final) {
			return final.error
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("still after %v: %w", patience, err)
		case <-tick.C:
		}
	}
}

// buffer is what a process says.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *buffer) tail() string {
	s := b.String()
	return s[max(0, len(s)-4000):]
}

var _ io.Writer = (*buffer)(nil)
