package plugintest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core/sampling"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// questions are about n keys, the first of which has no attributes.
func questions(i instance, n int) []*pluginpb.Question {
	start := i.GetSampler().GetStart()
	all := make([]*pluginpb.Question, n)
	for number := range all {
		key := new(pluginpb.Key)
		if !start.GetIgnoresName() {
			key.Name = fmt.Sprintf("GET /%d", number%10)
		}
		if !start.GetIgnoresKind() {
			key.Kind = tracepb.Span_SPAN_KIND_SERVER
		}
		if number > 0 {
			for _, name := range start.GetKeys() {
				key.Attributes = append(key.Attributes, &commonpb.KeyValue{Key: name, Value: attributeOf(number)})
			}
		}
		all[number] = &pluginpb.Question{Key: key, Starts: uint64(number)}
	}
	return all
}

// attributeOf is a value of one type or another.
func attributeOf(n int) *commonpb.AnyValue {
	switch n % 10 {
	case 3:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: int64(n)}}
	case 5:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: true}}
	case 7:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: &commonpb.ArrayValue{Values: []*commonpb.AnyValue{attributeOf(1)}}}}
	case 9:
		return new(commonpb.AnyValue)
	default:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: fmt.Sprint("value ", n)}}
	}
}

func leases(s *suite) {
	s.forEach(isStart, func(i instance) {
		for _, n := range []int{0, 1, 100} {
			s.ask(i, n, maxWait)
		}
	})
}

func leasesMany(s *suite) {
	const limit = 5 * time.Second // a second, on a machine that does other things too
	s.forEach(isStart, func(i instance) { s.ask(i, 10_000, limit) })
}

func (s *suite) ask(i instance, n int, within time.Duration) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	resp, err := s.starts().Ask(ctx, &pluginpb.AskRequest{Instance: i.GetInstance(), Questions: questions(i, n)})
	if err != nil {
		s.violated("sampler %q: Ask with %d questions: %s", i.GetName(), n, oneLine(err))
		return
	}
	if got := len(resp.GetLeases()); got != n {
		s.violated("sampler %q: Ask answers %d of %d questions", i.GetName(), got, n)
	}
	for _, lease := range resp.GetLeases() {
		if err := checkLease(lease.GetAnswer(), i.GetSampler().GetStart().GetMayDrop()); err != nil {
			s.violated("sampler %q: %v", i.GetName(), err)
			return
		}
	}
}

// checkLease is about an answer to a start.
func checkLease(a *pluginpb.Answer, mayDrop bool) error {
	switch v := a.GetVerdict(); {
	case v == pluginpb.Verdict_VERDICT_DROP && !mayDrop:
		return errors.New("an answer drops, although may_drop is false")
	case v == pluginpb.Verdict_VERDICT_AT_MOST:
		return errors.New("an answer has the verdict VERDICT_AT_MOST, which a lease cannot have")
	}
	return checkAnswer(a)
}

// checkSegmentAnswer is about an answer to a segment.
func checkSegmentAnswer(a *pluginpb.Answer, neverRaises bool) error {
	switch v := a.GetVerdict(); {
	case v == pluginpb.Verdict_VERDICT_AT_MOST && neverRaises:
		return errors.New("an answer raises, although never_raises is true")
	case v == pluginpb.Verdict_VERDICT_DROP, v == pluginpb.Verdict_VERDICT_UNSELECTED:
		return fmt.Errorf("an answer has the verdict %v, which only a lease can have", v)
	}
	return checkAnswer(a)
}

func checkAnswer(a *pluginpb.Answer) error {
	switch a.GetVerdict() {
	case pluginpb.Verdict_VERDICT_ABSTAIN, pluginpb.Verdict_VERDICT_DROP,
		pluginpb.Verdict_VERDICT_SELECTED, pluginpb.Verdict_VERDICT_UNSELECTED:
	case pluginpb.Verdict_VERDICT_THRESHOLD, pluginpb.Verdict_VERDICT_AT_MOST:
		if t := a.GetThreshold(); t > uint64(sampling.Never) {
			return fmt.Errorf("an answer has the threshold %#x, which is more than 2^56", t)
		}
	default:
		return fmt.Errorf("an answer has the verdict %v, which there is not", a.GetVerdict())
	}
	return nil
}

func streamsChanges(s *suite) {
	s.forEach(isStart, func(i instance) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		stream, err := s.starts().Changes(ctx, &pluginpb.ChangesRequest{Instance: i.GetInstance()})
		if err != nil {
			s.violated("sampler %q: Changes: %s", i.GetName(), oneLine(err))
			return
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for err == nil {
				_, err = stream.Recv()
			}
		}()
		// A plugin that has it answers others meanwhile.
		s.ask(i, 10, maxWait)
		select {
		case <-ended:
			if !isMissing(err) {
				s.violated("sampler %q: Changes ends at once: %v", i.GetName(), err)
			}
			return
		case <-time.After(attempt):
		}
		s.close(i)
		cancel()
		select {
		case <-ended:
		case <-time.After(maxWait):
			s.violated("sampler %q: Changes does not end with its instance", i.GetName())
		}
	})
}

// segments are n of them, each two of one trace.
func segments(n int) []*pluginpb.Segment {
	all := make([]*pluginpb.Segment, n)
	var id []byte
	for i := range all {
		if i%2 == 0 {
			id = randomID(16)
		}
		all[i] = &pluginpb.Segment{
			TraceId: id, Spans: 1, Complete: i%3 != 0, Threshold: uint64(sampling.Never),
			Root: &pluginpb.LocalRoot{
				Name: "GET /", Kind: tracepb.Span_SPAN_KIND_SERVER, DurationNs: uint64(time.Millisecond),
				Status: &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: "no"},
				SpanId: randomID(8),
			},
		}
		if i%5 == 4 {
			all[i].Root = nil
		}
	}
	return all
}

func answersAboutSegments(s *suite) {
	s.forEach(isSegment, func(i instance) {
		for _, n := range []int{0, 1, 100} {
			ctx, cancel := context.WithTimeout(context.Background(), maxWait)
			resp, err := s.segments().Ask(ctx, &pluginpb.AskSegmentsRequest{Instance: i.GetInstance(), Segments: segments(n)})
			cancel()
			if code := status.Code(err); err != nil && code != codes.DeadlineExceeded || errors.Is(err, io.EOF) {
				s.violated("sampler %q: Ask about %d segments: %s", i.GetName(), n, oneLine(err))
				return
			}
			answered := make(map[uint32]bool, n)
			for _, a := range resp.GetAnswers() {
				place := a.GetSegment()
				switch err := checkSegmentAnswer(a.GetAnswer(), i.GetSampler().GetSegments().GetNeverRaises()); {
				case int64(place) >= int64(n):
					s.violated("sampler %q: Ask about %d segments answers about the segment %d, which it was not asked about", i.GetName(), n, place)
					return
				case answered[place]:
					s.violated("sampler %q: Ask about %d segments answers about the segment %d twice", i.GetName(), n, place)
					return
				case err != nil:
					s.violated("sampler %q: %v", i.GetName(), err)
					return
				}
				answered[place] = true
			}
		}
	})
}
