package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/riffletrace/riffle/bench"
	"github.com/riffletrace/riffle/cmd/riffle/cli"
	"github.com/riffletrace/riffle/cmd/riffle/cli/benchmark"
	"github.com/riffletrace/riffle/cmd/riffle/cli/hosting"
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
		"riffle":                 func() { os.Exit(cli.Main(options()...)) },
		"riffle-plugin-file":     func() { os.Exit(plugins.Main(plugins.Exporter(file.Factory))) },
		"riffle-plugin-adaptive": func() { os.Exit(plugins.Main(plugins.Sampler(adaptive.Factory))) },
	})
	return 0
}

// options are those of the command riffle.
func options() []cli.Option { return []cli.Option{benchmark.Command(), hosting.Plugins()} }

func command(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = cli.Run(context.Background(), args, &out, &errs, options()...)
	return code, out.String(), errs.String()
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireUniqueNames: true})
}

func TestExitCodes(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"good.yaml":   "observability:\n  tracing:\n    enabled: true\n    service_name: x\n    sample_rate: 1\n    exporters: []\n",
		"off.yaml":    "observability:\n  tracing:\n    enabled: false\n",
		"broken.yaml": "observability:\n  tracing:\n    sample_rate: 2\n",
		"other.yaml":  "server: 1\n",
		"empty.yaml":  "",
		"list.yaml":   "- 1\n",
		"bad.env":     "A\n",
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
		{"", 0, ""},
		{"--help", 0, ""},
		{"version", 0, ""},
		{"components", 0, ""},
		{"components --json", 0, ""},
		{"completion bash", 0, ""},
		{"demo --help", 0, ""},
		{"help", 0, ""},
		{"help queue send", 0, ""},
		{"demo --requests 10", 0, ""},
		{"demo --requests 10 --json --config good.yaml", 0, ""},
		{"validate good.yaml off.yaml", 0, ""},

		{"validate --effective good.yaml", 0, ""},
		{"validate --json good.yaml", 0, ""},
		{"explain --config good.yaml --span x", 0, ""},
		{"plugins", 2, "want a command: check, list, new, pin or test"},
		{"queue", 2, "want a command: "},
		{"completion", 2, "want a command: bash, fish, powershell or zsh"},
		{"completion cmd", 2, "\"cmd\""},
		{"help nothing", 2, "unknown command \"nothing\" for \"riffle\""},
		{"help queue nothing", 2, "unknown command \"nothing\" for \"riffle queue\""},

		{"validate other.yaml", 1, "other.yaml:1:1: nothing in it is for riffle"},
		{"validate empty.yaml", 1, "empty.yaml:1:1: the file is empty"},
		{"validate list.yaml", 1, "list.yaml:1:1: want a mapping, not a list"},
		{"validate --env-file bad.env good.yaml", 1, "bad.env:1: want NAME=VALUE"},
		{"validate --env-file absent.env good.yaml", 1, "absent.env: no such file"},
		{"validate --json broken.yaml", 1, ""},
		{"explain --config absent.yaml --span x", 1, "absent.yaml: no such file"},
		{"explain --config good.yaml --trace absent.json", 1, "absent.json: no such file"},
		{"send --config absent.yaml", 1, "absent.yaml: no such file"},
		{"send --config good.yaml", 1, "nothing was sent: there is no such exporter"},
		{"doctor --config absent.yaml", 1, ""},
		{"queue ls absent", 1, "absent"},
		{"queue inspect absent", 1, "absent"},
		{"queue purge absent", 1, "absent"},
		{"queue send absent --to a:1", 1, "absent"},
		{"plugins check --dir absent", 1, "absent"},
		{"plugins list --dir absent", 1, "absent"},
		{"plugins pin --dir absent x", 1, "absent"},
		{"plugins test absent", 1, "absent"},
		{"bench --config absent.yaml", 1, "absent.yaml: no such file"},
		{"bench --config other.yaml", 1, "other.yaml: tracing is off: set observability.tracing.enabled to true"},
		{"bench --from absent.json", 1, "absent.json: no such file"},
		{"bench --compare absent.json", 1, "absent.json: no such file"},

		{"validate --effective good.yaml off.yaml", 2, "--effective: want one FILE"},
		{"validate --effective --json good.yaml", 2, "--effective and --json: want one of them"},
		{"validate - -", 2, "-: standard input can be read once"},
		{"validate --section a..b good.yaml", 2, "\"a..b\" is not the path of a section"},
		{"validate --sections x", 2, "unknown flag: --sections"},
		{"explain --span x", 2, `required flag(s) "config" not set`},
		{"explain --config good.yaml", 2, "--span is missing"},
		{"explain --config good.yaml --span x --section ..", 2, "is not the path of a section"},
		{"explain --config good.yaml --span x more", 2, `"more"`},
		{"findings", 2, "at least 1 arg"},
		{"findings - -", 2, "-: standard input can be read once"},
		{"findings x --fail-on slow", 2, "--fail-on slow: unknown kind"},
		{"findings x --set gap.min_share=2", 2, "--set: gap.min_share: 2: want 0 to 1"},
		{"components more", 2, `"more"`},
		{"queue ls", 2, "accepts 1 arg"},
		{"queue inspect a b", 2, "accepts 1 arg"},
		{"queue purge", 2, "accepts 1 arg"},
		{"queue purge x --older-than soon", 2, `"soon"`},
		{"queue send x", 2, "want --to ENDPOINT"},
		{"queue send x --to a:1 --protocol ftp", 2, "--to a:1: protocol: "},
		{"queue send x --to a:1 --header x", 2, "want NAME=VALUE"},
		{"queue send x --to a:1 --timeout 0s", 2, "--timeout 0s: want more than 0s"},
		{"send", 2, "want --config FILE or --to ENDPOINT"},
		{"send --config good.yaml --to a:1", 2, "want --config FILE or --to ENDPOINT"},
		{"send --to a:1 --protocol ftp", 2, "--to a:1: protocol: "},
		{"send --to a:1 --header x", 2, "want NAME=VALUE"},
		{"send --to a:1 --timeout 0s", 2, "--timeout 0s: want more than 0s"},
		{"doctor --timeout -1s", 2, "--timeout -1s: want more than 0s"},
		{"doctor more", 2, `"more"`},
		{"plugins pin", 2, "requires at least 1 arg"},
		{"plugins check more", 2, `"more"`},
		{"plugins list more", 2, `"more"`},
		{"plugins new", 2, "accepts 1 arg"},
		{"plugins new x", 2, "--kind is missing"},
		{"plugins new x --kind robot", 2, "robot"},
		{"plugins test", 2, "accepts 1 arg"},
		{"plugins test good.yaml --config x", 2, "--config x: want the name of a component"},
		{"bench --rounds 0", 2, "--rounds 0: want 1 to 1000"},
		{"bench --rates 2", 2, "want numbers from 0 to 1"},
		{"bench --from x --full", 2, "--from measures nothing"},
		{"bench more", 2, `"more"`},

		{"validate broken.yaml", 1, "broken.yaml:3:5: observability.tracing.sample_rate: "},
		{"validate good.yaml absent.yaml", 1, "absent.yaml: no such file"},
		{"demo --config broken.yaml", 1, "broken.yaml:3:5: "},
		{"demo --config absent.yaml", 1, "absent.yaml: no such file"},
		{"demo --config off.yaml", 1, "off.yaml: tracing is off: set observability.tracing.enabled to true"},

		{"trace", 2, `unknown command "trace"`},
		{"--colour", 2, "unknown flag: --colour"},
		{"demo now", 2, `"now"`},
		{"demo --request 5", 2, "unknown flag: --request"},
		{"demo --requests many", 2, `"many"`},
		{"demo --requests 0", 2, "--requests 0: want 1 to 1000000"},
		{"demo --seed -1", 2, `"-1"`},
		{"validate", 2, "at least 1 arg"},
		{"version 2", 2, `"2"`},
	} {
		t.Run(test.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := cli.Run(t.Context(), strings.Fields(test.args), &stdout, &stderr, options()...); got != test.want {
				t.Errorf("exit code %d, want %d; stderr:\n%s", got, test.want, &stderr)
			}
			switch {
			case test.says == "" && stderr.Len() > 0:
				t.Errorf("stderr:\n%s\nwant none", &stderr)
			case !strings.Contains(stderr.String(), test.says):
				t.Errorf("stderr:\n%s\nwant %q in it", &stderr, test.says)
			}
			if test.want == 2 && !strings.Contains(stderr.String(), "--help' for usage.") {
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
    service_name: shop
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

// What cannot be written is not said to be fine: a file of --effective may be cut off.
func TestValidateWithoutRoom(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(file, []byte("observability: {tracing: {enabled: false}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{}, {"--effective"}, {"--json"}} {
		var stderr bytes.Buffer
		if code := cli.Run(t.Context(), append([]string{"validate", file}, args...), full{}, &stderr, options()...); code != 1 || stderr.String() != "riffle: no room\n" {
			t.Errorf("%v: exit code %d, %s", args, code, &stderr)
		}
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no room") }
