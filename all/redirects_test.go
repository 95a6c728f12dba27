package all_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/internal/azuretest"
	"github.com/riffletrace/riffle/internal/googletest"
)

// follower is a client of HTTP of an exporter: what is to be configured so that the
// server at a URL is asked.
type follower struct {
	name            string
	entry           string // with %s for the URL
	prepare         func(t *testing.T, url string)
	noTLS, plainNot bool // it speaks one of both alone
}

var followers = []follower{
	{name: "otlp", entry: `{type: otlp, protocol: http/protobuf, endpoint: "%s", headers: {x-api-key: hdr-s3cret}}`},
	{name: "otlptracehttp", entry: `{type: otlptracehttp, endpoint: "%s", retry: {enabled: false}, headers: {x-api-key: hdr-s3cret}}`},
	{name: "otlptracehttp as JSON", entry: `{type: otlptracehttp, encoding: json, endpoint: "%s", headers: {x-api-key: hdr-s3cret}}`},
	{name: "preset", entry: `{type: otlp, preset: honeycomb, endpoint: "%s", key: key-s3cret}`},
	{name: "xray", entry: `{type: xray, region: eu-central-1, sign: true, endpoint: "%s"}`, prepare: func(t *testing.T, _ string) {
		t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
		t.Setenv("AWS_CA_BUNDLE", "")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "aws-s3cret-key")
	}},
	{name: "xray, credentials of a container", entry: `{type: xray, region: eu-central-1, sign: true, endpoint: "http://127.0.0.1:1"}`, prepare: func(t *testing.T, url string) {
		for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"} {
			t.Setenv(name, "")
		}
		t.Setenv("AWS_CONFIG_FILE", "/dev/null")
		t.Setenv("AWS_CA_BUNDLE", "")
		t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
		t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "aws-s3cret-token")
	}},
	{name: "azuremonitor", entry: `{type: azuremonitor, connection_string: "` + connection + `"}`},
	{name: "azuremonitor, Entra ID", plainNot: true, entry: `{type: azuremonitor, entra: true, connection_string: "InstrumentationKey=` + azuretest.Key + `;IngestionEndpoint=http://127.0.0.1:1"}`, prepare: func(t *testing.T, url string) {
		azuretest.NewEntra(t).WithSecret(t, azuretest.ClientSecret)
		t.Setenv("AZURE_AUTHORITY_HOST", url)
	}},
	{name: "azuremonitor, managed identity", noTLS: true, entry: `{type: azuremonitor, entra: true, client_id: redirected, connection_string: "InstrumentationKey=` + azuretest.Key + `;IngestionEndpoint=http://127.0.0.1:1"}`, prepare: func(t *testing.T, url string) {
		t.Setenv("IDENTITY_ENDPOINT", url)
		t.Setenv("IDENTITY_HEADER", azuretest.IdentityHeader)
	}},
	{name: "cloudtrace, a key", entry: `{type: cloudtrace, endpoint: "http://127.0.0.1:1"}`, prepare: func(t *testing.T, url string) {
		key := googletest.New(t).KeyFile(t, func(content map[string]string) { content["token_uri"] = url })
		t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", key)
	}},
	{name: "cloudtrace, a machine", noTLS: true, entry: `{type: cloudtrace, endpoint: "http://127.0.0.1:1"}`, prepare: func(t *testing.T, url string) {
		t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(url, "http://"))
	}},
}

// No client of an exporter follows a redirect, to whatever host and with whatever
// status: what it sends, secrets among it, is for whom it was given to.
func TestRedirects(t *testing.T) {
	var followed atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	t.Cleanup(elsewhere.Close)
	host := strings.TrimPrefix(elsewhere.URL, "http://")
	for _, f := range followers {
		for _, status := range []int{301, 302, 303, 307, 308} {
			for _, secure := range []bool{false, true} {
				if secure && f.noTLS || !secure && f.plainNot {
					continue
				}
				t.Run(fmt.Sprintf("%s/%d/tls=%t", f.name, status, secure), func(t *testing.T) {
					var asked atomic.Int32
					redirect := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						asked.Add(1)
						w.Header().Set("Metadata-Flavor", "Google")
						w.Header().Set("Location", "http://user:hop-s3cret@"+host+"/v1/traces?key=hop-s3cret")
						w.WriteHeader(status)
					})
					start := httptest.NewServer
					if secure {
						start = httptest.NewTLSServer
					}
					from := start(redirect)
					t.Cleanup(from.Close)
					if f.prepare != nil {
						f.prepare(t, from.URL)
					}
					err := export(t, f.entry, from.URL)
					if n := followed.Swap(0); n > 0 {
						t.Errorf("%d requests went elsewhere", n)
					}
					if asked.Load() == 0 {
						t.Error("it was not asked: nobody was redirected")
					}
					if err == nil || !strings.Contains(err.Error(), "elsewhere, to http://"+host+"/v1/traces") {
						t.Errorf("the error does not name the redirect: %v", err)
					}
					if err != nil && strings.Contains(err.Error(), "s3cret") {
						t.Errorf("a secret is told: %v", err)
					}
				})
			}
		}
	}
}

// export sends a span with the exporter of an entry.
func export(t *testing.T, entry, url string) error {
	t.Helper()
	if strings.Contains(entry, "%s") {
		entry = fmt.Sprintf(entry, url)
	}
	spec, err := config.Parse([]byte(document(entry)), config.Environ(nil))
	if err != nil {
		t.Fatal(err)
	}
	e, err := spec.Exporters[0].Build(t.Context(), component.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	span := tracetest.SpanStub{Name: "span"}.Snapshot()
	err = e.ExportSpans(ctx, []sdktrace.ReadOnlySpan{span})
	if down := e.Shutdown(ctx); down != nil {
		t.Error(down)
	}
	return err
}
