package plugins

import (
	"context"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core/otlp"
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

// traceServer serves trace samplers.
type traceServer struct {
	pluginpb.UnimplementedTraceSamplersServer
	server *server
}

// Judge asks the sampler about the traces of one batch.
func (s traceServer) Judge(ctx context.Context, r *pluginpb.JudgeRequest) (_ *pluginpb.JudgeResponse, err error) {
	defer recoverPanic(&err)
	in, err := s.server.instance(r.GetInstance())
	if err != nil {
		return nil, err
	}
	sampler, ok := in.sampler.(sampling.SegmentSampler)
	if !ok {
		return nil, status.Errorf(codes.NotFound, "instance %q is no trace sampler", r.GetInstance())
	}
	traces := make([]sampling.Segment, 0, len(r.GetTraces()))
	for _, v := range r.GetTraces() {
		t, err := decodeTrace(v)
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		traces = append(traces, t)
	}
	in.judging.Lock() // a trace sampler is called from one goroutine at a time
	defer in.judging.Unlock()
	answers := make([]sampling.Answer, len(traces))
	sampler.SampleSegments(ctx, traces, answers)
	resp := &pluginpb.JudgeResponse{}
	for i, a := range answers {
		if !a.IsAbstain() {
			id := traces[i].TraceID
			resp.Answers = append(resp.Answers, &pluginpb.TraceAnswer{TraceId: id[:], Answer: wire.EncodeAnswer(a)})
		}
	}
	return resp, nil
}

// decodeTrace is what a sampler is told about a trace.
func decodeTrace(v *pluginpb.TraceView) (sampling.Segment, error) {
	t := sampling.Segment{Complete: v.GetComplete(), Threshold: sampling.Threshold(v.GetThreshold())}
	copy(t.TraceID[:], v.GetTraceId())
	var err error
	if len(v.GetOtlp()) > 0 {
		if t.Spans, err = otlp.Decode(v.GetOtlp()); err != nil {
			return t, err
		}
	}
	for _, s := range t.Spans {
		if p := s.Parent(); !p.IsValid() || p.IsRemote() {
			t.Root = s
			return t, nil
		}
	}
	if v.GetRoot() != nil {
		t.Root = decodeRoot(t.TraceID, v.GetRoot())
	}
	return t, nil
}

func decodeRoot(id trace.TraceID, v *pluginpb.RootView) sdktrace.ReadOnlySpan {
	start := time.Unix(0, 0)
	return tracetest.SpanStub{
		Name:        v.GetName(),
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: id}),
		SpanKind:    otlp.ToSpanKind(v.GetKind()),
		StartTime:   start,
		EndTime:     start.Add(time.Duration(v.GetDurationNs())),
		Attributes:  otlp.Attributes(v.GetAttributes()),
		Status:      otlp.ToStatus(v.GetStatus()),
	}.Snapshot()
}
