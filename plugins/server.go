package plugins

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// server serves offers.
type server struct {
	pluginpb.UnimplementedComponentsServer
	name, version string
	offers        []Offer
	logger        *slog.Logger
	first         func() // called at the first call; may be nil
	once          sync.Once

	mu        sync.Mutex
	instances map[string]*instance
	made      int
	closed    bool
}

// instance is a built component. One of exporter and sampler is set.
type instance struct {
	exporter core.Exporter
	sampler  core.Sampler
	judging  sync.Mutex
}

func newServer(name, version string, logger *slog.Logger, offers []Offer) *server {
	return &server{name: name, version: version, offers: offers, logger: logger, instances: map[string]*instance{}}
}

// What is in flight on a connection, and what is read or written at once.
const (
	window = 4 << 20
	buffer = 256 << 10
)

// serverOptions are what every plugin's gRPC server has.
func serverOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(MaxMessage),
		grpc.MaxSendMsgSize(MaxMessage),
		grpc.ForceServerCodecV2(codec{}),
		serverCompression(),
		// A batch goes through in one piece, without waiting for windows.
		grpc.InitialWindowSize(window),
		grpc.InitialConnWindowSize(2 * window),
		grpc.ReadBufferSize(buffer),
	}
}

// register adds the services to a gRPC server.
func (s *server) register(r grpc.ServiceRegistrar) {
	pluginpb.RegisterComponentsServer(r, s)
	pluginpb.RegisterExportersServer(r, exporterServer{server: s})
	r.RegisterService(&traceService, exporterServer{server: s})
	pluginpb.RegisterStartSamplersServer(r, startServer{server: s})
	pluginpb.RegisterTraceSamplersServer(r, traceServer{server: s})
}

// Describe lists what there is.
func (s *server) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	if s.first != nil {
		s.once.Do(s.first)
	}
	return s.describe(), nil
}

func (s *server) describe() *pluginpb.DescribeResponse {
	d := &pluginpb.DescribeResponse{Name: s.name, Version: s.version}
	for _, o := range s.offers {
		d.Components = append(d.Components, o.describe(s.version))
	}
	return d
}

// Configure makes an instance.
func (s *server) Configure(ctx context.Context, r *pluginpb.ConfigureRequest) (_ *pluginpb.ConfigureResponse, err error) {
	defer rescue(&err)
	for _, o := range s.offers {
		if o.kind == r.GetKind() && o.name == r.GetComponent() {
			return s.configure(ctx, o, r)
		}
	}
	return nil, status.Errorf(codes.NotFound, "%s has no %s %q", s.name, kindName(r.GetKind()), r.GetComponent())
}

func (s *server) configure(ctx context.Context, o Offer, r *pluginpb.ConfigureRequest) (*pluginpb.ConfigureResponse, error) {
	c, err := o.component(r.GetId(), r.GetConfig())
	if err != nil {
		return mistakes(err), nil
	}
	built, err := o.build(ctx, core.Settings{ID: r.GetId(), Logger: s.logger.With("id", r.GetId())}, c)
	if err != nil {
		return mistakes(err), nil
	}
	in, answer := &instance{}, &pluginpb.ConfigureResponse{}
	switch built := built.(type) {
	case core.Exporter:
		in.exporter = built
		answer.Exporter = &pluginpb.ExporterInstance{TakesSnappy: true}
		if e, ok := built.(core.Endpointer); ok {
			answer.Exporter.Endpoint = validText(e.Endpoint())
		}
	case core.Sampler:
		in.sampler = built
		if err := refusal(o.name, built); err != nil {
			return mistakes(errors.Join(err, in.shutdown(ctx))), nil
		}
		answer.Sampler = samplerInstance(built)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, errors.Join(status.Error(codes.Unavailable, "the plugin is shutting down"), in.shutdown(ctx))
	}
	defer s.mu.Unlock()
	s.made++
	answer.Instance = strconv.Itoa(s.made)
	s.instances[answer.GetInstance()] = in
	return answer, nil
}

// mistakes turns an error into the mistakes in a configuration.
func mistakes(err error) *pluginpb.ConfigureResponse {
	r := &pluginpb.ConfigureResponse{}
	for _, fe := range core.FieldErrors(err) {
		r.Errors = append(r.Errors, &pluginpb.FieldError{Path: validText(fe.Path), Message: validText(fe.Err.Error())})
	}
	return r
}

// instance finds the instance of a call.
func (s *server) instance(id string) (*instance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in, ok := s.instances[id]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "%s has no instance %q", s.name, id)
	}
	return in, nil
}

// Close releases an instance.
func (s *server) Close(ctx context.Context, r *pluginpb.CloseRequest) (_ *pluginpb.CloseResponse, err error) {
	defer rescue(&err)
	s.mu.Lock()
	in, ok := s.instances[r.GetInstance()]
	delete(s.instances, r.GetInstance())
	s.mu.Unlock()
	if !ok {
		return &pluginpb.CloseResponse{}, nil
	}
	return &pluginpb.CloseResponse{}, in.shutdown(ctx)
}

// shutdown releases every instance; there will be no others.
func (s *server) shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	all := s.instances
	s.instances = nil
	s.mu.Unlock()
	errs := make(chan error)
	for _, in := range all {
		go func() { errs <- in.shutdown(ctx) }()
	}
	var failed error
	for range all {
		failed = errors.Join(failed, <-errs)
	}
	return failed
}

func (in *instance) shutdown(ctx context.Context) error {
	if in.exporter != nil {
		return in.exporter.Shutdown(ctx)
	}
	if s, ok := in.sampler.(core.Shutdowner); ok {
		return s.Shutdown(ctx)
	}
	return nil
}

// rescue is deferred in calls: a panic of a component fails the call and not
// the instances of others.
func rescue(err *error) {
	if r := recover(); r != nil {
		*err = status.Error(codes.Internal, fmt.Sprintf("panic: %v", r))
	}
}
