package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/bound"
	"github.com/riffletrace/riffle/internal/untrusted"
	"github.com/riffletrace/riffle/plugins/internal/lease"
	"github.com/riffletrace/riffle/plugins/internal/wire"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// samplerClient is a sampler that a plugin serves. Which kind it is, its types
// say: [startClient], [segmentClient] and [bothClient].
type samplerClient struct {
	*instanceClient
	description string
	stop        context.CancelFunc
	done        sync.WaitGroup
}

// served is what all three have.
type served interface {
	sampling.Sampler
	component.Shutdowner
	instance() *instanceClient
}

func newSamplerClient(ctx context.Context, p *Plugin, s component.Settings, c SamplerConfig) (served, error) {
	in, err := newInstance(ctx, p, s, pluginpb.Kind_KIND_SAMPLER, c.Config)
	if err != nil {
		return nil, err
	}
	about := in.about.GetSampler()
	base := &samplerClient{instanceClient: in, description: fmt.Sprintf("plugin %s: %s", p.name, untrusted.Text(cmpText(about.GetDescription(), in.request.GetComponent()), untrusted.Line))}
	var life context.Context
	life, base.stop = context.WithCancel(context.Background())
	if about.GetStart() == nil && about.GetSegments() == nil {
		base.stop()
		err := fmt.Errorf("sampler %q of plugin %q says neither that it decides at starts nor about segments", in.request.GetComponent(), p.name)
		return nil, errors.Join(err, in.close(ctx))
	}
	if about.GetStart() == nil {
		in.measure(nil)
		return &segmentClient{samplerClient: base, wants: about.GetSegments()}, nil
	}
	table := lease.New(keySpecOf(about.GetStart()), c.MaxLeases)
	in.measure(table)
	start := &startClient{samplerClient: base, about: about.GetStart(), table: table}
	start.done.Go(func() { table.Run(life, start.wait, start.ask, start.failed) })
	start.done.Go(func() { start.follow(life) })
	if about.GetSegments() == nil {
		return start, nil
	}
	return &bothClient{startClient: start, segments: segmentClient{samplerClient: base, wants: about.GetSegments()}}, nil
}

func keySpecOf(s *pluginpb.StartSampling) lease.KeySpec {
	out := lease.KeySpec{IgnoresName: s.GetIgnoresName(), IgnoresKind: s.GetIgnoresKind()}
	for _, k := range s.GetKeys() {
		out.Keys = append(out.Keys, attribute.Key(k))
	}
	return out
}

func (s *samplerClient) instance() *instanceClient { return s.instanceClient }

// Traits are what the plugin said, with its name before the description.
func (s *samplerClient) Traits() sampling.Traits {
	t := wire.DecodeTraits(s.about.GetSampler())
	t.Description = s.description
	return t
}

// Shutdown ends what asks the plugin and releases it. What a plugin does wrong
// at its end is no error of the application.
func (s *samplerClient) Shutdown(ctx context.Context) error {
	s.stop()
	s.done.Wait()
	if err := s.close(ctx); err != nil {
		s.settings.Logger.Warn("closing a sampler of a plugin", "error", err)
	}
	return nil
}

// startClient decides starts with leases.
type startClient struct {
	*samplerClient
	about *pluginpb.StartSampling
	table *lease.Table
}

// SampleStart answers with what is leased, and abstains otherwise.
func (s *startClient) SampleStart(p sampling.StartParameters) sampling.Answer {
	if s.closed.Load() {
		return sampling.Answer{}
	}
	return s.table.Decide(&p)
}

// Prepare has the plugin asked about such a start, and waits for its answer.
func (s *startClient) Prepare(ctx context.Context, p sampling.StartParameters) error {
	switch {
	case s.closed.Load():
		return fmt.Errorf("sampler %q of plugin %q is shut down", s.request.GetComponent(), s.plugin.name)
	case s.await(ctx, nil) == nil:
		return s.plugin.down()
	}
	return s.table.Prepare(ctx, &p, s.ask)
}

// wait waits for a process to ask.
func (s *startClient) wait(ctx context.Context) { s.await(ctx, nil) }

// ask asks the plugin about a batch of keys.
func (s *startClient) ask(ctx context.Context, questions []lease.Question) ([]lease.Lease, error) {
	b := s.ready()
	if b == nil {
		return nil, s.plugin.down()
	}
	r := &pluginpb.AskRequest{Instance: b.id, Questions: make([]*pluginpb.Question, len(questions))}
	for i, q := range questions {
		r.Questions[i] = &pluginpb.Question{Key: wire.EncodeKey(q.Key), Starts: q.Starts}
	}
	began := time.Now()
	resp, err := pluginpb.NewStartSamplersClient(b.conn).Ask(ctx, r)
	s.called(ctx, "ask", began, err)
	if err != nil {
		return nil, wire.Plain(err)
	}
	leases := make([]lease.Lease, len(resp.GetLeases()))
	for i, l := range resp.GetLeases() {
		leases[i] = *s.decodeLease(l)
	}
	return leases, nil
}

// decodeLease is a lease as the table holds it. It drops only if the plugin said
// that it may.
func (s *startClient) decodeLease(l *pluginpb.Lease) *lease.Lease {
	a := limitAnswer(wire.DecodeStartAnswer(l.GetAnswer()))
	if a.IsDrop() && !s.about.GetMayDrop() {
		a = sampling.Abstain()
	}
	return &lease.Lease{Answer: a, TTL: wire.DecodeTTL(l.GetTtlMs())}
}

// What an answer may put on each root.
const (
	maxAnswerAttributes = 16
	maxAnswerText       = 256
)

// limitAnswer cuts what a plugin would put on every root.
func limitAnswer(a sampling.Answer) sampling.Answer {
	reason := untrusted.Text(a.Reason, maxAnswerText)
	if rule := a.Rule(); rule != nil {
		a = a.WithRule(untrusted.Text(*rule, maxAnswerText))
	}
	a.Reason = reason
	attrs := slices.DeleteFunc(a.Attributes(), func(kv attribute.KeyValue) bool { return len(kv.Key) > maxAnswerText })
	attrs = attrs[:min(len(attrs), maxAnswerAttributes)]
	for i := range attrs {
		attrs[i].Value = bound.Limit(maxAnswerText).Value(attrs[i].Value)
	}
	return a.WithAttributes(attrs...)
}

// failed says what went wrong with a question. How often, the metrics tell.
func (s *startClient) failed(err error) {
	s.settings.Logger.Warn("asking a sampler of a plugin; it abstains about what it was not asked yet", "plugin", s.plugin.name, "error", err)
}

// follow takes changes from every process that the plugin has.
func (s *startClient) follow(ctx context.Context) {
	var last *binding
	for {
		b := s.await(ctx, last)
		if b == nil {
			return
		}
		if last != nil {
			s.table.Refresh() // another process may know better
		}
		last = b
		s.receive(ctx, b)
	}
}

// receive takes changes from one process until it is gone.
func (s *startClient) receive(ctx context.Context, b *binding) {
	const backoff = time.Second
	for ctx.Err() == nil {
		if err := s.changes(ctx, b); status.Code(err) == codes.Unimplemented {
			return
		}
		if s.ready() != b {
			return
		}
		// The stream broke though the process did not: what it said is lost.
		timer := time.NewTimer(backoff)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		s.table.Refresh()
	}
}

func (s *startClient) changes(ctx context.Context, b *binding) error {
	stream, err := pluginpb.NewStartSamplersClient(b.conn).Changes(ctx, &pluginpb.ChangesRequest{Instance: b.id})
	for err == nil {
		var c *pluginpb.Change
		if c, err = stream.Recv(); err != nil {
			break
		}
		if c.GetAll() {
			s.table.Revoke()
		}
		for _, r := range c.GetReplacements() {
			var l *lease.Lease
			if r.GetLease() != nil {
				l = s.decodeLease(r.GetLease())
			}
			s.table.Replace(wire.DecodeKey(r.GetKey()), l)
		}
	}
	return err
}

// segmentClient asks the plugin about segments.
type segmentClient struct {
	*samplerClient
	wants *pluginpb.SegmentSampling
}

// maxSpans bounds the spans in one message; segments past it are told by their root.
const maxSpans = wire.MaxMessage / 2

// SampleSegments asks the plugin, and abstains about what it does not answer before
// ctx is done.
func (c *segmentClient) SampleSegments(ctx context.Context, segments []sampling.Segment, answers []sampling.Answer) {
	b := c.ready()
	if b == nil {
		return
	}
	r := &pluginpb.AskSegmentsRequest{Instance: b.id, Segments: make([]*pluginpb.Segment, len(segments))}
	room := maxSpans
	for i := range segments {
		if ctx.Err() != nil {
			return
		}
		r.Segments[i] = wire.EncodeSegment(&segments[i], c.wants, &room)
	}
	began := time.Now()
	resp, err := pluginpb.NewSegmentSamplersClient(b.conn).Ask(ctx, r)
	c.called(ctx, "ask_segments", began, err)
	if err != nil {
		c.settings.Logger.Debug("a plugin did not answer about segments", "plugin", c.plugin.name, "segments", len(segments), "error", wire.Plain(err))
		return
	}
	for _, a := range resp.GetAnswers() {
		i := uint64(a.GetSegment())
		if i >= uint64(len(answers)) {
			if c.plugin.counts.unsolicited.Add(1) == 1 {
				c.settings.Logger.Warn("a plugin answers about segments that it was not asked about; the answers are ignored", "plugin", c.plugin.name)
			}
			continue
		}
		answers[i] = c.decodeAnswer(a.GetAnswer())
	}
}

// decodeAnswer is an answer as the recorder gets it. It raises only if the plugin did
// not say that none does, because the segment may not have waited for it.
func (c *segmentClient) decodeAnswer(m *pluginpb.Answer) sampling.Answer {
	a := limitAnswer(wire.DecodeSegmentAnswer(m))
	if a.IsAtMost() && c.wants.GetNeverRaises() {
		return sampling.Abstain()
	}
	return a
}

// bothClient decides starts, and is asked about segments.
type bothClient struct {
	*startClient
	segments segmentClient
}

// SampleSegments asks the plugin.
func (b *bothClient) SampleSegments(ctx context.Context, segments []sampling.Segment, answers []sampling.Answer) {
	b.segments.SampleSegments(ctx, segments, answers)
}

// Interface guards.
var (
	_ sampling.StartSampler   = (*startClient)(nil)
	_ sampling.Preparer       = (*startClient)(nil)
	_ sampling.SegmentSampler = (*segmentClient)(nil)
	_ sampling.StartSampler   = (*bothClient)(nil)
	_ sampling.Preparer       = (*bothClient)(nil)
	_ sampling.SegmentSampler = (*bothClient)(nil)
)
