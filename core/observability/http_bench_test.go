package observability_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"golang.org/x/sys/unix"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/observability"
	"github.com/riffletrace/riffle/samplers/ratio"
)

// http1Writer has the methods that net/http's writer for HTTP/1 has, and does nothing.
type http1Writer struct{ header http.Header }

func (w http1Writer) Header() http.Header                        { return w.header }
func (http1Writer) Write(p []byte) (int, error)                  { return len(p), nil }
func (http1Writer) WriteString(s string) (int, error)            { return len(s), nil }
func (http1Writer) WriteHeader(int)                              {}
func (http1Writer) Flush()                                       {}
func (http1Writer) FlushError() error                            { return nil }
func (http1Writer) CloseNotify() <-chan bool                     { return nil }
func (http1Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }
func (http1Writer) ReadFrom(src io.Reader) (int64, error)        { return io.Copy(io.Discard, src) }
func (http1Writer) SetReadDeadline(time.Time) error              { return nil }
func (http1Writer) SetWriteDeadline(time.Time) error             { return nil }
func (http1Writer) EnableFullDuplex() error                      { return nil }

// servers are the ways to trace a handler, none of them first.
func servers(h http.Handler) []server {
	return []server{
		{"nothing", h},
		{"otelhttp", otelhttp.NewHandler(h, "")},
		{"Middleware", observability.Middleware(h)},
		{"Middleware with otelhttp", observability.Middleware(h, observability.WithOtelhttp())},
	}
}

type server struct {
	name    string
	handler http.Handler
}

// serving is a provider, with what is needed to serve under it.
func serving(t testing.TB) map[string]trace.TracerProvider {
	t.Helper()
	before := otel.GetTextMapPropagator()
	t.Cleanup(func() { otel.SetTextMapPropagator(before) })
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	riffle := func(rate float64) trace.TracerProvider {
		p, err := core.New(t.Context(), core.Spec{Enabled: true, Samplers: []core.SamplerEntry{core.UseSampler(ratio.Factory, "", ratio.Config{Rate: rate})}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Shutdown(context.Background()) })
		return p.TracerProvider()
	}
	return map[string]trace.TracerProvider{"none": noop.NewTracerProvider(), "dropped": riffle(0), "recorded": riffle(1)}
}

// typical is a request as a browser sends it, whose handler a mux finds.
func typical() (http.Handler, *http.Request, http.ResponseWriter) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /users/{id}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	r := httptest.NewRequest(http.MethodPost, "http://example.com:8080/users/7", http.NoBody)
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	return mux, r, http1Writer{http.Header{}}
}

func BenchmarkMiddleware(b *testing.B) {
	for name, provider := range serving(b) {
		setProvider(b, provider)
		h, r, w := typical()
		for _, s := range servers(h) {
			b.Run("provider="+name+"/by="+s.name, func(b *testing.B) {
				b.ReportAllocs()
				before := cpuTime(b)
				for b.Loop() {
					s.handler.ServeHTTP(w, r)
				}
				b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// cpuTime is that of the process, its garbage collector with it: on a machine that others
// use too, it says more than the time that has passed.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
