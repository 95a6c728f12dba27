package redact

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// Eight bytes at a time finds what one at a time does.
func TestHasDigits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		b := make([]byte, r.IntN(40))
		for i := range b {
			switch r.IntN(3) {
			case 0:
				b[i] = byte(r.IntN(256))
			case 1:
				b[i] = "/0189:\x00\x80\xb0\xb9\xff"[r.IntN(11)]
			default:
				b[i] = digits[r.IntN(10)]
			}
		}
		n := 0
		for i := range b {
			if strings.IndexByte(digits, b[i]) >= 0 {
				n++
			}
		}
		if s := string(b); !hasDigits(s, n) || hasDigits(s, n+1) {
			t.Fatalf("%q has %d digits; hasDigits(%d) = %v, hasDigits(%d) = %v", s, n, n, hasDigits(s, n), n+1, hasDigits(s, n+1))
		}
	}
}
