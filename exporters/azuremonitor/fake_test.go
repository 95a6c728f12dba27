package azuremonitor_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	instrumentationKey = "0badc0de-5ec8-4e70-0000-5ec8e75ec8e7"
	clientSecret       = "s3cret~client" //nolint:gosec // of a fake
	streamPath         = "/dataCollectionRules/dcr-0123/streams/Microsoft-OTLP-Traces/otlp/v1/traces"
)

// fake is Azure Monitor: /v2.1/track, and the stream of a data collection rule,
// which check what they are sent as the real ones do.
type fake struct {
	*httptest.Server
	who func(of string) bool // whose tokens are taken; nil, for items: none is wanted

	// answer decides about items; nil, or a status of 0, accepts.
	answer func(n int, items []*telemetry) (status int, header http.Header, body string)

	mu    sync.Mutex
	calls int
	got   map[string]int // accepted items by title
	names []string       // of spans over OTLP
}

func newFake(t testing.TB) *fake {
	t.Helper()
	f := &fake{got: make(map[string]int)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2.1/track", f.track)
	mux.HandleFunc("POST "+streamPath, f.stream)
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) connection() string {
	return "InstrumentationKey=" + instrumentationKey + ";IngestionEndpoint=" + f.URL + "/;LiveEndpoint=https://live.example.com/;ApplicationId=1"
}

func read(r *http.Request) ([]byte, error) {
	switch r.Header.Get("Content-Encoding") {
	case "":
		return io.ReadAll(r.Body)
	case "gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	default:
		return nil, fmt.Errorf("encoding %q", r.Header.Get("Content-Encoding"))
	}
}

func (f *fake) track(w http.ResponseWriter, r *http.Request) {
	body, err := read(r)
	if err != nil || r.Header.Get("Content-Type") != "application/x-json-stream" {
		http.Error(w, fmt.Sprint(r.Header.Get("Content-Type"), ": ", err), http.StatusBadRequest)
		return
	}
	if f.who != nil && !f.admits(r) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"itemsReceived":0,"itemsAccepted":0,"errors":[{"index":0,"statusCode":401,"message":"Credentials invalid or missing"}]}`)
		return
	}
	items, err := parseAll(body)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	for _, i := range items {
		if i == nil || i.IKey != instrumentationKey {
			err = fmt.Errorf("Invalid instrumentation key %s", instrumentationKey)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if f.answer != nil {
		if status, header, text := f.answer(f.calls-1, items); status != 0 {
			maps.Copy(w.Header(), header)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
			return
		}
	}
	for _, i := range items {
		f.got[i.title()]++
	}
	_, _ = fmt.Fprintf(w, `{"itemsReceived":%d,"itemsAccepted":%d,"appId":null,"errors":[]}`, len(items), len(items))
}

// part accepts the items but those with a status for them.
func (f *fake) part(items []*telemetry, status func(title string) int) (int, http.Header, string) {
	type refusal struct {
		Index      int    `json:"index"`
		StatusCode int    `json:"statusCode"`
		Message    string `json:"message"`
	}
	var refused []refusal
	for i, item := range items {
		if code := status(item.title()); code != 0 {
			refused = append(refused, refusal{i, code, "109: no, " + instrumentationKey})
		} else {
			f.got[item.title()]++
		}
	}
	b, err := json.Marshal(map[string]any{"itemsReceived": len(items), "itemsAccepted": len(items) - len(refused), "errors": refused})
	if err != nil {
		panic(err)
	}
	return http.StatusPartialContent, nil, string(b)
}

func (f *fake) admits(r *http.Request) bool {
	of, ok := bearer(r)
	return ok && (f.who == nil || f.who(of))
}

func (f *fake) stream(w http.ResponseWriter, r *http.Request) {
	if !f.admits(r) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, err := read(r)
	var msg coltracepb.ExportTraceServiceRequest
	if err != nil || r.Header.Get("Content-Type") != "application/x-protobuf" || proto.Unmarshal(body, &msg) != nil {
		http.Error(w, "no OTLP", http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, rs := range msg.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				f.names = append(f.names, s.GetName())
			}
		}
	}
}

func (f *fake) received() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.got
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

// entra is Entra ID, with one tenant.
type entra struct {
	*httptest.Server
	life time.Duration
	skew time.Duration // of its clock
}

func newEntra(t testing.TB) *entra {
	t.Helper()
	e := &entra{life: time.Hour}
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

func (e *entra) issued() (n int) {
	tokens.mu.Lock()
	defer tokens.mu.Unlock()
	for _, of := range tokens.of {
		if of == e.URL {
			n++
		}
	}
	return n
}

func (e *entra) revoke() {
	tokens.mu.Lock()
	defer tokens.mu.Unlock()
	for value, of := range tokens.of {
		if of == e.URL {
			tokens.end[value] = time.Time{}
		}
	}
}

func (e *entra) exchange(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Date", time.Now().Add(e.skew).UTC().Format(http.TimeFormat))
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
	case assertion != "" && e.skew != 0:
		bad("invalid_client", "AADSTS700024: Client assertion is not within its valid time range.")
	case assertion == "federated-assertion" && r.FormValue("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", r.FormValue("client_secret") == clientSecret:
		writeJSON(w, map[string]any{"access_token": issue(e.life, e.URL), "expires_in": int(e.life.Seconds()), "token_type": "Bearer"})
	default:
		bad("invalid_client", "AADSTS7000215: Invalid client secret provided.")
	}
}

// withSecret makes the process one with a client secret.
func (e *entra) withSecret(t *testing.T, secret string) {
	t.Helper()
	for name, value := range map[string]string{
		"IDENTITY_ENDPOINT": "", "IDENTITY_HEADER": "",
		"AZURE_AUTHORITY_HOST": e.URL, "AZURE_TENANT_ID": "tenant-1", "AZURE_CLIENT_ID": "client-1", "AZURE_CLIENT_SECRET": secret,
	} {
		t.Setenv(name, value)
	}
}

// withWorkload makes it one with a workload identity.
func (e *entra) withWorkload(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("federated-assertion"), 0o600); err != nil {
		t.Fatal(err)
	}
	e.withSecret(t, "")
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file)
}

// serveIdentity is the managed identity of App Service. Microsoft's library
// keeps its tokens for all of the process, so there is one for all tests.
func serveIdentity(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	id := q.Get("client_id")
	q.Del("client_id")
	want := url.Values{"api-version": {"2019-08-01"}, "resource": {"https://monitor.azure.com"}}
	if r.Header.Get("X-Identity-Header") != "s3cret-header" || q.Encode() != want.Encode() || id != "" && !strings.HasPrefix(id, "client-") {
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
