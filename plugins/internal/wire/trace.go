package wire

import (
	"context"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
)

// TraceServiceName is OTLP's service, ExportMethod its only method.
const (
	TraceServiceName = "opentelemetry.proto.collector.trace.v1.TraceService"
	ExportMethod     = "/" + TraceServiceName + "/Export"
)

// TraceService is OTLP's, with requests that stay bytes.
var TraceService = grpc.ServiceDesc{
	ServiceName: TraceServiceName,
	HandlerType: (*ExportHandler)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Export",
		Handler: func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			var raw RawMessage
			if err := decode(&raw); err != nil {
				return nil, err
			}
			if intercept == nil {
				return srv.(ExportHandler).ExportRequest(ctx, raw)
			}
			return intercept(ctx, raw, &grpc.UnaryServerInfo{Server: srv, FullMethod: ExportMethod},
				func(ctx context.Context, r any) (any, error) {
					return srv.(ExportHandler).ExportRequest(ctx, r.(RawMessage))
				})
		},
	}},
}

// ExportHandler takes the requests of [TraceService].
type ExportHandler interface {
	ExportRequest(ctx context.Context, body RawMessage) (*coltracepb.ExportTraceServiceResponse, error)
}
