package googletest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// OnGCE makes the process one on a machine of Google's.
func (f *Fake) OnGCE(t *testing.T) *Fake {
	t.Helper()
	t.Setenv("GCE_METADATA_HOST", f.Machine)
	return f
}

func (f *Fake) machine(respond func(*http.Request) (string, int)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if f.Silent != nil {
			select {
			case <-f.Silent:
			case <-r.Context().Done():
			}
		}
		w.Header().Set("Metadata-Flavor", "Google")
		if r.Header.Get("Metadata-Flavor") != "Google" || r.Header.Get("X-Forwarded-For") != "" {
			http.Error(w, "Missing Metadata-Flavor:Google header.", http.StatusForbidden)
			return
		}
		text, code := respond(r)
		w.WriteHeader(code)
		_, _ = fmt.Fprint(w, text)
	}
}

func (f *Fake) issue() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	value := fmt.Sprintf("ya29.s3cret-%d", len(f.tokens))
	f.tokens[value] = time.Now().Add(f.Life)
	resp, err := json.Marshal(map[string]any{"access_token": value, "expires_in": int(f.Life.Seconds()), "token_type": "Bearer"})
	if err != nil {
		panic(err)
	}
	return string(resp)
}

// Revoke ends all tokens.
func (f *Fake) Revoke() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for value := range f.tokens {
		f.tokens[value] = time.Time{}
	}
}

// Issued counts the tokens that there were.
func (f *Fake) Issued() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.tokens)
}

// exchange gives a token for an assertion, RFC 7523.
func (f *Fake) exchange(w http.ResponseWriter, r *http.Request) {
	now := time.Now().Add(f.Skew)
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "application/json")
	if err := f.verify(r, now); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		writeJSON(w, map[string]string{"error": "invalid_grant", "error_description": err.Error()})
		return
	}
	_, _ = fmt.Fprint(w, f.issue())
}

func (f *Fake) verify(r *http.Request, now time.Time) error {
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

// KeyFile is that of a service account.
func (f *Fake) KeyFile(t testing.TB, change func(map[string]string)) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(f.key)
	if err != nil {
		t.Fatal(err)
	}
	content := map[string]string{
		"type": "service_account", "project_id": OfKey, "private_key_id": "key-1", "client_email": account,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": f.web.URL + "/token",
	}
	if change != nil {
		change(content)
	}
	b, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func writeJSON(w io.Writer, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return // who asked has gone
	}
}
