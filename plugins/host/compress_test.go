package host

import (
	"bytes"
	"context"
	"testing"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/plugins"
	"github.com/riffletrace/riffle/plugins/internal/wire"
)

// received keeps the last body, and what it took on the wire.
type received struct {
	body       []byte
	compressed int
}

func (r *received) ExportRequest(_ context.Context, body wire.RawMessage) (*coltracepb.ExportTraceServiceResponse, error) {
	r.body = body
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

func (*received) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*received) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*received) HandleConn(context.Context, stats.ConnStats)                       {}
func (r *received) HandleRPC(_ context.Context, s stats.RPCStats) {
	if p, ok := s.(*stats.InPayload); ok {
		r.compressed = p.CompressedLength
	}
}

// A message goes compressed if the call says so, and arrives as it was.
func TestCompressedCalls(t *testing.T) {
	body := bytes.Repeat([]byte("spans "), 10_000)
	zipped := delivery.Snappy.Compress(body)
	for name, c := range map[string]struct {
		sent    []byte
		options []grpc.CallOption
		server  []grpc.ServerOption
		code    codes.Code
	}{
		"compressed":                 {zipped, []grpc.CallOption{wire.CompressedCall}, wire.ServerOptions(), codes.OK},
		"as it is":                   {body, nil, wire.ServerOptions(), codes.OK},
		"to one that cannot read it": {zipped, []grpc.CallOption{wire.CompressedCall}, []grpc.ServerOption{grpc.ForceServerCodecV2(wire.Codec{})}, codes.Unimplemented},
		"what is not compressed":     {body, []grpc.CallOption{wire.CompressedCall}, wire.ServerOptions(), codes.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			got := &received{}
			g := grpc.NewServer(append(c.server, grpc.StatsHandler(got))...)
			g.RegisterService(&wire.TraceService, got)
			lis := wire.NewPipe()
			go g.Serve(lis) //nolint:errcheck // it ends with the test
			conn, err := grpc.NewClient("passthrough:///test", append(wire.DialOptions(),
				grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(lis.Dial))...)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Stop()
			defer conn.Close()
			message, answer := wire.RawMessage(c.sent), wire.RawMessage(nil)
			if err := conn.Invoke(t.Context(), wire.ExportMethod, &message, &answer, c.options...); status.Code(err) != c.code {
				t.Fatalf("got %v, want %v", err, c.code)
			}
			if c.code != codes.OK {
				return
			}
			if !bytes.Equal(got.body, body) {
				t.Errorf("%d bytes arrived, want %d", len(got.body), len(body))
			}
			if got.compressed != len(c.sent) {
				t.Errorf("%d bytes on the wire, want %d", got.compressed, len(c.sent))
			}
		})
	}
}

// Batches for plugins in Go are compressed.
func TestCompression(t *testing.T) {
	p := serveHere(t, plugins.Exporter(countFactory))
	e, err := p.Exporter(t.Context(), component.Settings{ID: "x"}, "count", "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Shutdown(context.Background())
	if got := e.(delivery.RequestExporter).Traits().Compression; got != delivery.Snappy {
		t.Errorf("got %q, want snappy", got)
	}
}
