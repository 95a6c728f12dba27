package routers

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"

	"connectrpc.com/connect"
	"connectrpc.com/otelconnect"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/riffletrace/riffle/core/observability"
)

// service is one whose methods take nothing and return nothing, or fail.
func service(name string, methods map[string]error) *grpc.ServiceDesc {
	desc := &grpc.ServiceDesc{ServiceName: name, HandlerType: (*any)(nil)}
	for method, err := range methods {
		desc.Methods = append(desc.Methods, grpc.MethodDesc{
			MethodName: method,
			Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				return new(emptypb.Empty), errors.Join(decode(new(emptypb.Empty)), err)
			},
		})
	}
	return desc
}

func TestGRPC(t *testing.T) {
	for _, tt := range []struct {
		rate string
		want map[string]string
	}{
		{"0", map[string]string{"shop.v1.Checkout/Pay": pay, "shop.v1.Cart/Fail": byError}},
		{"1", map[string]string{"shop.v1.Checkout/Pay": pay, "shop.v1.Cart/Fail": byRatio, "shop.v1.Cart/Add": byRatio}},
	} {
		t.Run(tt.rate, func(t *testing.T) {
			p := startWith(t, page(t, 0), tt.rate)
			server := grpc.NewServer(grpc.StatsHandler(otelgrpc.NewServerHandler()))
			healthpb.RegisterHealthServer(server, health.NewServer())
			server.RegisterService(service("shop.v1.Checkout", map[string]error{"Pay": nil}), struct{}{})
			server.RegisterService(service("shop.v1.Cart", map[string]error{"Add": nil, "Fail": status.Error(codes.Internal, "no")}), struct{}{})
			listener := bufconn.Listen(1 << 16)
			served := make(chan error, 1)
			go func() { served <- server.Serve(listener) }()
			conn, err := grpc.NewClient("passthrough:///shop", grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), new(healthpb.HealthCheckRequest)); err != nil {
				t.Error(err)
			}
			for method, want := range map[string]codes.Code{"/shop.v1.Checkout/Pay": codes.OK, "/shop.v1.Cart/Add": codes.OK, "/shop.v1.Cart/Fail": codes.Internal} {
				if err := conn.Invoke(t.Context(), method, new(emptypb.Empty), new(emptypb.Empty)); status.Code(err) != want {
					t.Errorf("%s: %v", method, err)
				}
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
			server.GracefulStop() // a span ends after its client has the answer
			if err := <-served; err != nil {
				t.Error(err)
			}
			got := map[string]string{}
			for _, root := range p.kept() {
				got[root.Name] = by(root)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func newConnect(t *testing.T) *http.ServeMux {
	t.Helper()
	interceptor, err := otelconnect.NewInterceptor()
	if err != nil {
		t.Fatal(err)
	}
	m := http.NewServeMux()
	for procedure, failure := range map[string]error{
		healthpb.Health_Check_FullMethodName: errors.New("no"), "/shop.v1.Checkout/Pay": nil, "/shop.v1.Cart/Add": nil, "/shop.v1.Cart/Fail": errors.New("no"),
	} {
		m.Handle(procedure, connect.NewUnaryHandler(procedure, func(context.Context, *connect.Request[emptypb.Empty]) (*connect.Response[emptypb.Empty], error) {
			return connect.NewResponse(new(emptypb.Empty)), failure
		}, connect.WithInterceptors(interceptor)))
	}
	return m
}

func TestConnect(t *testing.T) {
	p := start(t)
	calls := []request{
		{"POST", "/grpc.health.v1.Health/Check", 500, nothing},
		{"POST", "/shop.v1.Checkout/Pay", 200, pay},
		{"POST", "/shop.v1.Cart/Add", 200, nothing},
		{"POST", "/shop.v1.Cart/Fail", 500, byError},
	}
	p.serve(newConnect(t), calls...)
	p.serve(observability.Middleware(newConnect(t)), calls...)
}
