package loopback

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestListen(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:0":          "",
		"127.0.0.7:0":          "",
		"localhost:0":          "",
		"[::1]:0":              "",
		"[::ffff:127.0.0.1]:0": "",
		":0":                   "not an address of loopback",
		"0.0.0.0:0":            "not an address of loopback",
		"[::]:0":               "not an address of loopback",
		"192.0.2.1:0":          "not an address of loopback",
		"localhost.evil.com:0": "not an address of loopback",
		"127.0.0.1.nip.io:0":   "not an address of loopback",
		"127.0.0.1":            "want an address and a port",
		"127.0.0.1:70000":      "invalid port",
		"\x1b[31m":             "want an address and a port",
	} {
		l, err := Listen(t.Context(), "--listen", address)
		if err == nil {
			_ = l.Close()
		}
		// A machine may be without IPv6.
		if want == "" && err != nil && (!strings.HasPrefix(address, "[::1]") || !strings.Contains(err.Error(), "cannot assign")) {
			t.Errorf("%s: %v", address, err)
		}
		if want != "" && (err == nil || !strings.HasPrefix(err.Error(), "--listen ") || !strings.Contains(err.Error(), want) || strings.ContainsRune(err.Error(), '\x1b')) {
			t.Errorf("%q: %q, want %s", address, err, want)
		}
	}
}

func TestGuard(t *testing.T) {
	at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 16687}
	h := Guard(at, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	const own = "127.0.0.1:16687"
	for _, test := range []struct {
		host, path string
		headers    map[string]string
		ok         bool
	}{
		{own, "/api/x", nil, true},
		{"localhost:16687", "/", nil, true},
		{"[::1]:16687", "/", nil, true},
		{"evil.example.com:16687", "/", nil, false},
		{"evil.example.com", "/", nil, false},
		{"localhost.evil.example.com:16687", "/", nil, false},
		{"127.0.0.1", "/", nil, false},
		{"localhost:80", "/", nil, false},
		{"", "/", nil, false},
		{own, "/api/x", map[string]string{"Origin": "http://" + own}, true},
		{"localhost:16687", "/api/x", map[string]string{"Origin": "http://" + own}, false},
		{own, "/api/x", map[string]string{"Origin": "https://" + own}, false},
		{own, "/api/x", map[string]string{"Origin": "null"}, false},
		{own, "/api/x", map[string]string{"Origin": ""}, false},
		{own, "/api/x", map[string]string{"Origin": "http://evil.example.com"}, false},
		{own, "/api/x", map[string]string{"Origin": "http://127.0.0.1:3000"}, false},
		{own, "/api/x", map[string]string{"Sec-Fetch-Site": "same-origin"}, true},
		{own, "/api/x", map[string]string{"Sec-Fetch-Site": "none"}, true},
		{own, "/api/x", map[string]string{"Sec-Fetch-Site": "same-site"}, false},
		{own, "/api/x", map[string]string{"Sec-Fetch-Site": "cross-site"}, false},
		// A link on another page.
		{own, "/", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, true},
		{own, "/api/x", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, false},
		{own, "/", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, false},
		{own, "/", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, false},
	} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://x"+test.path, http.NoBody)
		req.Host = test.host
		for name, value := range test.headers {
			req.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		want := http.StatusForbidden
		if test.ok {
			want = http.StatusTeapot
		}
		if w.Code != want {
			t.Errorf("%q %s %v: %d, want %d", test.host, test.path, test.headers, w.Code, want)
		}
	}
}

// Clients leave out the port of HTTP.
func TestGuardAtThePortOfHTTP(t *testing.T) {
	for at, answers := range map[string]map[string]bool{
		"127.0.0.1:80":   {"127.0.0.1": true, "localhost": true, "[::1]": true, "127.0.0.1:80": true, "evil.example.com": false, "": false, "127.0.0.1:8080": false},
		"[::1]:80":       {"[::1]": true, "[::1]:80": true, "::1": false},
		"127.0.0.2:80":   {"127.0.0.2": true, "127.0.0.3": false},
		"127.0.0.1:8080": {"127.0.0.1": false, "127.0.0.1:80": false},
	} {
		h := Guard(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(at)), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
		for host, ok := range answers {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://x/", http.NoBody)
			req.Host = host
			req.Header.Set("Origin", "http://"+host)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			if got := w.Code == http.StatusTeapot; got != ok {
				t.Errorf("at %s, to %q: answered %t", at, host, got)
			}
		}
	}
}
