package interop

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/riffletrace/riffle/bench/internal/process"
)

// needsBackends skips the test unless it was asked for.
func needsBackends(t *testing.T) {
	t.Helper()
	if os.Getenv("RIFFLE_INTEROP") != "1" {
		t.Skip("builds and starts Jaeger and the Collector, for which a cold build takes minutes: set RIFFLE_INTEROP=1, as CI does, or run make interop")
	}
}

// jaegerProgram and collectorProgram are the backends' executables, from the
// cache if nothing has changed, and riffleProgram is the command line.
var (
	jaegerProgram = sync.OnceValues(func() (string, error) {
		return process.Cached("jaeger", "github.com/jaegertracing/jaeger/cmd/all-in-one")
	})
	collectorProgram = sync.OnceValues(func() (string, error) { return process.Cached("collector", ".") })
	riffleProgram    = sync.OnceValues(func() (string, error) {
		program := filepath.Join(scratch, "riffle")
		return program, process.Build("../../cmd/riffle", ".", program)
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
