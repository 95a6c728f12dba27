package observability_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/observability"
	"github.com/riffletrace/riffle/internal/bound"
)

// seen is what a request's span has, but for what is new in each span.
type seen struct {
	Name, StartName     string
	Kind                trace.SpanKind
	Status              sdktrace.Status
	Attributes, AtStart map[attribute.Key]any
	Events              []string
	Parent              trace.SpanID
	Links               []trace.SpanContext
	Start               time.Time // if the request says when it began
}

// recorder records spans, and what a sampler is told when they start.
type recorder struct {
	name  string
	attrs []attribute.KeyValue
	out   *tracetest.InMemoryExporter
}

func newRecorder(t testing.TB) *recorder {
	t.Helper()
	r := &recorder{out: tracetest.NewInMemoryExporter()}
	setProvider(t, sdktrace.NewTracerProvider(sdktrace.WithSampler(r), sdktrace.WithSyncer(r.out)))
	return r
}

func (r *recorder) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if p.Kind == trace.SpanKindServer {
		r.name, r.attrs = p.Name, slices.Clone(p.Attributes)
	}
	return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample}
}

func (*recorder) Description() string { return "records" }

// one returns what was recorded of the last request, and forgets it.
func (r *recorder) one(t testing.TB) seen {
	t.Helper()
	spans := r.out.GetSpans()
	r.out.Reset()
	if len(spans) != 1 {
		t.Fatalf("%d spans, want one", len(spans))
	}
	s := spans[0]
	got := seen{
		Name: s.Name, StartName: r.name, Kind: s.SpanKind, Status: s.Status,
		Attributes: byKey(s.Attributes), AtStart: byKey(r.attrs), Parent: s.Parent.SpanID(),
	}
	for _, e := range s.Events {
		got.Events = append(got.Events, e.Name)
	}
	for _, l := range s.Links {
		got.Links = append(got.Links, l.SpanContext)
	}
	if s.StartTime.Before(time.Unix(2e9, 0).AddDate(-30, 0, 0)) {
		got.Start = s.StartTime
	}
	return got
}

func byKey(attrs []attribute.KeyValue) map[attribute.Key]any {
	m := map[attribute.Key]any{}
	for _, kv := range attrs {
		m[kv.Key] = kv.Value.AsInterface()
	}
	return m
}

// answers are ways to answer, by path. They are behind a handler that hides the mux, as
// otelhttp does not ask it either.
func answers() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /pattern/{id}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("found")) })
	mux.HandleFunc("/any/{id}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("example.com/host/", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		var code int
		_, _ = fmt.Sscan(r.PathValue("code"), &code)
		w.WriteHeader(code)
	})
	mux.HandleFunc("/twice", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		w.WriteHeader(http.StatusInternalServerError)
	})
	mux.HandleFunc("/informed", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("/late", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "all is well")
		w.WriteHeader(http.StatusInternalServerError)
	})
	mux.HandleFunc("/flushed", func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		w.WriteHeader(http.StatusInternalServerError)
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = w.Write(text)
	})
	mux.HandleFunc("/first", func(w http.ResponseWriter, r *http.Request) {
		var b [3]byte
		_, _ = io.ReadFull(r.Body, b[:])
		_, _ = w.Write(b[:])
	})
	mux.HandleFunc("/named", func(w http.ResponseWriter, r *http.Request) {
		span := trace.SpanFromContext(r.Context())
		span.SetName("mine")
		span.SetAttributes(attribute.String("http.route", "mine"), attribute.Int("http.response.status_code", 1))
		span.SetStatus(codes.Error, "mine")
		w.WriteHeader(http.StatusBadGateway)
	})
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		trace.SpanFromContext(r.Context()).SetStatus(codes.Ok, "")
		w.WriteHeader(http.StatusInternalServerError)
	})
	mux.HandleFunc("/hijacked", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			w.WriteHeader(http.StatusNotImplemented)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: close\r\n\r\n")
		_ = conn.Close()
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { mux.ServeHTTP(w, r) })
}

const clientsParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// requests are such as clients send, and some that only other servers than net/http's
// hand over.
func requests(ctx context.Context) map[string]*http.Request {
	all := map[string]*http.Request{}
	add := func(name, method, url string, body io.Reader, change func(*http.Request)) {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, url, body)
		r.Method = method
		if change != nil {
			change(r)
		}
		all[name] = r
	}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "get", "Post", "PROPFIND", "QUERY", "G\u00cbT", "_OTHER", ""} {
		for _, path := range []string{"/pattern/1", "/any/1", "/nothing"} {
			add("method "+method+" of "+path, method, path, http.NoBody, nil)
		}
	}
	for _, host := range []string{
		"example.com", "example.com:80", "example.com:443", "example.com:8080", "example.com:", "example.com:0", "example.com:65536",
		"example.com:x", "1.2.3.4:1", "[::1]", "[::1]:8080", "[fe80::1%eth0]:8080", "[::1", "::1", "[::1]x", "[::1]x:1", ":80", ":", "[]", "[]:1", "a:b:c", "[a]b]:1",
	} {
		add("host "+host, "GET", "/host/x", http.NoBody, func(r *http.Request) { r.Host = host })
		add("host with TLS "+host, "GET", "/any/x", http.NoBody, func(r *http.Request) { r.Host, r.TLS = host, &tls.ConnectionState{} })
	}
	for _, forwarded := range []string{"", "10.0.0.1", "10.0.0.1, 10.0.0.2", ",10.0.0.2", "::1", " ", "unknown,"} {
		add("forwarded "+forwarded, "GET", "/any/x", http.NoBody, func(r *http.Request) { r.Header.Set("X-Forwarded-For", forwarded) })
	}
	for _, peer := range []string{"", "10.0.0.1:1234", "[::1]:1234", "10.0.0.1", "@", "/run/socket", "10.0.0.1:x", "pipe"} {
		add("peer "+peer, "GET", "/any/x", http.NoBody, func(r *http.Request) { r.RemoteAddr = peer })
	}
	for _, proto := range []string{"HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/3.0", "HTTP/2", "HTTP", "QUIC/1", "SPDY/3.1", "Gopher/0", "", "/", "/1"} {
		add("protocol "+proto, "GET", "/any/x", http.NoBody, func(r *http.Request) { r.Proto = proto })
	}
	for _, path := range []string{"/status/200", "/status/204", "/status/301", "/status/404", "/status/499", "/status/500", "/status/503", "/status/599", "/status/600", "/status/999", "/status/101", "/twice", "/informed", "/late", "/flushed", "/named", "/ok", "/hijacked", "/a%2Fb", "//x", "/pattern/1?q=secret"} {
		add("path "+path, "GET", path, http.NoBody, nil)
	}
	add("a user agent", "GET", "/any/x", http.NoBody, func(r *http.Request) { r.Header.Set("User-Agent", "curl/8") })
	add("no URL path", "GET", "/any/x", http.NoBody, func(r *http.Request) { r.URL.Path = "" })
	add("a body", "POST", "/echo", strings.NewReader("hello"), nil)
	add("a body that is read in part", "POST", "/first", strings.NewReader("hello"), nil)
	add("a body that is not read", "POST", "/any/x", strings.NewReader("hello"), nil)
	add("a body that cannot be read", "POST", "/echo", io.MultiReader(strings.NewReader("he"), broken{}), nil)
	add("no body at all", "POST", "/any/x", http.NoBody, func(r *http.Request) { r.Body = nil })
	add("a parent", "GET", "/any/x", http.NoBody, func(r *http.Request) { r.Header.Set("Traceparent", clientsParent) })
	add("a start", "GET", "/any/x", http.NoBody, nil)
	all["a start"] = all["a start"].WithContext(otelhttp.ContextWithStartTime(ctx, time.Unix(1e9, 0).UTC()))
	return all
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// A span of Middleware is that of otelhttp, at its start and at its end, with the
// differences that are listed below.
func TestDiffersFromOtelhttp(t *testing.T) {
	serving(t)
	out := newRecorder(t)
	h := answers()
	theirs, ours := otelhttp.NewHandler(h, ""), observability.Middleware(h, observability.WithPathsLeftOut())
	wrapped := observability.Middleware(h, observability.WithPathsLeftOut(), observability.WithOtelhttp())
	serve := func(h http.Handler, name string) seen {
		h.ServeHTTP(httptest.NewRecorder(), requests(t.Context())[name])
		return out.one(t)
	}
	for name := range requests(t.Context()) {
		t.Run(name, func(t *testing.T) {
			want := serve(theirs, name)
			allow(want)
			if diff := cmp.Diff(want, serve(ours, name), cmp.Comparer(trace.SpanContext.Equal)); diff != "" {
				t.Errorf("(-otelhttp +Middleware):\n%s", diff)
			}
			got := serve(wrapped, name)
			without(got, "server.address", "")
			if diff := cmp.Diff(want, got, cmp.Comparer(trace.SpanContext.Equal)); diff != "" {
				t.Errorf("(-otelhttp +WithOtelhttp):\n%s", diff)
			}
		})
	}
}

// allow makes the differences that Middleware is to have:
//
//   - otelhttp calls a span after a pattern that a mux has found, but has no http.route then;
//   - it has an empty server.address where a client names no host, or one that is none.
func allow(s seen) {
	if _, path, ok := strings.Cut(s.Name, " "); ok {
		s.Attributes["http.route"] = path
	}
	without(s, "server.address", "")
}

// without takes an attribute away that has this value.
func without(s seen, key attribute.Key, value any) {
	for _, m := range []map[attribute.Key]any{s.Attributes, s.AtStart} {
		if m[key] == value {
			delete(m, key)
		}
	}
}

// Requests of real clients to real servers differ in nothing else.
func TestDiffersFromOtelhttpOnTheWire(t *testing.T) {
	serving(t)
	out := newRecorder(t)
	var over chan struct{}
	serverOf := func(h http.Handler, start func(*httptest.Server)) *httptest.Server {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(over)
			h.ServeHTTP(w, r)
		}))
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // of headers that are written twice
		start(s)
		t.Cleanup(s.Close)
		return s
	}
	h := answers()
	for name, start := range map[string]func(*httptest.Server){
		"HTTP/1.1": (*httptest.Server).Start,
		"TLS":      (*httptest.Server).StartTLS,
		"HTTP/2":   func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() },
	} {
		theirs := serverOf(otelhttp.NewHandler(h, ""), start)
		ours := serverOf(observability.Middleware(h, observability.WithPathsLeftOut()), start)
		for _, path := range []string{"/pattern/1", "/informed", "/echo", "/flushed", "/late", "/status/500", "/hijacked", "/nothing"} {
			t.Run(name+path, func(t *testing.T) {
				serve := func(s *httptest.Server) seen {
					over = make(chan struct{})
					r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, strings.NewReader("hello"))
					if err != nil {
						t.Fatal(err)
					}
					r.Host, r.Header["X-Forwarded-For"] = "shop.example:7", []string{"10.0.0.1, 10.0.0.2"}
					if answer, err := s.Client().Do(r); err == nil {
						_, _ = io.Copy(io.Discard, answer.Body)
						_ = answer.Body.Close()
					}
					<-over
					got := out.one(t)
					for _, m := range []map[attribute.Key]any{got.Attributes, got.AtStart} {
						delete(m, "network.peer.port") // of the connection
					}
					return got
				}
				want := serve(theirs)
				allow(want)
				if diff := cmp.Diff(want, serve(ours), cmp.Comparer(trace.SpanContext.Equal)); diff != "" {
					t.Errorf("(-otelhttp +Middleware):\n%s", diff)
				}
			})
		}
	}
}

// HTTP/1.0 has no host, and clients of net/http do not speak it.
func TestDiffersFromOtelhttpInHTTP10(t *testing.T) {
	serving(t)
	out := newRecorder(t)
	h := answers()
	serve := func(h http.Handler) seen {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader([]byte("GET /pattern/1 HTTP/1.0\r\n\r\n"))))
		if err != nil {
			t.Fatal(err)
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		return out.one(t)
	}
	want := serve(otelhttp.NewHandler(h, ""))
	allow(want)
	got := serve(observability.Middleware(h))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-otelhttp +Middleware):\n%s", diff)
	}
	if got.Attributes["network.protocol.version"] != "1.0" {
		t.Errorf("attributes %v", got.Attributes)
	}
}

// What clients write is not what otelhttp takes as it is: it is cut, of valid UTF-8, and
// holds no more memory than it takes.
func FuzzRequest(f *testing.F) {
	f.Add("GET", "example.com:80", "1.2.3.4:5", "/x", "HTTP/1.1", "10.0.0.1, 10.0.0.2", "curl/8", "GET /{x}")
	f.Add("g\xffT", "[::1%\xff]:1", "[::1]", "/\xff", "HTTP/\xff", "\xff,", strings.Repeat("\xffa", 8), "/")
	f.Add("", "", "", "", "", "", "", "")
	f.Fuzz(func(t *testing.T, method, host, peer, path, proto, forwarded, agent, pattern string) {
		pattern = strings.ToValidUTF8(pattern, "") // as it is in the code
		out := newRecorder(t)
		request := func() *http.Request {
			r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", http.NoBody)
			r.Method, r.Host, r.RemoteAddr, r.URL.Path, r.Proto, r.Pattern = method, host, peer, path, proto, pattern
			r.Header["X-Forwarded-For"], r.Header["User-Agent"] = []string{forwarded}, []string{agent}
			return r
		}
		ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
		otelhttp.NewHandler(ok, "").ServeHTTP(http1Writer{http.Header{}}, request())
		want := out.one(t)
		observability.Middleware(ok, observability.WithPathsLeftOut()).ServeHTTP(http1Writer{http.Header{}}, request())
		got := out.one(t)
		for _, m := range []map[attribute.Key]any{want.Attributes, want.AtStart} {
			for key, value := range m {
				if text, ok := value.(string); ok && key != "http.request.method" && key != "url.scheme" {
					m[key] = bounded(text)
					without(want, key, "")
				}
			}
		}
		want.Name, want.StartName = bounded(want.Name), bounded(want.StartName)
		got.Name, got.StartName = bounded(got.Name), bounded(got.StartName)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-otelhttp, bounded +Middleware):\n%s", diff)
		}
	})
}

// bounded is a text as Middleware writes it.
func bounded(s string) string { return bound.Default.Text(strings.ToValidUTF8(s, "\uFFFD")) }
