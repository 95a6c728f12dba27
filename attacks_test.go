package riffle_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core/observability"
	"github.com/riffletrace/riffle/internal/untrustedtest"
)

// victim is a service on a real socket, traced as its configuration says.
type victim struct {
	t       *testing.T
	tracing *riffle.Tracing
	spans   *tracetest.InMemoryExporter
	logs    untrustedtest.Log
	client  *http.Client
	url     string
	release chan struct{} // for requests to /hold
}

const victimConfig = `
observability:
  tracing:
    enabled: true
    service_name: shop
    remote_parent: %s
    max_bytes: 16MiB
    samplers:
      - {type: route, rules: [{route: /static/, sample: drop}, {route: "/orders/{id}", sample: 0.5}]}
      - {type: attribute, match: {attributes: {user_agent.original: "*bot*a*b*c*d*e*f*g*"}}, sample: 0}
      - {type: error}
      - {type: slow, threshold: 20s}
      - {type: ratio, rate: 0.01}
    redact: {rules: [{presets: [emails, bearer_tokens, credit_cards, url_credentials]}]}
    exporters: [{type: memory}]
`

func newVictim(t *testing.T, remoteParent string) *victim {
	t.Helper()
	spans, exporters := memoryRegistry()
	v := &victim{t: t, spans: spans, release: make(chan struct{})}
	tracing, err := riffle.Start(t.Context(), configFile(t, fmt.Sprintf(victimConfig, remoteParent)),
		riffle.Logger(v.logs.Logger()), riffle.Exporters(exporters), riffle.Config(config.Environ(nil)))
	if err != nil {
		t.Fatal(err)
	}
	v.tracing = tracing
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	mux.HandleFunc("/hold", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-v.release
	})
	mux.HandleFunc("/fails", func(w http.ResponseWriter, r *http.Request) {
		_, s := observability.StartSpan(r.Context(), "query")
		s.End()
		w.WriteHeader(http.StatusInternalServerError)
	})
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: observability.Middleware(mux), ReadHeaderTimeout: time.Minute, MaxHeaderBytes: 4 << 20}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	v.url = "http://" + l.Addr().String()
	v.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	t.Cleanup(func() {
		close(v.release)
		v.client.CloseIdleConnections()
		_ = server.Close()
		serving.Wait()
		if err := tracing.Shutdown(context.Background()); err != nil {
			t.Error("Shutdown:", err)
		}
	})
	return v
}

// do sends a request and returns when its answer begins, with a function that reads
// the rest.
func (v *victim) do(path string, header ...string) (rest func()) {
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.url, http.NoBody)
	if err != nil {
		v.t.Fatal(err)
	}
	r.URL.Opaque = path // as it is
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	answer, err := v.client.Do(r) //nolint:bodyclose // rest closes it
	if err != nil {
		v.t.Fatal(err)
	}
	return func() {
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
}

func (v *victim) held(path string, header ...string) {
	rest := v.do(path, header...)
	v.t.Cleanup(rest)
}

// What anonymous clients can do to a service takes nothing from its other requests:
// every error of those is kept, with the span below it, and answered as fast as
// requests are that nobody attacks.
func TestAttacksFromOutside(t *testing.T) {
	const (
		errors   = 120
		megabyte = 1 << 20
		chosen   = "ot=rv:ffffffffffffff"
	)
	parent := func(i, flags int) string { return fmt.Sprintf("00-%032x-00f067aa0ba902b7-%02x", i+1, flags) }
	large := strings.Repeat("x", megabyte-8000)
	encoded := "/" + strings.Repeat("%2541", megabyte/5-2000)
	for name, attack := range map[string]func(v *victim, i int){
		"nobody": func(*victim, int) {},
		"requests held open, of chosen randomness": func(v *victim, i int) {
			if i < 26 {
				v.held("/hold", "Traceparent", parent(i, 0), "Tracestate", chosen, "User-Agent", large)
			} else if i < 104 {
				v.do("/orders/1", "Traceparent", parent(i, 0), "Tracestate", chosen, "User-Agent", large)()
			}
		},
		"requests held open, said to be sampled": func(v *victim, i int) {
			if i < 100 {
				v.held("/hold", "Traceparent", parent(i, 1), "Tracestate", "ot=th:0", "User-Agent", large)
			}
		},
		"requests held open, of one trace": func(v *victim, i int) {
			if i < 100 {
				v.held("/hold", "Traceparent", parent(0, 0), "Tracestate", chosen, "User-Agent", large)
			}
		},
		"paths that are long and encoded": func(v *victim, i int) {
			if i%6 == 0 {
				v.do(encoded)()
			}
		},
		"paths encoded twice": func(v *victim, _ int) { v.do("/%2573tatic/orders")() },
		"text that a glob matches slowly": func(v *victim, i int) {
			if i%3 > 0 {
				return
			}
			v.do("/", "User-Agent", strings.Repeat("botabcdef", 50_000))()
		},
		"text that is redacted slowly": func(v *victim, i int) {
			if i%3 > 0 {
				return
			}
			v.do("/orders/1?q="+strings.Repeat("a@", 50_000), "Traceparent", parent(0, 1), "User-Agent", strings.Repeat("4111 ", 50_000))()
		},
		"tracestate and baggage": func(v *victim, i int) {
			v.do("/", "Traceparent", parent(i, i%2), "Tracestate", strings.Repeat("ot=th:0;rv:ffffffffffffff;x:y,", 1000), "Baggage", strings.Repeat("a=b,", 10_000))()
		},
		"errors of chosen randomness": func(v *victim, i int) {
			for j := range 5 {
				v.do("/hold/../fails?", "Traceparent", parent(5*i+j, 0), "Tracestate", "ot=rv:ffffffffffffff")()
			}
		},
	} {
		for _, mode := range []string{"watch", "ignore"} {
			if testing.Short() && mode == "ignore" {
				continue
			}
			t.Run(name+"/"+mode, func(t *testing.T) {
				v := newVictim(t, mode)
				var took, calm []time.Duration
				fails := func() time.Duration {
					start := time.Now()
					v.do("/fails", "User-Agent", "honest")()
					return time.Since(start)
				}
				for range errors / 3 {
					calm = append(calm, fails())
				}
				for i := range errors {
					attack(v, i)
					took = append(took, fails())
				}
				if err := v.tracing.ForceFlush(t.Context()); err != nil {
					t.Fatal(err)
				}
				kept, queries := honest(v.spans.GetSpans())
				if want := errors + errors/3; kept != want || queries != want {
					t.Errorf("of %d errors %d were kept, with %d of their children; %+v", want, kept, queries, v.tracing.Stats())
				}
				for _, s := range v.tracing.Stats().Samplers {
					if s.Suspensions > 0 {
						t.Errorf("sampler %q was suspended", s.Name)
					}
				}
				slices.Sort(took)
				slices.Sort(calm)
				if a, b := took[len(took)/2], calm[len(calm)/2]; a > 5*b+5*time.Millisecond {
					t.Errorf("half of the answers took more than %v, and %v before the attack", a, b)
				}
				for _, line := range v.logs.Lines() {
					untrustedtest.Check(t, "the log", line)
					if n := len(line); n > 4<<10 {
						t.Errorf("a log line has %d bytes", n)
					}
				}
			})
		}
	}
}

// honest counts the failing requests of the honest client, and the spans below them.
func honest(spans tracetest.SpanStubs) (kept, queries int) {
	ids := map[string]bool{}
	for _, s := range spans {
		if slices.Contains(s.Attributes, attribute.String("user_agent.original", "honest")) {
			kept++
			ids[s.SpanContext.TraceID().String()] = true
		}
	}
	for _, s := range spans {
		if s.Name == "query" && ids[s.SpanContext.TraceID().String()] {
			queries++
		}
	}
	return kept, queries
}

// Interface guard.
var _ sdktrace.SpanExporter = memory{}
