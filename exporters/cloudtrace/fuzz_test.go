package cloudtrace

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzCredentials: whatever a file of credentials holds, it makes a source of tokens or
// an error of one line, in which no secret of it stands.
func FuzzCredentials(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `[]`, `{"type": 1}`, `{"type": "hunter2secretpa"}`,
		`{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\nhunter2secretpa\n-----END PRIVATE KEY-----"}`,
		`{"type": "authorized_user", "client_id": "a", "client_secret": "hunter2secretpa", "refresh_token": "hunter2secretpa"}`,
		`{"type": "external_account", "audience": "a", "subject_token_type": "b", "token_url": "https://x.googleapis.com", "credential_source": {"url": "hunter2secretpa"}}`,
		`{"type": "external_account", "credential_source": {"executable": {"command": "hunter2secretpa"}}}`,
		`{"type": "impersonated_service_account", "source_credentials": {"type": "authorized_user", "refresh_token": "hunter2secretpa"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		c := &credentials{json: content}
		_, err := c.parse()
		if err == nil {
			if c.source == nil || !kinds[c.kind] {
				t.Errorf("%s: accepted, and no source of tokens", content)
			}
			return
		}
		if strings.ContainsAny(err.Error(), "\n\x00\x1b") || len(err.Error()) > 2<<10 {
			t.Errorf("%q", err)
		}
		var secrets struct {
			Key     string `json:"private_key"`
			Secret  string `json:"client_secret"`
			Refresh string `json:"refresh_token"`
		}
		if json.Unmarshal(content, &secrets) != nil {
			return
		}
		for _, s := range []string{secrets.Key, secrets.Secret, secrets.Refresh} {
			if len(s) >= 12 && strings.Contains(err.Error(), s) {
				t.Errorf("%s: %v", content, err)
			}
		}
		if strings.Contains(err.Error(), "hunter2secretpa") {
			t.Errorf("%s: %v", content, err)
		}
	})
}
