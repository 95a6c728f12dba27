// Grpc traces a gRPC service and its client with otelgrpc: it starts one, asks
// it something, and stops. Run it in the directory above:
//
//	GOWORK=off go run ./grpc
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/riffletrace/riffle"
	"github.com/riffletrace/riffle/core/observability"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	tracing, err := riffle.Start(ctx, "fluxbase.yaml", riffle.App("fluxbase"))
	if err != nil {
		return err
	}
	defer func() {
		if err := tracing.Shutdown(ctx); err != nil { // what did not arrive is no failure of the service
			log.Print(err)
		}
	}()

	// A service: the stats handler makes a span of each call.
	server := grpc.NewServer(grpc.StatsHandler(otelgrpc.NewServerHandler()))
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	err = ask(ctx, listener.Addr().String())
	server.GracefulStop()
	return errors.Join(err, <-served)
}

// ask calls the service; the client's stats handler hands it the trace.
func ask(ctx context.Context, address string) (err error) {
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()

	ctx, span := observability.StartSpan(ctx, "ask for health")
	defer span.End()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	observability.RecordError(ctx, err)
	if err == nil {
		fmt.Println(answer.GetStatus())
	}
	return err
}
