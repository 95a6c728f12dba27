package otlp_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/internal/otlptest"
	"github.com/riffletrace/riffle/exporters/otlp"
)

const (
	handed = 200 // spans
	batch  = 50
	// misbehaves is how many calls or connections do before the receiver works.
	misbehaves = 2
)

// reset closes a connection so that the other side gets a reset.
func reset(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

// first lets f deal with what comes first.
func first(f func(c net.Conn)) func(int64, net.Conn) bool {
	return func(n int64, c net.Conn) bool {
		if n >= misbehaves {
			return false
		}
		go f(c)
		return true
	}
}

func firstHTTP(f func(w http.ResponseWriter, r *http.Request)) func(int64, http.ResponseWriter, *http.Request) bool {
	return func(n int64, w http.ResponseWriter, r *http.Request) bool {
		if n >= misbehaves {
			return false
		}
		f(w, r)
		return true
	}
}

func firstGRPC(err func() error) func(int64, context.Context, int) (*coltracepb.ExportTraceServiceResponse, error) {
	return func(n int64, _ context.Context, _ int) (*coltracepb.ExportTraceServiceResponse, error) {
		if n >= misbehaves {
			return nil, nil
		}
		return nil, err()
	}
}

func hijack(w http.ResponseWriter, f func(net.Conn)) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	f(c)
	_ = c.Close()
}

// bomb answers with what grows to a gigabyte.
func bomb(w http.ResponseWriter, code int) {
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.WriteHeader(code)
	z := gzip.NewWriter(w)
	zeros := make([]byte, 1<<20)
	for range 1 << 10 {
		if _, err := z.Write(zeros); err != nil {
			return
		}
	}
	_ = z.Close()
}

// misbehaviour is a way for a receiver to misbehave, and what it costs.
type misbehaviour struct {
	name     string
	protocol otlp.Protocol // "": both
	script   script
	// lost is how many spans are: those of the calls that got a bad answer.
	lost int
	// took is at least how long it takes.
	took time.Duration
}

func misbehaviours() []misbehaviour {
	all := []misbehaviour{
		{name: "works"},
		{name: "refuses", script: script{late: true}},
		{name: "hangs up", script: script{connect: first(func(c net.Conn) { _ = c.Close() })}},
		{name: "resets", script: script{connect: first(reset)}},
		{name: "resets in the body", script: script{connect: first(func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 700))
			reset(c)
		})}},
		{name: "answers with garbage", script: script{connect: first(func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 10))
			_, _ = c.Write([]byte(strings.Repeat("\x00\xff\x80garbage\r\n", 100)))
			_ = c.Close()
		})}},
		{name: "hangs as a connection", script: script{connect: first(func(c net.Conn) {
			_, _ = io.Copy(io.Discard, c) // until the exporter has had enough
			_ = c.Close()
		})}},

		{name: "hangs", protocol: otlp.HTTP, script: script{http: firstHTTP(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		})}},
		{name: "hangs", protocol: otlp.GRPC, script: script{grpc: func(n int64, ctx context.Context, _ int) (*coltracepb.ExportTraceServiceResponse, error) {
			if n < misbehaves {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return nil, nil
		}}},
		{name: "EOF before an answer", protocol: otlp.HTTP, script: script{http: firstHTTP(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			hijack(w, func(net.Conn) {})
		})}},
		{name: "EOF in the answer's header", protocol: otlp.HTTP, script: script{http: firstHTTP(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			hijack(w, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-") })
		})}},
		{name: "drips", protocol: otlp.HTTP, script: script{http: firstHTTP(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			hijack(w, func(c net.Conn) {
				for _, b := range []byte("HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 1000)) {
					if _, err := c.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(time.Millisecond)
				}
			})
		})}},
		{name: "web page", protocol: otlp.HTTP, lost: misbehaves * batch, script: script{http: firstHTTP(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>hello</html>")
		})}},
		{name: "bomb as a refusal", protocol: otlp.HTTP, script: script{http: firstHTTP(func(w http.ResponseWriter, _ *http.Request) { bomb(w, 503) })}},
		{name: "too large by text", protocol: otlp.HTTP, script: script{http: func(_ int64, w http.ResponseWriter, r *http.Request) bool {
			if r.ContentLength < 1500 {
				return false
			}
			http.Error(w, "http: request body too large", http.StatusBadRequest)
			return true
		}}},
		{name: "too large", script: script{maxBytes: 1500}},
		{name: "every span too large", script: script{maxBytes: 10}, lost: handed},
		{name: "partial success", lost: handed / batch * 7, script: script{answer: func(int) *coltracepb.ExportTraceServiceResponse {
			return &coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{RejectedSpans: 7, ErrorMessage: "bad"}}
		}}},
		{name: "warning", script: script{answer: func(int) *coltracepb.ExportTraceServiceResponse {
			return &coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{ErrorMessage: "hm"}}
		}}},
		{name: "rejects more than there are", lost: handed, script: script{answer: func(n int) *coltracepb.ExportTraceServiceResponse {
			return &coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{RejectedSpans: int64(n) + 1}}
		}}},
		{name: "huge answer", script: script{answer: func(int) *coltracepb.ExportTraceServiceResponse {
			return &coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{ErrorMessage: strings.Repeat("x", 1<<20)}}
		}}},
		{name: "Retry-After", protocol: otlp.HTTP, took: time.Second, script: script{http: firstHTTP(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		})}},
		{name: "Retry-After as a date", protocol: otlp.HTTP, took: time.Second, script: script{http: firstHTTP(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", time.Now().Add(2*time.Second).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusServiceUnavailable)
		})}},
		{name: "RetryInfo", protocol: otlp.GRPC, took: time.Second, script: script{grpc: firstGRPC(func() error {
			s, err := status.New(codes.ResourceExhausted, "busy").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)})
			if err != nil {
				panic(err)
			}
			return s.Err()
		})}},
	}
	retryable := map[int]bool{429: true, 502: true, 503: true, 504: true}
	for _, code := range []int{301, 302, 307, 400, 401, 403, 404, 405, 408, 422, 429, 500, 501, 502, 503, 504, 505} {
		m := misbehaviour{name: fmt.Sprint(code), protocol: otlp.HTTP, script: script{http: firstHTTP(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://localhost:1/elsewhere")
			w.WriteHeader(code)
		})}}
		if !retryable[code] {
			m.lost = misbehaves * batch
		}
		all = append(all, m)
	}
	retryableGRPC := map[codes.Code]bool{
		codes.Canceled: true, codes.DeadlineExceeded: true, codes.Aborted: true, codes.OutOfRange: true, codes.Unavailable: true, codes.DataLoss: true,
	}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		m := misbehaviour{name: code.String(), protocol: otlp.GRPC, script: script{grpc: firstGRPC(func() error { return status.Error(code, "no") })}}
		if !retryableGRPC[code] {
			m.lost = misbehaves * batch
		}
		all = append(all, m)
	}
	return all
}

// Whatever a receiver does, each span arrives or is in exactly one counter of
// losses, and only what nobody can help is lost.
func TestMisbehavingReceiver(t *testing.T) {
	for _, tt := range misbehaviours() {
		for _, protocol := range []otlp.Protocol{otlp.GRPC, otlp.HTTP} {
			if tt.protocol != "" && tt.protocol != protocol {
				continue
			}
			t.Run(string(protocol)+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				misbehave(t, tt, protocol)
			})
		}
	}
}

func misbehave(t *testing.T, tt misbehaviour, protocol otlp.Protocol) {
	r := &receiver{script: tt.script, address: otlptest.Dead(t)}
	if !tt.script.late {
		r.start(t, protocol)
	}
	e := build(t, otlp.Config{Endpoint: r.address, Protocol: protocol, Compression: delivery.None, Timeout: core.Duration(500 * time.Millisecond)})
	c := delivery.Defaults()
	c.Batch.MaxSpans = batch
	c.Send.Workers = 1
	c.Send.Backoff = delivery.Backoff{Initial: core.Duration(time.Millisecond), Max: core.Duration(20 * time.Millisecond)}
	f := &delivery.Fan{}
	l := f.Add(e, c, delivery.Settings{Name: "receiver", Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})

	names := make([]string, handed)
	for i := range names {
		names[i] = fmt.Sprintf("span %03d", i)
	}
	began := time.Now()
	f.Deliver(otlptest.Spans(names...)...)
	if tt.script.late {
		for l.Stats().Retried == 0 {
			time.Sleep(time.Millisecond)
		}
		r.start(t, protocol)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	// What is lost before Shutdown is called is not its to tell.
	if err := l.Shutdown(ctx); err != nil && tt.lost == 0 {
		t.Errorf("Shutdown = %v", err)
	}
	s := l.Stats()
	if s.Handed != handed || s.Handed != s.Sent+s.Rejected+s.Dropped.Total() || s.Waiting != 0 || s.Bytes != 0 {
		t.Errorf("the counters do not add up: %+v", s)
	}
	if s.Failed != uint64(tt.lost) {
		t.Errorf("%d spans are lost, want %d: %+v", s.Failed, tt.lost, s)
	}
	if missing := handed - r.received(); uint64(missing) > s.Failed {
		t.Errorf("%d spans did not arrive, %d are counted as lost", missing, s.Failed)
	}
	if took := time.Since(began); took < tt.took {
		t.Errorf("took %v, the receiver asked for %v", took, tt.took)
	}
}

// An answer that is huge, or grows to be, is not read.
func TestBomb(t *testing.T) {
	grow := &coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{ErrorMessage: strings.Repeat("x", 16<<20)}}
	for _, protocol := range []otlp.Protocol{otlp.GRPC, otlp.HTTP} {
		t.Run(string(protocol), func(t *testing.T) {
			r := &receiver{address: otlptest.Dead(t), script: script{
				http: func(_ int64, w http.ResponseWriter, _ *http.Request) bool {
					zeros := make([]byte, 1<<20)
					for range 256 {
						if _, err := w.Write(zeros); err != nil {
							break
						}
					}
					return true
				},
				grpc: func(_ int64, ctx context.Context, _ int) (*coltracepb.ExportTraceServiceResponse, error) {
					if err := grpc.SetSendCompressor(ctx, "gzip"); err != nil {
						return nil, err
					}
					return grow, nil
				},
			}}
			r.start(t, protocol)
			e := build(t, otlp.Config{Endpoint: r.address, Protocol: protocol, Compression: delivery.Gzip})
			if protocol == otlp.HTTP {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				defer func() {
					runtime.ReadMemStats(&after)
					if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
						t.Errorf("%d MiB were allocated", grown>>20)
					}
				}()
			}
			if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
				t.Error(err)
			}
		})
	}
}
