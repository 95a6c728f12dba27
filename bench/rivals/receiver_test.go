//go:build linux

package rivals

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tinylib/msgp/msgp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/otlp"
)

// receiver takes OTLP over HTTP, and what Datadog's tracers send to their
// agent.
type receiver struct {
	// decode is false where only what the sender needs is measured.
	decode bool
	// datadog counts the traces that Datadog's tracer has sent.
	datadog atomic.Int64

	mu    sync.Mutex
	spans []span
}

// span is one as both protocols tell of it.
type span struct {
	Name, Kind string
	Root       bool
	Attributes map[string]string
}

func (r *receiver) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", r.otlp)
	mux.HandleFunc("POST /v0.4/traces", r.agent)
	mux.HandleFunc("POST /v0.6/stats", drain)
	// What the agent says that it can do; without it, the tracer would send
	// unsampled traces too.
	mux.HandleFunc("GET /info", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"version": "7.83.0", "client_drop_p0s": true, "endpoints": ["/v0.4/traces", "/v0.6/stats"], "config": {}}`)
	})
	mux.HandleFunc("GET /count", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, r.datadog.Load()) })
	return mux
}

func drain(_ http.ResponseWriter, req *http.Request) { _, _ = io.Copy(io.Discard, req.Body) }

func (r *receiver) otlp(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "application/x-protobuf") // an empty answer is a full success
	if !r.decode {
		drain(w, req)
		return
	}
	spans, err := decodeOTLP(req.Body)
	r.add(w, spans, err)
}

func (r *receiver) agent(w http.ResponseWriter, req *http.Request) {
	n, err := strconv.ParseInt(req.Header.Get("X-Datadog-Trace-Count"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.datadog.Add(n)
	var spans []span
	if r.decode {
		spans, err = decodeDatadog(req.Body)
	} else {
		drain(w, req)
	}
	r.add(w, spans, err)
	if err == nil {
		_, _ = io.WriteString(w, `{"rate_by_service": {"service:,env:": 1}}`)
	}
}

func (r *receiver) add(w http.ResponseWriter, spans []span, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spans = append(r.spans, spans...)
}

func decodeOTLP(body io.Reader) ([]span, error) {
	body, err := gzip.NewReader(body)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	received, err := otlp.Decode(data)
	var spans []span
	for _, s := range received {
		spans = append(spans, fromOTLP(s))
	}
	return spans, err
}

func fromOTLP(s sdktrace.ReadOnlySpan) span {
	got := span{Name: s.Name(), Kind: s.SpanKind().String(), Root: !s.Parent().IsValid(), Attributes: map[string]string{}}
	for _, kv := range s.Attributes() {
		got.Attributes[string(kv.Key)] = kv.Value.String()
	}
	return got
}

// decodeDatadog reads traces, each a list of spans, in MessagePack.
func decodeDatadog(body io.Reader) ([]span, error) {
	in, out := io.Pipe()
	go func() {
		_, err := msgp.CopyToJSON(out, body)
		_ = out.CloseWithError(err)
	}()
	defer in.Close()
	var traces [][]struct {
		Resource string
		Parent   uint64 `json:"parent_id"`
		Meta     map[string]string
		Metrics  map[string]float64
	}
	if err := json.NewDecoder(in).Decode(&traces); err != nil {
		return nil, err
	}
	var spans []span
	for _, trace := range traces {
		for _, s := range trace {
			got := span{Name: s.Resource, Kind: s.Meta["span.kind"], Root: s.Parent == 0, Attributes: s.Meta}
			for key, value := range s.Metrics {
				got.Attributes[key] = strconv.FormatFloat(value, 'g', -1, 64)
			}
			spans = append(spans, got)
		}
	}
	return spans, nil
}

// startReceiver starts a receiver that decodes, in this process.
func startReceiver(t *testing.T) (*receiver, string) {
	t.Helper()
	r := &receiver{decode: true}
	s := httptest.NewServer(r.handler())
	t.Cleanup(s.Close)
	return r, s.Listener.Addr().String()
}

func runReceiver(address string) error {
	return http.ListenAndServe(address, new(receiver).handler()) // until it is killed
}

// datadogCount is how many traces of Datadog's tracer a receiver got so far.
func datadogCount(tb testing.TB, address string) int64 {
	tb.Helper()
	resp, err := http.Get("http://" + address + "/count")
	must(tb, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(tb, err)
	n, err := strconv.ParseInt(string(body), 10, 64)
	must(tb, err)
	return n
}
