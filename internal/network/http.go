package network

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// HTTP makes requests, and repeats one that met a connection which was broken.
type HTTP struct{ Transport *http.Transport }

// RoundTrip makes a request.
func (t HTTP) RoundTrip(r *http.Request) (*http.Response, error) {
	var reused atomic.Bool
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused.Store(i.Reused) }})
	resp, err := t.Transport.RoundTrip(r.WithContext(ctx))
	if err == nil || !reused.Load() || r.GetBody == nil || ctx.Err() != nil {
		return resp, err
	}
	// The others have been idle as long.
	t.Transport.CloseIdleConnections()
	again := r.Clone(r.Context())
	if again.Body, err = r.GetBody(); err != nil {
		return nil, err
	}
	return t.Transport.RoundTrip(again)
}

// MaxToken is how much is read of a response about credentials.
const MaxToken = 1 << 20

// Limited makes requests whose responses end after [MaxToken] bytes. It is for
// libraries of clouds that read a response whole.
type Limited struct{ Transport http.RoundTripper }

// RoundTrip makes a request.
func (t Limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.Transport.RoundTrip(r)
	if err == nil {
		resp.Body = limitedBody{io.LimitReader(resp.Body, MaxToken), resp.Body}
	}
	return resp, err
}

type limitedBody struct {
	io.Reader
	io.Closer
}
