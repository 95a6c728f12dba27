package xray_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

const region = "eu-central-1"

// fake is the OTLP endpoint of X-Ray: it checks what the real one does.
type fake struct {
	*httptest.Server

	mu    sync.Mutex
	keys  map[string]aws.Credentials // by access key
	skew  time.Duration              // of its clock
	names []string                   // of the spans it took
	raw   []byte                     // the last request, as it came
	fails func() (status int, kind, message string)
}

func newFake(t testing.TB) *fake {
	t.Helper()
	f := &fake{keys: map[string]aws.Credentials{accessKey: {AccessKeyID: accessKey, SecretAccessKey: secretKey}}}
	f.Server = httptest.NewUnstartedServer(f)
	f.Listener = tap{f.Listener, f}
	f.Start()
	t.Cleanup(f.Close)
	return f
}

// tap keeps what comes in.
type tap struct {
	net.Listener
	f *fake
}

func (l tap) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return tapped{c, l.f}, err
}

type tapped struct {
	net.Conn
	f *fake
}

func (c tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	c.f.raw = append(c.f.raw, p[:n]...)
	return n, err
}

func (f *fake) now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Now().Add(f.skew)
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) received() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(slices.Values(f.names))
}

// refusal is a response of AWS that accepts nothing.
type refusal struct {
	status        int
	kind, message string
}

func (r *refusal) Error() string { return r.kind + ": " + r.message }

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", f.now().UTC().Format(http.TimeFormat))
	names, err := f.take(r)
	if err == nil && f.fails != nil {
		if status, kind, message := f.fails(); status != 0 {
			err = &refusal{status, kind, message}
		}
	}
	if refused := (*refusal)(nil); errors.As(err, &refused) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amzn-Errortype", refused.kind)
		w.WriteHeader(refused.status)
		fmt.Fprintf(w, `{"message":%q}`, refused.message)
		return
	}
	f.set(func() { f.names = append(f.names, names...) })
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (f *fake) take(r *http.Request) (names []string, err error) {
	invalid := func(format string, args ...any) error {
		return &refusal{http.StatusBadRequest, "InvalidRequestException", fmt.Sprintf(format, args...)}
	}
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/v1/traces":
		return nil, &refusal{http.StatusNotFound, "UnknownOperationException", r.URL.Path}
	case r.ProtoMajor != 1 || r.ProtoMinor != 1:
		return nil, invalid("%s", r.Proto)
	case r.ContentLength <= 0 || len(r.TransferEncoding) > 0:
		return nil, &refusal{http.StatusLengthRequired, "MissingContentLength", "no Content-Length"}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if err := f.authorized(r, body); err != nil {
		return nil, err
	}
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, invalid("%v", err)
		}
		if body, err = io.ReadAll(z); err != nil {
			return nil, invalid("%v", err)
		}
	}
	var msg coltracepb.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &msg); err != nil {
		return nil, invalid("%v", err)
	}
	if len(body) > 5_000_000 {
		return nil, invalid("request of %d bytes", len(body))
	}
	now := f.now()
	for _, rs := range msg.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				start := time.Unix(0, int64(s.GetStartTimeUnixNano()))
				if n := proto.Size(s); n > 200_000 || now.Sub(start) > 14*24*time.Hour || start.Sub(now) > 2*time.Hour {
					return nil, invalid("span of %d bytes, started at %s", n, start)
				}
				names = append(names, s.GetName())
			}
		}
	}
	if len(names) > 10_000 {
		return nil, invalid("%d spans", len(names))
	}
	return names, nil
}

// authorized signs what came in again, as AWS's signer does, and compares.
func (f *fake) authorized(r *http.Request, body []byte) error {
	forbidden := func(kind, message string) error { return &refusal{http.StatusForbidden, kind, message} }
	authorization := r.Header.Get("Authorization")
	credential, rest, _ := strings.Cut(strings.TrimPrefix(authorization, "AWS4-HMAC-SHA256 Credential="), ", ")
	scope := strings.Split(credential, "/")
	if len(scope) != 5 {
		return forbidden("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	f.mu.Lock()
	creds, known := f.keys[scope[0]]
	f.mu.Unlock()
	signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	now := f.now()
	switch {
	case !known || creds.SessionToken != r.Header.Get("X-Amz-Security-Token"):
		return forbidden("UnrecognizedClientException", "The security token included in the request is invalid.")
	case creds.CanExpire && creds.Expires.Before(now):
		return forbidden("ExpiredTokenException", "The security token included in the request is expired")
	case err != nil:
		return forbidden("IncompleteSignatureException", "no date")
	case scope[2] != region:
		return forbidden("InvalidSignatureException", "Credential should be scoped to a valid region, not '"+scope[2]+"'.")
	case now.Sub(signed) > 5*time.Minute:
		return forbidden("InvalidSignatureException", "Signature expired: "+r.Header.Get("X-Amz-Date")+" is now earlier than "+now.Format(time.RFC3339)+" (- 5 min.)")
	case signed.Sub(now) > 5*time.Minute:
		return forbidden("InvalidSignatureException", "Signature not yet current: "+r.Header.Get("X-Amz-Date"))
	}
	again, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	_, list, _ := strings.Cut(rest, "SignedHeaders=")
	list, _, _ = strings.Cut(list, ",")
	headers := strings.Split(list, ";")
	for _, must := range []string{"host", "content-length", "content-type", "x-amz-date"} {
		if !slices.Contains(headers, must) {
			return forbidden("IncompleteSignatureException", must+" is not signed")
		}
	}
	for _, name := range headers {
		if values := r.Header.Values(name); len(values) > 0 {
			again.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	hash := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(r.Context(), creds, again, hex.EncodeToString(hash[:]), "xray", region, signed); err != nil {
		return err
	}
	if again.Header.Get("Authorization") != authorization {
		return forbidden("InvalidSignatureException", "The request signature we calculated does not match the signature you provided.")
	}
	return nil
}
