package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/riffletrace/riffle/bench/internal/process"
)

const serviceName = "fluxbase" // in every configuration

// run is a configuration of the page, and what it runs against.
type run struct {
	file, protocol, connection, against string

	start func(*bench, *testing.T) backend
	check func(*testing.T, []span, *result) // nil: checkWhole
}

var runs = []run{
	{"jaeger.yaml", "gRPC", "plain text", "Jaeger", (*bench).jaeger, nil},
	{"jaeger-grpc.yaml", "gRPC", "plain text, gzip", "Jaeger", (*bench).jaeger, nil},
	{"jaeger-http.yaml", "HTTP", "plain text, gzip", "Jaeger", (*bench).jaeger, nil},
	{"jaeger-tls.yaml", "gRPC", "TLS", "Jaeger", func(b *bench, t *testing.T) backend {
		return startJaeger(t, security{b.authority, "server", false})
	}, nil},
	{"jaeger-mtls.yaml", "HTTP", "mutual TLS", "Jaeger", func(b *bench, t *testing.T) backend {
		return startJaeger(t, security{b.authority, "server", true})
	}, nil},
	{"tempo.yaml", "gRPC", "plain text", "Collector with the receiver of `tempo-server.yaml`", func(b *bench, t *testing.T) backend {
		return startReceivers(t, section(t, b.files["tempo-server.yaml"], "distributor", "receivers"), demand{})
	}, nil},
	{"tempo-tenant.yaml", "HTTP", "plain text, header", "Collector that demands the header", func(_ *bench, t *testing.T) backend {
		// The Collector wants the name as net/http writes it.
		return startCollector(t, security{}, demand{header: "X-Scope-Orgid", token: "fluxbase"})
	}, nil},
	{"tempo-hosted.yaml", "HTTP", "TLS, gzip, header, path", "Collector that demands header and path", func(b *bench, t *testing.T) backend {
		return startCollector(t, security{b.authority, "server", false},
			demand{header: "Authorization", scheme: "Basic", token: "dXNlcjpwYXNzd29yZA==", path: "/otlp/v1/traces"})
	}, nil},
	{"collector.yaml", "gRPC", "plain text", "Collector", (*bench).collector, nil},
	{"collector-url.yaml", "gRPC", "plain text", "Collector", (*bench).collector, nil},
	{"collector-http.yaml", "HTTP", "plain text", "Collector", (*bench).collector, nil},
	{"collector-key.yaml", "gRPC", "TLS, gzip, header", "Collector that demands the header", func(b *bench, t *testing.T) backend {
		return startCollector(t, security{b.authority, "server", false}, demand{header: "Authorization", scheme: "Bearer", token: "s3cret"})
	}, nil},
	{"collector-mtls.yaml", "gRPC", "mutual TLS", "Collector", func(b *bench, t *testing.T) backend {
		return startCollector(t, security{b.authority, "internal", true}, demand{})
	}, nil},
	{"collector.yaml", "gRPC", "plain text", "Collector with `otelcol.yaml`, Jaeger behind it", func(b *bench, t *testing.T) backend {
		return b.chain(t, "otelcol.yaml")
	}, nil},
	{"collector.yaml", "gRPC", "plain text", "Collector with `otelcol-tail.yaml`, Jaeger behind it", func(b *bench, t *testing.T) backend {
		return b.chain(t, "otelcol-tail.yaml")
	}, checkTail},
}

// bench is what the runs share: a Jaeger and a Collector that speak plain text,
// and certificates.
type bench struct {
	*authority
	files map[string]string

	plainJaeger    *jaeger
	plainCollector *collector
}

func newBench(t *testing.T) *bench {
	t.Helper()
	a := newAuthority(t)
	a.issue(t, "server", "localhost")
	a.issue(t, "internal", "collector.internal")
	a.issue(t, "client")
	return &bench{
		authority: a, files: files(t),
		plainJaeger:    startJaeger(t, security{}),
		plainCollector: startCollector(t, security{}, demand{}),
	}
}

func (b *bench) jaeger(*testing.T) backend    { return b.plainJaeger }
func (b *bench) collector(*testing.T) backend { return b.plainCollector }

// chain is a Collector with a configuration of the page, which passes on to a
// Jaeger.
func (b *bench) chain(t *testing.T, file string) backend {
	t.Helper()
	behind := b.plainJaeger
	text := strings.NewReplacer("jaeger:4317", behind.address("grpc"), "decision_wait: 10s", "decision_wait: 1s").Replace(b.files[file])
	// It would listen on a port of its own for its metrics.
	text = strings.Replace(text, "service:\n", "service:\n  telemetry: {metrics: {level: none}}\n", 1)
	p, _ := startWithConfig(t, text)
	return chained{behind, p}
}

// chained is sent to at one place and read from at another.
type chained struct {
	backend
	front process.Ports
}

func (c chained) address(protocol string) string { return c.front.Local(protocol) }

// result is what riffle demo --json prints.
type result struct {
	TracesKept      int `json:"traces_kept"`
	TracesKeptError int `json:"traces_kept_error"`
	SpansExported   int `json:"spans_exported"`
	Exporters       []struct {
		Name       string
		Sent, Lost int
	}
}

// TestInteropPage does for each configuration of the page what its reader
// would do: it sends the demo's traces through it, and looks at the backend.
func TestInteropPage(t *testing.T) {
	needsBackends(t)
	b := newBench(t)
	for i, r := range runs {
		t.Run(strings.TrimSuffix(r.file, ".yaml")+"/"+r.against, func(t *testing.T) {
			to := r.start(b, t)
			protocol := map[string]string{"gRPC": "grpc", "HTTP": "http"}[r.protocol]
			name := fmt.Sprint("run-", i)
			got := demo(t, b.authority, redirect(b.files[r.file], to.address(protocol)), name, i)

			check := checkWhole
			if r.check != nil {
				check = r.check
			}
			check(t, arrived(t, to, name, got, r.check == nil), got)
		})
	}
}

var endpointLine = regexp.MustCompile(`(endpoint: (?:https?://)?)[a-z.]+(?::\d+)?(/\S*)?\n`)

// redirect sends a configuration somewhere else; scheme and path stay.
func redirect(text, address string) string {
	return endpointLine.ReplaceAllString(text, "${1}"+address+"${2}\n")
}

// demo runs riffle demo with a configuration, which must work.
func demo(t *testing.T, a *authority, text, name string, seed int) *result {
	t.Helper()
	cmd, stdout, stderr := riffleDemo(t, a.dir, text, name, seed)
	if err := cmd.Run(); err != nil {
		t.Fatalf("riffle demo: %v\n%s", err, stderr)
	}
	if stderr.Len() > 0 {
		t.Errorf("riffle demo says:\n%s", stderr)
	}
	var r result
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	if e := r.Exporters[0]; e.Sent != r.SpansExported || e.Lost != 0 {
		t.Errorf("of %d spans, %s sent %d and lost %d", r.SpansExported, e.Name, e.Sent, e.Lost)
	}
	return &r
}

// riffleDemo is riffle demo with a configuration, ready to run next to the
// files of an authority. The seed makes trace IDs that no other run has.
func riffleDemo(t *testing.T, dir, text, name string, seed int) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	program, err := riffleProgram()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "fluxbase.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), program, "demo", "--config", file, "--json", "--requests", "200", "--seed", strconv.Itoa(seed))
	cmd.Dir = dir
	cmd.Env = process.Environ(append(variables, "SSL_CERT_FILE="+filepath.Join(dir, "ca.pem"), "OTEL_RESOURCE_ATTRIBUTES="+caseKey+"="+name)...)
	process.DieWithTest(cmd)
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

// arrived waits until the backend has the spans of a run: all of them, or
// some and no more for a while.
func arrived(t *testing.T, to backend, name string, r *result, all bool) []span {
	t.Helper()
	var got []span
	err := process.Poll(func() (err error) {
		if got, err = to.spans(name); err != nil {
			return process.Stop(err)
		}
		switch roots := roots(got); {
		case all && len(got) < r.SpansExported:
			return fmt.Errorf("%d of %d spans have arrived", len(got), r.SpansExported)
		case !all && failed(roots) < r.TracesKeptError:
			return fmt.Errorf("%d of %d failed traces have arrived", failed(roots), r.TracesKeptError)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// checkWhole compares what arrived with what the demo counted.
func checkWhole(t *testing.T, got []span, r *result) {
	t.Helper()
	if len(got) != r.SpansExported {
		t.Errorf("%d spans, want %d", len(got), r.SpansExported)
	}
	if n := len(roots(got)); n != r.TracesKept {
		t.Errorf("%d traces, want %d", n, r.TracesKept)
	}
	if n := failed(roots(got)); n != r.TracesKeptError || n == 0 {
		t.Errorf("%d failed traces, want %d", n, r.TracesKeptError)
	}
	checkSpans(t, got)
}

// checkTail expects the traces that failed, and of the others slow ones.
func checkTail(t *testing.T, got []span, r *result) {
	t.Helper()
	if n := failed(roots(got)); n != r.TracesKeptError || n == 0 {
		t.Errorf("%d failed traces, want %d", n, r.TracesKeptError)
	}
	if n := len(roots(got)); n >= r.TracesKept {
		t.Errorf("%d traces of %d: nothing was sampled", n, r.TracesKept)
	}
	for id, trace := range byTrace(got) {
		var chosen bool
		for _, s := range trace {
			chosen = chosen || s.Status == "ERROR" || s.Duration.Milliseconds() >= 250
		}
		if !chosen {
			t.Errorf("trace %s neither failed nor was slow", id)
		}
	}
	checkSpans(t, got)
}

// checkSpans checks what holds for all of the demo's spans.
func checkSpans(t *testing.T, got []span) {
	t.Helper()
	kinds := map[string]int{}
	var exceptions int
	for id, trace := range byTrace(got) {
		known := map[string]bool{}
		for _, s := range trace {
			if known[s.ID] {
				t.Errorf("span %s of trace %s is there twice", s.ID, id)
			}
			known[s.ID] = true
		}
		for _, s := range trace {
			if s.Parent != "" && !known[s.Parent] {
				t.Errorf("trace %s: the parent of %s is not there", id, s.Name)
			}
			for key, want := range map[string]string{
				"service.name":                serviceName,
				"deployment.environment.name": "production", "telemetry.sdk.language": "go",
			} {
				if s.Resource[key] != want {
					t.Errorf("%s of %s is %v, want %s", key, s.Name, s.Resource[key], want)
				}
			}
			kinds[s.Kind]++
			want := "internal"
			switch {
			case s.Parent == "" || s.Name == "POST /payments":
				want = "server"
			case s.Attributes["db.system.name"] != nil || s.Attributes["http.request.method"] != nil:
				want = "client"
			}
			if s.Kind != want {
				t.Errorf("%s is of kind %s, want %s", s.Name, s.Kind, want)
			}
			if status, ok := s.Attributes["http.response.status_code"].(int64); s.Kind == "server" && !ok {
				t.Errorf("%s has the status code %v", s.Name, s.Attributes["http.response.status_code"])
			} else if s.Kind == "server" && (status >= 500) != (s.Status == "ERROR") {
				t.Errorf("%s answered %d and has the status %q", s.Name, status, s.Status)
			}
			for _, e := range s.Events {
				message, _ := e.Attributes["exception.message"].(string)
				if e.Name != "exception" || message == "" || s.Status != "ERROR" || s.Kind == "client" && message != s.Description {
					t.Errorf("%s has the status %q (%s) and the event %v", s.Name, s.Status, s.Description, e)
				}
				exceptions++
			}
		}
	}
	if kinds["server"] == 0 || kinds["client"] == 0 || kinds["internal"] == 0 {
		t.Errorf("spans by kind: %v", kinds)
	}
	if n := failed(roots(got)); exceptions < n {
		t.Errorf("%d exceptions in %d failed traces", exceptions, n)
	}
	if n, traces := len(roots(got)), len(byTrace(got)); n != traces {
		t.Errorf("%d roots in %d traces", n, traces)
	}
}

func byTrace(spans []span) map[string][]span {
	traces := map[string][]span{}
	for _, s := range spans {
		traces[s.TraceID] = append(traces[s.TraceID], s)
	}
	return traces
}

func roots(spans []span) []span {
	return slices.DeleteFunc(slices.Clone(spans), func(s span) bool { return s.Parent != "" })
}

func failed(spans []span) (n int) {
	for _, s := range spans {
		if s.Status == "ERROR" {
			n++
		}
	}
	return n
}

// section is a part of a YAML text, as JSON.
func section(t *testing.T, text string, path ...string) string {
	t.Helper()
	var tree map[string]any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatal(err)
	}
	for _, key := range path {
		tree, _ = tree[key].(map[string]any)
	}
	part, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return string(part)
}
