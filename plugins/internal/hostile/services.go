package hostile

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/otlp"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/internal/untrustedtest"
	"github.com/riffletrace/riffle/plugins/internal/wire"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

const schema = `{"type": "object", "properties": {"n": {"type": "number"}}, "additionalProperties": false}`

type plugin struct {
	pluginpb.UnimplementedComponentsServer
	pluginpb.UnimplementedExportersServer
	pluginpb.UnimplementedStartSamplersServer
	coltracepb.UnimplementedTraceServiceServer

	kind string

	mu        sync.Mutex
	number    int
	instances map[string]bool
	leaked    [][]byte
	late      sync.Mutex // who is late holds up the others
}

// misbehave is called at the beginning of each call to what is configured.
func (p *plugin) misbehave() {
	switch p.kind {
	case "random":
		if rand.IntN(100) == 0 {
			os.Exit(4)
		}
	case "leak":
		b := make([]byte, 256<<10)
		for i := 0; i < len(b); i += 1 << 10 {
			b[i] = 1 // memory that is not touched is not there
		}
		p.mu.Lock()
		p.leaked = append(p.leaked, b)
		p.mu.Unlock()
	}
}

func (p *plugin) beLate() {
	if p.kind == "late" {
		p.late.Lock()
		defer p.late.Unlock()
		time.Sleep(time.Minute)
	}
}

func (p *plugin) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	out := &pluginpb.Component{Kind: pluginpb.Kind_KIND_EXPORTER, Name: "out", Version: "1", Doc: "sends nowhere", ConfigSchema: schema}
	both := &pluginpb.Component{Kind: pluginpb.Kind_KIND_SAMPLER, Name: "both", Version: "1", Doc: "keeps all", ConfigSchema: schema}
	r := &pluginpb.DescribeResponse{Name: p.kind, Version: "1", Components: []*pluginpb.Component{out, both}}
	switch p.kind {
	case "dies":
		time.AfterFunc(100*time.Millisecond, func() { os.Exit(3) })
	case "nothing":
		r.Components = nil
	case "twice":
		r.Components = append(r.Components, out)
	case "schema":
		out.ConfigSchema = `{"type": "a table of keys", "properties": ["n"]}`
	case "shouts":
		said := strings.ToValidUTF8(untrustedtest.Say(1<<20), "")
		r.Name, r.Version, out.Version, out.Doc = said, said, said, said
		text, err := json.Marshal(map[string]any{"type": "object", "description": said[:100<<10]})
		if err != nil {
			return nil, err
		}
		out.ConfigSchema = string(text)
	case "misnamed":
		out.Name = strings.ToValidUTF8(untrustedtest.Say(1<<20), "")
	case "huge":
		out.Doc = strings.Repeat("x", wire.MaxResponse+1) // more would take a slow machine too long to send
	}
	return r, nil
}

func (p *plugin) Configure(ctx context.Context, r *pluginpb.ConfigureRequest) (*pluginpb.ConfigureResponse, error) {
	exporter := r.GetKind() == pluginpb.Kind_KIND_EXPORTER && r.GetComponent() == "out"
	sampler := r.GetKind() == pluginpb.Kind_KIND_SAMPLER && r.GetComponent() == "both"
	if p.kind != "anything" {
		if !exporter && !sampler {
			return nil, status.Errorf(codes.NotFound, "no component %q", r.GetComponent())
		}
		if mistake := check(r.GetConfig()); mistake != nil && p.kind == "shouts" {
			said := strings.ToValidUTF8(untrustedtest.Say(10<<10), "")
			many := make([]*pluginpb.FieldError, 200)
			for i := range many {
				many[i] = &pluginpb.FieldError{Path: said, Message: said}
			}
			return &pluginpb.ConfigureResponse{Errors: many}, nil
		} else if mistake != nil {
			return &pluginpb.ConfigureResponse{Errors: []*pluginpb.FieldError{mistake}}, nil
		}
	}
	switch p.kind {
	case "dawdles":
		<-ctx.Done()
		return nil, ctx.Err()
	case "nameless":
		return new(pluginpb.ConfigureResponse), nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.number++; p.kind == "forgetful" {
		p.number = 1
	}
	instance := strconv.Itoa(p.number)
	p.instances[instance] = true
	description, endpoint := "all", "nowhere"
	if p.kind == "shouts" {
		description = strings.ToValidUTF8(untrustedtest.Say(1<<20), "")
		endpoint = description
	}
	if exporter {
		return &pluginpb.ConfigureResponse{Instance: instance, Exporter: &pluginpb.ExporterInstance{Endpoint: endpoint}}, nil
	}
	return &pluginpb.ConfigureResponse{Instance: instance, Sampler: &pluginpb.SamplerInstance{
		Description: description,
		Start:       &pluginpb.StartSampling{Keys: []string{"tenant.id", "http.route"}},
		Segments:    &pluginpb.SegmentSampling{NeverRaises: true},
	}}, nil
}

func check(config string) *pluginpb.FieldError {
	if config == "" {
		return nil
	}
	var c map[string]json.RawMessage
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return &pluginpb.FieldError{Message: err.Error()}
	}
	for key, value := range c {
		var n float64
		if key != "n" {
			return &pluginpb.FieldError{Path: key, Message: "unknown key"}
		} else if json.Unmarshal(value, &n) != nil {
			return &pluginpb.FieldError{Path: key, Message: "no number"}
		}
	}
	return nil
}

func (p *plugin) Close(_ context.Context, r *pluginpb.CloseRequest) (*pluginpb.CloseResponse, error) {
	p.misbehave()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kind != "undead" {
		delete(p.instances, r.GetInstance())
	}
	return new(pluginpb.CloseResponse), nil
}

func (p *plugin) known(instance string) error {
	p.misbehave()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.instances[instance] {
		return status.Errorf(codes.NotFound, "no instance %q", instance)
	}
	return nil
}

func (p *plugin) Export(ctx context.Context, _ *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if err := p.known(strings.Join(md.Get("riffle-instance"), "")); err != nil {
		return nil, err
	}
	p.beLate()
	if p.kind == "shouts" {
		return nil, status.Error(codes.InvalidArgument, untrustedtest.Say(10<<10)) // more than headers may hold does not arrive
	}
	return new(coltracepb.ExportTraceServiceResponse), nil
}

func (p *plugin) Flush(_ context.Context, r *pluginpb.FlushRequest) (*pluginpb.FlushResponse, error) {
	return new(pluginpb.FlushResponse), p.known(r.GetInstance())
}

func (p *plugin) Ask(_ context.Context, r *pluginpb.AskRequest) (*pluginpb.AskResponse, error) {
	if err := p.known(r.GetInstance()); err != nil {
		return nil, err
	}
	p.beLate()
	answer := &pluginpb.Answer{Verdict: pluginpb.Verdict_VERDICT_THRESHOLD}
	switch p.kind {
	case "shouts":
		answer.Reason = strings.ToValidUTF8(untrustedtest.Say(10<<10), "")
		numbers := make([]int64, 10_000)
		answer.Attributes = otlp.KeyValues([]attribute.KeyValue{
			attribute.String("text", answer.GetReason()),
			attribute.StringSlice("texts", []string{answer.GetReason(), answer.GetReason()}),
			attribute.Int64Slice("numbers", numbers),
			attribute.String(answer.GetReason(), "x"),
		})
	case "never":
		answer.Threshold = 1 << 60
	case "drops":
		answer.Verdict = pluginpb.Verdict_VERDICT_DROP
	case "nonsense":
		answer.Verdict = 77
	case "bounds":
		answer.Verdict = pluginpb.Verdict_VERDICT_AT_MOST
	}
	leases := make([]*pluginpb.Lease, len(r.GetQuestions()))
	for i := range leases {
		leases[i] = &pluginpb.Lease{Answer: answer, TtlMs: 60_000}
	}
	switch {
	case len(leases) == 0:
	case p.kind == "short":
		leases = leases[1:]
	case p.kind == "bulky":
		leases[0] = &pluginpb.Lease{Answer: &pluginpb.Answer{Reason: strings.Repeat("x", 9<<20)}}
	}
	return &pluginpb.AskResponse{Leases: leases}, nil
}

func (p *plugin) Changes(r *pluginpb.ChangesRequest, s grpc.ServerStreamingServer[pluginpb.Change]) error {
	if err := p.known(r.GetInstance()); err != nil {
		return err
	}
	<-s.Context().Done()
	return nil
}

// segmentSamplers is apart from plugin because both services have an Ask.
type segmentSamplers struct {
	pluginpb.UnimplementedSegmentSamplersServer
	plugin *plugin
}

func (s segmentSamplers) Ask(_ context.Context, r *pluginpb.AskSegmentsRequest) (*pluginpb.AskSegmentsResponse, error) {
	p := s.plugin
	if err := p.known(r.GetInstance()); err != nil {
		return nil, err
	}
	p.beLate()
	answer := &pluginpb.Answer{Verdict: pluginpb.Verdict_VERDICT_THRESHOLD}
	var shift uint32
	switch p.kind {
	case "discards":
		answer.Verdict = pluginpb.Verdict_VERDICT_DROP
	case "raises":
		answer.Verdict = pluginpb.Verdict_VERDICT_AT_MOST
	case "unasked":
		shift = 1
	}
	response := new(pluginpb.AskSegmentsResponse)
	for i := range r.GetSegments() {
		response.Answers = append(response.Answers, &pluginpb.SegmentAnswer{Segment: uint32(i) + shift, Answer: answer})
		if p.kind == "repeats" {
			response.Answers = append(response.Answers, response.GetAnswers()[i])
		}
	}
	return response, nil
}
