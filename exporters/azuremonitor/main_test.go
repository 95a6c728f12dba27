package azuremonitor_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/internal/azuretest"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "azuremonitor")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := azuretest.Trust(dir); err != nil {
		panic(err)
	}
	identity := httptest.NewServer(http.HandlerFunc(azuretest.ServeIdentity))
	for name, value := range map[string]string{
		"APPLICATIONINSIGHTS_CONNECTION_STRING": "", "AZURE_TENANT_ID": "", "AZURE_CLIENT_ID": "", "AZURE_CLIENT_SECRET": "", "AZURE_CLIENT_CERTIFICATE_PATH": "", "AZURE_FEDERATED_TOKEN_FILE": "",
		"AZURE_AUTHORITY_HOST": "", "MSI_ENDPOINT": "", "MSI_SECRET": "",
		"IDENTITY_ENDPOINT": identity.URL + "/msi/token", "IDENTITY_HEADER": azuretest.IdentityHeader,
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
