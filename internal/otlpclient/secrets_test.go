package otlpclient_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/riffletrace/riffle/internal/otlpclient"
)

// What a variable holds is in no warning about it, also for who configures in Go.
func TestVariablesAreNotShown(t *testing.T) {
	const secret = "hunter2secretpa"
	for _, value := range []string{secret, secret + "=a b\n", "a=b," + secret, "key=%zz" + secret, "user:" + secret + "@host:1:2", "Bearer " + secret + "==", "https://h:99999/?key=" + secret} {
		for _, name := range []string{"PROTOCOL", "INSECURE", "TIMEOUT", "COMPRESSION", "HEADERS"} {
			t.Setenv("OTEL_EXPORTER_OTLP_"+name, value)
			warnings := otlpclient.Config{}.IgnoredVariables()
			t.Setenv("OTEL_EXPORTER_OTLP_"+name, "")
			if name != "HEADERS" && len(warnings) == 0 {
				t.Errorf("%s=%s: no warning", name, value)
			}
			for _, w := range warnings {
				if strings.Contains(w.Error(), secret) {
					t.Errorf("%s=%s: %v", name, value, w)
				}
			}
		}
	}
}

// net/http shows a proxy that it cannot read.
func TestProxyIsNotShown(t *testing.T) {
	const secret = "hunter2secretpa"
	proxy := fmt.Sprintf("http://user:%s@pro xy:1", secret)
	t.Setenv("HTTPS_PROXY", proxy)
	r, err := otlpclient.Config{Protocol: otlpclient.HTTP, Endpoint: "https://example.com"}.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	_, parse := url.Parse(proxy)
	if got := r.Fail(parse, false).Error(); strings.Contains(got, secret) {
		t.Error(got)
	}
}
