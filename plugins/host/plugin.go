package host

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/untrusted"
	"github.com/riffletrace/riffle/plugins/internal/process"
	"github.com/riffletrace/riffle/plugins/internal/wire"
	"github.com/riffletrace/riffle/plugins/pin"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// Plugin is a plugin that runs and is supervised. Services name one in their
// configuration; this is for tools and tests. It is safe for concurrent use.
type Plugin struct {
	name    string
	logger  *slog.Logger
	program *pin.Program // nil in tests without a program
	dial    dialer
	timing  timing

	about *pluginpb.DescribeResponse

	life   context.Context //nolint:containedctx // ends with the plugin
	cancel context.CancelFunc
	done   chan struct{} // the supervision has ended
	once   sync.Once
	err    error

	current atomic.Pointer[connection] // nil while there is none
	counts  counts
	wanted  chan struct{} // of capacity 1: an exporter has spans, and there is no process

	configuring sync.Mutex // held while instances are made

	mu        sync.Mutex
	state     State
	changed   chan struct{} // closed, and replaced, when the connection or the state changes
	instances map[*instanceClient]struct{}
}

// connection is a connection to a process that serves.
type connection struct {
	conn *grpc.ClientConn
	pid  int
	gone <-chan struct{}             // closed when the process has ended
	why  func() string               // how it ended
	kill func()                      // ends it at once
	stop func(context.Context) error // ends it and waits
}

// dialer starts a process and connects to it. ctx bounds the start.
type dialer func(ctx context.Context) (*connection, error)

// OpenOptions say how a plugin is started.
type OpenOptions struct {
	// Logger is what the plugin and its supervision log to; nil: nothing.
	Logger *slog.Logger
	// Env are variables that the plugin sees, as NAME=value. It sees no others.
	Env []string
	// StartTimeout bounds a start; 0 means 10 s.
	StartTimeout time.Duration
	// Pinned refuses a program that the lock file beside it does not pin.
	Pinned bool
	// RunDir is where the private copy is made; "" is the directory for temporary
	// files.
	RunDir string
}

func (s *OpenOptions) logger(name string) *slog.Logger {
	return untrusted.Logger(cmp.Or(s.Logger, slog.New(slog.DiscardHandler))).With("plugin", name)
}

// Open starts a copy of the program at path, whether it is pinned or not unless
// the settings ask for a pin, and supervises it until Close.
func Open(ctx context.Context, path string, s OpenOptions) (*Plugin, error) {
	dir, file := filepath.Split(path)
	dir, err := filepath.Abs(cmp.Or(dir, "."))
	if err != nil {
		return nil, err
	}
	program, err := pin.Copy(dir, file, s.RunDir, !s.Pinned)
	if err != nil {
		return nil, err
	}
	return open(ctx, program, dir, s, defaultTiming)
}

// open takes over the program.
func open(ctx context.Context, program *pin.Program, dir string, s OpenOptions, t timing) (*Plugin, error) {
	name := wire.ProgramName(program.Path)
	logger := s.logger(name)
	settings := process.Settings{
		Name:        name,
		Env:         append([]string{wire.DirVariable + "=" + dir}, s.Env...),
		Handshake:   wire.Handshake,
		Logger:      logger,
		Timeout:     cmp.Or(s.StartTimeout, t.start),
		DialOptions: wire.DialOptions(),
	}
	p := newPlugin(name, logger, t)
	p.program = program
	p.dial = func(ctx context.Context) (*connection, error) {
		if err := program.Renew(); err != nil {
			return nil, err
		}
		settings.Path, settings.Dir = program.Path, filepath.Dir(program.Path)
		pr, err := process.Start(ctx, settings)
		if err != nil {
			return nil, err
		}
		return &connection{conn: pr.Conn(), pid: pr.PID(), gone: pr.Exited(), why: pr.ExitText, kill: pr.Kill, stop: pr.Stop}, nil
	}
	return p.begin(ctx)
}

func newPlugin(name string, logger *slog.Logger, t timing) *Plugin {
	p := &Plugin{
		name: name, logger: logger, timing: t,
		done: make(chan struct{}), wanted: make(chan struct{}, 1), changed: make(chan struct{}), instances: map[*instanceClient]struct{}{},
	}
	p.life, p.cancel = context.WithCancel(context.Background())
	return p
}

// begin starts the process for the first time, and then the supervision. On an
// error nothing is left.
func (p *Plugin) begin(ctx context.Context) (*Plugin, error) {
	c, err := p.connect(ctx)
	if err != nil {
		p.cancel()
		return nil, errors.Join(err, p.removeProgram())
	}
	p.set(Running, c)
	p.logger.Info("plugin is running", "pid", c.pid, "version", p.about.GetVersion())
	go func() {
		defer close(p.done)
		p.supervise(c)
	}()
	return p, nil
}

// Name is the plugin's.
func (p *Plugin) Name() string { return p.name }

// Description is what a plugin says of itself.
type Description struct {
	Name, Version string
	Components    []Component
}

// Component is what a plugin says of one of its components.
type Component struct {
	Kind               string // "exporter" or "sampler"
	Name, Version, Doc string
	// ConfigSchema is the JSON Schema of its configuration; empty if it has none.
	ConfigSchema string
}

// Describe tells what the plugin has.
func (p *Plugin) Describe() Description {
	d := Description{Name: p.about.GetName(), Version: p.about.GetVersion()}
	for _, c := range p.about.GetComponents() {
		d.Components = append(d.Components, Component{
			Kind: wire.KindName(c.GetKind()), Name: c.GetName(), Version: c.GetVersion(), Doc: c.GetDoc(), ConfigSchema: c.GetConfigSchema(),
		})
	}
	return d
}

// PID is that of the process at the moment; 0 if there is none.
func (p *Plugin) PID() int {
	if c := p.current.Load(); c != nil {
		return c.pid
	}
	return 0
}

// Exporter makes an instance of an exporter, as the type "plugin" does;
// name may be empty if there is only one. The configuration is JSON;
// mistakes in it are [component.FieldError]s below "config".
func (p *Plugin) Exporter(ctx context.Context, s component.Settings, name string, config component.JSON) (sdktrace.SpanExporter, error) {
	return newExporterClient(ctx, p, s, ExporterConfig{Config: Config{Component: name, Config: config}, Timeout: defaultTimeout})
}

// Sampler makes an instance of a sampler likewise.
func (p *Plugin) Sampler(ctx context.Context, s component.Settings, name string, config component.JSON) (sampling.Sampler, error) {
	return newSamplerClient(ctx, p, s, SamplerConfig{Config: Config{Component: name, Config: config}, MaxLeases: defaultMaxLeases})
}

// Close ends the plugin: it is told to end, and killed when ctx is done. It is
// idempotent.
func (p *Plugin) Close(ctx context.Context) error {
	p.once.Do(func() {
		p.cancel()
		<-p.done
		if c := p.current.Swap(nil); c != nil {
			ctx, cancel := context.WithTimeout(ctx, p.timing.stop)
			defer cancel()
			p.err = c.stop(ctx)
		}
		p.set(Stopped, nil)
		p.err = errors.Join(p.err, p.removeProgram())
		p.logger.Info("plugin is stopped")
	})
	return p.err
}

func (p *Plugin) removeProgram() error {
	if p.program == nil {
		return nil
	}
	return p.program.Remove()
}

// set changes the state and the connection, and wakes who waits for it.
func (p *Plugin) set(s State, c *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = s
	p.current.Store(c)
	close(p.changed)
	p.changed = make(chan struct{})
}

// change is closed when the state changes.
func (p *Plugin) change() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}
