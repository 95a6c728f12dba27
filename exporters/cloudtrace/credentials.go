package cloudtrace

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/exporters/internal/token"
	"github.com/riffletrace/riffle/internal/network"
	"github.com/riffletrace/riffle/internal/trustedfile"
	"github.com/riffletrace/riffle/internal/untrusted"
)

const scope = "https://www.googleapis.com/auth/trace.append"

// credentials are who sends, and in whose name.
type credentials struct {
	json  []byte // of a file; nil: the metadata server is asked
	kind  google.CredentialsType
	quota string

	known  string                 // project, if nobody has to be asked
	asked  atomic.Pointer[string] // project, as the metadata server has it
	tokens *token.Source

	client *http.Client
	base   *http.Transport
	source oauth2.TokenSource // of the file; used by one fetch at a time
}

var kinds = map[google.CredentialsType]bool{
	google.ServiceAccount: true, google.AuthorizedUser: true, google.ExternalAccount: true,
	google.ImpersonatedServiceAccount: true, google.ExternalAccountAuthorizedUser: true,
}

// credentials reads what is set about them, and asks nobody. They begin to work
// when they are opened.
func (c *Config) credentials() (*credentials, error) {
	creds := &credentials{}
	file, said := c.CredentialsFile, "credentials_file"
	if file == "" {
		file, said = os.Getenv("GOOGLE_APPLICATION_CREDENTIALS"), ""
	}
	fail := func(err error) (*credentials, error) {
		if said == "" {
			return nil, fmt.Errorf("GOOGLE_APPLICATION_CREDENTIALS: %w", err)
		}
		return nil, &component.FieldError{Path: said, Err: err}
	}
	var err error
	if file != "" {
		creds.json, err = trustedfile.ReadSetting(file, maxCredentials)
	} else if file = wellKnownFile(); file != "" {
		said = "credentials_file"
		creds.json, _ = trustedfile.ReadSetting(file, maxCredentials) // as Google's libraries do, which look further then
	}
	if err != nil {
		return fail(err)
	}
	var f credentialsFile
	if creds.json != nil {
		if f, err = creds.parse(); err != nil {
			return fail(fmt.Errorf("%s holds %w", file, err))
		}
	}
	creds.quota = cmp.Or(c.QuotaProject, os.Getenv("GOOGLE_CLOUD_QUOTA_PROJECT"), f.QuotaProject)
	creds.known = cmp.Or(c.ProjectID, os.Getenv("GOOGLE_CLOUD_PROJECT"), f.ProjectID, f.QuotaProject)
	return creds, nil
}

// credentialsFile is what is known of a file to everybody.
type credentialsFile struct {
	Type         google.CredentialsType `json:"type"`
	ProjectID    string                 `json:"project_id"`
	QuotaProject string                 `json:"quota_project_id"`
}

// parse reads the content of a file. Its errors show nothing that may be secret of it.
func (c *credentials) parse() (f credentialsFile, err error) {
	if err := json.Unmarshal(c.json, &f); err != nil {
		return f, fmt.Errorf("no JSON: %w", err)
	}
	if !kinds[f.Type] {
		return f, fmt.Errorf("no credentials that can be used: its type is %s, not service_account, authorized_user or external_account", component.Shown(string(f.Type)))
	}
	c.kind = f.Type
	if err := c.load(context.Background(), &http.Client{}); err != nil {
		return f, fmt.Errorf("no credentials that can be used: %s", untrusted.Text(err.Error(), untrusted.Line))
	}
	return f, nil
}

// maxCredentials bounds a file of credentials.
const maxCredentials = 1 << 20

// wellKnownFile is where gcloud puts what it was told with "gcloud auth
// application-default login".
func wellKnownFile() string {
	dir := os.Getenv("APPDATA")
	if runtime.GOOS != "windows" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "gcloud", "application_default_credentials.json")
}

// load makes a source of tokens of the file.
func (c *credentials) load(ctx context.Context, client *http.Client) error {
	found, err := google.CredentialsFromJSONWithTypeAndParams(context.WithValue(ctx, oauth2.HTTPClient, client), c.json, c.kind,
		google.CredentialsParams{Scopes: []string{scope}})
	if err != nil {
		return err
	}
	c.source = found.TokenSource
	return nil
}

func (c *credentials) open() {
	c.base = &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		IdleConnTimeout:     time.Minute,
	}
	c.client = &http.Client{Transport: network.Limited{Transport: network.Direct{Transport: c.base}}}
	c.tokens = token.NewSource(c.fetch)
}

func (c *credentials) close() {
	c.tokens.Close()
	c.base.CloseIdleConnections()
}

// project is the one that spans belong to whose resource names none.
func (c *credentials) project(ctx context.Context) (string, error) {
	if c.known != "" {
		return c.known, nil
	}
	if c.asked.Load() == nil { // it comes with a token
		if _, err := c.tokens.Token(ctx); err != nil {
			return "", fmt.Errorf("there are no credentials: %w", err)
		}
	}
	if id := c.asked.Load(); id != nil {
		return *id, nil
	}
	return "", errors.New("whose the spans are is unknown: set project_id, or GOOGLE_CLOUD_PROJECT")
}

// fetch gets a token.
func (c *credentials) fetch(ctx context.Context) (token.Token, error) {
	if c.json == nil {
		return c.fromMachine(ctx)
	}
	// A source keeps its token to itself, and so would give one again that was
	// refused.
	if err := c.load(ctx, &http.Client{Transport: contextTransport{ctx, c.client.Transport}}); err != nil {
		return token.Token{}, err
	}
	t, err := c.source.Token()
	if err != nil {
		return token.Token{}, advise(err)
	}
	return token.Token{Value: t.AccessToken, Expiry: t.Expiry}, nil
}

// contextTransport ends requests with a context, for libraries that have no other
// way.
type contextTransport struct {
	ctx  context.Context //nolint:containedctx // see above
	base http.RoundTripper
}

func (t contextTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.base.RoundTrip(r.WithContext(t.ctx))
}

// metadataTimeout is how long a metadata server may take, so that it is told
// within an attempt that there is none.
const metadataTimeout = 6 * time.Second

// fromMachine asks the metadata server: for the project too, once.
func (c *credentials) fromMachine(ctx context.Context) (token.Token, error) {
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	server := metadata.NewClient(c.client)
	text, err := server.GetWithContext(ctx, "instance/service-accounts/default/token?scopes="+scope)
	if err != nil {
		if missing := metadata.NotDefinedError(""); errors.As(err, &missing) {
			return token.Token{}, errors.New("the metadata server knows no service account of this machine: give it one, or set credentials_file")
		}
		return token.Token{}, fmt.Errorf("there is no file with any, and the metadata server does not answer: set credentials_file or GOOGLE_APPLICATION_CREDENTIALS (%w)", err)
	}
	var t oauth2.Token
	if json.Unmarshal([]byte(text), &t) != nil || t.AccessToken == "" || t.ExpiresIn <= 0 {
		return token.Token{}, errors.New("the metadata server answered with no token")
	}
	if c.known == "" && c.asked.Load() == nil {
		// An ID that is not there costs no token: resources may name theirs.
		if id, err := server.GetWithContext(ctx, "project/project-id"); err == nil && id != "" {
			c.asked.Store(&id)
		}
	}
	const longest = 24 * 60 * 60 // a longer life would be no number of nanoseconds, some time
	return token.Token{Value: t.AccessToken, Expiry: time.Now().Add(time.Duration(min(t.ExpiresIn, longest)) * time.Second)}, nil
}

// skewed is by how much a clock is wrong without doubt.
const skewed = time.Minute

// advise tells what to do about a refusal. What the server says of it is shown,
// what it was sent is not.
func advise(err error) error {
	refused := (*oauth2.RetrieveError)(nil)
	if !errors.As(err, &refused) || refused.Response == nil {
		return fmt.Errorf("asking for a token: %w", err)
	}
	var said struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(refused.Body, &said) // else there is the status
	text := cmp.Or(said.Description, said.Code, refused.Response.Status)
	if date, err := http.ParseTime(refused.Response.Header.Get("Date")); err == nil && said.Code == "invalid_grant" {
		switch skew := time.Since(date).Round(10 * time.Second); {
		case skew > skewed:
			return fmt.Errorf("the clock of this machine is %v ahead of Google's: set it right (%s)", skew, text)
		case skew < -skewed:
			return fmt.Errorf("the clock of this machine is %v behind Google's: set it right (%s)", -skew, text)
		}
	}
	return fmt.Errorf("Google gives no token: %s", text) //nolint:staticcheck // it is a name
}
