// Package hostile has plugins that break the rules: for the tests of those who
// run plugins, and of those who check them.
//
// A hostile plugin is the test's own binary, run by a script, so that it is an
// executable file of its own that can be copied and needs no variables:
//
//	func TestMain(m *testing.M) {
//		hostile.Main()
//		os.Exit(m.Run())
//	}
//
//	path := hostile.Script(t, "silent")
//
// Besides its flaw each is a good plugin with an exporter, "out", and a sampler
// that decides starts and segments, "both".
package hostile

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// variable holds the kind.
const variable = "RIFFLE_HOSTILE"

// Good is the kind without a flaw.
const Good = "good"

// Kinds are the flaws, with what the plugin does.
var Kinds = map[string]string{
	"exits":     "ends before the handshake",
	"silent":    "never finishes the handshake",
	"garbage":   "writes bytes to stdout that are no handshake",
	"endless":   "writes a first line to stdout that does not end",
	"version":   "speaks a version that nobody offered",
	"plaintext": "gives no certificate",
	"stranger":  "gives a certificate that is not its own",
	"forged":    "gives a certificate that is none",
	"anyone":    "serves clients without a certificate",
	"unhealthy": "says that it does not serve",
	"chatter":   "writes to stdout after the handshake",
	"log":       "writes a log line whose message is a number, and one without an end",
	"nothing":   "has no components",
	"twice":     "has two components of one name",
	"schema":    "has a schema that is none",
	"huge":      "answers with more than a message may hold",
	"small":     "refuses messages of more than 4 MiB",
	"anything":  "takes any configuration",
	"dawdles":   "never finishes a configuration",
	"nameless":  "gives an instance no name",
	"forgetful": "gives two instances one name",
	"undead":    "serves an instance that is closed",
	"late":      "answers after the deadline, one call at a time",
	"random":    "exits at random",
	"dies":      "ends soon after it said what it has",
	"short":     "leaves out leases",
	"bulky":     "answers a question with more than a host takes",
	"never":     "leases a threshold that there is not",
	"nonsense":  "leases a verdict that there is not",
	"drops":     "drops although it said that it never does",
	"bounds":    "leases a bound, which only a segment can get",
	"discards":  "drops a segment, which only a lease can",
	"raises":    "raises a segment although it said that it never does",
	"repeats":   "answers about one segment twice",
	"unasked":   "keeps segments that it was never asked about",
	"leak":      "leaks memory with each call",
	"forks":     "leaves a process behind",
	"orphan":    "lives on when its host is gone",
	"stubborn":  "lives on when it is told to end",
}

// ForHosts are flaws that break no rule that a plugin can be held to: what is left
// behind is in no group of the plugin's, and nobody can tell what words are.
var ForHosts = map[string]string{
	"shouts":   "says the worst of itself, in its log, and about all that it is asked",
	"misnamed": "has a component with the worst of names",
	"detaches": "leaves a process behind in a session of its own that lost its parent",
	"strips":   "leaves a process behind in a session of its own, without its environment",
	"daemon":   "leaves a process behind in a session of its own that lost its parent, without its environment",
}

// Main plays the plugin and exits, if this process was started as one.
func Main() {
	if kind := os.Getenv(variable); kind != "" {
		os.Exit(play(kind))
	}
}

// Script writes an executable that plays the kind. The test's TestMain calls
// [Main].
func Script(tb testing.TB, kind string) (path string) {
	tb.Helper()
	if Kinds[kind]+ForHosts[kind] == "" && kind != Good {
		tb.Fatalf("no hostile plugin %q", kind)
	}
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	path = filepath.Join(tb.TempDir(), "riffle-plugin-"+kind)
	text := fmt.Sprintf("#!/bin/sh\n%s=%s exec '%s' \"$@\"\n", variable, kind, self)
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil { //nolint:gosec // it is run
		tb.Fatal(err)
	}
	return path
}
