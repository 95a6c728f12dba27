package xray

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/smithy-go/logging"

	"github.com/riffletrace/riffle/internal/network"
	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/internal/trustedfile"
)

const service = "xray"

// signer signs requests with the credentials of the SDK's default chain. The
// SDK caches them, and fetches new ones in time.
type signer struct {
	destination *destination
	signer      *v4.Signer
	options     []func(*config.LoadOptions) error

	// ctx ends with the exporter: fetching credentials does, too.
	ctx    context.Context //nolint:containedctx // it is the signer's life, not a call's
	cancel context.CancelFunc

	building    chan struct{} // of capacity 1: held while the chain is built
	credentials aws.CredentialsProvider
}

func newSigner(d *destination, logger *slog.Logger) *signer {
	s := &signer{destination: d, signer: v4.NewSigner(), building: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	// The SDK wants a client that it can change: it adds AWS_CA_BUNDLE, and is
	// less patient with metadata servers.
	client := awshttp.NewBuildableClient().WithDialerOptions(func(d *net.Dialer) {
		d.Timeout = 5 * time.Second
		d.Cancel = s.ctx.Done() //nolint:staticcheck // the only way that survives the SDK's changes
	}).WithTransportOptions(func(d *http.Transport) {
		d.ResponseHeaderTimeout = 5 * time.Second
		d.DisableKeepAlives = true // nothing is left when the exporter has shut down
		d.Proxy = network.RefuseRedirect(d.Proxy)
	})
	s.options = []func(*config.LoadOptions) error{
		config.WithRegion(d.region),
		config.WithHTTPClient(client),
		config.WithLogger(logging.LoggerFunc(func(class logging.Classification, format string, args ...any) {
			level := slog.LevelDebug
			if class == logging.Warn {
				level = slog.LevelWarn
			}
			logger.Log(s.ctx, level, "AWS SDK: "+fmt.Sprintf(format, args...))
		})),
		// For the credentials of a container it makes a client of its own.
		config.WithEndpointCredentialOptions(func(o *endpointcreds.Options) { o.HTTPClient = s.direct() }),
		config.WithCredentialsCacheOptions(func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = time.Minute }),
	}
	if d.profile != "" {
		s.options = append(s.options, config.WithSharedConfigProfile(d.profile))
	}
	return s
}

func (s *signer) close() { s.cancel() }

// direct is a client for what is near, where no proxy belongs in between.
func (s *signer) direct() *http.Client {
	return &http.Client{Timeout: 5 * time.Second, Transport: network.Direct{Transport: &http.Transport{
		DialContext:       (&net.Dialer{Cancel: s.ctx.Done()}).DialContext, //nolint:staticcheck // as above
		DisableKeepAlives: true,
	}}}
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
	return s.signer.SignHTTP(r.Context(), creds, r, hex.EncodeToString(hash[:]), service, s.destination.region, time.Now())
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
	if err := checkFiles(); err != nil {
		return nil, err
	}
	cfg, err := config.LoadDefaultConfig(ctx, s.options...)
	if err != nil {
		return nil, err
	}
	s.credentials = cfg.Credentials
	return s.credentials, nil
}

// maxFile bounds the files that the SDK reads.
const maxFile = 4 << 20

// checkFiles looks at them before the SDK does.
func checkFiles() error {
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_CA_BUNDLE"} {
		if err := trustedfile.CheckSetting(os.Getenv(name), maxFile); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil //nolint:nilerr // then there are none
	}
	for _, name := range []string{"config", "credentials"} {
		if err := trustedfile.CheckSetting(filepath.Join(home, ".aws", name), maxFile); err != nil {
			return err
		}
	}
	return nil
}

// forget makes the next request fetch new credentials.
func (s *signer) forget() {
	s.building <- struct{}{}
	defer func() { <-s.building }()
	if cache, ok := s.credentials.(interface{ Invalidate() }); ok {
		cache.Invalidate()
	}
}
