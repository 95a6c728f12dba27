package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/riffletrace/riffle/internal/otlpstatus"
)

// MaxResponse is the size of responses of gRPC that are read: a number that no server
// is likely to have as its own limit, of which it speaks in the same words.
const MaxResponse = otlpstatus.MaxResponse + 7

// IsLargeResponse recognizes the error that gRPC makes of a response above
// [MaxResponse], which accepts the request all the same.
func IsLargeResponse(err error) bool {
	s := status.Convert(err)
	return s.Code() == codes.ResourceExhausted &&
		(strings.HasSuffix(s.Message(), fmt.Sprintf("vs. %d)", MaxResponse)) || strings.HasSuffix(s.Message(), fmt.Sprintf("than max %d", MaxResponse)))
}

// GRPC returns what a client of one backend is made with. A status that the server
// sent comes as an [otlpstatus.GRPCError].
func GRPC() []grpc.DialOption {
	c := &calls{}
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxResponse)),
		grpc.WithStatsHandler(c),
		grpc.WithChainUnaryInterceptor(c.call),
	}
}

// calls are those of a client.
type calls struct {
	worked atomic.Pointer[string] // the connection of the last call that was answered
}

// attempt is what becomes of a call on its way.
type attempt struct {
	conn     atomic.Pointer[string] // that it went to; nil: to none
	began    atomic.Bool            // an answer did
	answered atomic.Bool            // it ended as it should
}

type attemptKey struct{}

// call is a [grpc.UnaryClientInterceptor].
func (c *calls) call(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	for first := true; ; first = false {
		a := &attempt{}
		err := invoke(context.WithValue(ctx, attemptKey{}, a), method, req, reply, cc, opts...)
		switch {
		case err == nil || IsLargeResponse(err):
			c.worked.Store(a.conn.Load())
			return err
		case a.answered.Load():
			c.worked.Store(a.conn.Load())
			var of interface{ GRPCStatus() *status.Status }
			if errors.As(err, &of) {
				return &otlpstatus.GRPCError{Status: clip(of.GRPCStatus())}
			}
			return err
		case first && ctx.Err() == nil && c.isBroken(a, err):
			// gRPC connects again by itself.
		default:
			return err
		}
	}
}

// clip keeps of a status as much as of a response: gRPC takes up to 16 MiB of it, and an
// error is held until the next one.
func clip(s *status.Status) *status.Status {
	p := s.Proto()
	if proto.Size(p) <= MaxResponse {
		return s
	}
	p.Message = strings.ToValidUTF8(p.GetMessage()[:min(len(p.GetMessage()), MaxResponse)], "")
	room := MaxResponse
	p.Details = slices.DeleteFunc(p.GetDetails(), func(d *anypb.Any) bool {
		room -= proto.Size(d)
		return room < 0
	})
	return status.FromProto(p)
}

// isBroken reports whether a connection broke that had worked before.
func (c *calls) isBroken(a *attempt, err error) bool {
	conn, worked := a.conn.Load(), c.worked.Load()
	if conn == nil || worked == nil || *conn != *worked || a.began.Load() {
		return false
	}
	if _, ok := otlpstatus.NotGRPC(err); ok {
		return false
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.Canceled, codes.Internal, codes.Unknown: // of EOF, GOAWAY and the kinds of RST_STREAM
		return true
	default:
		return false
	}
}

// HandleRPC notes what becomes of an attempt.
func (*calls) HandleRPC(ctx context.Context, s stats.RPCStats) {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	if !ok {
		return
	}
	switch s := s.(type) {
	case *stats.OutHeader:
		conn := s.LocalAddr.String() + " " + s.RemoteAddr.String()
		a.conn.Store(&conn)
	case *stats.InHeader:
		a.began.Store(true)
	case *stats.InTrailer: // of gRPC's alone
		a.answered.Store(true)
	}
}

// TagRPC and the others are there for [stats.Handler].
func (*calls) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// TagConn does nothing.
func (*calls) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn does nothing.
func (*calls) HandleConn(context.Context, stats.ConnStats) {}
