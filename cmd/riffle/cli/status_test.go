package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/status"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// askService runs the command here.
func askService(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = newProgram(nil).run(t.Context(), append([]string{"status"}, args...), &out, &err)
	return code, out.String(), err.String()
}

// running is a service with its status mounted behind a password.
func running(t *testing.T) (url string, p *core.Provider) {
	t.Helper()
	p, err := core.New(t.Context(), core.Spec{Enabled: true, ServiceName: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Shutdown(context.Background()) })
	h := status.New(p.Status)
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/riffle", func(w http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); user+":"+pass != "bob:s3cret" && r.Header.Get("Authorization") != "Bearer t0ken" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL + "/debug/riffle", p
}

func TestStatus(t *testing.T) {
	url, p := running(t)
	_, span := p.TracerProvider().Tracer("test").Start(t.Context(), "GET /slow", trace.WithTimestamp(time.Now().Add(-time.Hour)))
	defer span.End()
	code, stdout, stderr := askService(t, url, "--header", "Authorization: Bearer t0ken")
	if code != exitFine || stderr != "" || !strings.HasPrefix(stdout, "shop: running, started ") || !strings.Contains(stdout, "GET /slow") {
		t.Errorf("%d, %s\n%s", code, stderr, stdout)
	}
	withPassword := strings.Replace(strings.TrimPrefix(url, "http://"), "127", "http://bob:s3cret@127", 1)
	code, stdout, stderr = askService(t, withPassword, "--json")
	var s core.Status
	if err := json.Unmarshal([]byte(stdout), &s); err != nil || code != exitFine || s.Service != "shop" || len(s.LongestOpen) != 1 {
		t.Errorf("%d, %v, %s: %s", code, err, stderr, stdout)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr = askService(t, strings.Replace(withPassword, "s3cret", "wr0ng", 1)); code != exitFailed || !strings.Contains(stderr, "401") || strings.Contains(stderr, "wr0ng") {
		t.Errorf("%d: %s", code, stderr)
	}
}

// What answers may be anything; the command says what to do, and tells no password.
func TestStatusErrors(t *testing.T) {
	answer := func(code int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		}
	}
	reached := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer other.Close()
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"not mounted", answer(404, "text/plain", "no"), "404 Not Found: nothing is mounted there; see tracing.Handler()"},
		{"a page", answer(200, "text/html; charset=utf-8", "<html>login"), "a web page answers"},
		{"metrics", answer(200, "text/plain; version=0.0.4", "a 1"), `the response is "text/plain", not JSON`},
		{"no type", answer(200, "", ""), `the response is "", not JSON`},
		{"expvar", answer(200, "application/json", `{"cmdline": []}`), "not riffle's status"},
		{"broken", answer(200, "application/json", `{"version": 1`), "not riffle's status"},
		{"a list", answer(200, "application/json", `[1]`), "not riffle's status"},
		{"another version", answer(200, "application/json", `{"version": 2}`), "of version 2, and this program reads version 1"},
		{"another type", answer(200, "application/json", `{"version": 1, "samplers": 3}`), "reading the status: "},
		{"large", answer(200, "application/json", strings.Repeat(" ", maxStatus+1)), "larger than 16 MiB"},
		{"refused", answer(403, "text/html", ""), "403 Forbidden: say who asks with --header"},
		{"an error", answer(500, "application/json", "\x1b[2J"), "500 Internal Server Error"},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/x?token=y", http.StatusFound)
		}, "leads elsewhere, to " + other.URL + "/x, which is not followed"},
		{"in circles", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) }, "leads elsewhere"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.handler)
			defer server.Close()
			code, stdout, stderr := askService(t, strings.Replace(server.URL, "127", "bob:s3cret@127", 1)+"/status?key=hunter2")
			if code != exitFailed || stdout != "" || !strings.Contains(stderr, tt.want) || strings.Contains(stderr, "s3cret") || strings.Contains(stderr, "hunter2") || strings.Contains(stderr, "\x1b") {
				t.Errorf("%d, %s, %q, want %q", code, stdout, stderr, tt.want)
			}
		})
	}
	if reached {
		t.Error("another host was asked")
	}
	if code, _, stderr := askService(t, otlptest.Dead(t)); code != exitFailed || !strings.Contains(stderr, "nothing listens there") {
		t.Errorf("%d, %s", code, stderr)
	}
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hangs.Close()
	if code, _, stderr := askService(t, hangs.URL, "--timeout", "50ms"); code != exitFailed || !strings.Contains(stderr, "does not answer in time") {
		t.Errorf("%d, %s", code, stderr)
	}
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	if code, _, stderr := askService(t, secure.Listener.Addr().String()); code != exitFailed || !strings.Contains(stderr, "it wants TLS: write https://") {
		t.Errorf("%d, %s", code, stderr)
	}
	banner, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer banner.Close()
	go func() {
		if c, err := banner.Accept(); err == nil {
			_, _ = io.WriteString(c, "HELO and welcome\r\n")
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}()
	if code, _, stderr := askService(t, "https://"+banner.Addr().String()); code != exitFailed || !strings.Contains(stderr, "answers in plain text: write http://") {
		t.Errorf("%d, %s", code, stderr)
	}
	for _, args := range [][]string{{}, {"ftp://a"}, {"http://"}, {"http://a b"}, {"a:1", "--header", "s3cret"}, {"a:1", "--header", ":x"}, {"a", "b"}, {"a:1", "--timeout", "0s"}, {"a:1", "--timeout", "-1s"}} {
		if code, _, stderr := askService(t, args...); code != exitUsage || strings.Contains(stderr, "s3cret") {
			t.Errorf("%q: %d, %s", args, code, stderr)
		}
	}
}

// Problems make the exit code, and nothing that a service says gives orders to a terminal
// or is wider than it, but for what has no spaces.
func TestStatusPrinted(t *testing.T) {
	const hostile = "\x1b[2Jevil\r\n\u202e" + "name with words "
	long := strings.Repeat(hostile, 30)
	at := time.Now()
	s := core.Status{
		Version: core.StatusVersion, At: at, Started: at.Add(-time.Hour), State: hostile, Service: hostile,
		Problems: []core.Problem{{About: hostile, Text: long}},
		Samplers: []core.SamplerStatus{{Name: hostile, Description: long, SuspendedFor: hostile, Rules: []core.RuleStatus{{Name: long}}}},
		Exporters: []core.ExporterStatus{{
			Name: hostile, Type: hostile, State: hostile, Endpoint: hostile, LastError: long, Sent: 1 << 30, Dropped: map[string]uint64{hostile: 1}, Lost: 1,
		}},
		LongestOpen:   []core.OpenStatus{{Name: long, Route: hostile, AgeSeconds: 1e300}},
		Reloads:       core.ReloadStatus{LastError: long},
		Configuration: []core.Setting{{Line: strings.Repeat(" ", 1000) + hostile, Origin: hostile}},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s) // who asks finds out
	}))
	defer server.Close()
	code, stdout, stderr := askService(t, server.URL, "--config")
	if code != exitFailed || stderr != "" {
		t.Errorf("%d: %s", code, stderr)
	}
	for text := range strings.Lines(stdout) {
		text = strings.TrimSuffix(text, "\n")
		if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", text)
		}
		if n := utf8.RuneCountInString(text); n > statusWidth && strings.HasPrefix(text, "      ") && !strings.Contains(text, "# ") {
			t.Errorf("%d wide: %q", n, text)
		}
	}
	code, stdout, _ = askService(t, server.URL, "--json")
	var back core.Status
	if err := json.Unmarshal([]byte(stdout), &back); err != nil || code != exitFailed || back.Service != s.Service || strings.Contains(stdout, "\x1b") {
		t.Errorf("%d, %v: %s", code, err, stdout)
	}
}

func FuzzReadStatus(f *testing.F) {
	f.Add([]byte(`{"version":1,"samplers":[{"name":"a","rules":[{"name":"b"}]}],"longest_open":[{"age_seconds":1e308}]}`))
	f.Add([]byte(`{"version":1,"exporters":[{"name":"a","dropped_spans":{"refused":2},"last_error":"\u001b"}],"configuration":[{"line":"  a: b"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := readStatus(data)
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := printStatus(&out, s, true); err != nil || strings.ContainsFunc(strings.ReplaceAll(out.String(), "\n", ""), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%v: %q", err, out.String())
		}
	})
}

// A service behind a name of its own is asked by --header, too.
func TestStatusHost(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(core.Status{Version: core.StatusVersion, Service: r.Host})
	}))
	defer server.Close()
	if _, stdout, stderr := askService(t, server.URL, "--header", "Host: shop.example"); !strings.Contains(stdout, "shop.example") {
		t.Errorf("%s%s", stdout, stderr)
	}
}
