package cloudtrace_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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

const (
	traceScope = "https://www.googleapis.com/auth/trace.append"
	account    = "writer@fluxbase-prod.iam.gserviceaccount.com"
	ofMachine  = "fluxbase-machine"
)

// fake is a Google: a metadata server, an endpoint for tokens, and the
// Telemetry API, which check what they are sent as the real ones do.
type fake struct {
	coltracepb.UnimplementedTraceServiceServer
	web     *httptest.Server
	address string // of the API

	// What it does. Changed before use.
	life      time.Duration // of tokens
	skew      time.Duration // of its clock
	noProject bool          // the machine's is unknown
	noAccount bool          // the machine has none
	silent    chan struct{} // the metadata server does not answer until it is closed
	refuse    func(n int) error

	key *rsa.PrivateKey

	mu     sync.Mutex
	tokens map[string]time.Time // by when they end
	quotas []string             // x-goog-user-project, of each request
	got    []*tracepb.ResourceSpans
	calls  int
}

func newFake(t testing.TB) *fake {
	t.Helper()
	f := &fake{life: time.Hour, tokens: make(map[string]time.Time)}
	var err error
	if f.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /computeMetadata/v1/instance/service-accounts/default/token", f.machine(func(r *http.Request) (string, int) {
		if f.noAccount {
			return "", http.StatusNotFound
		}
		if r.URL.Query().Get("scopes") != traceScope {
			return "bad scopes", http.StatusBadRequest
		}
		return f.issue(), http.StatusOK
	}))
	mux.HandleFunc("GET /computeMetadata/v1/project/project-id", f.machine(func(*http.Request) (string, int) {
		if f.noProject {
			return "", http.StatusNotFound
		}
		return ofMachine, http.StatusOK
	}))
	mux.HandleFunc("POST /token", f.exchange)
	f.web = httptest.NewServer(mux)
	t.Cleanup(f.web.Close)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.address = l.Addr().String()
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

// onGCE makes the process one on a machine of Google's.
func (f *fake) onGCE(t *testing.T) *fake {
	t.Helper()
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(f.web.URL, "http://"))
	return f
}

func (f *fake) machine(answer func(*http.Request) (string, int)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if f.silent != nil {
			select {
			case <-f.silent:
			case <-r.Context().Done():
			}
		}
		w.Header().Set("Metadata-Flavor", "Google")
		if r.Header.Get("Metadata-Flavor") != "Google" || r.Header.Get("X-Forwarded-For") != "" {
			http.Error(w, "Missing Metadata-Flavor:Google header.", http.StatusForbidden)
			return
		}
		text, code := answer(r)
		w.WriteHeader(code)
		_, _ = fmt.Fprint(w, text)
	}
}

func (f *fake) issue() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	value := fmt.Sprintf("ya29.s3cret-%d", len(f.tokens))
	f.tokens[value] = time.Now().Add(f.life)
	answer, err := json.Marshal(map[string]any{"access_token": value, "expires_in": int(f.life.Seconds()), "token_type": "Bearer"})
	if err != nil {
		panic(err)
	}
	return string(answer)
}

// exchange gives a token for an assertion, RFC 7523.
func (f *fake) exchange(w http.ResponseWriter, r *http.Request) {
	now := time.Now().Add(f.skew)
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "application/json")
	if err := f.verify(r, now); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		writeJSON(w, map[string]string{"error": "invalid_grant", "error_description": err.Error()})
		return
	}
	_, _ = fmt.Fprint(w, f.issue())
}

func (f *fake) verify(r *http.Request, now time.Time) error {
	if got := r.FormValue("grant_type"); got != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		return fmt.Errorf("grant type %q", got)
	}
	parts := strings.Split(r.FormValue("assertion"), ".")
	if len(parts) != 3 {
		return errors.New("invalid JWT")
	}
	var decoded [3][]byte
	for i, p := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			return err
		}
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&f.key.PublicKey, crypto.SHA256, sum[:], decoded[2]); err != nil {
		return errors.New("invalid JWT signature")
	}
	var header struct{ Alg, Typ, Kid string }
	var claims struct {
		Iss, Scope, Aud string
		Iat, Exp        int64
	}
	if err := errors.Join(json.Unmarshal(decoded[0], &header), json.Unmarshal(decoded[1], &claims)); err != nil {
		return err
	}
	iat, exp := time.Unix(claims.Iat, 0), time.Unix(claims.Exp, 0)
	switch {
	case header.Alg != "RS256" || header.Kid != "key-1":
		return fmt.Errorf("header %+v", header)
	case claims.Iss != account || claims.Scope != traceScope || claims.Aud != f.web.URL+"/token":
		return fmt.Errorf("claims %+v", claims)
	case exp.Sub(iat) > time.Hour+time.Minute || iat.After(now.Add(5*time.Minute)) || exp.Before(now):
		return errors.New("invalid JWT: token must be a short-lived token (60 minutes) and in a reasonable timeframe")
	}
	return nil
}

// keyFile is that of a service account.
func (f *fake) keyFile(t testing.TB, change func(map[string]string)) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(f.key)
	if err != nil {
		t.Fatal(err)
	}
	content := map[string]string{
		"type": "service_account", "project_id": "fluxbase-prod", "private_key_id": "key-1", "client_email": account,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": f.web.URL + "/token",
	}
	if change != nil {
		change(content)
	}
	b, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, b)
}

func write(t testing.TB, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Export is the API.
func (f *fake) Export(ctx context.Context, req *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	md, _ := metadata.FromIncomingContext(ctx)
	bearer, ok := strings.CutPrefix(strings.Join(md.Get("authorization"), ","), "Bearer ")
	if end, issued := f.tokens[bearer]; !ok || !issued || !time.Now().Before(end) {
		return nil, status.Error(codes.Unauthenticated, "Request had invalid authentication credentials: "+bearer+".")
	}
	if f.refuse != nil {
		if err := f.refuse(f.calls - 1); err != nil {
			return nil, err
		}
	}
	for _, rs := range req.GetResourceSpans() {
		if err := check(rs); err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
	}
	f.quotas = append(f.quotas, strings.Join(md.Get("x-goog-user-project"), ","))
	f.got = append(f.got, req.GetResourceSpans()...)
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

func projectOf(rs *tracepb.ResourceSpans) string {
	for _, a := range rs.GetResource().GetAttributes() {
		if a.GetKey() == "gcp.project_id" {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// revoke ends all tokens.
func (f *fake) revoke() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for value := range f.tokens {
		f.tokens[value] = time.Time{}
	}
}

func (f *fake) issued() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.tokens)
}

// received are the names of the spans, and the projects that they belong to.
func (f *fake) received() (names, projects, quotas []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, rs := range f.got {
		projects = append(projects, projectOf(rs))
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				names = append(names, s.GetName())
			}
		}
	}
	slices.Sort(names)
	return names, projects, f.quotas
}

func writeJSON(w io.Writer, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return // who asked has gone
	}
}
