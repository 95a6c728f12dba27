package otlpsend

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip" // a backend may respond so
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/network"
	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/internal/otlpstatus"
)

const exportMethod = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

type grpcTransport struct {
	resolved *otlpclient.Resolved
	backend  otlpstatus.Backend
	headers  metadata.MD
	options  []grpc.DialOption

	mu   sync.Mutex
	conn *grpcConn // nil: the next attempt connects
}

// grpcConn is a connection with the number of attempts that use it. One that is
// retired is closed when there are none.
type grpcConn struct {
	*grpc.ClientConn
	users   int
	retired bool
}

func newGRPCTransport(r *otlpclient.Resolved, o Options) *grpcTransport {
	creds := insecure.NewCredentials()
	if r.TLS != nil {
		creds = credentials.NewTLS(r.TLS)
	}
	t := &grpcTransport{
		resolved: r,
		backend:  o.Backend,
		headers:  metadata.New(r.Headers),
		options: []grpc.DialOption{
			grpc.WithTransportCredentials(creds),
			grpc.WithUserAgent(userAgent()),
			grpc.WithDisableServiceConfig(),
			grpc.WithDisableRetry(), // the line does it
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: r.ConnectTimeout()}),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{})),
		},
	}
	t.options = append(append(t.options, o.Dial...), network.GRPC()...)
	if r.Compression != delivery.None {
		// What is deprecated is the only way to send what is compressed already:
		// the new one compresses, by an algorithm that all of the process shares.
		t.options = append(t.options,
			grpc.WithCompressor(compressed{r.Compression})) //nolint:staticcheck // see above
	}
	if r.Compression == delivery.Zstd {
		t.options = append(t.options, grpc.WithDecompressor(unzstd{})) //nolint:staticcheck // likewise
	}
	return t
}

func (t *grpcTransport) send(ctx context.Context, body []byte) (delivery.Response, error) {
	conn, err := t.acquire()
	if err != nil {
		return delivery.Response{}, err
	}
	var resp []byte
	err = conn.Invoke(metadata.NewOutgoingContext(ctx, t.headers), exportMethod, body, &resp)
	t.release(conn, err)
	switch {
	case err == nil:
		accepted := otlpstatus.AcceptedGRPC(resp)
		accepted.Message = t.resolved.Mask(accepted.Message)
		return accepted, nil
	case network.IsLargeResponse(err): // which accepts
		return delivery.Response{Message: otlpstatus.Unread}, nil
	case ctx.Err() != nil && status.Code(err) != codes.DeadlineExceeded:
		err = errors.Join(err, ctx.Err())
		return delivery.Response{}, &delivery.ExportError{Outcome: delivery.Retry, Err: err}
	default:
		return delivery.Response{}, t.backend.Error(err)
	}
}

// acquire returns a connection that may work. gRPC fails calls on one that is
// broken until it has found the time to repair it; a new one tries at once, so
// that each attempt of a line is one.
func (t *grpcTransport) acquire() (*grpcConn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		conn, err := grpc.NewClient(t.resolved.Target(), t.options...)
		if err != nil {
			return nil, err
		}
		t.conn = &grpcConn{ClientConn: conn}
	}
	t.conn.users++
	return t.conn, nil
}

func (t *grpcTransport) release(conn *grpcConn, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	conn.users--
	// What does not answer may never again, on this connection. gRPC tells a call of
	// a failure before it changes the state, which may still be Connecting.
	hangs := status.Code(err) == codes.DeadlineExceeded
	if err != nil && (hangs || conn.GetState() != connectivity.Ready) {
		conn.retired = true
		if t.conn == conn {
			t.conn = nil
		}
	}
	if conn.retired && conn.users == 0 {
		_ = conn.Close() // there is nothing to do about it
	}
}

func (t *grpcTransport) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return nil
	}
	conn := t.conn
	t.conn = nil
	return conn.Close()
}

// rawCodec sends and receives messages as bytes.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// compressed tells gRPC that messages are compressed.
type compressed struct{ by delivery.Compression }

func (c compressed) Type() string { return string(c.by) }

func (compressed) Do(w io.Writer, p []byte) error {
	_, err := w.Write(p)
	return err
}

// unzstd reads responses that are compressed as the requests were. gRPC knows
// gzip itself.
type unzstd struct{}

func (unzstd) Type() string { return string(delivery.Zstd) }

func (unzstd) Do(r io.Reader) ([]byte, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(1<<20))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return io.ReadAll(io.LimitReader(d, network.MaxResponse+1))
}
