package delivery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"syscall"
	"testing"
)

// told is an error that knows what may be told.
type told struct{ error }

func (told) Tellable() string { return "503 Service Unavailable" }

// What anybody may be told has no words of others: those may have what spans had.
func TestTellable(t *testing.T) {
	secret := errors.New("attribute user=alice refused")
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{secret, inTheLog},
		{&ExportError{Err: secret}, inTheLog},
		{fmt.Errorf("sending: %w", &ExportError{Err: told{secret}}), "503 Service Unavailable"},
		{&url.Error{Op: "Post", URL: "https://a:b@c/?key=d", Err: dial}, "dial tcp: connection refused"},
		{&url.Error{Op: "Post", URL: "https://a:b@c/?key=d", Err: secret}, inTheLog},
		{fmt.Errorf("%w: %w", secret, context.DeadlineExceeded), "context deadline exceeded"},
		{errQueueFull, "the queue is full"},
		{&net.DNSError{Err: "no such host", Name: "collector"}, "lookup collector: no such host"},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "the certificate is of an unknown authority"},
		{&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired, Detail: "alice"}}, "the certificate has expired, or is not valid yet"},
		{&tls.CertificateVerificationError{Err: secret}, "the certificate is not accepted"},
		{syscall.ECONNRESET, "connection reset by peer"},
	} {
		if got := Tellable(tt.err); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}

// Each cause has a name, and is where its name is.
func TestByCause(t *testing.T) {
	d := Dropped{1, 2, 3, 4, 5, 6, 7, 8, 9}
	all := d.ByCause()
	for i, cause := range Causes() {
		if all[cause] != uint64(i+1) {
			t.Errorf("%s: %d, want %d", cause, all[cause], i+1)
		}
	}
	if len(all) != int(causes) || len((Dropped{}).ByCause()) != 0 {
		t.Error(all)
	}
}
