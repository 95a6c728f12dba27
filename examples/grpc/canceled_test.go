package main

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	errorsampler "github.com/riffletrace/riffle/samplers/error"
	"github.com/riffletrace/riffle/samplers/ratio"
)

// service checks health as a test says.
type service struct {
	grpc_health_v1.UnimplementedHealthServer
	check func(context.Context) error
}

func (s service) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return nil, s.check(ctx)
}

// A call that its client cancels is no error where the sampler is told so. The server
// cancels the context of a call as well when it is over: one that fails otherwise is.
func TestCanceledIsNoError(t *testing.T) {
	for _, tt := range []struct {
		name   string
		check  func(ctx context.Context, leave func()) error
		failed bool
	}{
		{"the context's error", func(ctx context.Context, leave func()) error {
			leave()
			<-ctx.Done()
			return ctx.Err()
		}, false},
		{"a text of it", func(ctx context.Context, leave func()) error {
			leave()
			<-ctx.Done()
			return status.Errorf(codes.Internal, "query: %v", ctx.Err())
		}, false},
		{"another error", func(context.Context, func()) error { return status.Error(codes.Internal, "disk full") }, true},
		{"a deadline", func(ctx context.Context, _ func()) error {
			ctx, cancel := context.WithTimeout(ctx, time.Nanosecond)
			defer cancel()
			<-ctx.Done()
			return ctx.Err()
		}, true},
	} {
		for _, traced := range []string{"server", "client"} {
			for _, ignore := range []bool{true, false} {
				t.Run(traced+"/"+tt.name, func(t *testing.T) {
					got := call(t, traced, ignore, tt.check)
					// The server's instrumentation takes a canceled call for no error anyway.
					want := tt.failed || !ignore && (traced == "client" || tt.name != "the context's error")
					if (got > 0) != want {
						t.Errorf("ignore_canceled %v: %d spans are kept, want some: %v", ignore, got, want)
					}
				})
			}
		}
	}
}

// call makes a call and returns how many spans of it are kept.
func call(t *testing.T, traced string, ignore bool, check func(context.Context, func()) error) int {
	t.Helper()
	out := tracetest.NewInMemoryExporter()
	memory := component.NewFactory("memory", struct{}{}, func(context.Context, component.Settings, struct{}) (sdktrace.SpanExporter, error) {
		return out, nil
	})
	p, err := core.New(t.Context(), core.Spec{
		Enabled: true,
		Samplers: []core.SamplerEntry{
			core.UseSampler(errorsampler.Factory, "", errorsampler.Config{IgnoreCanceled: ignore}),
			core.UseSampler(ratio.Factory, "", ratio.Config{}),
		},
		Exporters: []core.ExporterEntry{core.UseExporter(memory, "", struct{}{})},
	})
	if err != nil {
		t.Fatal(err)
	}
	serverOptions, clientOptions := []grpc.ServerOption{}, []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	switch provider := otelgrpc.WithTracerProvider(p.TracerProvider()); traced {
	case "server":
		serverOptions = append(serverOptions, grpc.StatsHandler(otelgrpc.NewServerHandler(provider)))
	case "client":
		clientOptions = append(clientOptions, grpc.WithStatsHandler(otelgrpc.NewClientHandler(provider)))
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	server := grpc.NewServer(serverOptions...)
	grpc_health_v1.RegisterHealthServer(server, service{check: func(ctx context.Context) error { return check(ctx, leave) }})
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), clientOptions...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err == nil {
		t.Error("the call did not fail")
	}
	server.GracefulStop()
	if err := errors.Join(conn.Close(), <-served, p.ForceFlush(context.Background())); err != nil {
		t.Error(err)
	}
	kept := len(out.GetSpans())
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	return kept
}
