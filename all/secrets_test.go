package all_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v4"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	_ "github.com/riffletrace/riffle/all"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/internal/azuretest"
	"github.com/riffletrace/riffle/internal/googletest"
	_ "github.com/riffletrace/riffle/samplers/standard"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run makes the process one without credentials of who runs it, which knows what
// fakes Entra ID.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "exporters")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := azuretest.Trust(dir); err != nil {
		panic(err)
	}
	for _, name := range []string{
		"GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_QUOTA_PROJECT", "APPLICATIONINSIGHTS_CONNECTION_STRING",
		"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST",
	} {
		if err := os.Unsetenv(name); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

func TestNames(t *testing.T) {
	for _, name := range []string{"azuremonitor", "cloudtrace", "file", "otlp", "otlptracegrpc", "otlptracehttp", "stdout", "xray"} {
		if _, ok := component.Exporters.Lookup(name); !ok {
			t.Errorf("%s is missing", name)
		}
	}
}

// Every key is documented.
func TestDocumented(t *testing.T) {
	var check func(path string, fields []component.Field)
	check = func(path string, fields []component.Field) {
		for _, f := range fields {
			if f.Doc == "" {
				t.Errorf("%s.%s has no doc", path, f.Key)
			}
			check(path+"."+f.Key, f.Fields())
		}
	}
	for _, name := range component.Exporters.Names() {
		f, _ := component.Exporters.Lookup(name)
		check(name, f.Fields())
	}
}

// holder is an exporter with secrets: an entry in the configuration, in YAML,
// with %s where a backend is to be written, and variables.
type holder struct {
	name     string
	entry    string
	env      []string
	secrets  []string                             // as they are, and as they are sent
	backends func(t *testing.T) map[string]string // nil: those that speak HTTP
}

const connection = "InstrumentationKey=" + azuretest.Key + ";IngestionEndpoint=%s"

var holders = []holder{
	{name: "otlp over HTTP", entry: `{type: otlp, protocol: http/protobuf, endpoint: "%s", headers: {x-api-key: hdr-s3cret-1, authorization: Bearer hdr-s3cret-2}}`, secrets: []string{"hdr-s3cret"}},
	{name: "otlp over gRPC", entry: `{type: otlp, endpoint: "%s", headers: {x-api-key: hdr-s3cret-1}}`, secrets: []string{"hdr-s3cret"}},
	{name: "otlptracehttp", entry: `{type: otlptracehttp, endpoint: "%s", headers: {x-api-key: hdr-s3cret-1}, send: {timeout: 500ms}}`, secrets: []string{"hdr-s3cret"}},
	{name: "preset", entry: `{type: otlp, preset: honeycomb, endpoint: "%s", key: key-s3cret}`, secrets: []string{"key-s3cret"}},
	{name: "preset with a password", entry: `{type: otlp, preset: grafana_cloud, account: 123456, endpoint: "%s", key: "${KEY}"}`, env: []string{"KEY=key-s3cret"}, secrets: []string{"key-s3cret", "MTIzNDU2OmtleS1zM2NyZXQ="}},
	{name: "xray", entry: `{type: xray, region: eu-central-1, sign: true, endpoint: "%s"}`, env: []string{"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=aws-s3cret-key", "AWS_SESSION_TOKEN=aws-s3cret-token"}, secrets: []string{"aws-s3cret", "AKIDEXAMPLE/"}},
	{name: "azuremonitor", entry: `{type: azuremonitor, connection_string: "` + connection + `"}`, secrets: keys},
	{name: "azuremonitor by a variable", entry: `{type: azuremonitor, connection_string: "${KEY};IngestionEndpoint=%s"}`, env: []string{"KEY=InstrumentationKey=" + azuretest.Key}, secrets: keys},
	{name: "azuremonitor of a managed identity", entry: `{type: azuremonitor, entra: true, connection_string: "` + connection + `"}`, secrets: append([]string{"eyJ0.s3cret", azuretest.IdentityHeader}, keys...), backends: identified},
	{name: "azuremonitor with a wrong secret", entry: `{type: azuremonitor, entra: true, connection_string: "` + connection + `"}`, secrets: append([]string{"s3cret~wrong"}, keys...), backends: refusedByEntra},
	{name: "cloudtrace on a machine", entry: `{type: cloudtrace, endpoint: "%s"}`, secrets: []string{"ya29.s3cret"}, backends: googles},
	{name: "cloudtrace with a key", entry: `{type: cloudtrace, endpoint: "%s"}`, secrets: []string{"ya29.s3cret", startOfKeys}, backends: googlesByKey},
}

// keys are instrumentation keys, which Azure also writes in capitals.
var keys = []string{azuretest.Key, strings.ToUpper(azuretest.Key)}

// startOfKeys is what is the same in every RSA key of PKCS #8, in base64.
const startOfKeys = "BADANBgkqhkiG9w0BAQEFAASC"

// overHTTP are what an exporter can meet. Some repeat what they were sent.
func overHTTP(t *testing.T) map[string]string {
	echo := func(status int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(status)
			if z, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
				body, _ = io.ReadAll(z)
			}
			if i := bytes.Index(body, []byte(azuretest.Key)); i >= 0 {
				fmt.Fprintf(w, "%s, %s; ", body[i:i+len(azuretest.Key)], bytes.ToUpper(body[i:i+len(azuretest.Key)]))
			}
			for name, values := range r.Header {
				fmt.Fprintf(w, "you sent %s: %s; ", name, strings.Join(values, ","))
			}
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	return map[string]string{"dead": dead, "refuses": echo(http.StatusForbidden), "breaks": echo(http.StatusInternalServerError), "is busy": echo(http.StatusServiceUnavailable)}
}

const dead = "http://127.0.0.1:1"

// identified makes the process one with a managed identity.
func identified(t *testing.T) map[string]string {
	s := httptest.NewServer(http.HandlerFunc(azuretest.ServeIdentity))
	t.Cleanup(s.Close)
	t.Setenv("IDENTITY_ENDPOINT", s.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", azuretest.IdentityHeader)
	return overHTTP(t)
}

// refusedByEntra makes it one whose secret is none any more.
func refusedByEntra(t *testing.T) map[string]string {
	azuretest.NewEntra(t).WithSecret(t, "s3cret~wrong")
	return map[string]string{"dead": dead, "is not reached": overHTTP(t)["refuses"]}
}

// googles are Telemetry APIs that refuse, and a machine with tokens for them.
// What they say has the token in it.
func googles(t *testing.T) map[string]string {
	machine := googletest.New(t).OnGCE(t)
	machine.Refuse = func(_ int, token string) error { return status.Error(codes.Unavailable, "you sent Bearer "+token) }
	return map[string]string{"dead": dead, "breaks": "http://" + machine.Address, "knows no such token": "http://" + googletest.New(t).Address}
}

// googlesByKey are the same for the key of a service account.
func googlesByKey(t *testing.T) map[string]string {
	g := googletest.New(t)
	g.Refuse = func(_ int, token string) error { return status.Error(codes.PermissionDenied, "you sent Bearer "+token) }
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", g.KeyFile(t, nil))
	return map[string]string{"dead": dead, "breaks": "http://" + g.Address, "knows no such token": "http://" + googletest.New(t).Address}
}

// output is everything that a person can see of a process.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (o *output) say(what string, v any) {
	fmt.Fprintf(o, "\n%s\n%v\n%+v\n%#v\n", what, v, v, v)
	if b, err := json.Marshal(v); err == nil {
		fmt.Fprintf(o, "%s\n", b)
	}
	if b, err := yaml.Marshal(v); err == nil {
		fmt.Fprintf(o, "%s\n", b)
	}
}

// command builds the command line.
func command(t *testing.T) string {
	t.Helper()
	riffle := filepath.Join(t.TempDir(), "riffle")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", riffle, ".")
	build.Dir = filepath.Join("..", "cmd", "riffle") // a module of its own
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return riffle
}

// No secret is in any output: logs, errors, metrics, statistics, what the
// command line prints, and the configuration however it is printed.
func TestSecrets(t *testing.T) {
	riffle := ""
	if !testing.Short() {
		riffle = command(t)
	}
	for _, h := range holders {
		t.Run(h.name, func(t *testing.T) {
			for _, v := range h.env {
				name, value, _ := strings.Cut(v, "=")
				t.Setenv(name, value)
			}
			if h.backends == nil {
				h.backends = overHTTP
			}
			for backend, address := range h.backends(t) {
				t.Run(backend, func(t *testing.T) {
					var out output
					text := document(fmt.Sprintf(h.entry, address))
					traced(t, &out, text, h.env)
					if backend == "dead" && riffle != "" { // the command line meets none
						printed(t, &out, riffle, text, h.env)
					}
					for _, secret := range h.secrets {
						if i := strings.Index(out.String(), secret); i >= 0 {
							t.Errorf("%q is told: ...%s...", secret, out.String()[max(0, i-200):min(len(out.String()), i+100)])
						}
					}
					if !strings.Contains(out.String(), failing) && !strings.Contains(out.String(), left) {
						t.Error("nothing was logged: there was nothing to find")
					}
				})
			}
		})
	}
}

func document(entry string) string {
	return "observability:\n  tracing:\n    enabled: true\n    service_name: fluxbase\n    exporters:\n      - " + entry + "\n"
}

// failing is what is logged of an exporter that sends nothing, and left what is logged
// at the end of one that has not said so yet.
const (
	failing = "exporter is failing"
	left    = "spans are left behind, and lost"
)

// traced runs a provider, and gathers what it says.
func traced(t *testing.T, out *output, text string, env []string) {
	t.Helper()
	spec, err := config.Parse([]byte(text), config.File("fluxbase.yaml"), config.Environ(env))
	if err != nil {
		t.Fatal(err)
	}
	out.say("spec", spec)
	for _, c := range spec.Exporters {
		out.say("entry", c)
		f, _ := component.Exporters.Lookup(c.Type())
		out.say("factory", f)
	}
	logger := slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { out.say("otel", err) }))
	reader := metric.NewManualReader()
	p, err := core.New(t.Context(), spec, core.Logger(logger), core.MeterProvider(metric.NewMeterProvider(metric.WithReader(reader))))
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.TracerProvider().Tracer("test").Start(t.Context(), "span")
	span.End()
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	out.say("flush", p.ForceFlush(ctx))
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(out.String(), failing) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	out.say("stats", p.Stats())
	var metrics metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &metrics); err != nil {
		t.Error(err)
	}
	out.say("metrics", metrics)
	ctx, cancel = context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	out.say("shutdown", p.Shutdown(ctx))
}

// printed runs the command line, and gathers what it prints, also about a
// mistake beside the secret.
func printed(t *testing.T, out *output, riffle, text string, env []string) {
	t.Helper()
	dir := t.TempDir()
	for file, text := range map[string]string{
		"fluxbase.yaml": text,
		"mistake.yaml":  strings.Replace(text, "{type", "{treshold: 1, type", 1),
		"broken.yaml":   strings.Replace(text, "}", "", 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"components"}, {"components", "--json"}, {"validate", "fluxbase.yaml"}, {"validate", "mistake.yaml"}, {"validate", "broken.yaml"},
	} {
		cmd := exec.CommandContext(t.Context(), riffle, args...)
		cmd.Dir, cmd.Env = dir, slices.Concat(os.Environ(), env)
		said, _ := cmd.CombinedOutput()
		fmt.Fprintf(out, "\n$ riffle %s\n%s\n", strings.Join(args, " "), said)
	}
}

// The test above would see a secret.
func TestOutput(t *testing.T) {
	var out output
	out.say("x", map[string]string{"key": "s3cret"})
	if got := strings.Count(out.String(), "s3cret"); got != 5 {
		t.Error(cmp.Diff(5, got))
	}
}
