package plugins

import (
	"cmp"
	"context"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/delivery/valid"
	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/internal/otlpstatus"
	"github.com/riffletrace/riffle/plugins/internal/wire"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// exporterServer serves exporters.
type exporterServer struct {
	pluginpb.UnimplementedExportersServer
	server *server
}

// ExportRequest hands a request to the instance that the metadata names.
func (s exporterServer) ExportRequest(ctx context.Context, body wire.RawMessage) (_ *coltracepb.ExportTraceServiceResponse, err error) {
	defer recoverPanic(&err)
	var id string
	if md, _ := metadata.FromIncomingContext(ctx); len(md[wire.InstanceKey]) > 0 {
		id = md[wire.InstanceKey][0]
	}
	in, err := s.server.instance(id)
	if err != nil {
		return nil, err
	}
	if in.exporter == nil {
		return nil, status.Errorf(codes.NotFound, "instance %q is no exporter", id)
	}
	resp, err := in.export(ctx, body)
	if err != nil {
		return nil, otlpstatus.Of(err)
	}
	response := &coltracepb.ExportTraceServiceResponse{}
	if resp.Rejected > 0 || resp.Message != "" {
		response.PartialSuccess = &coltracepb.ExportTracePartialSuccess{RejectedSpans: resp.Rejected, ErrorMessage: wire.ValidText(resp.Message)}
	}
	return response, nil
}

// export sends bytes to an exporter that takes them, and spans to others.
func (in *instance) export(ctx context.Context, body []byte) (delivery.Response, error) {
	if e, ok := in.exporter.(delivery.RequestExporter); ok {
		n, err := otlp.CountSpans(body)
		if err != nil {
			return delivery.Response{}, err
		}
		if c := cmp.Or(e.Traits().Compression, delivery.None); c != delivery.None {
			body = c.Compress(body)
		}
		return e.ExportRequest(ctx, delivery.Request{Body: body, Spans: n})
	}
	spans, err := otlp.Decode(body)
	if err != nil {
		return delivery.Response{}, err
	}
	return delivery.Response{}, in.exporter.ExportSpans(ctx, valid.Spans(spans))
}

// Flush delivers what an exporter still holds, if it holds anything.
func (s exporterServer) Flush(ctx context.Context, r *pluginpb.FlushRequest) (_ *pluginpb.FlushResponse, err error) {
	defer recoverPanic(&err)
	in, err := s.server.instance(r.GetInstance())
	if err != nil {
		return nil, err
	}
	if e, ok := in.exporter.(interface{ ForceFlush(context.Context) error }); ok {
		if err := e.ForceFlush(ctx); err != nil {
			return nil, otlpstatus.Of(err)
		}
	}
	return &pluginpb.FlushResponse{}, nil
}
