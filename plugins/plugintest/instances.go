package plugintest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/plugins/internal/wire"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// instanceCases are about what a plugin makes of its components.
var instanceCases = []testCase{
	{
		name:  "configuration",
		rule:  "a configuration that makes no sense is refused, with the path of the mistake if it has one, because the host shows the user that line and starts nothing",
		check: refusesNonsense,
	},
	{
		name:  "instances",
		rule:  "each Configure makes an instance of its own, which works until its Close and not after it, because the host makes the new before it closes the old",
		check: keepsInstancesApart,
	},
	{
		name:  "large messages",
		rule:  "a plugin takes messages of 16 MiB, because a batch may be as large; gRPC refuses more than 4 MiB unless told otherwise",
		check: takesLargeMessages,
	},
	{
		name: "flush",
		rule: "an exporter answers Flush, because the host waits for it before it ends",
		check: func(s *suite) {
			s.forEach(isExporter, func(i instance) {
				_, err := call(s.exporters().Flush, &pluginpb.FlushRequest{Instance: i.GetInstance()})
				if code := status.Code(err); isMissing(err) || code == codes.DeadlineExceeded {
					s.violated("exporter %q: Flush: %s", i.GetName(), oneLine(err))
				}
			})
		},
	},
	{
		name:  "deadline",
		rule:  "a call that is past its deadline holds up no other, because what waits behind it is lost in the end",
		check: heedsDeadline,
		first: true, // the others would wait for each of their calls
	},
	{
		name:  "leases",
		rule:  "Ask answers each question, in their order, with an answer that there is and that the instance said it may give, because the host throws away anything else",
		check: leases,
	},
	{
		name:  "many keys",
		rule:  "Ask answers 10,000 questions in a second, because all keys are new when a service starts",
		check: leasesMany,
	},
	{
		name:  "changes",
		rule:  "Changes stays open until its instance is closed, or is unimplemented, because the host opens it again each time it ends",
		check: streamsChanges,
	},
	{
		name:  "segments",
		rule:  "Ask answers about a segment that it was asked about, once, with an answer that there is for one and that the instance said it may give, because the host throws away anything else",
		check: answersAboutSegments,
	},
}

func (p *process) exporters() pluginpb.ExportersClient { return pluginpb.NewExportersClient(p.conn) }

func (p *process) starts() pluginpb.StartSamplersClient {
	return pluginpb.NewStartSamplersClient(p.conn)
}

func (p *process) segments() pluginpb.SegmentSamplersClient {
	return pluginpb.NewSegmentSamplersClient(p.conn)
}

// use makes the call that an instance is for.
func (s *suite) use(ctx context.Context, i instance) error {
	var err error
	switch {
	case i.GetKind() == pluginpb.Kind_KIND_EXPORTER:
		err = s.export(ctx, i, new(coltracepb.ExportTraceServiceRequest))
	case i.GetSampler().GetStart() != nil:
		_, err = s.starts().Ask(ctx, &pluginpb.AskRequest{Instance: i.GetInstance(), Questions: questions(i, 1)})
	case i.GetSampler().GetSegments() != nil:
		_, err = s.segments().Ask(ctx, &pluginpb.AskSegmentsRequest{Instance: i.GetInstance(), Segments: segments(1)})
	}
	return err
}

func (s *suite) export(ctx context.Context, i instance, r *coltracepb.ExportTraceServiceRequest) error {
	ctx = metadata.AppendToOutgoingContext(ctx, wire.InstanceKey, i.GetInstance())
	_, err := coltracepb.NewTraceServiceClient(s.conn).Export(ctx, r)
	return err
}

// isMissing tells of a call that was not carried out because there is nobody to
// do it, in contrast to one that failed.
func isMissing(err error) bool {
	return status.Code(err) == codes.Unimplemented
}

// forEach makes an instance of each component, and checks those for which want
// is true.
func (s *suite) forEach(want func(instance) bool, check func(instance)) {
	s.Helper()
	met := false
	for _, c := range s.described() {
		i := s.configure(c)
		if want == nil || want(i) {
			met = true
			check(i)
		}
		s.close(i)
	}
	if !met {
		s.Skipf("the plugin has no such component")
	}
}

func isExporter(i instance) bool { return i.GetKind() == pluginpb.Kind_KIND_EXPORTER }
func isStart(i instance) bool    { return i.GetSampler().GetStart() != nil }
func isSegment(i instance) bool  { return i.GetSampler().GetSegments() != nil }

func refusesNonsense(s *suite) {
	const noKey = "no_such_key"
	for _, c := range s.described() {
		for _, nonsense := range []string{"[1", `"text"`, "[]", "7", `{"` + noKey + `": 1}`} {
			if nonsense[0] == '{' && !closed(c.GetConfigSchema()) {
				continue // it says that it takes more
			}
			resp, err := call(s.components().Configure, &pluginpb.ConfigureRequest{Kind: c.GetKind(), Component: c.GetName(), Config: nonsense, Id: "nonsense"})
			switch {
			case err != nil && status.Code(err) == codes.DeadlineExceeded:
				s.violated("component %q: Configure with %s does not answer", c.GetName(), nonsense)
			case err == nil && len(resp.GetErrors()) == 0:
				s.violated("component %q takes the configuration %s", c.GetName(), nonsense)
			case err != nil && nonsense[0] == '{':
				s.violated("component %q: Configure with %s fails, want the mistake in errors: %s", c.GetName(), nonsense, oneLine(err))
			case nonsense[0] == '{' && !strings.Contains(fieldErrors(resp.GetErrors()), noKey+":"):
				s.violated("component %q: no error about %s has its path:\n%s", c.GetName(), nonsense, fieldErrors(resp.GetErrors()))
			}
		}
		s.close(s.configure(c)) // which it still can
	}
	resp, err := call(s.components().Configure, &pluginpb.ConfigureRequest{Kind: pluginpb.Kind_KIND_EXPORTER, Component: "no-such-component"})
	if err == nil && len(resp.GetErrors()) == 0 {
		s.violated("Configure makes an instance of a component that it does not have")
	}
}

// closed reports whether a schema says that there are no other keys.
func closed(schema string) bool {
	var s struct {
		AdditionalProperties *bool `json:"additionalProperties"`
	}
	return json.Unmarshal([]byte(schema), &s) == nil && s.AdditionalProperties != nil && !*s.AdditionalProperties
}

func keepsInstancesApart(s *suite) {
	for _, c := range s.described() {
		a, b := s.configure(c), s.configure(c)
		if a.GetInstance() == b.GetInstance() {
			s.violated("component %q: two instances have the name %q", c.GetName(), a.GetInstance())
			continue
		}
		if i := b.GetSampler(); b.GetKind() == pluginpb.Kind_KIND_SAMPLER && i.GetStart() == nil && i.GetSegments() == nil {
			s.violated("sampler %q decides neither when a segment starts nor when it is complete", c.GetName())
		}
		s.close(a)
		ctx, cancel := context.WithTimeout(context.Background(), maxWait)
		if err := s.use(ctx, b); isMissing(err) || status.Code(err) == codes.NotFound {
			s.violated("component %q: the second instance does not work after the first was closed: %s", c.GetName(), oneLine(err))
		}
		if err := s.use(ctx, a); err == nil {
			s.violated("component %q: an instance that is closed still works", c.GetName())
		}
		cancel()
		s.close(b)
		s.close(b) // again, and one that never was
		s.close(instance{nil, &pluginpb.ConfigureResponse{Instance: "no-such-instance"}})
	}
}

func takesLargeMessages(s *suite) {
	large := &commonpb.KeyValue{Key: "large", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: strings.Repeat("x", 16<<20)}}}
	s.forEach(isExporter, func(i instance) {
		span := span(1)
		span.Attributes = append(span.Attributes, large)
		ctx, cancel := context.WithTimeout(context.Background(), maxWait)
		defer cancel()
		err := s.export(ctx, i, request(span))
		if code := status.Code(err); code == codes.ResourceExhausted || isMissing(err) {
			s.violated("exporter %q: a request of 16 MiB: %s", i.GetName(), oneLine(err))
		}
	})
}

// attempt is the deadline of a call that need not succeed.
const attempt = 200 * time.Millisecond

func heedsDeadline(s *suite) {
	s.forEach(nil, func(i instance) {
		for range 3 {
			ctx, cancel := context.WithTimeout(context.Background(), attempt)
			_ = s.use(ctx, i)
			cancel()
		}
		ctx, cancel := context.WithTimeout(context.Background(), maxWait)
		defer cancel()
		if err := s.use(ctx, i); status.Code(err) == codes.DeadlineExceeded {
			s.violated("%q: after calls with a deadline of %v one with %v gets no answer", i.GetName(), attempt, maxWait)
		}
	})
}

// request is a batch of spans.
func request(spans ...*tracepb.Span) *coltracepb.ExportTraceServiceRequest {
	return &coltracepb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		ScopeSpans: []*tracepb.ScopeSpans{{Spans: spans}},
	}}}
}

func span(n int) *tracepb.Span {
	begin := uint64(time.Now().Add(-time.Second).UnixNano())
	return &tracepb.Span{
		TraceId: randomID(16), SpanId: randomID(8), Name: fmt.Sprintf("span %d", n), Kind: tracepb.Span_SPAN_KIND_SERVER,
		StartTimeUnixNano: begin, EndTimeUnixNano: begin + uint64(time.Millisecond),
	}
}

func randomID(n int) []byte {
	id := make([]byte, n)
	_, _ = rand.Read(id) // it never fails
	return id
}
