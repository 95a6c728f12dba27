package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/internal/otlpstatus"
	"github.com/riffletrace/riffle/internal/untrusted"
	"github.com/riffletrace/riffle/plugins/internal/wire"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// exporterClient is an exporter that a plugin serves.
type exporterClient struct {
	*instanceClient
	timeout time.Duration
}

func newExporterClient(ctx context.Context, p *Plugin, s component.Settings, c ExporterConfig) (*exporterClient, error) {
	in, err := newInstance(ctx, p, s, pluginpb.Kind_KIND_EXPORTER, c.Config)
	if err != nil {
		return nil, err
	}
	in.measure(nil)
	return &exporterClient{instanceClient: in, timeout: time.Duration(c.Timeout)}, nil
}

var errShutDown = errors.New("the exporter is shut down")

// ExportRequest makes one attempt. A plugin that is down is worth another, and
// the batch is not to blame for it.
func (e *exporterClient) ExportRequest(ctx context.Context, r delivery.Request) (delivery.Response, error) {
	if e.closed.Load() {
		return delivery.Response{}, errShutDown
	}
	if err := ctx.Err(); err != nil {
		return delivery.Response{}, err
	}
	b := e.ready()
	if b == nil {
		e.plugin.want()
		return delivery.Response{}, &delivery.ExportError{Outcome: delivery.Retry, Throttled: true, Err: e.plugin.down()}
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	began := time.Now()
	var resp wire.RawMessage
	body := wire.RawMessage(r.Body)
	var options []grpc.CallOption
	if e.compression() != delivery.None {
		options = append(options, wire.CompressedCall)
	}
	err := b.conn.Invoke(metadata.AppendToOutgoingContext(ctx, wire.InstanceKey, b.id), wire.ExportMethod, &body, &resp, options...)
	e.called(ctx, "export", began, err)
	if err != nil {
		f := otlpstatus.Error(err)
		if ctx.Err() != nil {
			f.Outcome = delivery.Retry
		}
		f.Err = fmt.Errorf("plugin %q: %w", e.plugin.name, wire.Plain(err))
		return delivery.Response{}, f
	}
	var m coltracepb.ExportTraceServiceResponse
	if err := proto.Unmarshal(resp, &m); err != nil {
		return delivery.Response{}, nil // it accepted, whatever it says
	}
	partial := m.GetPartialSuccess()
	return delivery.Response{Rejected: partial.GetRejectedSpans(), Message: untrusted.Text(partial.GetErrorMessage(), untrusted.Line)}, nil
}

// ExportSpans makes one attempt with spans that are not encoded yet.
func (e *exporterClient) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := ctx.Err(); err != nil || len(spans) == 0 {
		return err
	}
	body := e.compression().Compress(otlp.AppendRequest(nil, spans))
	resp, err := e.ExportRequest(ctx, delivery.Request{Body: body, Spans: len(spans)})
	if err == nil && resp.Rejected > 0 {
		err = fmt.Errorf("plugin %q rejected %d of %d spans: %s", e.plugin.name, resp.Rejected, len(spans), resp.Message)
	}
	return err
}

// compression is what the plugin takes.
func (e *exporterClient) compression() delivery.Compression {
	if e.about.GetExporter().GetTakesSnappy() {
		return delivery.Snappy
	}
	return delivery.None
}

// Traits tell where the plugin says that it sends to, and what it takes.
func (e *exporterClient) Traits() delivery.Traits {
	return delivery.Traits{Endpoint: untrusted.Text(e.about.GetExporter().GetEndpoint(), untrusted.Line), Compression: e.compression()}
}

// Shutdown has the plugin deliver what it holds, and releases it.
func (e *exporterClient) Shutdown(ctx context.Context) error {
	if e.closed.Load() {
		return nil
	}
	var err error
	if b := e.ready(); b != nil && ctx.Err() == nil {
		if _, failed := pluginpb.NewExportersClient(b.conn).Flush(ctx, &pluginpb.FlushRequest{Instance: b.id}); failed != nil {
			err = fmt.Errorf("flushing plugin %q: %w", e.plugin.name, wire.Plain(failed))
		}
	}
	return errors.Join(err, e.close(ctx))
}

// Interface guards.
var _ delivery.RequestExporter = (*exporterClient)(nil)
