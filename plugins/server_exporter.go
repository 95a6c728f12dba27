package plugins

import (
	"context"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/internal/otlpstatus"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// traceServiceName is OTLP's service, exportMethod its only method.
const (
	traceServiceName = "opentelemetry.proto.collector.trace.v1.TraceService"
	exportMethod     = "/" + traceServiceName + "/Export"
)

// traceService is OTLP's, with requests that stay bytes.
var traceService = grpc.ServiceDesc{
	ServiceName: traceServiceName,
	HandlerType: (*exportHandler)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Export",
		Handler: func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			var raw rawMessage
			if err := decode(&raw); err != nil {
				return nil, err
			}
			if intercept == nil {
				return srv.(exportHandler).export(ctx, raw)
			}
			return intercept(ctx, raw, &grpc.UnaryServerInfo{Server: srv, FullMethod: exportMethod},
				func(ctx context.Context, r any) (any, error) { return srv.(exportHandler).export(ctx, r.(rawMessage)) })
		},
	}},
}

type exportHandler interface {
	export(ctx context.Context, body rawMessage) (*coltracepb.ExportTraceServiceResponse, error)
}

// exporterServer serves exporters.
type exporterServer struct {
	pluginpb.UnimplementedExportersServer
	server *server
}

// export hands a request to the instance that the metadata names.
func (s exporterServer) export(ctx context.Context, body rawMessage) (_ *coltracepb.ExportTraceServiceResponse, err error) {
	defer rescue(&err)
	var id string
	if md, _ := metadata.FromIncomingContext(ctx); len(md[InstanceKey]) > 0 {
		id = md[InstanceKey][0]
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
	answer := &coltracepb.ExportTraceServiceResponse{}
	if resp.Rejected > 0 || resp.Message != "" {
		answer.PartialSuccess = &coltracepb.ExportTracePartialSuccess{RejectedSpans: resp.Rejected, ErrorMessage: validText(resp.Message)}
	}
	return answer, nil
}

// export sends bytes to an exporter that takes them, and spans to others.
func (in *instance) export(ctx context.Context, body []byte) (delivery.Response, error) {
	if e, ok := in.exporter.(delivery.RequestExporter); ok {
		n, err := otlp.CountSpans(body)
		if err != nil {
			return delivery.Response{}, err
		}
		if c := e.Compression(); c != delivery.None {
			body = c.Compress(body)
		}
		return e.ExportRequest(ctx, delivery.Request{Body: body, Spans: n})
	}
	spans, err := otlp.Decode(body)
	if err != nil {
		return delivery.Response{}, err
	}
	return delivery.Response{}, in.exporter.ExportSpans(ctx, spans)
}

// Flush delivers what an exporter still holds, if it holds anything.
func (s exporterServer) Flush(ctx context.Context, r *pluginpb.FlushRequest) (_ *pluginpb.FlushResponse, err error) {
	defer rescue(&err)
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
