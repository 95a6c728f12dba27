package observability

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/felixge/httpsnoop"
)

// requestBody counts what is read of a body. Who reads may still do so when the request
// has been served.
type requestBody struct {
	io.ReadCloser
	read atomic.Int64
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read.Add(int64(n))
	return n, err
}

// response sees what is answered. The handler is given a writer with the optional
// interfaces of the one that it stands for, and no others: see [response.writer].
type response struct {
	http.ResponseWriter
	status  atomic.Int64 // of the header; 0 before it is written
	written atomic.Int64 // bytes of the body
	http1   http1Response
	http2   http2Response
}

// WriteHeader lets everything through. The first status counts that is not informational,
// as it does for net/http.
func (r *response) WriteHeader(status int) {
	if status < 100 || status > 199 || status == http.StatusSwitchingProtocols {
		r.status.CompareAndSwap(0, int64(status))
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *response) Write(p []byte) (int, error) {
	r.answers()
	n, err := r.ResponseWriter.Write(p)
	r.written.Add(int64(n))
	return n, err
}

// Unwrap is for [http.ResponseController].
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// answers tells that a header without a status is written, by what follows it.
func (r *response) answers() { r.status.CompareAndSwap(0, http.StatusOK) }

func (r *response) writeString(to io.StringWriter, s string) (int, error) {
	r.answers()
	n, err := to.WriteString(s)
	r.written.Add(int64(n))
	return n, err
}

func (r *response) readFrom(to io.ReaderFrom, src io.Reader) (int64, error) {
	n, err := to.ReadFrom(src)
	if n > 0 {
		r.answers()
	}
	r.written.Add(n)
	return n, err
}

// The optional interfaces that net/http's writers have of both versions, besides those
// that one of them has: [http.Hijacker] and [io.ReaderFrom], or [http.Pusher].
type (
	serverWriter interface {
		http.Flusher
		flusherError
		http.CloseNotifier //nolint:staticcheck // handlers still ask for it
		deadliner
		fullDuplexer
		io.StringWriter
	}
	flusherError interface{ FlushError() error }
	deadliner    interface {
		SetReadDeadline(time.Time) error
		SetWriteDeadline(time.Time) error
	}
	fullDuplexer interface{ EnableFullDuplex() error }
)

// writer is the writer for the handler. Those of net/http are stood for by what costs no
// allocation, all others by httpsnoop, which knows every combination.
func (r *response) writer() http.ResponseWriter {
	if w, ok := r.ResponseWriter.(serverWriter); ok {
		_, hijacks := w.(http.Hijacker)
		_, reads := w.(io.ReaderFrom)
		_, pushes := w.(http.Pusher)
		switch {
		case hijacks && reads && !pushes:
			r.http1 = http1Response{r, w}
			return &r.http1
		case pushes && !hijacks && !reads:
			r.http2 = http2Response{r, w}
			return &r.http2
		}
	}
	return r.wrapped()
}

// http1Response stands for the writer of net/http for HTTP/1.
type http1Response struct {
	*response
	serverWriter
}

func (r *http1Response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return r.serverWriter.(http.Hijacker).Hijack()
}

func (r *http1Response) ReadFrom(src io.Reader) (int64, error) {
	return r.readFrom(r.serverWriter.(io.ReaderFrom), src)
}

func (r *http1Response) Flush() { r.answers(); r.serverWriter.Flush() }

func (r *http1Response) FlushError() error { r.answers(); return r.serverWriter.FlushError() }

func (r *http1Response) WriteString(s string) (int, error) { return r.writeString(r.serverWriter, s) }

// http2Response stands for the one for HTTP/2.
type http2Response struct {
	*response
	serverWriter
}

func (r *http2Response) Push(target string, o *http.PushOptions) error {
	return r.serverWriter.(http.Pusher).Push(target, o)
}

func (r *http2Response) Flush()            { r.answers(); r.serverWriter.Flush() }
func (r *http2Response) FlushError() error { r.answers(); return r.serverWriter.FlushError() }

func (r *http2Response) WriteString(s string) (int, error) { return r.writeString(r.serverWriter, s) }

// wrapped stands for any writer.
func (r *response) wrapped() http.ResponseWriter {
	return httpsnoop.Wrap(r.ResponseWriter, httpsnoop.Hooks{
		Write:       func(httpsnoop.WriteFunc) httpsnoop.WriteFunc { return r.Write },
		WriteHeader: func(httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc { return r.WriteHeader },
		WriteString: func(next httpsnoop.WriteStringFunc) httpsnoop.WriteStringFunc {
			return func(s string) (int, error) { return r.writeString(stringWriter(next), s) }
		},
		Flush: func(next httpsnoop.FlushFunc) httpsnoop.FlushFunc {
			return func() { r.answers(); next() }
		},
		FlushError: func(next httpsnoop.FlushErrorFunc) httpsnoop.FlushErrorFunc {
			return func() error { r.answers(); return next() }
		},
		ReadFrom: func(next httpsnoop.ReadFromFunc) httpsnoop.ReadFromFunc {
			return func(src io.Reader) (int64, error) { return r.readFrom(readerFrom(next), src) }
		},
	})
}

type stringWriter httpsnoop.WriteStringFunc

func (w stringWriter) WriteString(s string) (int, error) { return w(s) }

type readerFrom httpsnoop.ReadFromFunc

func (f readerFrom) ReadFrom(src io.Reader) (int64, error) { return f(src) }

// Interface guards.
var (
	_ interface {
		http.ResponseWriter
		serverWriter
		http.Hijacker
		io.ReaderFrom
	} = (*http1Response)(nil)
	_ interface {
		http.ResponseWriter
		serverWriter
		http.Pusher
	} = (*http2Response)(nil)
)
