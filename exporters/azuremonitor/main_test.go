package azuremonitor_test

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	// Entra ID is asked over TLS only. What fakes it has httptest's certificate,
	// which is made known to the process before it looks for the first time.
	s := httptest.NewTLSServer(nil)
	dir, err := os.MkdirTemp("", "azuremonitor")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		panic(err)
	}
	s.Close()
	identity := httptest.NewServer(http.HandlerFunc(serveIdentity))
	for name, value := range map[string]string{
		"SSL_CERT_FILE": ca, "APPLICATIONINSIGHTS_CONNECTION_STRING": "",
		"AZURE_TENANT_ID": "", "AZURE_CLIENT_ID": "", "AZURE_CLIENT_SECRET": "", "AZURE_CLIENT_CERTIFICATE_PATH": "", "AZURE_FEDERATED_TOKEN_FILE": "",
		"AZURE_AUTHORITY_HOST": "", "MSI_ENDPOINT": "", "MSI_SECRET": "",
		"IDENTITY_ENDPOINT": identity.URL + "/msi/token", "IDENTITY_HEADER": "s3cret-header",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	identity.Close()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}
