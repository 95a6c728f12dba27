package otlptest

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
)

const (
	handedOver = 200 // spans
	batch      = 50

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

// FirstHTTP lets f answer the first requests.
func FirstHTTP(f func(w http.ResponseWriter, r *http.Request)) func(int64, http.ResponseWriter, *http.Request) bool {
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

// accepts takes spans over HTTP, in a response of its own.
func accepts(contentType, body string) Script {
	return Script{RespondHTTP: func(w http.ResponseWriter) {
		w.Header()["Content-Type"] = []string{contentType}
		if contentType == "" {
			w.Header()["Content-Type"] = nil // else net/http guesses
		}
		_, _ = io.WriteString(w, body)
	}}
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

// Misbehaviour is a way for a receiver to misbehave, and what it costs.
type Misbehaviour struct {
	Name     string
	Protocol string // "": both
	Script   Script
	// Lost is how many spans are: those of the calls that got a bad response.
	Lost int
	// Took is at least how long it takes.
	Took time.Duration
}

// Misbehaviours are what any exporter of OTLP must cope with.
func Misbehaviours() []Misbehaviour {
	all := []Misbehaviour{
		{Name: "works"},
		{Name: "refuses", Script: Script{Late: true}},
		{Name: "hangs up", Script: Script{Connect: first(func(c net.Conn) { _ = c.Close() })}},
		{Name: "resets", Script: Script{Connect: first(reset)}},
		{Name: "resets in the body", Script: Script{Connect: first(func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 700))
			reset(c)
		})}},
		{Name: "answers with garbage", Script: Script{Connect: first(func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 10))
			_, _ = c.Write([]byte(strings.Repeat("\x00\xff\x80garbage\r\n", 100)))
			_ = c.Close()
		})}},
		{Name: "hangs as a connection", Script: Script{Connect: first(func(c net.Conn) {
			_, _ = io.Copy(io.Discard, c) // until the exporter has had enough
			_ = c.Close()
		})}},

		{Name: "hangs", Protocol: overHTTP, Script: Script{HTTP: FirstHTTP(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		})}},
		{Name: "hangs", Protocol: overGRPC, Script: Script{GRPC: func(n int64, ctx context.Context, _ int) (*coltracepb.ExportTraceServiceResponse, error) {
			if n < misbehaves {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return nil, nil
		}}},
		{Name: "EOF before a response", Protocol: overHTTP, Script: Script{HTTP: FirstHTTP(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			hijack(w, func(net.Conn) {})
		})}},
		{Name: "EOF in the response's header", Protocol: overHTTP, Script: Script{HTTP: FirstHTTP(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			hijack(w, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-") })
		})}},
		{Name: "drips", Protocol: overHTTP, Script: Script{HTTP: FirstHTTP(func(w http.ResponseWriter, r *http.Request) {
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
		{Name: "web page", Protocol: overHTTP, Lost: misbehaves * batch, Script: Script{HTTP: FirstHTTP(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>hello</html>")
		})}},
		{Name: "bomb as a refusal", Protocol: overHTTP, Script: Script{HTTP: FirstHTTP(func(w http.ResponseWriter, _ *http.Request) { bomb(w, 503) })}},
		{Name: "large ones are invalid", Protocol: overHTTP, Script: Script{HTTP: func(_ int64, w http.ResponseWriter, r *http.Request) bool {
			if r.ContentLength < 1500 {
				return false
			}
			http.Error(w, "http: request body too large", http.StatusBadRequest)
			return true
		}}},
		{Name: "accepts with an empty response", Protocol: overHTTP, Script: accepts("", "")},
		{Name: "accepts with a text", Protocol: overHTTP, Script: accepts("text/plain", "OK")},
		{Name: "accepts with an error in JSON", Protocol: overHTTP, Script: accepts("application/json", `{"error":"no"}`)},
		{Name: "partial success in JSON", Protocol: overHTTP, Lost: handedOver / batch * 7, Script: accepts("application/json", `{"partialSuccess":{"rejectedSpans":"7"}}`)},
		{Name: "partial success as bytes", Protocol: overHTTP, Lost: handedOver / batch * 7, Script: accepts("application/octet-stream", "\x0a\x02\x08\x07")},
		{Name: "partial success without a type", Protocol: overHTTP, Lost: handedOver / batch * 7, Script: accepts("", "\x0a\x02\x08\x07")},
		{Name: "too large", Script: Script{MaxBytes: 1500}},
		{Name: "every span too large", Script: Script{MaxBytes: 10}, Lost: handedOver},
		{Name: "partial success", Lost: handedOver / batch * 7, Script: Script{Respond: func(int) *coltracepb.ExportTraceServiceResponse {
			return &coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{RejectedSpans: 7, ErrorMessage: "bad"}}
		}}},
		{Name: "warning", Script: Script{Respond: func(int) *coltracepb.ExportTraceServiceResponse {
			return &coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{ErrorMessage: "hm"}}
		}}},
		{Name: "rejects more than there are", Lost: handedOver, Script: Script{Respond: func(n int) *coltracepb.ExportTraceServiceResponse {
			return &coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{RejectedSpans: int64(n) + 1}}
		}}},
		{Name: "huge response", Script: Script{Respond: func(int) *coltracepb.ExportTraceServiceResponse {
			return &coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{ErrorMessage: strings.Repeat("x", 1<<20)}}
		}}},
		{Name: "Retry-After", Protocol: overHTTP, Took: time.Second, Script: Script{HTTP: FirstHTTP(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		})}},
		{Name: "Retry-After as a date", Protocol: overHTTP, Took: time.Second, Script: Script{HTTP: FirstHTTP(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", time.Now().Add(2*time.Second).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusServiceUnavailable)
		})}},
		{Name: "RetryInfo", Protocol: overGRPC, Took: time.Second, Script: Script{GRPC: firstGRPC(func() error {
			s, err := status.New(codes.ResourceExhausted, "busy").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)})
			if err != nil {
				panic(err)
			}
			return s.Err()
		})}},
	}
	// What is wrong with the content is looked for in parts of the batch, and is not there.
	costsNothing := map[int]bool{400: true, 422: true, 429: true, 502: true, 503: true, 504: true}
	for _, code := range []int{301, 302, 307, 400, 401, 403, 404, 405, 408, 422, 429, 500, 501, 502, 503, 504, 505} {
		m := Misbehaviour{Name: fmt.Sprint(code), Protocol: overHTTP, Script: Script{HTTP: FirstHTTP(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://localhost:1/elsewhere")
			w.WriteHeader(code)
		})}}
		if !costsNothing[code] {
			m.Lost = misbehaves * batch
		}
		all = append(all, m)
	}
	costsNothingGRPC := map[codes.Code]bool{
		codes.Canceled: true, codes.DeadlineExceeded: true, codes.Aborted: true, codes.OutOfRange: true, codes.Unavailable: true, codes.DataLoss: true,
		codes.ResourceExhausted: true, codes.InvalidArgument: true,
	}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		m := Misbehaviour{Name: code.String(), Protocol: overGRPC, Script: Script{GRPC: firstGRPC(func() error { return status.Error(code, "no") })}}
		if !costsNothingGRPC[code] {
			m.Lost = misbehaves * batch
		}
		all = append(all, m)
	}
	return all
}

// Misbehave checks that, whatever a receiver does, each span arrives or is in
// exactly one counter of losses, and only what nobody can help is lost. build
// makes an exporter to an address, without compression and with a timeout of
// half a second; the caller shuts nothing down.
func (m Misbehaviour) Misbehave(t *testing.T, protocol string, build func(t testing.TB, address string) sdktrace.SpanExporter) {
	t.Helper()
	r := &Scripted{Script: m.Script, Address: Dead(t)}
	if !m.Script.Late {
		r.Start(t, protocol)
	}
	e := build(t, r.Address)
	c := delivery.Defaults()
	c.Batch.MaxSpans = batch
	c.Send.Workers = 1
	c.Send.Backoff = delivery.Backoff{Initial: component.Duration(time.Millisecond), Max: component.Duration(20 * time.Millisecond)}
	f := &delivery.Lines{}
	l := f.Add(e, c, delivery.Settings{Name: "receiver", Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})

	names := make([]string, handedOver)
	for i := range names {
		names[i] = fmt.Sprintf("span %03d", i)
	}
	began := time.Now()
	f.HandOver(SpansAt(began, names...)...)
	if m.Script.Late {
		for l.Stats().Retried == 0 {
			time.Sleep(time.Millisecond)
		}
		r.Start(t, protocol)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := l.Shutdown(ctx); (err != nil) != (l.Stats().Lost > 0) {
		t.Errorf("Shutdown = %v, and %d spans are lost", err, l.Stats().Lost)
	}
	s := l.Stats()
	if s.HandedOver != handedOver || s.HandedOver != s.Sent+s.Rejected+s.Dropped.Total() || s.Waiting != 0 || s.Bytes != 0 {
		t.Errorf("the counters do not add up: %+v", s)
	}
	if s.Lost != uint64(m.Lost) {
		t.Errorf("%d spans are lost, want %d: %+v", s.Lost, m.Lost, s)
	}
	if missing := handedOver - r.Received(); uint64(missing) > s.Lost {
		t.Errorf("%d spans did not arrive, %d are counted as lost", missing, s.Lost)
	}
	if took := time.Since(began); took < m.Took {
		t.Errorf("took %v, the receiver asked for %v", took, m.Took)
	}
}
