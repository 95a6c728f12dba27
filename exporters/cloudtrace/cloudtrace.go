package cloudtrace

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/exporters/internal/otlpsend"
	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/internal/otlpstatus"
)

// TLS says whom to trust, and who one is.
type TLS = otlpclient.TLS

// Config is what users set. OTEL_EXPORTER_OTLP_* are about other backends.
type Config struct {
	_               struct{}             `doc:"sends to Google Cloud Trace, through the Telemetry API"`
	ProjectID       string               `yaml:"project_id" doc:"project that the spans belong to; default: the resource's gcp.project_id, GOOGLE_CLOUD_PROJECT, that of the credentials, or of the machine"`
	QuotaProject    string               `yaml:"quota_project" doc:"project whose quota is used; default GOOGLE_CLOUD_QUOTA_PROJECT, or what the credentials say"`
	CredentialsFile string               `yaml:"credentials_file" doc:"JSON file with credentials; default: GOOGLE_APPLICATION_CREDENTIALS, those of gcloud, or the metadata server"`
	Endpoint        string               `yaml:"endpoint" doc:"host:port to send to"`
	Compression     delivery.Compression `yaml:"compression" enum:"none,gzip" doc:"none or gzip"`
	Timeout         component.Duration   `yaml:"timeout" doc:"longest time for one attempt"`
	TLS             TLS                  `yaml:"tls" doc:"certificates"`
}

var defaults = Config{
	Endpoint:    "telemetry.googleapis.com:443",
	Compression: delivery.Gzip,
	Timeout:     component.Duration(10 * time.Second),
}

// Factory makes the exporter; it is registered as "cloudtrace".
var Factory = component.NewFactory("cloudtrace", defaults, New)

func init() { component.Exporters.MustAdd(Factory) }

// Validate checks everything short of connecting. It reads the files of the
// credentials and of TLS.
func (c *Config) Validate() error {
	_, _, err := c.resolve()
	return err
}

// projects are the IDs that Google gives; those with a colon are of a domain.
var projects = regexp.MustCompile(`^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$`)

func (c *Config) resolve() (*otlpclient.Resolved, *credentials, error) {
	var errs []error
	fail := func(path string, err error) {
		errs = append(errs, &component.FieldError{Path: path, Err: err})
	}
	for path, id := range map[string]string{"project_id": c.ProjectID, "quota_project": c.QuotaProject} {
		if id != "" && !projects.MatchString(id) {
			fail(path, fmt.Errorf("%q is not the ID of a project, such as my-project-123", id))
		}
	}
	if c.Compression == delivery.Zstd {
		fail("compression", errors.New(`"zstd" is not one of none, gzip`))
	}
	creds, err := c.credentials()
	if err != nil {
		errs = append(errs, err)
	}
	resolved, err := otlpclient.Config{
		Protocol:    otlpclient.GRPC,
		Endpoint:    c.Endpoint,
		Compression: c.Compression,
		Timeout:     c.Timeout,
		TLS:         c.TLS,
		NoEnv:       true,
	}.Resolve()
	if err == nil && resolved.Exposed() {
		err = &component.FieldError{Path: "endpoint", Err: errors.New("a token would be sent in plain text: write https://")}
	}
	return resolved, creds, errors.Join(append(errs, err)...)
}

// New builds the exporter. It connects, and asks for a token, when there is
// something to send.
func New(_ context.Context, _ component.Settings, c Config) (sdktrace.SpanExporter, error) {
	resolved, creds, err := c.resolve()
	if err != nil {
		return nil, err
	}
	creds.open()
	return &exporter{
		Exporter: otlpsend.New(resolved, otlpsend.Options{
			Backend: otlpstatus.CloudTrace,
			Dial:    []grpc.DialOption{grpc.WithUnaryInterceptor((&caller{creds, resolved.Address}).call)},
			Close:   creds.close,
		}),
		creds:    creds,
		explicit: c.ProjectID != "",
		resolved: resolved,
	}, nil
}

// exporter makes requests that Google takes.
type exporter struct {
	*otlpsend.Exporter
	creds    *credentials
	explicit bool // the project is, whatever a resource says
	resolved *otlpclient.Resolved
}

// ExportRequest makes one attempt.
func (e *exporter) ExportRequest(ctx context.Context, r delivery.Request) (delivery.Response, error) {
	if err := ctx.Err(); err != nil {
		return delivery.Response{}, err
	}
	raw, err := e.Traits().Compression.Decompress(r.Body)
	if err != nil {
		return delivery.Response{}, &delivery.ExportError{Outcome: delivery.Refused, Err: fmt.Errorf("unpacking a request: %w", err)}
	}
	fitted, err := fit(raw, e.explicit, func() (string, error) { return e.creds.project(ctx) })
	if err != nil {
		return delivery.Response{}, withOutcome(e.resolved.Address, delivery.Retry, err)
	}
	if fitted != nil {
		r.Body = e.Traits().Compression.Compress(fitted)
	}
	return e.Exporter.ExportRequest(ctx, r)
}

// ExportSpans makes one attempt with spans that are not encoded yet. What the
// backend rejects is an error.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if len(spans) == 0 {
		return ctx.Err()
	}
	body := e.Traits().Compression.Compress(otlp.AppendRequest(nil, spans))
	resp, err := e.ExportRequest(ctx, delivery.Request{Body: body, Spans: len(spans)})
	if err == nil && resp.Rejected > 0 {
		return e.resolved.Rejected(resp, len(spans))
	}
	return err
}

// Interface guards.
var _ delivery.RequestExporter = (*exporter)(nil)

// Connection says where it sends.
func (c *Config) Connection() component.Connection {
	resolved, _, err := c.resolve()
	if err != nil {
		return component.Connection{}
	}
	return resolved.Connection()
}

// Interface guard.
var _ component.Connected = (*Config)(nil)
