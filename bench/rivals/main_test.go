//go:build linux

package rivals

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/bench/internal/process"
)

// Two variables tell the test binary to play another process: which part, and
// the address to listen on.
const (
	partVariable    = "RIFFLE_RIVALS_PART"
	addressVariable = "RIFFLE_RIVALS_ADDRESS"
)

func TestMain(m *testing.M) {
	part, address := os.Getenv(partVariable), os.Getenv(addressVariable)
	var err error
	switch part {
	case "":
		for name, value := range datadogEnvironment {
			os.Setenv(name, value)
		}
		goleak.VerifyTestMain(m)
	case "receiver":
		err = runReceiver(address)
	case "service":
		err = runService(address)
	default:
		err = fmt.Errorf("nobody knows the part %q", part)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// startPart starts this binary in another part.
func startPart(tb testing.TB, part string, more ...string) (p *process.Process, address string) {
	tb.Helper()
	self, err := os.Executable()
	must(tb, err)
	return launch(tb, self, func(address string) (env, args []string) {
		return append([]string{partVariable + "=" + part, addressVariable + "=" + address}, more...), nil
	})
}

// launch starts a server on a free port; with is what it is told about it.
func launch(tb testing.TB, program string, with func(address string) (env, args []string)) (s *process.Process, address string) {
	tb.Helper()
	var err error
	for range 3 { // a port may be taken meanwhile
		p := process.FreePorts(tb, "server")
		address = p.At("server")
		env, args := with(address)
		if s, err = process.Launch(tb, p, env, program, args...); err == nil {
			return s, address
		}
	}
	tb.Fatal(err)
	return nil, ""
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
