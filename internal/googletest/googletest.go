// Package googletest has a Google on real sockets, for the tests of what sends to
// it.
package googletest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // Google takes it
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Projects that spans can belong to.
const (
	OfMachine = "fluxbase-machine" // as the metadata server says
	OfKey     = "fluxbase-prod"    // as the file of a key says
)

const (
	traceScope = "https://www.googleapis.com/auth/trace.append"
	account    = "writer@" + OfKey + ".iam.gserviceaccount.com"
)

// Fake is a Google: a metadata server, an endpoint for tokens, and the
// Telemetry API, which check what they are sent as the real ones do.
type Fake struct {
	coltracepb.UnimplementedTraceServiceServer

	Address string // of the API
	Machine string // address of the metadata server

	// What it does; to be changed before use.
	Life      time.Duration                   // of tokens
	Skew      time.Duration                   // of its clock
	NoProject bool                            // the machine's is unknown
	NoAccount bool                            // the machine has none
	Silent    chan struct{}                   // the metadata server does not answer until it is closed
	Refuse    func(n int, token string) error // decides about a call

	web *httptest.Server
	key *rsa.PrivateKey // of the service account

	mu     sync.Mutex
	tokens map[string]time.Time // by when they end
	quotas []string             // x-goog-user-project, of each request
	got    []*tracepb.ResourceSpans
	calls  int
}

// New starts one. It stands until the test ends.
func New(t testing.TB) *Fake {
	t.Helper()
	f := &Fake{Life: time.Hour, tokens: make(map[string]time.Time)}
	var err error
	if f.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /computeMetadata/v1/instance/service-accounts/default/token", f.machine(func(r *http.Request) (string, int) {
		if f.NoAccount {
			return "", http.StatusNotFound
		}
		if r.URL.Query().Get("scopes") != traceScope {
			return "bad scopes", http.StatusBadRequest
		}
		return f.issue(), http.StatusOK
	}))
	mux.HandleFunc("GET /computeMetadata/v1/project/project-id", f.machine(func(*http.Request) (string, int) {
		if f.NoProject {
			return "", http.StatusNotFound
		}
		return OfMachine, http.StatusOK
	}))
	mux.HandleFunc("POST /token", f.exchange)
	f.web = httptest.NewServer(mux)
	t.Cleanup(f.web.Close)
	f.Machine = f.web.Listener.Addr().String()

	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.Address = l.Addr().String()
	s := grpc.NewServer()
	coltracepb.RegisterTraceServiceServer(s, f)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Stop()
		<-done
	})
	return f
}

// Export is the API.
func (f *Fake) Export(ctx context.Context, req *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	bearer, ok := strings.CutPrefix(strings.Join(md.Get("authorization"), ","), "Bearer ")
	f.mu.Lock()
	call := f.calls
	f.calls++
	end, issued := f.tokens[bearer]
	f.mu.Unlock()
	if !ok || !issued || !time.Now().Before(end) {
		return nil, status.Error(codes.Unauthenticated, "Request had invalid authentication credentials: "+bearer+".")
	}
	if f.Refuse != nil {
		if err := f.Refuse(call, bearer); err != nil {
			return nil, err
		}
	}
	for _, rs := range req.GetResourceSpans() {
		if err := check(rs); err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.quotas = append(f.quotas, strings.Join(md.Get("x-goog-user-project"), ","))
	f.got = append(f.got, req.GetResourceSpans()...)
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

// ProjectOf is the project that a resource names, if any.
func ProjectOf(rs *tracepb.ResourceSpans) string {
	for _, a := range rs.GetResource().GetAttributes() {
		if a.GetKey() == "gcp.project_id" {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// Received are the names of the spans, and the projects that they belong to.
func (f *Fake) Received() (names, projects, quotas []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, rs := range f.got {
		projects = append(projects, ProjectOf(rs))
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				names = append(names, s.GetName())
			}
		}
	}
	slices.Sort(names)
	return names, projects, slices.Clone(f.quotas)
}

// Take returns what came since it was last called.
func (f *Fake) Take() []*tracepb.ResourceSpans {
	f.mu.Lock()
	defer f.mu.Unlock()
	got := f.got
	f.got = nil
	return got
}
