package azuremonitor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/internal/otlpsend"
	"github.com/riffletrace/riffle/exporters/internal/token"
	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/internal/otlpstatus"
)

// TLS says whom to trust, and who one is.
type TLS = otlpclient.TLS

// Config is what users set. OTEL_EXPORTER_OTLP_* are about other backends.
type Config struct {
	_                struct{}             `doc:"sends to Azure Monitor: Application Insights, or the OTLP endpoint of a data collection rule"`
	ConnectionString component.Secret     `yaml:"connection_string" doc:"of Application Insights; default APPLICATIONINSIGHTS_CONNECTION_STRING, unless there is an endpoint"`
	Endpoint         string               `yaml:"endpoint" doc:"URL of the traces stream of a data collection rule, whole, for OTLP with tokens of Entra ID"`
	Entra            bool                 `yaml:"entra" doc:"send tokens of Entra ID with a connection string too, for Application Insights without local authentication"`
	ClientID         string               `yaml:"client_id" doc:"of a user-assigned managed identity; default AZURE_CLIENT_ID"`
	Compression      delivery.Compression `yaml:"compression" enum:"none,gzip" doc:"none or gzip"`
	Timeout          component.Duration   `yaml:"timeout" doc:"longest time for one attempt"`
	TLS              TLS                  `yaml:"tls" doc:"certificates"`
}

var defaults = Config{Compression: delivery.Gzip, Timeout: component.Duration(10 * time.Second)}

// Factory makes the exporter; it is registered as "azuremonitor".
var Factory = component.NewFactory("azuremonitor", defaults, New)

func init() { component.Exporters.MustAdd(Factory) }

// Validate checks everything short of connecting. It reads the files of TLS.
func (c *Config) Validate() error {
	_, err := c.destination()
	return err
}

// destination is where to send, and how.
type destination struct {
	resolved *otlpclient.Resolved
	key      string // of Application Insights; "" for OTLP
	tokens   *token.Source
	close    func()
}

const connectionVariable = "APPLICATIONINSIGHTS_CONNECTION_STRING"

func (c *Config) destination() (*destination, error) {
	fail := func(path, format string, args ...any) (*destination, error) {
		return nil, &component.FieldError{Path: path, Err: fmt.Errorf(format, args...)}
	}
	d := &destination{}
	connection, endpoint, said := string(c.ConnectionString), c.Endpoint, "endpoint"
	if connection == "" && endpoint == "" {
		connection = os.Getenv(connectionVariable)
	}
	switch {
	case connection == "" && endpoint == "":
		return fail("connection_string", "missing: set it, or %s, or endpoint for OTLP", connectionVariable)
	case connection != "" && endpoint != "":
		return fail("endpoint", "there is a connection_string too: write one of them")
	case endpoint != "":
		if err := checkStream(endpoint); err != nil {
			return fail("endpoint", "%w", err)
		}
	default:
		said = "connection_string"
		s, err := parseConnection(connection)
		if err != nil {
			return fail("connection_string", "%w", err)
		}
		d.key, endpoint = s.key, s.endpoint
	}
	if c.Compression == delivery.Zstd {
		return fail("compression", `"zstd" is not one of none, gzip`)
	}
	resolved, err := otlpclient.Config{
		Protocol:    otlpclient.HTTP,
		Endpoint:    endpoint,
		Compression: c.Compression,
		Timeout:     c.Timeout,
		TLS:         c.TLS,
		NoEnv:       true,
	}.Resolve()
	if field := (*component.FieldError)(nil); d.key != "" && errors.As(err, &field) && field.Path == "endpoint" {
		return fail(said, "its IngestionEndpoint: %w", field.Err)
	}
	if err != nil {
		return nil, err
	}
	if resolved.Exposed() {
		return fail(said, "it would be sent to in plain text: write https://")
	}
	if d.key != "" {
		resolved.Path = strings.TrimSuffix(resolved.Path, "/v1/traces") + trackPath
	}
	d.resolved = resolved
	return d, nil
}

// stream is the path of a stream of a data collection rule.
var stream = regexp.MustCompile(`(?i)^/datacollectionrules/[^/]+/streams/([^/]+)/otlp/v1/([a-z]+)$`)

// checkStream says what is wrong about a URL that was pasted.
func checkStream(s string) error {
	const want = "want that of a traces stream, such as https://my-dce.westeurope-1.ingest.monitor.azure.com/datacollectionRules/dcr-0123/streams/Microsoft-OTLP-Traces/otlp/v1/traces"
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("it is no URL: " + want) // not shown: there may be a password in it
	case u.RawQuery != "" || u.User != nil:
		return errors.New("there is more to it than the URL of a stream: " + want)
	}
	m := stream.FindStringSubmatch(u.Path)
	switch {
	case m == nil:
		return fmt.Errorf("%q is the path of no stream: %s", u.Path, want)
	case !strings.EqualFold(m[2], "traces"):
		return fmt.Errorf("it is the stream for %s: %s", m[2], want)
	default:
		return nil
	}
}

// New builds the exporter. It connects, and asks for a token, when there is
// something to send.
func New(_ context.Context, s component.Settings, c Config) (sdktrace.SpanExporter, error) {
	d, err := c.destination()
	if err != nil {
		return nil, err
	}
	if d.key == "" || c.Entra {
		if err := d.identify(c.ClientID); err != nil {
			return nil, err
		}
	}
	if d.key != "" {
		return newTracker(d, s.Logger), nil
	}
	return otlpsend.New(d.resolved, otlpsend.Options{Backend: otlpstatus.AzureMonitor, Authorize: d.authorize, Classify: d.classify, Close: d.close}), nil
}

// authorize adds a token, if the backend wants one.
func (d *destination) authorize(r *http.Request, _ []byte) error {
	if d.tokens == nil {
		return nil
	}
	value, err := d.tokens.Token(r.Context())
	if err != nil {
		return d.advised("was sent nothing: there are no credentials: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+value)
	return nil
}

// classify says what to do about a refusal of Azure's. What a person can put right
// costs no spans.
func (d *destination) classify(resp *http.Response, message string, f *delivery.ExportError) {
	message = d.public(message)
	if answer := (*otlpstatus.HTTPError)(nil); errors.As(f.Err, &answer) {
		answer.Message = d.public(answer.Message)
	}
	about := otlpstatus.StatusText(resp)
	if message != "" {
		about += ": " + message
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		if d.tokens == nil {
			f.Err = d.advised("wants tokens of Entra ID: set entra: true (%s)", about)
			return
		}
		if bearer, ok := strings.CutPrefix(resp.Request.Header.Get("Authorization"), "Bearer "); ok {
			d.tokens.Invalidate(bearer)
		}
		f.Err = d.advised("refused the token (%s)", about)
	case http.StatusForbidden:
		of := "data collection rule"
		if d.key != "" {
			of = "Application Insights resource"
		}
		f.Err = d.advised("does not let this identity send: give it the role Monitoring Metrics Publisher on the %s (%s)", of, about)
	case http.StatusPaymentRequired, otlpstatus.StatusDailyQuota:
		f.Err = d.advised("takes no more for now: its quota or daily cap is used up (%s)", about)
	case http.StatusNotFound:
		if d.key == "" {
			f.Err = d.advised("knows no such stream: check the endpoint, and that the data collection rule is of its region (%s)", about)
		} else {
			f.Err = d.advised("is no ingestion endpoint of Application Insights: check connection_string (%s)", about)
		}
	default:
		if message != "" && f.Outcome != delivery.Retry && resp.StatusCode/100 == 4 {
			f.Err = d.advised("refused a request (%s)", about)
		}
	}
}

// advised is an error that says already what to do.
func (d *destination) advised(format string, args ...any) error {
	err := fmt.Errorf(d.resolved.Address+" "+format, args...)
	return &otlpclient.Error{Message: err.Error(), Cause: err}
}

// public is what a server says, without the key that it may repeat.
func (d *destination) public(message string) string {
	if d.key == "" {
		return message
	}
	return regexp.MustCompile(`(?i)`+regexp.QuoteMeta(d.key)).ReplaceAllString(message, "***")
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
