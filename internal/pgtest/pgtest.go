// Package pgtest starts a PostgreSQL server for a test.
package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// startTimeout is how long a loaded machine may take to start a server.
const startTimeout = time.Minute

// Start starts a server with an empty database and returns its URL. The server
// ends with the test. Without PostgreSQL the test is skipped, but where the
// environment variable CI or RIFFLE_POSTGRES is set that is a failure.
func Start(t testing.TB) (url string) {
	t.Helper()
	bin, err := find()
	if err != nil {
		absent(t, err)
	}
	as, err := other()
	if err != nil {
		absent(t, err)
	}
	dir, err := os.MkdirTemp("", "riffle-postgres") //nolint:usetesting // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := as.own(dir); err != nil {
		absent(t, err)
	}
	command := func(name string, args ...string) (*exec.Cmd, *bytes.Buffer) {
		cmd := exec.CommandContext(context.Background(), filepath.Join(bin, name), args...)
		out := &bytes.Buffer{}
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
		as.run(cmd)
		return cmd, out
	}

	data := filepath.Join(dir, "data")
	initdb, out := command("initdb", "-D", data, "-U", "riffle", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
	if err := initdb.Run(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	port := freePort(t)
	server, out := command("postgres", "-D", data, "-p", strconv.Itoa(port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "deadlock_timeout=100ms")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	var exit error
	exited := make(chan struct{})
	go func() {
		exit = server.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		_ = server.Process.Signal(os.Interrupt) // ends connections, then the server
		select {
		case <-exited:
		case <-time.After(startTimeout):
			_ = server.Process.Kill()
			<-exited
		}
		if t.Failed() {
			t.Logf("PostgreSQL:\n%s", out)
		}
	})

	url = fmt.Sprintf("postgres://riffle@127.0.0.1:%d/postgres", port)
	deadline := time.Now().Add(startTimeout)
	for {
		conn, err := pgx.Connect(t.Context(), url)
		if err == nil {
			if err := conn.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			return url
		}
		select {
		case <-exited:
			t.Fatalf("PostgreSQL exited: %v\n%s", exit, out)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("PostgreSQL does not answer: %v", err)
		}
	}
}

// absent skips the test, or fails it where PostgreSQL must be.
func absent(t testing.TB, why error) {
	t.Helper()
	if os.Getenv("CI") != "" || os.Getenv("RIFFLE_POSTGRES") != "" {
		t.Fatalf("no PostgreSQL: %v", why)
	}
	t.Skipf("no PostgreSQL: %v", why)
}

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
	return "", fmt.Errorf("postgres and initdb are neither on PATH nor in /usr/lib/postgresql")
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
