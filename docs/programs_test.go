package docs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The README's main.go runs in a module outside, next to the README's file.
func TestReadmeProgram(t *testing.T) {
	program := firstBlock(t, "README.md", "go")
	if got := strings.Count(program, "\n"); got != 12 {
		t.Errorf("main.go has %d lines, want 12", got)
	}
	dir := outside(t, map[string]string{
		"main.go":       program,
		"fluxbase.yaml": firstBlock(t, "README.md", "yaml"),
	})
	out, err := build(t, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"OpenTelemetry tracing initialized", "localhost:4317", "fluxbase"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

// What docs/aws.md imports makes a program that has the exporter.
func TestAWS(t *testing.T) {
	const page = "docs/aws.md"
	var file string
	for _, b := range blocksOf(t, page) {
		if b.file == "xray.yaml" {
			file = b.text
		}
	}
	program := "package main\n\n" + firstBlock(t, page, "go") + `
import (
	"context"
	"fmt"

	"github.com/riffletrace/riffle"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/exporters/xray"
)

func main() {
	tracing, err := riffle.Start(context.Background(), "xray.yaml", riffle.Core(core.IDGenerator(xray.NewIDGenerator())))
	fmt.Println(err, tracing.Shutdown(context.Background()))
}
`
	dir := outside(t, map[string]string{"main.go": program, "xray.yaml": file}, "exporters/xray")
	out, err := build(t, dir).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "<nil> <nil>") || !strings.Contains(string(out), "xray.eu-central-1.amazonaws.com") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The service of docs/getting-started.md answers a request and prints its
// trace.
func TestGettingStarted(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	const page = "docs/getting-started.md"
	program := firstBlock(t, page, "go")
	if !strings.Contains(program, "localhost:8080") {
		t.Fatal("the program has another address now")
	}
	dir := outside(t, map[string]string{
		"main.go":       strings.Replace(program, "localhost:8080", address, 1),
		"fluxbase.yaml": firstBlock(t, page, "yaml"),
	})
	cmd := build(t, dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()

	body, err := get(t, "http://"+address+"/hello/riffle")
	if err != nil {
		t.Fatal(err)
	}
	if body != "Hello, riffle!\n" {
		t.Errorf("the service says %q", body)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	if want := "GET /hello/{name}"; !strings.Contains(out.String(), want) {
		t.Errorf("no trace of %q in:\n%s", want, &out)
	}
}

// get asks until the service listens.
func get(t *testing.T, url string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return "", err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			return string(body), err
		}
		select {
		case <-ctx.Done():
			return "", err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// outside makes a module that uses riffle's root module, and those below the
// directories, as anybody would, without the network: its requirements are theirs.
func outside(t *testing.T, files map[string]string, modules ...string) (dir string) {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	var mod, sum strings.Builder
	fmt.Fprintf(&mod, "module fluxbase\n\ngo %s\n", readGoMod(t, ".").Go)
	for _, dir := range append([]string{"."}, modules...) {
		our := readGoMod(t, dir)
		fmt.Fprintf(&mod, "\nrequire %s v0.0.0\n\nreplace %[1]s => %s\n\nrequire (\n", our.Module.Path, filepath.Join(root, dir))
		for _, r := range our.Require {
			if !strings.HasPrefix(r.Path, modulePath) {
				fmt.Fprintf(&mod, "\t%s %s\n", r.Path, r.Version)
			}
		}
		mod.WriteString(")\n")
		data, err := os.ReadFile(filepath.Join(dir, "go.sum"))
		if err != nil {
			t.Fatal(err)
		}
		sum.Write(data)
	}
	dir = t.TempDir()
	files["go.mod"], files["go.sum"] = mod.String(), sum.String()
	for name, text := range files {
		writeFile(t, dir, name, text)
	}
	return dir
}

// build compiles the module in dir and returns its program, ready to start
// there.
func build(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	program := filepath.Join(dir, "fluxbase")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd = exec.CommandContext(t.Context(), program)
	cmd.Dir = dir
	cmd.Env = environ()
	return cmd
}
