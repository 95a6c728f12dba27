// Package postgres starts a PostgreSQL server of one's own, if its programs are
// on the machine.
package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// startTimeout is how long a loaded machine may take to start a server.
const startTimeout = time.Minute

// ErrAbsent tells that this machine has no server to start.
var ErrAbsent = errors.New("no PostgreSQL")

// Server is a running server with an empty database.
type Server struct {
	// URL is of its database.
	URL string

	dir    string
	cmd    *exec.Cmd
	out    *bytes.Buffer
	exited chan struct{}
	exit   error
}

// Start starts a server and waits until it answers. The error is [ErrAbsent] if
// the machine has none. Close ends it.
func Start(ctx context.Context) (*Server, error) {
	bin, err := find()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	as, err := other()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	dir, err := os.MkdirTemp("", "riffle-postgres")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, exited: make(chan struct{})}
	if err := as.own(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrAbsent, err), os.RemoveAll(dir))
	}
	if err := s.start(ctx, bin, as); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, bin string, as account) error {
	command := func(name string, args ...string) (*exec.Cmd, *bytes.Buffer) {
		cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(bin, name), args...)
		out := &bytes.Buffer{}
		cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, out, out
		as.run(cmd)
		return cmd, out
	}
	data := filepath.Join(s.dir, "data")
	initdb, out := command("initdb", "-D", data, "-U", "riffle", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
	if err := initdb.Run(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	s.cmd, s.out = command("postgres", "-D", data, "-p", strconv.Itoa(port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "deadlock_timeout=100ms")
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	go func() {
		s.exit = s.cmd.Wait()
		close(s.exited)
	}()
	s.URL = fmt.Sprintf("postgres://riffle@127.0.0.1:%d/postgres", port)
	return s.answers(ctx)
}

// answers waits until the server does.
func (s *Server) answers(ctx context.Context) error {
	deadline := time.Now().Add(startTimeout)
	for {
		conn, err := pgx.Connect(ctx, s.URL)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.exited:
			return fmt.Errorf("PostgreSQL exited: %w\n%s", s.exit, s.out)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("PostgreSQL does not answer: %w", err)
		}
	}
}

// Close ends the server and removes its files.
func (s *Server) Close() error {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(os.Interrupt) // ends connections, then the server
		select {
		case <-s.exited:
		case <-time.After(startTimeout):
			_ = s.cmd.Process.Kill()
			<-s.exited
		}
	}
	return os.RemoveAll(s.dir)
}

// Output is what the server has said. It is for after Close.
func (s *Server) Output() string { return s.out.String() }

// find returns the directory of the server's programs: that of postgres on
// PATH, or Debian's for the newest version.
func find() (string, error) {
	var candidates []string
	if path, err := exec.LookPath("postgres"); err == nil {
		candidates = append(candidates, filepath.Dir(path))
	}
	debian, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	version := func(dir string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		return n
	}
	slices.SortFunc(debian, func(a, b string) int { return version(b) - version(a) })
	for _, dir := range append(candidates, debian...) {
		_, err1 := exec.LookPath(filepath.Join(dir, "postgres"))
		_, err2 := exec.LookPath(filepath.Join(dir, "initdb"))
		if err1 == nil && err2 == nil {
			return dir, nil
		}
	}
	return "", errors.New("postgres and initdb are neither on PATH nor in /usr/lib/postgresql")
}

func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
