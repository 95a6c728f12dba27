package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/riffletrace/riffle/bench"
	"github.com/riffletrace/riffle/cmd/riffle/internal/demo"
	"github.com/riffletrace/riffle/exporters/file"
	"github.com/riffletrace/riffle/plugins"
	"github.com/riffletrace/riffle/samplers/adaptive"
)

func TestMain(m *testing.M) {
	os.Exit(bench.Main(func() int { return testMain(m) }, bench.Shop()))
}

// testMain does not return.
func testMain(m *testing.M) int {
	testscript.Main(m, map[string]func(){
		"riffle":                 func() { os.Exit(Main()) },
		"riffle-plugin-file":     func() { os.Exit(plugins.Main(plugins.Exporter(file.Factory))) },
		"riffle-plugin-adaptive": func() { os.Exit(plugins.Main(plugins.Sampler(adaptive.Factory))) },
	})
	return 0
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireUniqueNames: true})
}

func TestExitCodes(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"good.yaml":   "observability:\n  tracing:\n    enabled: true\n    sample_rate: 1\n    exporters: []\n",
		"off.yaml":    "observability:\n  tracing:\n    enabled: false\n",
		"broken.yaml": "observability:\n  tracing:\n    sample_rate: 2\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		args string
		want int
		says string // on stderr
	}{
		{"", exitFine, ""},
		{"--help", exitFine, ""},
		{"version", exitFine, ""},
		{"components", exitFine, ""},
		{"components --json", exitFine, ""},
		{"completion bash", exitFine, ""},
		{"demo --help", exitFine, ""},
		{"demo --requests 10", exitFine, ""},
		{"demo --requests 10 --json --config good.yaml", exitFine, ""},
		{"validate good.yaml off.yaml", exitFine, ""},

		{"validate broken.yaml", exitFailed, "broken.yaml:3:5: observability.tracing.sample_rate: "},
		{"validate good.yaml absent.yaml", exitFailed, "absent.yaml: no such file"},
		{"demo --config broken.yaml", exitFailed, "broken.yaml:3:5: "},
		{"demo --config absent.yaml", exitFailed, "absent.yaml: no such file"},
		{"demo --config off.yaml", exitFailed, "off.yaml: tracing is off: set observability.tracing.enabled to true"},

		{"trace", exitUsage, `unknown command "trace"`},
		{"--colour", exitUsage, "unknown flag: --colour"},
		{"demo now", exitUsage, `"now"`},
		{"demo --request 5", exitUsage, "unknown flag: --request"},
		{"demo --requests many", exitUsage, `"many"`},
		{"demo --requests 0", exitUsage, "--requests 0: want 1 to 1000000"},
		{"demo --seed -1", exitUsage, `"-1"`},
		{"validate", exitUsage, "at least 1 arg"},
		{"version 2", exitUsage, `"2"`},
	} {
		t.Run(test.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := run(t.Context(), strings.Fields(test.args), &stdout, &stderr); got != test.want {
				t.Errorf("exit code %d, want %d; stderr:\n%s", got, test.want, &stderr)
			}
			switch {
			case test.says == "" && stderr.Len() > 0:
				t.Errorf("stderr:\n%s\nwant none", &stderr)
			case !strings.Contains(stderr.String(), test.says):
				t.Errorf("stderr:\n%s\nwant %q in it", &stderr, test.says)
			}
			if test.want == exitUsage && !strings.Contains(stderr.String(), "--help' for usage.") {
				t.Errorf("stderr does not say where the usage is:\n%s", &stderr)
			}
		})
	}
}

// An interrupt ends the demo with what there is.
func TestInterrupt(t *testing.T) {
	config := filepath.Join(t.TempDir(), "fluxbase.yaml")
	err := os.WriteFile(config, []byte(`
observability:
  tracing:
    enabled: true
    sample_rate: 1
    exporters:
      - {type: stdout, format: otlp_json, output: stderr}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "riffle", "demo", "--json", "--requests", "1000000", "--config", config)
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	exported, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(exported)
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the interrupted demo: %v", err)
	}
	var got demo.Result
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("%v in:\n%s", err, &stdout)
	}
	if !got.Interrupted || got.Requests == 0 || got.TracesKept != got.Requests {
		t.Errorf("%+v", got)
	}
}

// An interrupt ends a measurement with what there is.
func TestBenchInterrupt(t *testing.T) {
	temporary := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "riffle", "bench", "--json", "-", "--rates", "1", "--rounds", "1000", "--duration", "50ms")
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Each round has a directory of its own while it lasts. The first is before
	// all rounds, and the second one's end is the start of the third.
	rounds := map[string]bool{}
	for deadline := time.Now().Add(time.Minute); len(rounds) < 3; time.Sleep(time.Millisecond) {
		found, err := filepath.Glob(filepath.Join(temporary, "riffle-bench*", "service*"))
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("rounds %v, %v", rounds, err)
		}
		for _, dir := range found {
			rounds[dir] = true
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the interrupted measurement: %v\n%s", err, &stderr)
	}
	var got bench.Result
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("%v in:\n%s", err, &stdout)
	}
	if !got.Interrupted {
		t.Errorf("%+v", got)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := &progress{w: &out, total: 4}
	p.step()
	p.drawn.Store(0)
	p.step()
	p.step() // at once: not drawn
	p.clear()
	want := "\r[==========" + strings.Repeat(" ", 30) + "] 1 of 4 requests" +
		"\r[====================" + strings.Repeat(" ", 20) + "] 2 of 4 requests" +
		"\r\x1b[K"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}

	none := newProgress(&out, 1)
	out.Reset()
	none.step()
	none.clear()
	if out.Len() > 0 {
		t.Errorf("drawn without a terminal: %q", &out)
	}
}
