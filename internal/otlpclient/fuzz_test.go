package otlpclient_test

import (
	"strings"
	"testing"

	"github.com/riffletrace/riffle/internal/otlpclient"
)

// FuzzHeaders: whatever OTEL_EXPORTER_OTLP_HEADERS holds is no mistake, and headers that
// can be sent.
func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{"", "a=b", "a=%20b,c=d", "a", "=b", "a=%zz", "a b=c", "a=b\n", "grpc-x=1", "x-bin=\x00", ",,"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, text string, overHTTP bool) {
		if strings.ContainsRune(text, 0) {
			return // no variable has it
		}
		protocol := otlpclient.GRPC
		if overHTTP {
			protocol = otlpclient.HTTP
		}
		t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", text)
		r, err := otlpclient.Config{Protocol: protocol}.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range r.Headers {
			if name == "" || strings.ContainsAny(name, " \r\n:=,") || overHTTP && strings.ContainsAny(value, "\r\n") {
				t.Errorf("%q is sent as %q: %q", text, name, value)
			}
		}
	})
}
