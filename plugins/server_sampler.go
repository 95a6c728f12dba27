package plugins

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/plugins/internal/wire"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// startServer serves start samplers.
type startServer struct {
	pluginpb.UnimplementedStartSamplersServer
	server *server
}

func (s startServer) sampler(id string) (sampling.StartSampler, error) {
	in, err := s.server.instance(id)
	if err != nil {
		return nil, err
	}
	k, ok := in.sampler.(sampling.StartSampler)
	if !ok {
		return nil, status.Errorf(codes.NotFound, "instance %q is no start sampler", id)
	}
	return k, nil
}

// Ask answers questions in their order.
func (s startServer) Ask(ctx context.Context, r *pluginpb.AskRequest) (_ *pluginpb.AskResponse, err error) {
	defer recoverPanic(&err)
	k, err := s.sampler(r.GetInstance())
	if err != nil {
		return nil, err
	}
	resp := &pluginpb.AskResponse{Leases: make([]*pluginpb.Lease, len(r.GetQuestions()))}
	for i, q := range r.GetQuestions() {
		if err := ctx.Err(); err != nil {
			return nil, status.FromContextError(err).Err()
		}
		resp.Leases[i] = leaseOf(k, wire.DecodeKey(q.GetKey()), q.GetStarts())
	}
	return resp, nil
}

func leaseOf(k sampling.StartSampler, p sampling.StartParameters, starts uint64) *pluginpb.Lease {
	if l, ok := k.(Leaser); ok {
		a, ttl := l.Lease(p, starts)
		return &pluginpb.Lease{Answer: wire.EncodeAnswer(a), TtlMs: wire.EncodeTTL(ttl)}
	}
	return &pluginpb.Lease{Answer: wire.EncodeAnswer(k.SampleStart(p))}
}

// Changes tells what a [Changing] sampler says has changed.
func (s startServer) Changes(r *pluginpb.ChangesRequest, stream grpc.ServerStreamingServer[pluginpb.Change]) (err error) {
	defer recoverPanic(&err)
	k, err := s.sampler(r.GetInstance())
	if err != nil {
		return err
	}
	c, ok := k.(Changing)
	if !ok {
		return status.Error(codes.Unimplemented, "its answers never change")
	}
	ctx, cancel := context.WithCancel(stream.Context())
	changes := make(chan *pluginpb.Change)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer cancel()
		for {
			select {
			case <-ctx.Done():
				return
			case m := <-changes:
				if stream.Send(m) != nil {
					return
				}
			}
		}
	}()
	defer func() {
		cancel()
		<-done
	}()
	c.Changes(ctx, func(starts ...sampling.StartParameters) {
		m := &pluginpb.Change{All: len(starts) == 0}
		for _, p := range starts {
			m.Replacements = append(m.Replacements, &pluginpb.Replacement{Key: wire.EncodeKey(p), Lease: leaseOf(k, p, 0)})
		}
		select {
		case changes <- m:
		case <-ctx.Done():
		}
	})
	return nil
}

// segmentServer serves segment samplers.
type segmentServer struct {
	pluginpb.UnimplementedSegmentSamplersServer
	server *server
}

// Ask asks the sampler about the segments of one batch.
func (s segmentServer) Ask(ctx context.Context, r *pluginpb.AskSegmentsRequest) (_ *pluginpb.AskSegmentsResponse, err error) {
	defer recoverPanic(&err)
	in, err := s.server.instance(r.GetInstance())
	if err != nil {
		return nil, err
	}
	sampler, ok := in.sampler.(sampling.SegmentSampler)
	if !ok {
		return nil, status.Errorf(codes.NotFound, "instance %q is no segment sampler", r.GetInstance())
	}
	segments := make([]sampling.Segment, len(r.GetSegments()))
	for i, m := range r.GetSegments() {
		if segments[i], err = wire.DecodeSegment(m); err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
	}
	in.asking.Lock() // a segment sampler is called from one goroutine at a time
	defer in.asking.Unlock()
	answers := make([]sampling.Answer, len(segments))
	sampler.SampleSegments(ctx, segments, answers)
	resp := &pluginpb.AskSegmentsResponse{}
	for i, a := range answers {
		if !a.IsAbstain() {
			resp.Answers = append(resp.Answers, &pluginpb.SegmentAnswer{Segment: uint32(i), Answer: wire.EncodeAnswer(a)})
		}
	}
	return resp, nil
}
