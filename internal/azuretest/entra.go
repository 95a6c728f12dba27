package azuretest

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Secrets that are taken.
const (
	ClientSecret   = "s3cret~client" //nolint:gosec // of a fake
	IdentityHeader = "s3cret-header"
)

// Trust makes what fakes Entra ID known to the process, which must not have
// looked for authorities before; the file with it is in the directory.
func Trust(dir string) error {
	s := httptest.NewTLSServer(nil) // all of them have httptest's certificate
	defer s.Close()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		return err
	}
	return os.Setenv("SSL_CERT_FILE", ca)
}

// tokens are all that were issued, with whom they are of and when they end.
var tokens struct {
	mu  sync.Mutex
	end map[string]time.Time
	of  map[string]string
}

func issue(life time.Duration, to string) string {
	tokens.mu.Lock()
	defer tokens.mu.Unlock()
	if tokens.end == nil {
		tokens.end, tokens.of = make(map[string]time.Time), make(map[string]string)
	}
	value := fmt.Sprintf("eyJ0.s3cret-%d.token", len(tokens.end))
	tokens.end[value], tokens.of[value] = time.Now().Add(life), to
	return value
}

// bearer tells whom the token of a request is of.
func bearer(r *http.Request) (of string, ok bool) {
	value, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	tokens.mu.Lock()
	defer tokens.mu.Unlock()
	return tokens.of[value], ok && time.Now().Before(tokens.end[value])
}

// Entra is Entra ID, with one tenant.
type Entra struct {
	*httptest.Server
	life time.Duration
	Skew time.Duration // of its clock
}

// NewEntra starts one, which is trusted if [Trust] was called. It stands until the
// test ends.
func NewEntra(t testing.TB) *Entra {
	t.Helper()
	e := &Entra{life: time.Hour}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /tenant-1/v2.0/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		writeJSON(w, map[string]string{
			"token_endpoint": e.URL + "/tenant-1/oauth2/v2.0/token", "authorization_endpoint": e.URL + "/tenant-1/oauth2/v2.0/authorize", "issuer": e.URL + "/tenant-1/v2.0",
		})
	})
	mux.HandleFunc("POST /tenant-1/oauth2/v2.0/token", e.exchange)
	e.Server = httptest.NewTLSServer(mux)
	t.Cleanup(e.Close)
	return e
}

// Issued counts the tokens that it issued.
func (e *Entra) Issued() (n int) {
	tokens.mu.Lock()
	defer tokens.mu.Unlock()
	for _, of := range tokens.of {
		if of == e.URL {
			n++
		}
	}
	return n
}

// Revoke ends them.
func (e *Entra) Revoke() {
	tokens.mu.Lock()
	defer tokens.mu.Unlock()
	for value, of := range tokens.of {
		if of == e.URL {
			tokens.end[value] = time.Time{}
		}
	}
}

func (e *Entra) exchange(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Date", time.Now().Add(e.Skew).UTC().Format(http.TimeFormat))
	bad := func(code, text string) {
		w.WriteHeader(http.StatusUnauthorized)
		writeJSON(w, map[string]string{"error": code, "error_description": text + "\r\nTrace ID: 1\r\nCorrelation ID: 2"})
	}
	assertion := r.FormValue("client_assertion")
	switch {
	case r.FormValue("grant_type") != "client_credentials" || r.FormValue("client_id") != "client-1":
		bad("invalid_request", fmt.Sprintf("AADSTS900144: grant %q, client %q", r.FormValue("grant_type"), r.FormValue("client_id")))
	case !strings.Contains(" "+r.FormValue("scope")+" ", " https://monitor.azure.com/.default "):
		bad("invalid_scope", "AADSTS70011: "+r.FormValue("scope"))
	case assertion != "" && e.Skew != 0:
		bad("invalid_client", "AADSTS700024: Client assertion is not within its valid time range.")
	case assertion == "federated-assertion" && r.FormValue("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", r.FormValue("client_secret") == ClientSecret:
		writeJSON(w, map[string]any{"access_token": issue(e.life, e.URL), "expires_in": int(e.life.Seconds()), "token_type": "Bearer"})
	default:
		bad("invalid_client", "AADSTS7000215: Invalid client secret provided.")
	}
}

// WithSecret makes the process one with a client secret.
func (e *Entra) WithSecret(t *testing.T, secret string) {
	t.Helper()
	for name, value := range map[string]string{
		"IDENTITY_ENDPOINT": "", "IDENTITY_HEADER": "",
		"AZURE_AUTHORITY_HOST": e.URL, "AZURE_TENANT_ID": "tenant-1", "AZURE_CLIENT_ID": "client-1", "AZURE_CLIENT_SECRET": secret,
	} {
		t.Setenv(name, value)
	}
}

// WithWorkload makes it one with a workload identity.
func (e *Entra) WithWorkload(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("federated-assertion"), 0o600); err != nil {
		t.Fatal(err)
	}
	e.WithSecret(t, "")
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file)
}

// ServeIdentity is the managed identity of App Service. Microsoft's library
// keeps its tokens for all of the process, so there is one for all tests.
func ServeIdentity(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	id := q.Get("client_id")
	q.Del("client_id")
	want := url.Values{"api-version": {"2019-08-01"}, "resource": {"https://monitor.azure.com"}}
	if r.Header.Get("X-Identity-Header") != IdentityHeader || q.Encode() != want.Encode() || id != "" && !strings.HasPrefix(id, "client-") {
		http.Error(w, q.Encode(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	writeJSON(w, map[string]any{
		"access_token": issue(time.Hour, id), "expires_on": fmt.Sprint(time.Now().Add(time.Hour).Unix()), "resource": "https://monitor.azure.com", "token_type": "Bearer",
	})
}

func writeJSON(w io.Writer, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return // who asked has gone
	}
}
