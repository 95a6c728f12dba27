package jaegerremote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/riffletrace/riffle/core/component"
)

// maxBody bounds a response: 2,000 operations have a tenth of it.
const maxBody = 1 << 20

// server is a source that speaks HTTP.
type server struct {
	url    string // with the question
	header http.Header
	host   string // of the header, if a user sets it
	client http.Client
}

func newServer(endpoint, service string, headers map[string]component.Secret, cfg *tls.Config) *server {
	sep := "?"
	if strings.Contains(endpoint, "?") {
		sep = "&"
	}
	s := &server{
		url:    endpoint + sep + "service=" + url.QueryEscape(service),
		header: http.Header{"Accept": {"application/json"}, "User-Agent": {"riffle"}},
		client: http.Client{
			Transport: &http.Transport{
				Proxy:                  http.ProxyFromEnvironment,
				TLSClientConfig:        cfg,
				TLSHandshakeTimeout:    10 * time.Second,
				IdleConnTimeout:        90 * time.Second,
				MaxResponseHeaderBytes: 64 << 10,
				DisableCompression:     true, // what is small and grows is no strategy
			},
			// The headers are for this server, and what it says decides what is kept.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for key, value := range headers {
		if strings.EqualFold(key, "Host") {
			s.host = string(value)
			continue
		}
		s.header.Set(key, string(value))
	}
	return s
}

func (s *server) close() { s.client.CloseIdleConnections() }

func (s *server) fetch(ctx context.Context) (*strategy, *failure) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, http.NoBody)
	if err != nil {
		return nil, &failure{"request", errors.New("the endpoint makes no request")} // unreachable: it was checked
	}
	r.Header, r.Host = s.header, s.host
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, connection(err)
	}
	defer resp.Body.Close()
	switch status := resp.StatusCode; {
	case status >= 300 && status < 400:
		return nil, &failure{"redirect", fmt.Errorf("the server answers %d: redirects are not followed", status)}
	case status != http.StatusOK:
		err := fmt.Errorf("the server answers %d %s", status, http.StatusText(status))
		return nil, &failure{fmt.Sprint(status), err}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, connection(err)
	case len(body) > maxBody:
		return nil, &failure{"size", errors.New("the response is larger than 1 MiB")}
	}
	strategy, err := parse(body)
	if err != nil {
		return nil, &failure{"response", fmt.Errorf("the response is not used: %w", err)}
	}
	return strategy, nil
}

// connection is a failure without a response. The URL is left out, in whose query there
// may be a key, and so are the ports of a connection, which change.
func connection(err error) *failure {
	if of, ok := errors.AsType[*url.Error](err); ok {
		err = of.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &failure{"timeout", errors.New("the server does not answer in time")}
	}
	cause := fmt.Sprintf("%T", err) // the text may be the server's
	if of, ok := errors.AsType[*net.OpError](err); ok {
		err = fmt.Errorf("%s: %w", of.Op, of.Err)
		_, isCall := of.Err.(*os.SyscallError) //nolint:errorlint // not what is behind one of TLS
		_, isLookup := of.Err.(*net.DNSError)  //nolint:errorlint // the same
		if cause = fmt.Sprintf("%s %T", of.Op, of.Err); isCall || isLookup {
			cause = err.Error()
		}
	}
	return &failure{cause, err}
}
