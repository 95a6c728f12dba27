package cli_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/internal/otlptest"
)

var traceID = regexp.MustCompile(`^[0-9a-f]{32}\n`)

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fluxbase.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// What send sends arrives, over both protocols and whatever samplers say.
func TestSend(t *testing.T) {
	grpc, http := otlptest.GRPC(t, nil), otlptest.HTTP(t, nil, "/v1/traces")
	file := writeConfig(t, fmt.Sprintf(`
observability:
  tracing:
    enabled: true
    service_name: fluxbase
    sample_rate: 0
    exporters:
      - {type: otlp, name: a, endpoint: %q}
      - {type: otlp, name: b, endpoint: "http://%s", protocol: http/protobuf, queue: {storage: disk, dir: %q}, filter: {match: {name: none}}}
`, grpc.Address, http.Address, filepath.Join(t.TempDir(), "queue")))
	code, stdout, stderr := command("send", "--config", file)
	if code != 0 || stderr != "" || !traceID.MatchString(stdout) || strings.Count(stdout, ": 3 spans accepted by ") != 2 {
		t.Errorf("exit code %d, stdout:\n%sstderr:\n%s", code, stdout, stderr)
	}
	code, stdout, stderr = command("send", "--to", grpc.Address, "--header", "x-key=hunter2")
	if code != 0 || stderr != "" || !strings.Contains(stdout, "send: 3 spans accepted by "+grpc.Address) {
		t.Errorf("exit code %d, stdout:\n%sstderr:\n%s", code, stdout, stderr)
	}
	for name, r := range map[string]*otlptest.Receiver{"grpc": grpc, "http": http} {
		all := r.Requests()
		if want := map[string]int{"grpc": 2, "http": 1}[name]; len(all) != want || strings.Join(all[0].Spans, ", ") != "call, step, riffle send" {
			t.Errorf("%s: %+v", name, all)
		}
	}
	if got := grpc.Requests()[1].Headers.Get("X-Key"); got != "hunter2" {
		t.Errorf("the header is %q", got)
	}
}

// An exporter whose backend does not accept fails alone, and after one attempt.
func TestSendRefused(t *testing.T) {
	fine, refuses := otlptest.GRPC(t, nil), otlptest.GRPC(t, nil)
	refuses.RespondWithCode(t, "UNAUTHENTICATED")
	file := writeConfig(t, fmt.Sprintf(`
observability:
  tracing:
    enabled: true
    service_name: fluxbase
    exporters:
      - {type: otlp, name: refuses, endpoint: %q}
      - {type: otlp, name: dead, endpoint: %q}
      - {type: otlp, name: fine, endpoint: %q}
`, refuses.Address, otlptest.Dead(t), fine.Address))
	code, stdout, stderr := command("send", "--config", file)
	if code != 1 || !strings.Contains(stdout, "fine: 3 spans accepted") ||
		!strings.Contains(stderr, `exporter "refuses": 3 spans were lost: `+refuses.Address+" refused the credentials: check headers") || !strings.Contains(stderr, "nothing listens there") {
		t.Errorf("exit code %d, stdout:\n%sstderr:\n%s", code, stdout, stderr)
	}
	if n := len(refuses.Requests()); n != 1 {
		t.Errorf("%d attempts", n)
	}
	if code, stdout, _ := command("send", "--config", file, "--exporter", "fine"); code != 0 || strings.Count(stdout, "\n") != 2 {
		t.Errorf("exit code %d, stdout:\n%s", code, stdout)
	}
	if code, _, stderr := command("send", "--config", file, "--exporter", "other"); code != 1 || !strings.Contains(stderr, "no such exporter") {
		t.Errorf("exit code %d, stderr:\n%s", code, stderr)
	}
}

// What an exporter takes out of its spans is taken out of those of send.
func TestSendRedacts(t *testing.T) {
	bodies := make(chan []byte, 1)
	receiver := otlptest.Web(t, nil, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- body
	}))
	file := writeConfig(t, fmt.Sprintf(`
observability:
  tracing:
    enabled: true
    service_name: fluxbase
    resource: {customer: hunter2}
    exporters:
      - {type: otlp, endpoint: "http://%s", protocol: http/protobuf, compression: none, redact: {rules: [{keys: [customer]}]}}
`, receiver))
	if code, _, stderr := command("send", "--config", file); code != 0 {
		t.Fatalf("exit code %d, stderr:\n%s", code, stderr)
	}
	if body := string(<-bodies); !strings.Contains(body, "customer") || strings.Contains(body, "hunter2") {
		t.Errorf("sent:\n%q", body)
	}
}

// The report as JSON has each step.
func TestDoctorJSON(t *testing.T) {
	file := writeConfig(t, fmt.Sprintf("observability: {tracing: {enabled: true, service_name: fluxbase, sample_rate: 1, endpoint: %q}}", otlptest.GRPC(t, nil).Address))
	code, stdout, stderr := command("doctor", "--config", file, "--json")
	var got struct {
		OK     bool
		Faults int
		Checks []struct{ Check, Subject, Status, Found string }
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 || stderr != "" {
		t.Fatalf("%v, exit code %d, stdout:\n%sstderr:\n%s", err, code, stdout, stderr)
	}
	var steps []string
	for _, c := range got.Checks {
		steps = append(steps, c.Check)
	}
	const want = "config enabled resolve connect export sampling propagators clock queue memory files"
	if all := strings.Join(steps, " "); all != want || !got.OK || got.Faults != 0 {
		t.Errorf("%s\nwant %s; %+v", all, want, got)
	}
}

// What docs/troubleshooting.md shows is what doctor prints: but for the port, the times
// and the limits of the machine.
func TestDoctorDocs(t *testing.T) {
	const page = "../../../docs/troubleshooting.md"
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	between := func(begin string) string {
		_, rest, _ := strings.Cut(string(data), "```"+begin+"\n")
		text, _, _ := strings.Cut(rest, "```")
		return text
	}
	_, port, _ := net.SplitHostPort(otlptest.GRPC(t, nil).Address)
	t.Chdir(t.TempDir())
	if err := os.WriteFile("fluxbase.yaml", []byte(strings.ReplaceAll(between("yaml"), "5317", port)), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := command("doctor", "--config", "fluxbase.yaml", "--app", "fluxbase")
	if code != 1 || stderr != "" {
		t.Errorf("exit code %d, stderr:\n%s", code, stderr)
	}
	for _, same := range []struct{ pattern, text string }{
		{`127\.0\.0\.1:` + port, "127.0.0.1:5317"},
		{`\([0-9.]+ ms\)`, "(0.3 ms)"},
		{`(warn|ok  )  memory: (.*queue of otlp 32MiB\)).*\n(      -> .*\n)?`, "ok    memory: $2; this process has no limit\n"},
		{`files: .*`, "files: 1048576 files can be open"},
		{`2 faults, [01] warnings?`, "2 faults, 0 warnings"},
	} {
		stdout = regexp.MustCompile(same.pattern).ReplaceAllString(stdout, same.text)
	}
	if diff := cmp.Diff(between("output of doctor"), stdout); diff != "" {
		t.Errorf("%s (-shown +printed):\n%s\n%s", page, diff, stdout)
	}
}
