package redact_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/core/delivery/redact"
)

// Percent-encoded text is found as what it says, and the rest stays as it was.
func TestEncoded(t *testing.T) {
	r := compile(t, all, redact.Rule{Value: `(?i)(api[_-]?key|password)=[^&\s]+`})
	tests := []struct{ text, want string }{
		{"/signup?email=alice%40example.com&x=%20", "/signup?email=***&x=%20"},
		{"/signup?email=alice%40example%2Ecom", "/signup?email=***"},
		{"q=%61lice%40example.com", "q=***"},
		{"q=caf%C3%A9%26email%3Dalice%40example.com%26", "q=caf%C3%A9%26email%3D***%26"},
		{"email=alice%2540example.com", "email=***"},
		{"email=alice%252540example.com", "email=***"},
		{"email=alice%2Btag%40example.com", "email=***"},
		{"email=j%C3%BCrgen%40ex%c3%a4mple.de", "email=***"},
		{"authorization=Bearer%20eyJh.eyJz", "authorization=Bearer%20***"},
		{"authorization=bearer%20%20abc%3D%3d&x", "authorization=bearer%20%20***&x"},
		{"authorization=Bearer+eyJh", "authorization=Bearer+***"},
		{"authorization=%42earer%09eyJh", "authorization=%42earer%09***"},
		{"card=4111+1111+1111+1111", "card=***"},
		{"card=4111%201111%201111%201111", "card=***"},
		{"card=4111%2D1111%2d1111-1111", "card=***"},
		{"next=postgres%3A%2F%2Fbob%3Asecret%40db%2Fshop", "next=postgres%3A%2F%2F***%40db%2Fshop"},
		{"postgres://bob:se%40cret@db", "postgres://***@db"},
		{"x=1&password%3Dhunter2%26y", "x=1&***%26y"},
		{"x=1&api%5Fkey=hunter2&y", "x=1&***&y"},
		{"password=a%26b&c", "***&c"},
		{"bob+tag@example.com", "***"},
		{"100% of alice%40example.com, 50%", "100% of ***, 50%"},
		{"%zz alice%40example.com %4", "%zz *** %4"},
		{"email=alice%%34%30example.com", "email=***"}, // escapes of which parts are encoded
		{"email=alice%2%35%34%30example.com", "email=***"},
		{"next=authorization%3DBearer%2BeyJh", "next=authorization%3DBearer%2B***"}, // + for a space, and then encoded
		{"next=card%253D4111%252B1111%252B1111%252B1111", "next=card%253D***"},
		// Nothing to find.
		{"/a%20b?c=%C3%A9+x%2By", "/a%20b?c=%C3%A9+x%2By"},
		{"100%", "100%"},
		{"%", "%"},
	}
	for _, tt := range tests {
		if got := name(r, tt.text); got != tt.want {
			t.Errorf("%q became %q, want %q", tt.text, got, tt.want)
		}
	}
}

// What is encoded has the hash of what it says.
func TestEncodedHash(t *testing.T) {
	r := compile(t, redact.Rule{Presets: []string{"emails"}, Action: redact.SHA256})
	hash := name(r, "alice@example.com")
	for _, text := range []string{"alice%40example.com", "%61lice%40example.com", "alice%2540example.com"} {
		if got := name(r, text); got != hash {
			t.Errorf("%q became %q", text, got)
		}
	}
	if got, plain := name(r, "bob+tag@example.com"), name(r, "bob%2Btag%40example.com"); got != plain || len(got) != len(hash) {
		t.Errorf("%q, encoded %q", got, plain)
	}
}

// However a secret is encoded, it is found, and what stands around it stays.
func FuzzEncoded(f *testing.F) {
	f.Add("alice", "/x?email=", "&y=%20", uint(0), uint8(1))
	f.Add("a.b-c", "%", "%4", uint(0b1011), uint8(3))
	r := compile(f, all)
	f.Fuzz(func(t *testing.T, local, before, after string, which uint, times uint8) {
		secret := "q" + strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, local) + "z@example.com"
		text := secret
		for range times%3 + 1 {
			var b strings.Builder
			for i := range len(text) {
				if c := text[i]; which>>(i%60)&1 == 1 || c == '%' || c == '@' {
					fmt.Fprintf(&b, "%%%02X", c)
				} else {
					b.WriteByte(c)
				}
			}
			text = b.String()
		}
		got := name(r, before+" "+text+" "+after)
		for range 4 {
			if strings.Contains(got, secret) {
				t.Fatalf("%q is in %q", secret, got)
			}
			decoded, err := url.PathUnescape(got)
			if err != nil {
				break
			}
			got = decoded
		}
	})
}

// A span with encoded text and nothing to find costs no memory.
func TestEncodedAllocations(t *testing.T) {
	r := compile(t, all)
	s := tracetest.SpanStub{Name: "GET /caf%C3%A9", Attributes: []attribute.KeyValue{
		attribute.String("url.full", "https://shop.example.com/search?q=caf%C3%A9+au+lait&size=%20"),
	}}.Snapshot()
	if n := testing.AllocsPerRun(100, func() { r.Span(s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
