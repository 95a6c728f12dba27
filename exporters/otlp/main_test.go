package otlp_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // the receiver takes it
	"google.golang.org/grpc/mem"
)

// receiverVariable makes the test binary a receiver for benchmarks, so that
// what it costs is another process's.
const receiverVariable = "RIFFLE_TEST_RECEIVER"

func TestMain(m *testing.M) {
	if protocol := os.Getenv(receiverVariable); protocol != "" {
		if err := discard(protocol); !errors.Is(err, net.ErrClosed) {
			fmt.Fprintln(os.Stderr, err)
		}
		return
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // they wait for time and for sockets
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// discard receives spans and forgets them. It prints its address, and ends when
// its standard input does.
func discard(protocol string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = l.Close()
	}()
	if protocol == "grpc" {
		s := grpc.NewServer(grpc.ForceServerCodecV2(discardCodec{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			var none struct{}
			if err := stream.RecvMsg(&none); err != nil {
				return err
			}
			return stream.SendMsg(&none)
		}))
		return s.Serve(l)
	}
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // only the parent knows it
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
}

// discardCodec takes any message for nothing.
type discardCodec struct{}

func (discardCodec) Name() string                         { return "proto" }
func (discardCodec) Marshal(any) (mem.BufferSlice, error) { return nil, nil }
func (discardCodec) Unmarshal(mem.BufferSlice, any) error { return nil }
