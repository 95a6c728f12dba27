package cli_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"

	"github.com/riffletrace/riffle/internal/otlptest"
)

// It takes spans and shows them until it is interrupted, which is no failure.
func TestView(t *testing.T) {
	opened := filepath.Join(t.TempDir(), "opened")
	cmd := exec.CommandContext(t.Context(), "riffle", "view", "--listen", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0", "--otlp-grpc", "", "--open")
	cmd.Env = append(os.Environ(), "PATH="+browser(t, opened)+string(os.PathListSeparator)+os.Getenv("PATH"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	at := map[string]string{}
	for lines := bufio.NewScanner(stdout); lines.Scan() && !strings.HasPrefix(lines.Text(), "Interrupt"); {
		name, address, _ := strings.Cut(lines.Text(), " ")
		at[name] = strings.TrimSpace(address)
	}
	if len(at) != 2 || at["page"] == "" || at["OTLP/HTTP"] == "" {
		t.Fatalf("it says %v\n%s", at, &stderr)
	}
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(at["OTLP/HTTP"]+"/v1/traces"))
	if err != nil {
		t.Fatal(err)
	}
	if err := exporter.ExportSpans(t.Context(), otlptest.Spans("a", "b")); err != nil {
		t.Error(err)
	}
	if err := exporter.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	var summary struct {
		Spans int   `json:"spans"`
		Max   int64 `json:"max_bytes"`
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(at["page"] + "api/summary")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(resp.Body).Decode(&summary); err != nil || summary.Spans != 2 || summary.Max != 512<<20 {
		t.Errorf("%+v, %v", summary, err)
	}
	_ = resp.Body.Close()
	if runtime.GOOS == "linux" {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			if url, err := os.ReadFile(opened); err == nil && len(url) > 0 {
				if string(url) != at["page"] {
					t.Errorf("%s was opened, want %s", url, at["page"])
				}
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("no browser was opened")
			}
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v\n%s", err, &stderr)
	}
}

// browser is a directory with an xdg-open that writes what it is to open.
func browser(t *testing.T, opened string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	script := "#!/bin/sh\nprintf %s \"$1\" > '" + opened + ".part' && mv '" + opened + ".part' '" + opened + "'\n"
	if err := os.WriteFile(filepath.Join(dir, "xdg-open"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestViewMistakes(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := taken.Addr().String()
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"--listen " + at, 1, "riffle: --listen " + at + ": port "},
		{"--listen 127.0.0.1:0 --otlp-http= --otlp-grpc " + at, 1, "riffle: --otlp-grpc " + at + ": port "},
		{"--listen 127.0.0.1:0 --otlp-grpc= --otlp-http 0.0.0.0:4318", 1, "riffle: --otlp-http 0.0.0.0:4318: not an address of loopback"},
		{"--otlp-grpc= --otlp-http=", 2, "riffle: nothing to show: want a FILE"},
		{"- -", 2, "riffle: - is there twice"},
		{"absent.json", 1, "riffle: stat absent.json: no such file"},
		{"--max-bytes 1", 2, "max-bytes"},
	} {
		code, stdout, stderr := command(append([]string{"view"}, strings.Fields(test.args)...)...)
		if code != test.code || !strings.Contains(stderr, test.want) || stdout != "" {
			t.Errorf("%s: %d %q %q, want %d %s", test.args, code, stdout, stderr, test.code, test.want)
		}
	}
}
