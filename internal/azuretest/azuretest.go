// Package azuretest has an Azure Monitor, and an Entra ID, on real sockets, for the
// tests of what sends to them.
package azuretest

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// What is known of it.
const (
	Key        = "0badc0de-5ec8-4e70-0000-5ec8e75ec8e7"
	StreamPath = "/dataCollectionRules/dcr-0123/streams/Microsoft-OTLP-Traces/otlp/v1/traces"
)

// Fake is Azure Monitor: /v2.1/track, and the stream of a data collection rule,
// which check what they are sent as the real ones do.
type Fake struct {
	*httptest.Server
	// Who says whose tokens are taken; nil, for items: none is wanted.
	Who func(of string) bool

	// Respond decides about items; nil, or a status of 0, accepts.
	Respond func(n int, items []*Item) (status int, header http.Header, body string)

	mu    sync.Mutex
	calls int
	got   map[string]int // accepted items by title
	spans int            // among them
	names []string       // of spans over OTLP
}

// New starts one. It stands until the test ends.
func New(t testing.TB) *Fake {
	t.Helper()
	f := &Fake{got: make(map[string]int)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2.1/track", f.track)
	mux.HandleFunc("POST "+StreamPath, f.stream)
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

// Connection is a connection string that leads here.
func (f *Fake) Connection() string {
	return "InstrumentationKey=" + Key + ";IngestionEndpoint=" + f.URL + "/;LiveEndpoint=https://live.example.com/;ApplicationId=1"
}

func read(r *http.Request) ([]byte, error) {
	switch r.Header.Get("Content-Encoding") {
	case "":
		return io.ReadAll(r.Body)
	case "gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	default:
		return nil, fmt.Errorf("encoding %q", r.Header.Get("Content-Encoding"))
	}
}

func (f *Fake) track(w http.ResponseWriter, r *http.Request) {
	body, err := read(r)
	if err != nil || r.Header.Get("Content-Type") != "application/x-json-stream" {
		http.Error(w, fmt.Sprint(r.Header.Get("Content-Type"), ": ", err), http.StatusBadRequest)
		return
	}
	if f.Who != nil && !f.admits(r) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"itemsReceived":0,"itemsAccepted":0,"errors":[{"index":0,"statusCode":401,"message":"Credentials invalid or missing"}]}`)
		return
	}
	items, err := ParseAll(body)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	for _, i := range items {
		if i == nil || i.IKey != Key {
			err = fmt.Errorf("Invalid instrumentation key %s", Key) //nolint:staticcheck // as the real one says it
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if f.Respond != nil {
		if status, header, text := f.Respond(f.calls-1, items); status != 0 {
			maps.Copy(w.Header(), header)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
			return
		}
	}
	f.accept(items...)
	_, _ = fmt.Fprintf(w, `{"itemsReceived":%d,"itemsAccepted":%d,"appId":null,"errors":[]}`, len(items), len(items))
}

// Part accepts the items but those with a status for them. If it accepts none,
// the response has the status of the first, as Azure's has.
func (f *Fake) Part(items []*Item, status func(title string) int) (int, http.Header, string) {
	type refusal struct {
		Index      int    `json:"index"`
		StatusCode int    `json:"statusCode"`
		Message    string `json:"message"`
	}
	var refused []refusal
	for i, item := range items {
		if code := status(item.Title()); code != 0 {
			refused = append(refused, refusal{i, code, "109: no, " + Key})
		} else {
			f.accept(item)
		}
	}
	b, err := json.Marshal(map[string]any{"itemsReceived": len(items), "itemsAccepted": len(items) - len(refused), "errors": refused})
	if err != nil {
		panic(err)
	}
	if len(refused) == len(items) {
		return refused[0].StatusCode, nil, string(b)
	}
	return http.StatusPartialContent, nil, string(b)
}

func (f *Fake) admits(r *http.Request) bool {
	of, ok := bearer(r)
	return ok && (f.Who == nil || f.Who(of))
}

func (f *Fake) stream(w http.ResponseWriter, r *http.Request) {
	if !f.admits(r) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, err := read(r)
	var msg coltracepb.ExportTraceServiceRequest
	if err != nil || r.Header.Get("Content-Type") != "application/x-protobuf" || proto.Unmarshal(body, &msg) != nil {
		http.Error(w, "no OTLP", http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, rs := range msg.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				f.names = append(f.names, s.GetName())
			}
		}
	}
}

func (f *Fake) accept(items ...*Item) {
	for _, i := range items {
		f.got[i.Title()]++
		if i.IsSpan() {
			f.spans++
		}
	}
}

// Spans counts the accepted items that are spans.
func (f *Fake) Spans() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.spans
}

// Accepted are the items that were, by title, and how often each was.
func (f *Fake) Accepted() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.got)
}

// Streamed are the names of the spans that came over OTLP.
func (f *Fake) Streamed() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.names)
}

// Calls counts the requests with items.
func (f *Fake) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}
