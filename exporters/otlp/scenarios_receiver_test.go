package otlp_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"flag"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/internal/otlptest"
)

var defaultSettings = flag.Bool("default-settings", false, "the scenarios with the default settings of batch and send, which take minutes")

// verdict is what a receiver does with a request. The zero value accepts it.
type verdict struct {
	status     int // of HTTP; gRPC gets the code that means the same
	message    string
	retryAfter time.Duration
	rejected   int  // partial success: of the spans, the last so many
	hang       bool // no response, until the client has had enough
	reset      bool // the connection is reset, after the request was read
}

// receiver takes OTLP over real sockets and asks judge about each request. It keeps
// when it first accepted each span.
type receiver struct {
	address string
	judge   func(spans []string) verdict // nil accepts everything

	mu       sync.Mutex
	accepted map[string]time.Time
	requests int
	messages []*tracepb.ResourceSpans // what was accepted
	keep     bool                     // messages
}

func startReceiver(t testing.TB, protocol otlp.Protocol, judge func(spans []string) verdict) *receiver {
	t.Helper()
	r := &receiver{judge: judge, accepted: make(map[string]time.Time)}
	if protocol == otlp.HTTP {
		s := httptest.NewServer(r)
		t.Cleanup(func() {
			s.CloseClientConnections()
			s.Close()
		})
		r.address = s.Listener.Addr().String()
		return r
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = l.Addr().String()
	s := grpc.NewServer(grpc.MaxRecvMsgSize(math.MaxInt32))
	coltracepb.RegisterTraceServiceServer(s, grpcEndpoint{r: r})
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Stop()
		<-served
	})
	return r
}

// take judges a request and notes what it accepts.
func (r *receiver) take(msg *coltracepb.ExportTraceServiceRequest) verdict {
	var names []string
	for _, rs := range msg.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				names = append(names, s.GetName())
			}
		}
	}
	var v verdict
	if r.judge != nil {
		v = r.judge(names)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	if v.status != 0 || v.hang || v.reset {
		return v
	}
	v.rejected = min(v.rejected, len(names))
	now := time.Now()
	for _, name := range names[:len(names)-v.rejected] {
		if _, ok := r.accepted[name]; !ok {
			r.accepted[name] = now
		}
	}
	if r.keep {
		r.messages = append(r.messages, msg.GetResourceSpans()...)
	}
	return v
}

// has tells when a span was first accepted.
func (r *receiver) has(name string) (at time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok = r.accepted[name]
	return at, ok
}

// distinct counts the spans that were accepted, each once.
func (r *receiver) distinct() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.accepted)
}

func (r *receiver) asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

func (r *receiver) received() []*tracepb.ResourceSpans {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.messages
}

func (v verdict) response() *coltracepb.ExportTraceServiceResponse {
	resp := &coltracepb.ExportTraceServiceResponse{}
	if v.rejected > 0 {
		resp.PartialSuccess = &coltracepb.ExportTracePartialSuccess{RejectedSpans: int64(v.rejected), ErrorMessage: v.message}
	}
	return resp
}

// ServeHTTP takes a request over HTTP.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	if req.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gunzip(body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	var msg coltracepb.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &msg); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v := r.take(&msg)
	switch {
	case v.hang:
		<-req.Context().Done()
	case v.reset:
		if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		}
	case v.status != 0:
		if v.retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(v.retryAfter/time.Second)))
		}
		http.Error(w, v.message, v.status)
	default:
		resp, _ := proto.Marshal(v.response())
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(resp)
	}
}

func gunzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

type grpcEndpoint struct {
	coltracepb.UnimplementedTraceServiceServer
	r *receiver
}

// Export takes a request over gRPC. A reset cannot be told from it here.
func (g grpcEndpoint) Export(ctx context.Context, msg *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	v := g.r.take(msg)
	switch {
	case v.hang:
		<-ctx.Done()
		return nil, ctx.Err()
	case v.reset:
		return nil, status.Error(codes.Unavailable, "reset")
	case v.status != 0:
		s := status.New(codeOf(v.status), v.message)
		if v.retryAfter > 0 {
			s, _ = s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(v.retryAfter)})
		}
		return nil, s.Err()
	default:
		return v.response(), nil
	}
}

func codeOf(httpStatus int) codes.Code {
	switch httpStatus {
	case http.StatusBadRequest:
		return codes.InvalidArgument
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		return codes.ResourceExhausted
	default:
		return codes.Unavailable
	}
}

// line is one delivery line under test.
type line struct {
	*delivery.Line
	lines  delivery.Lines
	config delivery.Config
	log    *logBuffer
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startLine starts a line. Without -default-settings its batches are small and its
// waits short: a twentieth of the defaults.
func startLine(t testing.TB, e sdktrace.SpanExporter, change func(*delivery.Config)) *line {
	t.Helper()
	l := &line{config: delivery.Defaults(), log: &logBuffer{}}
	if !*defaultSettings {
		l.config.Batch.MaxSpans, l.config.Batch.MaxAge = 128, component.Duration(50*time.Millisecond)
		l.config.Send.Backoff = delivery.Backoff{Initial: component.Duration(25 * time.Millisecond), Max: component.Duration(1500 * time.Millisecond)}
	}
	if change != nil {
		change(&l.config)
	}
	if err := l.config.Validate(); err != nil {
		t.Fatal(err)
	}
	l.Line = l.lines.Add(e, l.config, delivery.Settings{Name: "backend", Type: "otlp", Logger: slog.New(slog.NewTextHandler(l.log, nil))})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 100*time.Millisecond)
		defer cancel()
		_ = l.Shutdown(ctx)
		if t.Failed() {
			t.Logf("stats: %+v\nlog:\n%s", l.Stats(), l.log)
		}
	})
	return l
}

// newExporter is the otlp exporter without compression.
func newExporter(t testing.TB, protocol otlp.Protocol, address string) sdktrace.SpanExporter {
	t.Helper()
	return build(t, otlp.Config{Endpoint: address, Protocol: protocol, Compression: delivery.None})
}

// handOver hands spans over, one for each name.
func (l *line) handOver(names ...string) { l.lines.HandOver(otlptest.SpansAt(time.Now(), names...)...) }

// numbered are the numbers from the first to before the last, as names.
func numbered(first, last int) []string {
	names := make([]string, 0, last-first)
	for i := first; i < last; i++ {
		names = append(names, strconv.Itoa(i))
	}
	return names
}

// eventually polls until ok, and reports whether that was in time.
func eventually(within time.Duration, ok func() bool) bool {
	for deadline := time.Now().Add(within); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// checkCounters checks that each span that was handed over is in one counter.
func checkCounters(t testing.TB, s delivery.Stats, handedOver int) {
	t.Helper()
	if s.HandedOver != uint64(handedOver) || s.HandedOver != s.Sent+s.Lost+s.Filtered+s.Waiting || s.Lost != s.Rejected+s.Dropped.Total() {
		t.Errorf("the counters do not add up to %d: %+v", handedOver, s)
	}
}

// protocols runs a test over each protocol.
func protocols(t *testing.T, test func(t *testing.T, protocol otlp.Protocol)) {
	t.Helper()
	for _, p := range []otlp.Protocol{otlp.HTTP, otlp.GRPC} {
		t.Run(map[otlp.Protocol]string{otlp.HTTP: "http", otlp.GRPC: "grpc"}[p], func(t *testing.T) { test(t, p) })
	}
}
