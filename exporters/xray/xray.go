package xray

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/internal/otlpsend"
	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/internal/otlpstatus"
)

// TLS says whom to trust, and who one is.
type TLS = otlpclient.TLS

// Config is what users set. OTEL_EXPORTER_OTLP_* are about other backends.
type Config struct {
	_           struct{}             `doc:"sends to AWS X-Ray, at the OTLP endpoint of a region"`
	Region      string               `yaml:"region" doc:"of AWS, such as eu-central-1; default: AWS_REGION, AWS_DEFAULT_REGION, or that of the profile"`
	Profile     string               `yaml:"profile" doc:"of AWS's configuration files; default AWS_PROFILE"`
	Endpoint    string               `yaml:"endpoint" doc:"URL to send to instead of https://xray.<region>.amazonaws.com/v1/traces: a VPC endpoint, or an ADOT Collector's receiver of OTLP over HTTP"`
	Sign        *bool                `yaml:"sign" doc:"sign requests; default: only for hosts of AWS, so not for a Collector"`
	Compression delivery.Compression `yaml:"compression" enum:"none,gzip" doc:"none or gzip"`
	Timeout     component.Duration   `yaml:"timeout" doc:"longest time for one attempt"`
	TLS         TLS                  `yaml:"tls" doc:"certificates"`
}

var defaults = Config{Compression: delivery.Gzip, Timeout: component.Duration(10 * time.Second)}

// limits are those of the page that doc.go names.
var limits = delivery.Limits{
	MaxBytes:     5_000_000,
	MaxSpans:     10_000,
	MaxSpanBytes: 200_000,
	MaxStartAge:  14 * 24 * time.Hour,
	MaxAhead:     2 * time.Hour,
	MaxSpread:    24 * time.Hour,
}

// Factory makes the exporter; it is registered as "xray".
var Factory = component.NewFactory("xray", defaults, New)

func init() { component.Exporters.MustAdd(Factory) }

// Validate checks everything short of connecting. It reads the files of AWS's
// configuration and of TLS.
func (c *Config) Validate() error {
	_, err := c.destination()
	return err
}

// destination is where to send, and how.
type destination struct {
	resolved *otlpclient.Resolved
	region   string
	profile  string
	sign     bool
}

var regions = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)

func (c Config) destination() (*destination, error) {
	var errs []error
	fail := func(path, format string, args ...any) {
		errs = append(errs, &component.FieldError{Path: path, Err: fmt.Errorf(format, args...)})
	}
	d := &destination{profile: c.Profile, sign: true}
	endpoint := c.Endpoint
	if endpoint != "" {
		u, err := url.Parse(endpoint)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			// Not shown: there may be a password in it.
			fail("endpoint", "want a URL, such as http://localhost:4318 for a Collector on this machine")
			return nil, errors.Join(errs...)
		}
		d.sign = isAWS(u.Hostname())
	}
	if c.Sign != nil {
		d.sign = *c.Sign
	}
	if d.sign || endpoint == "" {
		var err error
		switch d.region, err = c.region(); {
		case err != nil:
			fail("profile", "%w", err)
		case d.region == "":
			fail("region", "missing: set it, or AWS_REGION")
		case !regions.MatchString(d.region):
			fail("region", "%q is not a region of AWS, such as eu-central-1", d.region)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if d.sign && c.TLS.CAFile == "" && !strings.HasPrefix(endpoint, "http://") { // the SDK's, for a proxy that looks inside
		c.TLS.CAFile = os.Getenv("AWS_CA_BUNDLE")
	}
	var err error
	d.resolved, err = otlpclient.Config{
		Protocol:    otlpclient.HTTP,
		Endpoint:    cmp.Or(endpoint, "https://xray."+d.region+".amazonaws.com"),
		Compression: c.Compression,
		Timeout:     c.Timeout,
		TLS:         c.TLS,
		NoEnv:       true,
		KeyAt:       "sign", // of a Collector's refusals; those of AWS are classified
	}.Resolve()
	return d, err
}

func isAWS(host string) bool {
	for _, domain := range []string{".amazonaws.com", ".amazonaws.com.cn", ".api.aws"} {
		if strings.HasSuffix(strings.ToLower(host), domain) {
			return true
		}
	}
	return false
}

// region is where the SDK would find one, without asking a metadata server:
// where spans go must be known at once.
func (c Config) region() (string, error) {
	if region := cmp.Or(c.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")); region != "" {
		return region, nil
	}
	named := cmp.Or(c.Profile, os.Getenv("AWS_PROFILE"), os.Getenv("AWS_DEFAULT_PROFILE"))
	shared, err := config.LoadSharedConfigProfile(context.Background(), cmp.Or(named, config.DefaultSharedConfigProfile), func(o *config.LoadSharedConfigOptions) {
		if file := os.Getenv("AWS_CONFIG_FILE"); file != "" {
			o.ConfigFiles = []string{file}
		}
		if file := os.Getenv("AWS_SHARED_CREDENTIALS_FILE"); file != "" {
			o.CredentialsFiles = []string{file}
		}
	})
	if missing := (config.SharedConfigProfileNotExistError{}); errors.As(err, &missing) && named == "" {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading AWS's configuration: %w", err)
	}
	return shared.Region, nil
}

// New builds the exporter. It connects, and asks for credentials, when there is
// something to send.
func New(_ context.Context, settings component.Settings, c Config) (sdktrace.SpanExporter, error) {
	d, err := c.destination()
	if err != nil {
		return nil, err
	}
	o := otlpsend.Options{Limits: limits, HTTP1: true}
	if d.sign {
		s := newSigner(d, settings.Logger)
		o.Backend = otlpstatus.XRay
		o.Authorize, o.Classify, o.Close = s.sign, s.classify, s.close
	}
	return otlpsend.New(d.resolved, o), nil
}

// Connection says where it sends.
func (c *Config) Connection() component.Connection {
	d, err := c.destination()
	if err != nil {
		return component.Connection{}
	}
	return d.resolved.Connection()
}

// Interface guard.
var _ component.Connected = (*Config)(nil)
