package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"

	"github.com/riffletrace/riffle/internal/untrusted"
	"github.com/riffletrace/riffle/plugins/internal/descendants"
)

// Settings say what is run.
type Settings struct {
	Name      string // of the plugin, for messages
	Path      string // of the program
	Dir       string // a private directory, for sockets
	Env       []string
	Handshake goplugin.HandshakeConfig
	Logger    *slog.Logger
	// Timeout bounds the start.
	Timeout time.Duration
	// DialOptions are added to those of the connection.
	DialOptions []grpc.DialOption
}

// Process is a program that has been started and shook hands.
type Process struct {
	conn   *grpc.ClientConn
	runner *programRunner
}

// orphans are ended, and missing is said, once in the life of a host.
var orphans, missing sync.Once

// maxHeaders bounds what a plugin can send in the headers of a response.
const maxHeaders = 64 << 10

// maxSocket is the longest path that a socket can have everywhere, socketName
// one that go-plugin makes.
const (
	maxSocket  = 103
	socketName = "/plugin4294967295"
)

// Start starts the program and connects to it. On an error nothing is left.
func Start(ctx context.Context, s Settings) (_ *Process, err error) {
	if n := len(s.Dir) + len(socketName); n > maxSocket {
		return nil, fmt.Errorf("%s is too long for a directory with sockets, by %d bytes: set plugins.run_dir to a shorter one", s.Dir, n-maxSocket)
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	orphans.Do(descendants.EndOrphans)
	r := &programRunner{settings: s, descendants: descendants.New(), exited: make(chan struct{})}
	defer func() {
		if err != nil && r.pid() == 0 { // else they are ended with it
			r.descendants.End(0)
		}
	}()
	if why := r.descendants.Missing(); why != "" {
		missing.Do(func() {
			s.Logger.Info("what a plugin starts in a session of its own may outlive it here: "+why, "plugin", s.Name)
		})
	}
	config := s.client()
	config.RunnerFunc = func(_ hclog.Logger, cmd *exec.Cmd, sockets string) (runner.Runner, error) {
		// The private directory serves as well, and makes for shorter paths.
		_ = os.Remove(sockets)
		for _, v := range cmd.Env {
			if strings.HasPrefix(v, goplugin.EnvUnixSocketDir+"=") {
				v = goplugin.EnvUnixSocketDir + "=" + s.Dir
			}
			r.env = append(r.env, v)
		}
		return r, nil
	}
	client := goplugin.NewClient(config)
	type started struct {
		address string
		err     error
	}
	done := make(chan started, 1)
	go func() {
		addr, err := client.Start()
		if err != nil {
			done <- started{err: err}
			return
		}
		done <- started{address: addr.Network() + ":" + addr.String()}
	}()
	var address string
	select {
	case st := <-done:
		if st.err != nil {
			err := r.startError(ctx, st.err)
			r.end(context.Background())
			return nil, err
		}
		address = st.address
	case <-ctx.Done():
		_ = r.Kill(ctx)
		st := <-done // it sees the end of the program
		err := r.startError(ctx, st.err)
		r.end(context.Background())
		return nil, err
	}
	if config.TLSConfig == nil || config.TLSConfig.RootCAs == nil {
		r.end(closedContext())
		return nil, errors.New("it sent no certificate with its handshake")
	}
	conn, err := grpc.NewClient(strings.Replace("passthrough:///"+address, "passthrough:///unix:", "unix:", 1), append([]grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(config.TLSConfig)),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithMaxHeaderListSize(maxHeaders),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: s.Timeout}),
	}, s.DialOptions...)...)
	if err != nil {
		r.end(closedContext())
		return nil, err
	}
	return &Process{conn: conn, runner: r}, nil
}

// client is what go-plugin is told, but for how the program is run.
func (s *Settings) client() *goplugin.ClientConfig {
	return &goplugin.ClientConfig{
		HandshakeConfig:  s.Handshake,
		VersionedPlugins: map[int]goplugin.PluginSet{int(s.Handshake.ProtocolVersion): {}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     s.Timeout,
		Logger:           hclog.NewNullLogger(),
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: s.Dir},
	}
}

// Conn is the connection. Calls on it fail as soon as the process is gone.
func (p *Process) Conn() *grpc.ClientConn { return p.conn }

// PID is the process's.
func (p *Process) PID() int { return p.runner.pid() }

// Exited is closed when the process has ended and nothing of it is left.
func (p *Process) Exited() <-chan struct{} { return p.runner.exited }

// ExitText says how it ended.
func (p *Process) ExitText() string { return p.runner.exitText() }

// Kill ends the process at once.
func (p *Process) Kill() { _ = p.runner.Kill(context.Background()) }

// Stop tells the process to end, kills it when ctx is done, and waits until
// nothing is left.
func (p *Process) Stop(ctx context.Context) error {
	p.runner.end(ctx)
	return p.conn.Close()
}

func closedContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// programRunner is how go-plugin runs the program.
type programRunner struct {
	settings Settings
	env      []string // the variables of the handshake

	descendants *descendants.Group

	mu    sync.Mutex
	cmd   *exec.Cmd
	stdin *os.File
	gone  bool // reaped: its ID may be another's
	state string

	output    output
	handshake io.ReadCloser
	exited    chan struct{}
}

// errRefused is of a start that may work in another way.
var errRefused = errors.New("the system refuses it")

// Start starts the program. A program that was just copied may be held open
// for a moment by a child of another goroutine that has not begun yet.
func (r *programRunner) Start(ctx context.Context) error {
	const again = 10 * time.Millisecond
	for {
		err := r.start()
		switch {
		case errors.Is(err, errRefused):
			continue
		case err == nil || !isBusy(err):
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(again):
		}
	}
}

func (r *programRunner) start() (err error) {
	stdinR, stdinW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() {
		_ = stdinR.Close()
		if err != nil {
			_ = stdinW.Close()
		}
	}()
	outR, outW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer outW.Close()
	errR, errW, err := os.Pipe()
	if err != nil {
		return errors.Join(err, outR.Close())
	}
	defer errW.Close()
	cmd := exec.Command(r.settings.Path) //nolint:noctx // it outlives the start
	cmd.Env = slices.Concat(r.settings.Env, r.descendants.Env(), r.env)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdinR, outW, errW
	cmd.ExtraFiles = inherited()
	cmd.SysProcAttr = ownGroup()
	r.descendants.Join(cmd.SysProcAttr)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		err = errors.New("killed before it was started")
	} else {
		err = cmd.Start()
	}
	if err != nil {
		if !isBusy(err) && r.descendants.Leave() {
			err = errRefused
		}
		return errors.Join(err, outR.Close(), errR.Close())
	}
	r.cmd, r.stdin = cmd, stdinW
	r.handshake = r.output.read(r.settings.Logger, outR, errR)
	go r.reap(outR, errR)
	return nil
}

// reap waits for the end of the program and ends what it has started, before
// its process ID can become another's.
func (r *programRunner) reap(pipes ...*os.File) {
	await(r.cmd)
	if left := r.descendants.End(r.cmd.Process.Pid); left > 0 {
		r.settings.Logger.Warn("what the plugin has started does not end", "processes", left)
	}
	killGroup(r.cmd.Process) // those of it that are not known as descendants
	r.mu.Lock()
	err := r.cmd.Wait()
	r.gone = true
	if r.state = fmt.Sprint(err); r.cmd.ProcessState != nil {
		r.state = r.cmd.ProcessState.String()
	}
	_ = r.stdin.Close()
	r.mu.Unlock()
	// Whoever left the group may hold the pipes for ever.
	const rest = 200 * time.Millisecond
	for _, p := range pipes {
		_ = p.SetReadDeadline(time.Now().Add(rest))
	}
	r.output.done.Wait()
	for _, p := range pipes {
		_ = p.Close()
	}
	close(r.exited)
}

// Kill ends the process and its group at once.
func (r *programRunner) Kill(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd == nil {
		r.gone = true
		return nil
	}
	if !r.gone {
		r.descendants.Note(r.cmd.Process.Pid)
		killGroup(r.cmd.Process)
	}
	return nil
}

// end closes standard input, kills when ctx is done, and waits.
func (r *programRunner) end(ctx context.Context) {
	r.mu.Lock()
	begun := r.cmd != nil
	if begun {
		if !r.gone {
			r.descendants.Note(r.cmd.Process.Pid)
		}
		_ = r.stdin.Close()
	}
	r.mu.Unlock()
	if !begun {
		return
	}
	select {
	case <-r.exited:
		return
	case <-ctx.Done():
	}
	_ = r.Kill(ctx)
	<-r.exited
}

func (r *programRunner) pid() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd == nil {
		return 0
	}
	return r.cmd.Process.Pid
}

func (r *programRunner) exitText() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// startError says in place of go-plugin why the program could not be started.
func (r *programRunner) startError(ctx context.Context, err error) error {
	line, whole, overlong := r.output.firstLine()
	fields := strings.Split(line, "|")
	if r.pid() == 0 {
		return err // it was not started
	}
	switch {
	case ctx.Err() != nil && !whole && !overlong:
		return fmt.Errorf("no handshake within %s%s", r.settings.Timeout, r.output.lastWords())
	case overlong:
		return fmt.Errorf("no handshake on its standard output but a line of more than %d bytes", maxHandshake)
	case line == "":
		how := r.exitTextSoon() // then all that it wrote is there
		return fmt.Errorf("it ended before the handshake (%s)%s", how, r.output.lastWords())
	case len(fields) < 4:
		return fmt.Errorf("no handshake on its standard output but %q", untrusted.Text(line, untrusted.Line))
	case fields[1] != fmt.Sprint(r.settings.Handshake.ProtocolVersion):
		return fmt.Errorf("it speaks version %q of the protocol and this riffle version %d: build it with the same version of riffle",
			untrusted.Text(fields[1], untrusted.Line), r.settings.Handshake.ProtocolVersion)
	default:
		return fmt.Errorf("reading its handshake %q: %w", untrusted.Text(line, untrusted.Line), untrusted.Error(err, untrusted.Line))
	}
}

// exitTextSoon waits a moment for the program's end to be known.
func (r *programRunner) exitTextSoon() string {
	_ = r.Kill(context.Background())
	<-r.exited
	return r.exitText()
}

// The rest is what go-plugin asks of a runner.

func (r *programRunner) Wait(context.Context) error {
	<-r.exited
	return nil
}
func (r *programRunner) Stdout() io.ReadCloser         { return r.handshake }
func (*programRunner) Stderr() io.ReadCloser           { return io.NopCloser(strings.NewReader("")) }
func (r *programRunner) Name() string                  { return r.settings.Name }
func (r *programRunner) ID() string                    { return fmt.Sprint(r.pid()) }
func (*programRunner) Diagnose(context.Context) string { return "" }
func (*programRunner) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

func (*programRunner) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// Interface guards.
var _ runner.Runner = (*programRunner)(nil)
