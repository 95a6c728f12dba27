// Package postgres starts a PostgreSQL server of one's own, if its programs are
// on the machine.
package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// startTimeout is how long a loaded machine may take to start a server.
const startTimeout = time.Minute

// superuser is who may do everything in the database.
const superuser = "riffle"

// ErrAbsent tells that this machine has no server to start.
var ErrAbsent = errors.New("no PostgreSQL")

// Server is a running server with an empty database.
type Server struct {
	// URL is of its database.
	URL string

	address string
	dir     string
	cmd     *exec.Cmd
	out     *bytes.Buffer
	exited  chan struct{}
	exit    error
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
	initdb, out := command("initdb", "-D", data, "-U", superuser, "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
	if err := initdb.Run(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	s.cmd, s.out = command("postgres", "-D", data, "-p", strconv.Itoa(port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=500", "-c", "deadlock_timeout=100ms")
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	go func() {
		s.exit = s.cmd.Wait()
		close(s.exited)
	}()
	s.address = fmt.Sprintf("127.0.0.1:%d", port)
	s.URL = "postgres://" + superuser + "@" + s.address + "/postgres"
	return s.answers(ctx)
}

// answers waits until the server does.
func (s *Server) answers(ctx context.Context) error {
	deadline := time.Now().Add(startTimeout)
	for {
		err := s.greet(ctx)
		if err == nil {
			return nil
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

// greet begins a session and ends it again. The driver is left out of it, so that
// it is no requirement of whoever imports riffle.
// Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
func (s *Server) greet(ctx context.Context) error {
	const version, accepted = 3 << 16, 'R' // of the protocol; the first byte of AuthenticationOk
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	parameters := "user\x00" + superuser + "\x00database\x00postgres\x00\x00"
	message := binary.BigEndian.AppendUint32(nil, uint32(8+len(parameters)))
	message = binary.BigEndian.AppendUint32(message, version)
	answer := make([]byte, 1)
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write(append(message, parameters...)); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if answer[0] != accepted {
		return fmt.Errorf("it answers with %q", answer)
	}
	return nil
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
