package network

import (
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
