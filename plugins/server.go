package plugins

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/plugins/internal/wire"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// server serves components.
type server struct {
	pluginpb.UnimplementedComponentsServer
	name, version string
	components    []Component
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
	exporter sdktrace.SpanExporter
	sampler  sampling.Sampler
	asking   sync.Mutex
}

func newServer(name, version string, logger *slog.Logger, components []Component) *server {
	return &server{name: name, version: version, components: components, logger: logger, instances: map[string]*instance{}}
}

// register adds the services to a gRPC server.
func (s *server) register(r grpc.ServiceRegistrar) {
	pluginpb.RegisterComponentsServer(r, s)
	pluginpb.RegisterExportersServer(r, exporterServer{server: s})
	r.RegisterService(&wire.TraceService, exporterServer{server: s})
	pluginpb.RegisterStartSamplersServer(r, startServer{server: s})
	pluginpb.RegisterSegmentSamplersServer(r, segmentServer{server: s})
}

// Serve serves components on a listener, as [Main] does on the socket that a host
// connects to, so that a test has both ends in one process. stop ends it and shuts
// the instances down, bounded by its context.
func Serve(l net.Listener, logger *slog.Logger, components ...Component) (stop func(context.Context) error, err error) {
	if err := checkComponents(context.Background(), components); err != nil {
		return nil, err
	}
	s := newServer("served", programVersion(), logger, components)
	g := grpc.NewServer(wire.ServerOptions()...)
	s.register(g)
	checks := health.NewServer()
	checks.SetServingStatus(wire.HealthService, grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(g, checks)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = g.Serve(l) // until it is stopped
	}()
	return func(ctx context.Context) error {
		err := s.shutdown(ctx)
		g.Stop()
		<-served
		return err
	}, nil
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
	for _, c := range s.components {
		d.Components = append(d.Components, c.describe(s.version))
	}
	return d
}

// Configure makes an instance.
func (s *server) Configure(ctx context.Context, r *pluginpb.ConfigureRequest) (_ *pluginpb.ConfigureResponse, err error) {
	defer recoverPanic(&err)
	for _, c := range s.components {
		if c.kind == r.GetKind() && c.name == r.GetComponent() {
			return s.configure(ctx, c, r)
		}
	}
	return nil, status.Errorf(codes.NotFound, "%s has no %s %q", s.name, wire.KindName(r.GetKind()), r.GetComponent())
}

func (s *server) configure(ctx context.Context, c Component, r *pluginpb.ConfigureRequest) (*pluginpb.ConfigureResponse, error) {
	settings := component.Settings{ID: r.GetId(), Logger: s.logger.With("id", r.GetId())}
	built, err := c.configure(ctx, settings, r.GetConfig())
	if err != nil {
		return mistakes(err), nil
	}
	in, resp := &instance{}, &pluginpb.ConfigureResponse{}
	switch built := built.(type) {
	case sdktrace.SpanExporter:
		in.exporter = built
		resp.Exporter = &pluginpb.ExporterInstance{TakesSnappy: true}
		if e, ok := built.(delivery.Exporter); ok {
			resp.Exporter.Endpoint = wire.ValidText(e.Traits().Endpoint)
		}
	case sampling.Sampler:
		in.sampler = built
		if err := unservable(c.name, built); err != nil {
			return mistakes(errors.Join(err, in.shutdown(ctx))), nil
		}
		resp.Sampler = wire.EncodeSampler(built)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, errors.Join(status.Error(codes.Unavailable, "the plugin is shutting down"), in.shutdown(ctx))
	}
	defer s.mu.Unlock()
	s.made++
	resp.Instance = strconv.Itoa(s.made)
	s.instances[resp.GetInstance()] = in
	return resp, nil
}

// mistakes turns an error into the mistakes in a configuration.
func mistakes(err error) *pluginpb.ConfigureResponse {
	r := &pluginpb.ConfigureResponse{}
	for _, fe := range component.FieldErrors(err) {
		r.Errors = append(r.Errors, &pluginpb.FieldError{Path: wire.ValidText(fe.Path), Message: wire.ValidText(fe.Err.Error())})
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
	defer recoverPanic(&err)
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
	if s, ok := in.sampler.(component.Shutdowner); ok {
		return s.Shutdown(ctx)
	}
	return nil
}

// recoverPanic is deferred in calls: a panic of a component fails the call and not
// the instances of others.
func recoverPanic(err *error) {
	if r := recover(); r != nil {
		*err = status.Error(codes.Internal, fmt.Sprintf("panic: %v", r))
	}
}
