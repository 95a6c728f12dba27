package plugintest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/exporters/exportertest"
	"github.com/riffletrace/riffle/plugins/internal/wire"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
	"github.com/riffletrace/riffle/samplers/samplertest"
)

// componentCases are those of the suites for exporters and samplers, each
// against every component of its kind. The components are asked directly: what
// a host adds, its queue and its leases, is not the plugin's doing.
func componentCases() []testCase {
	var all []testCase
	for name, check := range exportertest.Cases() {
		all = append(all, testCase{name: "exporter: " + name, check: func(s *suite) {
			s.component(pluginpb.Kind_KIND_EXPORTER, func(tb testing.TB, c *pluginpb.Component) {
				check(tb, func(testing.TB) sdktrace.SpanExporter {
					return &remoteExporter{remote{suite: s, instance: s.configure(c)}}
				})
			})
		}})
	}
	for name, check := range samplertest.Cases() {
		if slices.Contains(notAcross, name) {
			continue
		}
		all = append(all, testCase{name: "sampler: " + name, check: func(s *suite) {
			s.component(pluginpb.Kind_KIND_SAMPLER, func(tb testing.TB, c *pluginpb.Component) {
				check(tb, func(testing.TB) sampling.Sampler { return newRemoteSampler(s, s.configure(c)) })
			})
		}})
	}
	return all
}

// notAcross are the rules that no plugin can break, because a trace ID, other attributes
// or memory of the host never reach it, or need not keep, because it is not asked while
// a span starts.
var notAcross = []string{"trace ID", "keys", "parameters not changed", "parameters not kept", "at once"}

// component runs the check for every component of a kind.
func (s *suite) component(kind pluginpb.Kind, check func(testing.TB, *pluginpb.Component)) {
	s.Helper()
	met := false
	for _, c := range s.described() {
		if c.GetKind() == kind {
			met = true
			check(named{s.TB, fmt.Sprintf("component %q", c.GetName())}, c)
		}
	}
	if !met {
		s.Skipf("the plugin has no such component")
	}
}

// named says in each failure whom it is about.
type named struct {
	testing.TB
	who string
}

func (n named) Errorf(format string, args ...any) {
	n.Helper()
	n.TB.Errorf("%s: %s", n.who, fmt.Sprintf(format, args...))
}

func (n named) Fatalf(format string, args ...any) {
	n.Helper()
	n.TB.Fatalf("%s: %s", n.who, fmt.Sprintf(format, args...))
}

// remote is an instance.
type remote struct {
	suite    *suite
	instance instance
	closed   atomic.Bool
}

// Shutdown closes the instance.
func (r *remote) Shutdown(ctx context.Context) error {
	if r.closed.Swap(true) {
		return nil
	}
	_, err := r.suite.components().Close(ctx, &pluginpb.CloseRequest{Instance: r.instance.GetInstance()})
	return err
}

type remoteExporter struct{ remote }

func (e *remoteExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	request := new(coltracepb.ExportTraceServiceRequest)
	if err := proto.Unmarshal(otlp.AppendRequest(nil, spans), request); err != nil {
		return err
	}
	return e.suite.export(ctx, e.instance, request)
}

// newRemoteSampler returns a sampler of the kinds that the instance is.
func newRemoteSampler(s *suite, i instance) sampling.Sampler {
	r := &remoteSampler{remote{suite: s, instance: i}}
	switch {
	case isStart(i) && isSegment(i):
		return bothSampler{startSampler{r}, segmentSampler{r}}
	case isStart(i):
		return startSampler{r}
	case isSegment(i):
		return segmentSampler{r}
	default:
		return r
	}
}

type remoteSampler struct{ remote }

func (r *remoteSampler) Traits() sampling.Traits { return wire.DecodeTraits(r.instance.GetSampler()) }

type startSampler struct{ *remoteSampler }

// SampleStart asks at once, which no host would do.
func (r startSampler) SampleStart(p sampling.StartParameters) sampling.Answer {
	start := r.instance.GetSampler().GetStart()
	key := new(pluginpb.Key)
	if !start.GetIgnoresName() {
		key.Name = p.Name
	}
	if !start.GetIgnoresKind() {
		key.Kind = otlp.FromSpanKind(p.Kind)
	}
	for _, name := range r.Traits().Keys {
		for _, kv := range slices.Backward(p.Attributes) {
			if kv.Key == name {
				key.Attributes = append(key.Attributes, otlp.KeyValues([]attribute.KeyValue{kv})...)
				break
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	resp, err := r.suite.starts().Ask(ctx, &pluginpb.AskRequest{
		Instance: r.instance.GetInstance(), Questions: []*pluginpb.Question{{Key: key, Starts: 1}},
	})
	if err == nil && len(resp.GetLeases()) != 1 {
		err = fmt.Errorf("%d leases for a question", len(resp.GetLeases()))
	}
	if err != nil {
		r.complain(err)
		return sampling.Abstain()
	}
	return startAnswer(resp.GetLeases()[0].GetAnswer())
}

// complain reports an error of an instance that is open.
func (r *remote) complain(err error) {
	if !r.closed.Load() && !r.suite.overdue.Load() {
		r.suite.Errorf("%q does not answer: %s", r.instance.GetName(), oneLine(err))
	}
}

type segmentSampler struct{ *remoteSampler }

func (r segmentSampler) SampleSegments(ctx context.Context, segments []sampling.Segment, answers []sampling.Answer) {
	request := &pluginpb.AskSegmentsRequest{Instance: r.instance.GetInstance()}
	room := wire.MaxMessage / 2
	for i := range segments {
		request.Segments = append(request.Segments, wire.EncodeSegment(&segments[i], r.instance.GetSampler().GetSegments(), &room))
	}
	resp, err := r.suite.segments().Ask(ctx, request)
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
			r.complain(err)
		}
		return
	}
	for _, a := range resp.GetAnswers() {
		if i := int64(a.GetSegment()); i < int64(len(answers)) {
			answers[i] = segmentAnswer(a.GetAnswer())
		}
	}
}

type bothSampler struct {
	startSampler
	segmentSampler
}

func (r bothSampler) Traits() sampling.Traits            { return r.startSampler.Traits() }
func (r bothSampler) Shutdown(ctx context.Context) error { return r.startSampler.Shutdown(ctx) }

// startAnswer and segmentAnswer are what a message says; the rules about leases and
// segments find what makes no sense.
func startAnswer(m *pluginpb.Answer) sampling.Answer {
	switch m.GetVerdict() {
	case pluginpb.Verdict_VERDICT_DROP:
		return sampling.Drop()
	case pluginpb.Verdict_VERDICT_SELECTED:
		return sampling.Selected()
	case pluginpb.Verdict_VERDICT_UNSELECTED:
		return sampling.Unselected()
	case pluginpb.Verdict_VERDICT_THRESHOLD:
		return sampling.At(sampling.Threshold(m.GetThreshold()))
	default:
		return sampling.Abstain()
	}
}

func segmentAnswer(m *pluginpb.Answer) sampling.Answer {
	switch m.GetVerdict() {
	case pluginpb.Verdict_VERDICT_SELECTED:
		return sampling.At(sampling.Unknown)
	case pluginpb.Verdict_VERDICT_AT_MOST:
		return sampling.AtMost(sampling.Threshold(m.GetThreshold()))
	default:
		return startAnswer(m)
	}
}

// Interface guards.
var (
	_ sdktrace.SpanExporter   = (*remoteExporter)(nil)
	_ sampling.StartSampler   = startSampler{}
	_ component.Shutdowner    = startSampler{}
	_ sampling.SegmentSampler = segmentSampler{}
	_ sampling.StartSampler   = bothSampler{}
	_ sampling.SegmentSampler = bothSampler{}
	_ component.Shutdowner    = bothSampler{}
)
