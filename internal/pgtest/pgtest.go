// Package pgtest starts a PostgreSQL server for a test.
package pgtest

import (
	"errors"
	"os"
	"testing"

	"github.com/riffletrace/riffle/internal/postgres"
)

// Start starts a server with an empty database and returns its URL. The server
// ends with the test. Without PostgreSQL the test is skipped, but where the
// environment variable CI or RIFFLE_POSTGRES is set that is a failure.
func Start(t testing.TB) (url string) {
	t.Helper()
	server, err := postgres.Start(t.Context())
	if errors.Is(err, postgres.ErrAbsent) && os.Getenv("CI") == "" && os.Getenv("RIFFLE_POSTGRES") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("PostgreSQL:\n%s", server.Output())
		}
	})
	return server.URL
}
