package xray_test

import (
	"fmt"
	"testing"

	"github.com/riffletrace/riffle/internal/untrustedtest"
)

// What AWS's names say is shown in one line, bounded and without control characters.
func TestWhatAWSSays(t *testing.T) {
	said := untrustedtest.Say(1 << 20)
	for _, code := range []int{400, 401, 403, 408, 413, 429, 500} {
		for _, kind := range []string{"", "AccessDeniedException", "InvalidSignatureException"} {
			t.Run(fmt.Sprint(code, kind), func(t *testing.T) {
				f := newFake(t)
				f.fails = func() (int, string, string) { return code, kind, said }
				err := export(t, build(t, to(f.Listener.Addr().String())), "a")
				if err == nil {
					t.Fatal("accepted")
				}
				untrustedtest.Check(t, kind, err.Error())
			})
		}
	}
}
