//go:build linux

package rivals

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
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
