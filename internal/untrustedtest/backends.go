package untrustedtest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// HTTP answers each request with what comes before and after a status's code, and what
// is a header and a body, to the letter. It returns its address.
func HTTP(tb testing.TB, code int, reason, headers, body string) string {
	tb.Helper()
	return serve(tb, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		_ = r.Body.Close()
		fmt.Fprintf(c, "HTTP/1.1 %d %s\r\n%sConnection: close\r\n\r\n%s", code, reason, headers, body)
	})
}

// serve calls f for each connection.
func serve(tb testing.TB, f func(net.Conn)) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f(c)
			_ = c.Close()
		}
	}()
	tb.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

type traces struct {
	coltracepb.UnimplementedTraceServiceServer
	answer func() (*coltracepb.ExportTraceServiceResponse, error)
}

func (t traces) Export(context.Context, *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	return t.answer()
}

// GRPC answers each request with a status. It returns its address.
func GRPC(tb testing.TB, code codes.Code, message string) string {
	tb.Helper()
	return startGRPC(tb, func() (*coltracepb.ExportTraceServiceResponse, error) { return nil, status.Error(code, message) })
}

// PartialGRPC accepts each request but for a span, about which it says something.
func PartialGRPC(tb testing.TB, message string) string {
	tb.Helper()
	return startGRPC(tb, func() (*coltracepb.ExportTraceServiceResponse, error) {
		return &coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{RejectedSpans: 1, ErrorMessage: message}}, nil
	})
}

func startGRPC(tb testing.TB, answer func() (*coltracepb.ExportTraceServiceResponse, error)) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := grpc.NewServer()
	coltracepb.RegisterTraceServiceServer(s, traces{answer: answer})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	tb.Cleanup(func() {
		s.Stop()
		<-done
	})
	return l.Addr().String()
}
