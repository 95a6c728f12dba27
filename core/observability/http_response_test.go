package observability_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/observability"
)

// has tells which optional interfaces a writer has.
func has(w http.ResponseWriter) (names []string) {
	add := func(name string, ok bool) {
		if ok {
			names = append(names, name)
		}
	}
	_, ok := w.(http.Flusher)
	add("Flusher", ok)
	_, ok = w.(interface{ FlushError() error })
	add("FlushError", ok)
	_, ok = w.(http.CloseNotifier) //nolint:staticcheck // handlers still ask for it
	add("CloseNotifier", ok)
	_, ok = w.(http.Hijacker)
	add("Hijacker", ok)
	_, ok = w.(io.ReaderFrom)
	add("ReaderFrom", ok)
	_, ok = w.(interface{ SetReadDeadline(time.Time) error })
	add("SetReadDeadline", ok)
	_, ok = w.(interface{ EnableFullDuplex() error })
	add("EnableFullDuplex", ok)
	_, ok = w.(http.Pusher)
	add("Pusher", ok)
	_, ok = w.(io.StringWriter)
	add("StringWriter", ok)
	return names
}

// The optional interfaces of net/http's writer for HTTP/1, one by one.
type (
	plainWriter struct{ http.ResponseWriter }
	closer      interface{ CloseNotify() <-chan bool }
	deadlines   interface {
		SetReadDeadline(time.Time) error
		SetWriteDeadline(time.Time) error
	}
	duplex  interface{ EnableFullDuplex() error }
	flusher interface {
		Flush()
		FlushError() error
	}
	pusher struct{}
)

func (pusher) Push(string, *http.PushOptions) error { return nil }

// A handler finds what its writer can do, and nothing that it cannot.
func TestOptionalInterfaces(t *testing.T) {
	newRecorder(t)
	all := http1Writer{http.Header{}}
	plain := plainWriter{all}
	for name, w := range map[string]http.ResponseWriter{
		"net/http's for HTTP/1": all,
		"net/http's for HTTP/2": struct {
			plainWriter
			closer
			deadlines
			duplex
			flusher
			io.StringWriter
			http.Pusher
		}{plain, all, all, all, all, all, pusher{}},
		"HTTP/2 that reads": struct {
			plainWriter
			closer
			deadlines
			duplex
			flusher
			io.StringWriter
			http.Pusher
			io.ReaderFrom
		}{plain, all, all, all, all, all, pusher{}, all},
		"both": struct {
			http1Writer
			http.Pusher
		}{all, pusher{}},
		"HTTP/1 without Hijack": struct {
			plainWriter
			closer
			deadlines
			duplex
			flusher
			io.StringWriter
			io.ReaderFrom
		}{plain, all, all, all, all, all, all},
		"HTTP/1 without ReadFrom": struct {
			plainWriter
			closer
			deadlines
			duplex
			flusher
			io.StringWriter
			http.Hijacker
		}{plain, all, all, all, all, all, all},
		"HTTP/1 without full duplex": struct {
			plainWriter
			closer
			deadlines
			flusher
			io.StringWriter
			http.Hijacker
			io.ReaderFrom
		}{plain, all, all, all, all, all, all},
		"nothing": plain,
		"a flusher": struct {
			plainWriter
			http.Flusher
		}{plain, all},
		"a hijacker": struct {
			plainWriter
			http.Hijacker
		}{plain, all},
		"a reader": struct {
			plainWriter
			io.ReaderFrom
		}{plain, all},
		"httptest's": httptest.NewRecorder(),
	} {
		t.Run(name, func(t *testing.T) {
			want := has(w)
			observability.Middleware(http.HandlerFunc(func(inner http.ResponseWriter, _ *http.Request) {
				if diff := cmp.Diff(want, has(inner)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
		})
	}
}

// So it is with net/http's own, whose methods answer as without Middleware.
func TestWritersOfNetHTTP(t *testing.T) {
	out := newRecorder(t)
	for name, start := range map[string]func(*httptest.Server){
		"HTTP/1": (*httptest.Server).Start,
		"HTTP/2": func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() },
	} {
		t.Run(name, func(t *testing.T) {
			over := make(chan struct{})
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(over)
				want := has(w)
				observability.Middleware(http.HandlerFunc(func(inner http.ResponseWriter, _ *http.Request) {
					if diff := cmp.Diff(want, has(inner)); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
					c := http.NewResponseController(inner)
					for name, err := range map[string]error{
						"SetReadDeadline": c.SetReadDeadline(time.Time{}), "SetWriteDeadline": c.SetWriteDeadline(time.Time{}), "EnableFullDuplex": c.EnableFullDuplex(),
					} {
						if err != nil {
							t.Error(name, err)
						}
					}
					inner.WriteHeader(http.StatusEarlyHints)
					_, _ = io.WriteString(inner, "one,")
					_, _ = io.Copy(inner, strings.NewReader("two,"))
					_, _ = inner.Write([]byte("three"))
					if err := c.Flush(); err != nil {
						t.Error(err)
					}
				})).ServeHTTP(w, r)
			}))
			start(s)
			defer s.Close()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			if err := errors.Join(err, answer.Body.Close()); err != nil || string(body) != "one,two,three" {
				t.Errorf("body %q, %v", body, err)
			}
			<-over
			got := out.one(t)
			if got.Attributes["http.response.body.size"] != int64(len(body)) || got.Attributes["http.response.status_code"] != int64(200) {
				t.Errorf("attributes %v", got.Attributes)
			}
		})
	}
}

// readsFrom tells what it is to read from: net/http sends a file without copying it.
type readsFrom struct {
	http1Writer
	src io.Reader
}

func (w *readsFrom) ReadFrom(src io.Reader) (int64, error) {
	w.src = src
	return 7, nil
}

func TestFileIsSentAsIs(t *testing.T) {
	out := newRecorder(t)
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := &readsFrom{http1Writer: http1Writer{http.Header{}}}
	observability.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.(io.ReaderFrom).ReadFrom(file)
	})).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	if w.src != io.Reader(file) {
		t.Errorf("net/http is given a %T", w.src)
	}
	if got := out.one(t).Attributes["http.response.body.size"]; got != int64(7) {
		t.Errorf("http.response.body.size = %v", got)
	}
}

// The request that net/http has, its body and NoBody stay what they are.
func TestRequestStaysAsItIs(t *testing.T) {
	newRecorder(t)
	body := io.NopCloser(strings.NewReader("hello"))
	for name, tt := range map[string]struct {
		given io.ReadCloser
		same  bool
	}{"none": {nil, true}, "NoBody": {http.NoBody, true}, "a body": {body, false}} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
		r.Body = tt.given
		check := func(when string) {
			if r.Body != tt.given {
				t.Errorf("%s: the body is a %T %s", name, r.Body, when)
			}
		}
		func() {
			defer func() { _ = recover() }()
			observability.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) {
				if same := inner.Body == tt.given; same != tt.same {
					t.Errorf("%s: the handler has a %T", name, inner.Body)
				}
				check("meanwhile")
				panic(errBoom)
			})).ServeHTTP(httptest.NewRecorder(), r)
		}()
		check("afterwards")
	}
}

// net/http removes the files of a form that a handler has parsed, whatever copies of its
// request were made.
func TestFilesOfFormsAreRemoved(t *testing.T) {
	newRecorder(t)
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	parse := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1); err != nil {
			t.Error(err)
		}
		if left, _ := filepath.Glob(filepath.Join(tmp, "multipart-*")); len(left) != 1 {
			t.Errorf("%d files while it is served, want 1", len(left))
		}
	})
	for name, options := range map[string][]observability.MiddlewareOption{
		"traced":   {observability.WithPathsLeftOut()},
		"public":   {observability.WithPublicEndpoint()},
		"forced":   {observability.WithForceHeader("X-Force", "s3cret")},
		"left out": {observability.WithPathsLeftOut("/")},
		"otelhttp": {observability.WithOtelhttp(), observability.WithPublicEndpoint()},
	} {
		t.Run(name, func(t *testing.T) {
			var text bytes.Buffer
			form := multipart.NewWriter(&text)
			file, _ := form.CreateFormFile("file", "f")
			_, _ = file.Write(bytes.Repeat([]byte("x"), 11<<20))
			_ = form.Close()
			s := httptest.NewServer(observability.Middleware(parse, options...))
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, &text)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", form.FormDataContentType())
			r.Header.Set("X-Force", "s3cret")
			answer, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			s.Close() // which waits until the request is over
			if left, _ := filepath.Glob(filepath.Join(tmp, "multipart-*")); len(left) != 0 {
				t.Errorf("left over: %v", left)
			}
		})
	}
}

// A body may still be read, and an answer written, when the request has been served.
func TestHandlersThatOutliveRequests(t *testing.T) {
	newRecorder(t)
	later := make(chan func(), 1)
	h := observability.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		later <- func() {
			_, _ = io.Copy(w, r.Body)
			w.WriteHeader(http.StatusOK)
		}
	}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		(<-later)()
	}()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(strings.Repeat("x", 1<<20)))
	h.ServeHTTP(http1Writer{http.Header{}}, r)
	<-done
}

// A panic in a request whose method nobody knows has the name that others of it have.
func TestPanicOfUnknownMethod(t *testing.T) {
	out := newRecorder(t)
	func() {
		defer func() { _ = recover() }()
		serveTest(t, observability.Middleware(testMux()), "BREW", "/panic/1")
	}()
	got := out.one(t)
	if got.Name != "HTTP /panic/{id}" || got.Status.Code != codes.Error {
		t.Errorf("%q, %v", got.Name, got.Status)
	}
	if diff := cmp.Diff([]string{"exception"}, got.Events); diff != "" {
		t.Error(diff)
	}
}

// A span is below one of this process that the request's context has, of its provider. A
// context that was extracted before is no reason to record nothing.
func TestParentInContext(t *testing.T) {
	out := newRecorder(t)
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, Remote: true})
	h := observability.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(trace.ContextWithSpanContext(t.Context(), parent), http.MethodGet, "/", http.NoBody))
	if got := out.one(t); got.Parent != parent.SpanID() {
		t.Errorf("below %v", got.Parent)
	}
	ctx, outer := observability.StartSpan(t.Context(), "outer")
	newRecorder(t) // which is the global one now
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody))
	if got := out.one(t); got.Parent != outer.SpanContext().SpanID() {
		t.Errorf("below %v", got.Parent)
	}
}

// What is cut from a large text does not hold it.
func TestLargeTextsAreLetGo(t *testing.T) {
	out := newRecorder(t)
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", http.NoBody)
	r.Header.Set("User-Agent", strings.Repeat("x", 1<<20))
	observability.Middleware(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	agent, _ := out.one(t).Attributes[attribute.Key("user_agent.original")].(string)
	if len(agent) != observability.MaxValueLength || !strings.HasSuffix(agent, "...[truncated]") {
		t.Errorf("%d bytes of the user agent", len(agent))
	}
}
