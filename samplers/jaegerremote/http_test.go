package jaegerremote_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/otlptest"
	"github.com/riffletrace/riffle/internal/untrustedtest"
	"github.com/riffletrace/riffle/samplers/jaegerremote"
	"github.com/riffletrace/riffle/samplers/samplertest"
)

const half = `{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":0.5}}`

// serve answers with f.
func serve(tb testing.TB, f http.HandlerFunc) string {
	tb.Helper()
	s := httptest.NewServer(f)
	tb.Cleanup(s.Close)
	return s.URL
}

func configured(change func(*jaegerremote.Config)) component.Plan[sampling.Sampler] {
	return jaegerremote.Factory.Plan("", func(into any) error {
		change(into.(*jaegerremote.Config))
		return nil
	})
}

func build(tb testing.TB, settings component.Settings, change func(*jaegerremote.Config)) sampling.Sampler {
	tb.Helper()
	s, err := configured(change).Build(tb.Context(), settings)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.(component.Shutdowner).Shutdown(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	for name, response := range map[string]string{
		"a probability": half,
		"a limit":       `{"strategyType":1,"rateLimitingSampling":{"maxTracesPerSecond":100}}`,
		"operations": `{"operationSampling":{"defaultSamplingProbability":0.1,"defaultLowerBoundTracesPerSecond":1,
			"perOperationStrategies":[{"operation":"GET","probabilisticSampling":{"samplingRate":0.5}}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, response) })
			newSampler := samplertest.Plan(configured(func(c *jaegerremote.Config) { c.Endpoint, c.Service = url, "shop" }))
			samplertest.Run(t, func(tb testing.TB) sampling.Sampler {
				tb.Helper()
				s := newSampler(tb)
				if err := s.(sampling.Preparer).Prepare(tb.Context(), sampling.StartParameters{}); err != nil {
					tb.Fatal(err)
				}
				return s
			}, sampling.StartParameters{Name: "GET"}, sampling.StartParameters{Name: strings.Repeat("x", 1<<20)})
		})
	}
}

// A server is asked as users say, and its answer is waited for by nobody.
func TestQuestion(t *testing.T) {
	var asked atomic.Pointer[http.Request]
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r)
		_, _ = io.WriteString(w, half)
	})
	for _, tt := range []struct {
		name, path, service, want string
	}{
		{"the service of the resource", "/sampling", "", "/sampling?service=shop"},
		{"another", "/api/sampling", "a b&c=d/é", "/api/sampling?service=a+b%26c%3Dd%2F%C3%A9"},
		{"a query", "/x?key=y", "", "/x?key=y&service=shop"},
		{"no path", "", "", "/?service=shop"},
	} {
		s := build(t, component.Settings{ServiceName: "shop"}, func(c *jaegerremote.Config) {
			c.Endpoint, c.Service = url+tt.path, tt.service
			c.Headers = map[string]component.Secret{"X-Key": "hush", "host": "jaeger.example"}
		}).(sampling.StartSampler)
		asked.Store(nil)
		if a := s.SampleStart(sampling.StartParameters{}); a.Reason != "0.1%" {
			t.Errorf("%s: the first answer is %v", tt.name, a)
		}
		for end := time.Now().Add(time.Minute); s.SampleStart(sampling.StartParameters{}).Reason != "50%"; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: the server's answer is not followed", tt.name)
			}
		}
		r := asked.Load()
		if got := r.URL.String(); got != tt.want || r.Method != http.MethodGet || r.Header.Get("X-Key") != "hush" || r.Host != "jaeger.example" {
			t.Errorf("%s: it asked %s %s of %s, %v", tt.name, r.Method, got, r.Host, r.Header)
		}
	}
}

// What is no strategy is said so, in few words, and nothing of it is followed.
func TestBadAnswers(t *testing.T) {
	elsewhere := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		t.Error("a redirect was followed")
		_, _ = io.WriteString(w, half)
	})
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"redirect", http.RedirectHandler(elsewhere, http.StatusFound).ServeHTTP, "the server answers 302: redirects are not followed"},
		{"not found", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, untrustedtest.Say(64<<10), http.StatusNotFound)
		}, "the server answers 404 Not Found"},
		{"no status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(599) }, "the server answers 599 "},
		{"large", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, half+strings.Repeat(" ", 1<<20))
		}, "the response is larger than 1 MiB"},
		{"nonsense", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, untrustedtest.Say(64<<10)) }, "the response is not used: not a sampling strategy: "},
		{"a name", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"strategyType":"`+strings.Repeat("x", 1<<19)+`"}`)
		}, "the response is not used: not a sampling strategy: strategyType is neither"},
		{"out of range", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Replace(half, "0.5", "5", 1))
		}, "the response is not used: samplingRate: 5 is not a probability"},
		{"late", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "the server does not answer in time"},
		{"cut", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, half)
		}, "unexpected EOF"},
		{"broken", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := serve(t, tt.answer)
			s := build(t, component.Settings{ServiceName: "shop"}, func(c *jaegerremote.Config) {
				if c.Endpoint = url; tt.name == "late" {
					c.Timeout = component.Duration(10 * time.Millisecond)
				}
			})
			err := s.(sampling.Preparer).Prepare(t.Context(), sampling.StartParameters{})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || len(err.Error()) > 200 {
				t.Errorf("got %.300v, want %s", err, tt.want)
			}
		})
	}
	for name, endpoint := range map[string]string{"nobody": "http://127.0.0.1:1/x?key=hush", "no name": "http://nowhere.invalid/?key=hush"} {
		s := build(t, component.Settings{ServiceName: "shop"}, func(c *jaegerremote.Config) { c.Endpoint = endpoint })
		if err := s.(sampling.Preparer).Prepare(t.Context(), sampling.StartParameters{}); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTLS(t *testing.T) {
	ca, other := otlptest.NewAuthority(t), otlptest.NewAuthority(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, half) }))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.TLS = ca.Server(t, "127.0.0.1")
	server.StartTLS()
	t.Cleanup(server.Close)
	for file, ok := range map[string]bool{ca.File: true, other.File: false} {
		s := build(t, component.Settings{ServiceName: "shop"}, func(c *jaegerremote.Config) { c.Endpoint, c.TLS.CAFile = server.URL, file })
		if err := s.(sampling.Preparer).Prepare(t.Context(), sampling.StartParameters{}); (err == nil) != ok {
			t.Errorf("%v: %v", ok, err)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		change func(*jaegerremote.Config)
		want   string
	}{
		{func(c *jaegerremote.Config) { c.Endpoint = "localhost:5778" }, "endpoint: want a URL that begins with http:// or https://, such as http://localhost:5778/sampling"},
		{func(c *jaegerremote.Config) { c.Endpoint = "" }, "endpoint: want a URL that begins with http:// or https://, such as http://localhost:5778/sampling"},
		{func(c *jaegerremote.Config) { c.Endpoint = "http://user:hush@host" }, "endpoint: user and password do not belong here: put them into headers"},
		{func(c *jaegerremote.Config) { c.Endpoint = "http:///x" }, "endpoint: it names no host"},
		{func(c *jaegerremote.Config) { c.Endpoint = "http://h/%zz" }, "endpoint: it is no URL"},
		{func(c *jaegerremote.Config) { c.Endpoint = "http://h/#x" }, "endpoint: a fragment (#) does not belong here"},
		{func(c *jaegerremote.Config) { c.Interval = 1 }, "interval: 1ns is too short: want 100ms or more"},
		{func(c *jaegerremote.Config) { c.Initial = 2 }, "initial: 2 is not a rate: want a number from 0 to 1"},
		{func(c *jaegerremote.Config) { c.Timeout = 0 }, "timeout: 0s is not positive"},
		{func(c *jaegerremote.Config) { c.Headers = map[string]component.Secret{"a b": "x"} }, "headers.a b: the name is not one that HTTP can carry"},
		{func(c *jaegerremote.Config) { c.Headers = map[string]component.Secret{"a": "hush\n"} }, "headers.a: the value has a control character in it (a line break at its end?)"},
		{func(c *jaegerremote.Config) { c.TLS.ServerName = "x" }, "tls: localhost:5778 is asked in plain text: write https://, or leave tls out"},
		{func(c *jaegerremote.Config) { c.Endpoint, c.TLS.MinVersion = "https://h", "1" }, `tls.min_version: "1" is not one of 1.2, 1.3`},
	} {
		err := configured(tt.change).Err()
		if err == nil || err.Error() != tt.want {
			t.Errorf("got  %v\nwant %s", err, tt.want)
		}
	}
	s, err := configured(func(*jaegerremote.Config) {}).Build(t.Context(), component.Settings{})
	if want := "service: missing: the resource has no service.name"; err == nil || err.Error() != want {
		t.Errorf("got %v, %v, want %s", s, err, want)
	}
	d := build(t, component.Settings{ServiceName: "x"}, func(c *jaegerremote.Config) { c.Endpoint = "https://h:1/p?key=hush" }).Traits().Description
	if want := "jaeger_remote, https://h:1/p"; d != want {
		t.Errorf("it is described as %q", d)
	}
}

// No log line has what a server makes up in it.
func TestLogs(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, untrustedtest.Say(64<<10)) })
	var log untrustedtest.Log
	s := build(t, component.Settings{ServiceName: "shop", Logger: log.Logger()}, func(c *jaegerremote.Config) { c.Endpoint = url }).(sampling.StartSampler)
	s.SampleStart(sampling.StartParameters{Attributes: []attribute.KeyValue{}})
	for end := time.Now().Add(time.Minute); len(log.Lines()) == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	log.Check(t, "the log", "no sampling strategy; the last one stays")
}

// Configurations for Java name Jaeger's port for gRPC.
func TestWarn(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"http://localhost:14250": true, "http://localhost:5778/sampling": false, "http://localhost:14268/api/sampling": false, "": false,
	} {
		if err := (&jaegerremote.Config{Endpoint: endpoint}).Warn(); (err != nil) != want {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}
