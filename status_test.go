package riffle_test

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/internal/untrustedtest"
)

// statusOf asks a server for its status.
func statusOf(url string) (s core.Status, text string, err error) {
	resp, err := http.Get(url + "?format=json")
	if err != nil {
		return s, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return s, string(body), errors.Join(err, json.Unmarshal(body, &s))
}

// The handler answers, and tells what is in force, while reloads and the shutdown happen.
func TestHandlerWhileReloading(t *testing.T) {
	r := serve(t, keepsAll)
	server := httptest.NewServer(r.Handler())
	defer server.Close()
	done := make(chan struct{})
	var askers sync.WaitGroup
	for range 4 {
		askers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				r.span("work")
				if s, text, err := statusOf(server.URL); err != nil || len(s.Samplers) != 1 || len(s.Configuration) == 0 {
					t.Errorf("%v: %s", err, text)
					return
				}
				_ = r.Var().String()
			}
		})
	}
	const reloads = 20
	for i := range reloads {
		r.write([]string{keepsNone, keepsAll}[i%2])
		if err := r.Reload(t.Context()); err != nil {
			t.Error(err)
		}
	}
	r.write("samplers:\n- type: ratoi\n")
	if r.Reload(t.Context()) == nil {
		t.Error("a file with a mistake is in force")
	}
	if err := r.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	close(done)
	askers.Wait()
	s := r.Status()
	if s.State != core.ShutDown || s.Reloads.Succeeded != reloads || s.Reloads.Failed != 1 || !strings.Contains(s.Reloads.LastError, "ratoi") {
		t.Errorf("%+v", s.Reloads)
	}
	if sent := s.Exporters[0].Sent; sent != s.Segments.SpansKept || sent == 0 {
		t.Errorf("%d spans sent of %d", sent, s.Segments.SpansKept)
	}
	eventually(t, "the handler tells that it is shut down", func() bool {
		s, _, err := statusOf(server.URL)
		return err == nil && s.State == core.ShutDown
	})
}

// Nothing that is secret, and no attribute, comes out: not of the configuration, nor of
// spans, nor of what a backend repeats.
func TestHandlerTellsNoSecrets(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "attribute customer=alice-in-chains is refused, key=Abc123Secret9", http.StatusServiceUnavailable)
	}))
	defer backend.Close()
	file := configFile(t, `
observability:
  tracing:
    enabled: true
    service_name: shop
    resource: {owner: alice@example.com, token: Zx81Kq77Pw33Tt90}
    samplers:
    - type: attribute
      sample: 1
      match: {attributes: {customer: "alice-in-chains+9321x"}}
    - type: ratio
      rate: 1
    exporters:
    - type: otlp
      protocol: http/protobuf
      endpoint: `+backend.URL+`/receiver/ZaVnC4dhaV1nToKeN
      headers: {x-key: Abc123Secret9}
    - type: otlp
      name: other
      protocol: http/protobuf
      endpoint: ${WHERE}
`)
	log := &untrustedtest.Log{}
	tracing, err := riffle.Start(t.Context(), file, riffle.Logger(log.Logger()),
		riffle.Config(config.Environ([]string{"WHERE=http://127.0.0.1:1/hooks/T0KeNinAVariable"})))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // nobody takes the spans
		_ = tracing.Shutdown(ctx)
	}()
	tracer := tracing.Provider().TracerProvider().Tracer("test")
	_, open := tracer.Start(t.Context(), "GET /orders/{id}", trace.WithAttributes(
		attribute.String("http.route", "/orders/{id}"), attribute.String("customer", "alice-in-chains")))
	defer open.End()
	_, root := tracer.Start(t.Context(), "root", trace.WithAttributes(attribute.String("customer", "alice-in-chains")))
	root.End()
	_ = tracing.ForceFlush(t.Context()) // it fails
	eventually(t, "both exporters fail", func() bool {
		s := tracing.Status()
		return s.Exporters[0].LastError != "" && s.Exporters[1].LastError != ""
	})
	server := httptest.NewServer(tracing.Handler())
	defer server.Close()
	s, text, err := statusOf(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"alice", "Zx81", "chains", "9321x", "dhaV1nToKeN", "Abc123", "T0KeN", "hooks"} {
		if strings.Contains(text, secret) || strings.Contains(string(page), secret) {
			t.Errorf("%q is told:\n%s", secret, text)
		}
	}
	for _, public := range []string{`"shop"`, `"GET /orders/{id}"`, `${WHERE}`, "503 Service Unavailable", backend.Listener.Addr().String(), "rate: 1"} {
		if !strings.Contains(text, public) {
			t.Errorf("%q is not told:\n%s", public, text)
		}
	}
	if len(s.LongestOpen) != 1 || s.LongestOpen[0].Route != "/orders/{id}" {
		t.Errorf("%+v", s.LongestOpen)
	}
}

func TestVar(t *testing.T) {
	r := serve(t, keepsAll)
	expvar.Publish("riffle", r.Var())
	w := httptest.NewRecorder()
	expvar.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/debug/vars", nil))
	var all struct{ Riffle core.Status }
	if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil || all.Riffle.Service != "test" || all.Riffle.Version != core.StatusVersion {
		t.Errorf("%v: %+v", err, all.Riffle)
	}
}

// What a service links of it is little: expvar would mount a handler, and html/template
// is large. (gRPC may link that all the same.)
func TestStatusLinksLittle(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./core/status").Output()
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range strings.FieldsSeq(string(out)) {
		if pkg == "expvar" || pkg == "html/template" || pkg == "net/http/pprof" {
			t.Errorf("it links %s", pkg)
		}
	}
}

func TestStatusOfNothing(t *testing.T) {
	var none *riffle.Tracing
	w := httptest.NewRecorder()
	none.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "off") || none.Status().State != core.Off {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
	if strings.Contains(w.Body.String(), "started") {
		t.Errorf("nobody has started it: %s", w.Body)
	}
	var all map[string]any
	if err := json.Unmarshal([]byte(none.Var().String()), &all); err != nil {
		t.Fatal(err)
	}
	for key, value := range all {
		if value == nil {
			t.Errorf("%s is null: who reads lists finds none", key)
		}
	}
}

// A service that asks for the handler at each request, or mounts it twice, costs it no
// more than one that does not.
func TestHandlersShareSnapshots(t *testing.T) {
	tracing := serve(t, keepsAll)
	at := func() string {
		w := httptest.NewRecorder()
		tracing.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?format=json", nil))
		return w.Body.String()
	}
	eventually(t, "two snapshots are one", func() bool {
		first := at()
		return first == at() && first == tracing.Var().String()
	})
}
