package cloudtrace_test

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"GOOGLE_APPLICATION_CREDENTIALS": "", "GOOGLE_CLOUD_PROJECT": "", "GOOGLE_CLOUD_QUOTA_PROJECT": "",
		"HOME": filepath.Join(os.DevNull, "nowhere"), "APPDATA": filepath.Join(os.DevNull, "nowhere"),
		"GCE_METADATA_HOST": "127.0.0.1:1", // nobody is there
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}
