// Package receiver is a backend of the demo's own: it takes OTLP over HTTP on
// loopback and knows what was kept only from the bytes that it is sent.
package receiver

import (
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/riffletrace/riffle/core/sampling"
)

// wholeTraces is of how many traces the spans themselves are held; of the
// others only what is counted.
const wholeTraces = 1000

// maxBody bounds a request's body.
const maxBody = 64 << 20

// Trace is what arrived of one trace.
type Trace struct {
	// Spans counts its spans.
	Spans int
	// Root is its span without a parent; nil if none arrived.
	Root *tracepb.Span
	// Weight is the root's adjusted count: how many traces it speaks for. It
	// is 0 if no root arrived, or if it carries no valid threshold.
	Weight float64
	// Whole are its spans, each with its resource and scope, for the first
	// traces that arrived; else nil.
	Whole []*tracepb.ResourceSpans
	whole bool
}

// Failed reports whether the root says that it failed.
func (t *Trace) Failed() bool {
	return t.Root.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR
}

// Duration is that of the root; 0 if none arrived.
func (t *Trace) Duration() time.Duration {
	return time.Duration(t.Root.GetEndTimeUnixNano() - t.Root.GetStartTimeUnixNano())
}

// Receiver is a running receiver.
type Receiver struct {
	server   *http.Server
	endpoint string

	mu     sync.Mutex
	traces map[trace.TraceID]*Trace
}

// Start starts a receiver on a free port of loopback.
func Start(ctx context.Context) (*Receiver, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Receiver{endpoint: listener.Addr().String(), traces: make(map[trace.TraceID]*Trace)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", r.receive)
	r.server = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	go func() { _ = r.server.Serve(listener) }() // it ends with Close
	return r, nil
}

// Endpoint is where the receiver listens: "127.0.0.1:43817".
func (r *Receiver) Endpoint() string { return r.endpoint }

// Traces returns what arrived so far.
func (r *Receiver) Traces() map[trace.TraceID]*Trace {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.traces)
}

// Close ends the receiver at once.
func (r *Receiver) Close() { _ = r.server.Close() } // nothing to do about an error

func (r *Receiver) receive(w http.ResponseWriter, req *http.Request) {
	exported, err := decode(http.MaxBytesReader(w, req.Body, maxBody), req.Header.Get("Content-Encoding"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	for _, rs := range exported.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				t := r.add(s)
				if t == nil || !t.whole {
					continue
				}
				t.Whole = append(t.Whole, &tracepb.ResourceSpans{
					Resource:   rs.GetResource(),
					ScopeSpans: []*tracepb.ScopeSpans{{Scope: ss.GetScope(), Spans: []*tracepb.Span{s}}},
				})
			}
		}
	}
	r.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-protobuf") // an empty answer is a full success
}

// add counts a span; it returns nil if that has no trace ID.
func (r *Receiver) add(s *tracepb.Span) *Trace {
	if len(s.GetTraceId()) != len(trace.TraceID{}) {
		return nil
	}
	id := trace.TraceID(s.GetTraceId())
	t := r.traces[id]
	if t == nil {
		t = &Trace{whole: len(r.traces) < wholeTraces}
		r.traces[id] = t
	}
	t.Spans++
	if len(s.GetParentSpanId()) == 0 {
		t.Root, t.Weight = s, weight(id, s)
	}
	return t
}

func weight(id trace.TraceID, s *tracepb.Span) float64 {
	state, err := trace.ParseTraceState(s.GetTraceState())
	if err != nil {
		return 0
	}
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, TraceState: state})
	return sampling.ThresholdOf(sc).AdjustedCount()
}

func decode(body io.Reader, encoding string) (*collectorpb.ExportTraceServiceRequest, error) {
	if encoding == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		body = io.LimitReader(unzipped, maxBody)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	exported := new(collectorpb.ExportTraceServiceRequest)
	return exported, proto.Unmarshal(b, exported)
}
