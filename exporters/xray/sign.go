package xray

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/riffletrace/riffle/exporters/internal/otlpclient"
)

const service = "xray"

// signer signs requests with the credentials of the SDK's default chain. The
// SDK caches them, and fetches new ones in time.
type signer struct {
	target  *target
	signer  *v4.Signer
	options []func(*config.LoadOptions) error

	// ctx ends with the exporter: fetching credentials does, too.
	ctx    context.Context //nolint:containedctx // it is the signer's life, not a call's
	cancel context.CancelFunc
	base   *http.Transport

	building    chan struct{} // of capacity 1: held while the chain is built
	credentials aws.CredentialsProvider
}

func newSigner(t *target) *signer {
	s := &signer{target: t, signer: v4.NewSigner(), building: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.base = &http.Transport{
		Proxy:                 proxy,
		DialContext:           (&net.Dialer{Timeout: 2 * time.Second}).DialContext, // metadata servers are near
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 5 * time.Second,
		IdleConnTimeout:       30 * time.Second,
	}
	s.options = []func(*config.LoadOptions) error{
		config.WithRegion(t.region),
		config.WithHTTPClient(&http.Client{Transport: s}),
		config.WithCredentialsCacheOptions(func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = time.Minute }),
	}
	if t.profile != "" {
		s.options = append(s.options, config.WithSharedConfigProfile(t.profile))
	}
	return s
}

// proxy is the environment's, but metadata servers have none in front.
func proxy(r *http.Request) (*url.URL, error) {
	if ip, err := netip.ParseAddr(r.URL.Hostname()); err == nil && (ip.IsLinkLocalUnicast() || ip.IsPrivate() || ip.IsLoopback()) {
		return nil, nil
	}
	return http.ProxyFromEnvironment(r)
}

// RoundTrip makes a request for credentials, unless the exporter has shut down.
func (s *signer) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(s.ctx, cancel)
	resp, err := s.base.RoundTrip(r.WithContext(ctx))
	if err != nil {
		stop()
		cancel()
		return nil, err
	}
	resp.Body = &body{resp.Body, func() { stop(); cancel() }}
	return resp, nil
}

func (s *signer) close() {
	s.cancel()
	s.base.CloseIdleConnections()
}

// sign adds the headers of a signature. The body is hashed as it is sent.
func (s *signer) sign(r *http.Request, body []byte) error {
	creds, err := s.retrieve(r.Context())
	if err != nil {
		return &otlpclient.Error{
			Message: fmt.Sprintf("no AWS credentials: give the machine or task a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (%s)", reason(err)),
			Cause:   err,
		}
	}
	hash := sha256.Sum256(body)
	return s.signer.SignHTTP(r.Context(), creds, r, hex.EncodeToString(hash[:]), service, s.target.region, time.Now())
}

func (s *signer) retrieve(ctx context.Context) (aws.Credentials, error) {
	provider, err := s.chain(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	return provider.Retrieve(ctx)
}

// chain is built when it is needed first, because it may look up names.
func (s *signer) chain(ctx context.Context) (aws.CredentialsProvider, error) {
	select {
	case s.building <- struct{}{}:
		defer func() { <-s.building }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.credentials != nil {
		return s.credentials, nil
	}
	cfg, err := config.LoadDefaultConfig(ctx, s.options...)
	if err != nil {
		return nil, err
	}
	s.credentials = cfg.Credentials
	return s.credentials, nil
}

// forget makes the next request fetch new credentials.
func (s *signer) forget() {
	s.building <- struct{}{}
	defer func() { <-s.building }()
	if cache, ok := s.credentials.(interface{ Invalidate() }); ok {
		cache.Invalidate()
	}
}
