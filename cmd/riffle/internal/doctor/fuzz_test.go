package doctor

import (
	"errors"
	"strings"
	"testing"

	"github.com/riffletrace/riffle/core/component"
)

// Whatever an exporter says of where it sends, a target that can be looked at has a host
// and a port, or a socket.
func FuzzTarget(f *testing.F) {
	for _, endpoint := range []string{"localhost:4317", "http://[::1]:4318/v1/traces", "dns:///a:1", "unix:///run/s", "unix-abstract:x", "https://a", "a", "://", "http://%zz"} {
		f.Add(endpoint, "on")
	}
	f.Fuzz(func(t *testing.T, endpoint, security string) {
		if target, ok := targetOf(component.Connection{Endpoint: endpoint, TLS: security}); ok && target.socket == "" && (target.host == "" || target.port == "") {
			t.Errorf("%q is %+v", endpoint, target)
		}
	})
}

// Whatever an error says, there is something to do, and nothing of it is lost.
func FuzzAdvise(f *testing.F) {
	for _, text := range []string{"a:1 wants TLS: set insecure: false", ": set ", "a:1 did not answer in time", "use x: use y", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found, do := advise(errors.New(text))
		if do == "" || !strings.HasPrefix(text, found) {
			t.Errorf("%q is %q, and to do is %q", text, found, do)
		}
	})
}
