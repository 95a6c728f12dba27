package azuremonitor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/riffletrace/riffle/exporters/internal/token"
	"github.com/riffletrace/riffle/internal/network"
	"github.com/riffletrace/riffle/internal/trustedfile"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// maxCredentials bounds the files that Microsoft's library reads.
const maxCredentials = 1 << 20

const scope = "https://monitor.azure.com/.default"

// identify makes a source of tokens. Nobody is asked until one is wanted.
func (d *destination) identify(clientID string) error {
	base := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		IdleConnTimeout:     time.Minute,
	}
	options := azcore.ClientOptions{
		Transport: &http.Client{Transport: network.Limited{Transport: network.Direct{Transport: base}}},
		// The line retries; an attempt is to learn soon what is wrong.
		Retry: policy.RetryOptions{MaxRetries: 1, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: time.Second, TryTimeout: 5 * time.Second},
	}
	if _, err := newCredential(clientID, options); err != nil {
		return err
	}
	d.tokens = token.NewSource(func(ctx context.Context) (token.Token, error) {
		// A credential keeps its tokens to itself, and so would give one again
		// that was refused.
		credential, err := newCredential(clientID, options)
		if err != nil {
			return token.Token{}, err
		}
		got, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
		if err != nil {
			return token.Token{}, advise(err)
		}
		return token.Token{Value: got.Token, Expiry: got.ExpiresOn}, nil
	})
	d.close = func() {
		d.tokens.Close()
		base.CloseIdleConnections()
	}
	return nil
}

// newCredential chooses as the environment says: a secret or certificate, a
// workload identity, else a managed identity. No command line is asked: a
// service runs no programs for its traces.
func newCredential(clientID string, options azcore.ClientOptions) (azcore.TokenCredential, error) {
	for _, name := range []string{"AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE"} {
		if err := trustedfile.CheckSetting(os.Getenv(name), maxCredentials); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	// An authority that is set is trusted, and one that is not Microsoft's is not
	// looked up at Microsoft.
	private := os.Getenv("AZURE_AUTHORITY_HOST") != ""
	var credential azcore.TokenCredential
	var err error
	switch {
	case os.Getenv("AZURE_CLIENT_SECRET") != "" || os.Getenv("AZURE_CLIENT_CERTIFICATE_PATH") != "":
		credential, err = azidentity.NewEnvironmentCredential(&azidentity.EnvironmentCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: private})
	case os.Getenv("AZURE_FEDERATED_TOKEN_FILE") != "":
		credential, err = azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: options, ClientID: clientID, DisableInstanceDiscovery: private,
		})
	default:
		o := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: options}
		if id := cmp.Or(clientID, os.Getenv("AZURE_CLIENT_ID")); id != "" {
			o.ID = azidentity.ClientID(id)
		}
		credential, err = azidentity.NewManagedIdentityCredential(o)
	}
	if err != nil {
		return nil, fmt.Errorf("the credentials of the environment: %w", err)
	}
	return credential, nil
}

// skewed is by how much a clock is wrong without doubt.
const skewed = time.Minute

// advise tells what to do about a refusal. What the server says of it is shown,
// its dump of the response is not.
func advise(err error) error {
	failed := (*azidentity.AuthenticationFailedError)(nil)
	if !errors.As(err, &failed) || failed.RawResponse == nil {
		text, _, _ := strings.Cut(err.Error(), ". To troubleshoot")
		text = untrusted.Text(text, untrusted.Line)
		if os.Getenv("AZURE_CLIENT_SECRET")+os.Getenv("AZURE_CLIENT_CERTIFICATE_PATH")+os.Getenv("AZURE_FEDERATED_TOKEN_FILE") == "" {
			return fmt.Errorf("no managed identity answers: give this machine one, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET (%s)", text)
		}
		return errors.New(text)
	}
	resp := failed.RawResponse
	var said struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	body, _ := runtime.Payload(resp)
	_ = json.Unmarshal(body, &said) // else there is the status
	// Of the description, the first line says it; trace and correlation follow.
	description, _, _ := strings.Cut(said.Description, "\n")
	text := cmp.Or(strings.TrimSpace(description), said.Code, resp.Status)
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil && strings.Contains(text, "AADSTS700024") {
		switch skew := time.Since(date).Round(10 * time.Second); {
		case skew > skewed:
			return fmt.Errorf("the clock of this machine is %v ahead of Azure's: set it right (%s)", skew, text)
		case skew < -skewed:
			return fmt.Errorf("the clock of this machine is %v behind Azure's: set it right (%s)", -skew, text)
		}
	}
	return fmt.Errorf("Entra ID gives no token: %s", text) //nolint:staticcheck // it is a name
}
