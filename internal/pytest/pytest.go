// Package pytest finds a Python that can run plugins, for tests.
package pytest

import (
	"os"
	"os/exec"
	"testing"
)

// Path is where Debian and most others have Python. Others that are in PATH
// lack the packages.
const Path = "/usr/bin/python3"

// Need skips the test without Python and the packages that a plugin needs, and
// fails it if RIFFLE_PYTHON is set, which says that they are there.
func Need(tb testing.TB) {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), Path, "-c", "import cryptography, google.protobuf, grpc").CombinedOutput()
	switch {
	case err == nil:
	case os.Getenv("RIFFLE_PYTHON") != "":
		tb.Fatalf("want python3-grpcio, python3-protobuf and python3-cryptography: %v: %s", err, out)
	default:
		tb.Skipf("want python3-grpcio, python3-protobuf and python3-cryptography: %v: %s", err, out)
	}
}
