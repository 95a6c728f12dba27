package plugintest_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/riffletrace/riffle/exporters/file"
	"github.com/riffletrace/riffle/plugins"
	"github.com/riffletrace/riffle/plugins/internal/hostile"
	"github.com/riffletrace/riffle/plugins/plugintest"
	"github.com/riffletrace/riffle/samplers/adaptive"
)

func TestMain(m *testing.M) {
	hostile.Main()
	os.Exit(m.Run())
}

func TestGood(t *testing.T) {
	plugintest.Run(t, hostile.Script(t, hostile.Good))
}

// With both ends in one process it is the same.
func TestOffers(t *testing.T) {
	plugintest.RunComponents(t, []plugins.Component{plugins.Sampler(adaptive.Factory), plugins.Exporter(file.Factory)},
		plugintest.Config("adaptive", `{"target_per_second": 5}`),
		plugintest.Config("file", `{"path": "`+filepath.Join(t.TempDir(), "spans")+`"}`))
}

// Outside of go test it is the same.
func TestCheck(t *testing.T) {
	good := slices.Collect(plugintest.Check(t.Context(), hostile.Script(t, hostile.Good)))
	for _, r := range good {
		if len(r.Failures) > 0 {
			t.Errorf("%s: %s", r.Name, r.Failures)
		}
	}
	if len(good) < 30 {
		t.Errorf("only %d rules", len(good))
	}
	// What does not start is not started over and over.
	bad := slices.Collect(plugintest.Check(t.Context(), hostile.Script(t, "exits")))
	if len(bad) != 2 || len(bad[1].Failures) != 1 {
		t.Errorf("%+v", bad)
	}
}

// Each flaw is found by the rule that it breaks.
func TestHostile(t *testing.T) {
	// The rule that must find a flaw, and what it says.
	found := map[string]string{
		"exits":     "handshake: ended without a handshake",
		"silent":    "handshake: no handshake in time",
		"garbage":   "handshake: want 1",
		"endless":   "handshake: without an end of line",
		"version":   "handshake: names version",
		"plaintext": "handshake: is no certificate",
		"stranger":  "handshake: nobody answers",
		"forged":    "handshake: is no certificate",
		"anyone":    "certificate: answers a client without a certificate",
		"unhealthy": "health: NOT_SERVING",
		"chatter":   "stdout: listening",
		"log":       "log: @message is no text",
		"nothing":   "describe: lists no component",
		"twice":     "describe: is listed twice",
		"schema":    `schema: type is "a table of keys"`,
		"huge":      "describe: received message larger than max",
		"small":     "large messages: received message larger than max",
		"anything":  "configuration: takes the configuration",
		"dawdles":   "configuration: DeadlineExceeded",
		"nameless":  "configuration: without an instance",
		"forgetful": "instances: two instances have the name",
		"undead":    "instances: that is closed still works",
		"late":      "deadline: gets no answer",
		"random":    "steady: the plugin ended by itself",
		"dies":      "steady: the plugin ended by itself",
		"short":     "leases: answers 0 of 1 questions",
		"never":     "leases: the threshold 0x1000000000000000",
		"bulky":     "leases: received message larger than max",
		"nonsense":  "leases: the verdict 77",
		"drops":     "leases: an answer drops",
		"bounds":    "leases: the verdict VERDICT_AT_MOST",
		"discards":  "segments: the verdict VERDICT_DROP",
		"raises":    "segments: an answer raises",
		"repeats":   "segments: about the segment 0 twice",
		"unasked":   "segments: which it was not asked about",
		"leak":      "steady: MiB of memory",
		"forks":     "end: a process that it started still runs",
		"orphan":    "host is gone: it still runs",
		"stubborn":  "end: it still runs",
	}
	for _, kind := range slices.Sorted(maps.Keys(hostile.Kinds)) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel() // most only wait
			rule, want, ok := strings.Cut(found[kind], ": ")
			if !ok {
				t.Fatalf("nobody says what finds it")
			}
			failures, ok := plugintest.CheckRule(t.Context(), rule, hostile.Script(t, kind))
			if !ok {
				t.Fatalf("no rule %q", rule)
			}
			text := strings.Join(failures, "\n")
			if !strings.Contains(text, want) || !strings.Contains(text, "rule: ") {
				t.Errorf("%s: %q: want %q and the rule", rule, text, want)
			}
			t.Logf("%s: %s", rule, text)
		})
	}
}
