package otlpclient_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/internal/otlpstatus"
)

// Of an error of sending, anybody may be told the advice, and no words of the server.
func TestTellable(t *testing.T) {
	const words = "attribute user=alice"
	r, err := otlpclient.Config{Protocol: otlpclient.HTTP, Endpoint: "http://localhost:4318"}.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&otlpstatus.HTTPError{Code: 404, Status: "404 " + words, Message: words}, "localhost:4318 takes no traces at /v1/traces: check the path"},
		{&otlpstatus.HTTPError{Code: 503, Status: "503 " + words, Message: words}, "503 Service Unavailable"},
		{&otlpstatus.WebPageError{Status: "200 " + words}, "localhost:4318 answered with a web page: it is no OTLP receiver; the usual port is 4318"},
		{&otlpstatus.GRPCError{Status: status.New(codes.Unimplemented, words)}, "gRPC status Unimplemented"},
		{&otlpstatus.GRPCError{Status: status.New(codes.ResourceExhausted, words)}, "gRPC status ResourceExhausted"},
		{errors.New("dial tcp: connection refused"), "localhost:4318 refused the connection: nothing listens there"},
		{errors.New("x509: certificate relies on legacy Common Name field, use SANs instead"), "localhost:4318 has a certificate that names it in the common name alone, which does not count: add the name to its subject alternative names"},
		{errors.New(words), "an error with words of others: see the log"},
	} {
		if got := delivery.Tellable(r.Fail(tt.err, true)); got != tt.want || strings.Contains(got, "alice") {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
		wrapped := &delivery.ExportError{Err: tt.err}
		if got := delivery.Tellable(r.Fail(wrapped, true)); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}

// Some backends take the key as a part of the path.
func TestTellableHasNoPath(t *testing.T) {
	r, err := otlpclient.Config{Protocol: otlpclient.HTTP, Endpoint: "http://localhost:4318/receiver/k3y"}.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []int{404, 405, 503} {
		failed := r.Fail(&otlpstatus.HTTPError{Code: code, Status: "refused"}, true)
		if got := delivery.Tellable(failed); strings.Contains(got, "k3y") {
			t.Errorf("%d: %q", code, got)
		}
		if code == 404 && !strings.Contains(failed.Error(), "k3y") {
			t.Errorf("the log does not name the path: %v", failed)
		}
	}
}
