package plugins

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/plugins/internal/process"
	"github.com/riffletrace/riffle/plugins/pin"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// Plugin is a plugin that runs and is supervised. Services name one in their
// configuration; this is for tools and tests. It is safe for concurrent use.
type Plugin struct {
	name    string
	logger  *slog.Logger
	program *pin.Program // nil if it was joined
	dial    dialer
	limits  limits

	about *pluginpb.DescribeResponse

	life   context.Context //nolint:containedctx // ends with the plugin
	cancel context.CancelFunc
	done   chan struct{} // the supervision has ended
	once   sync.Once
	err    error

	current atomic.Pointer[link] // nil while there is none
	counts  counts

	configuring sync.Mutex // held while instances are made

	mu        sync.Mutex
	state     State
	changed   chan struct{} // closed, and replaced, when the link or the state changes
	instances map[*instanceClient]struct{}
}

// link is a connection to a process that serves.
type link struct {
	conn *grpc.ClientConn
	pid  int
	gone <-chan struct{}             // closed when the process has ended
	why  func() string               // how it ended
	kill func()                      // ends it at once
	stop func(context.Context) error // ends it and waits
}

// dialer starts a process and connects to it. ctx bounds the start.
type dialer func(ctx context.Context) (*link, error)

// OpenSettings say how a plugin is started.
type OpenSettings struct {
	// Logger is where the plugin and its supervision speak; nil: nowhere.
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

func (s *OpenSettings) logger(name string) *slog.Logger {
	return cmp.Or(s.Logger, slog.New(slog.DiscardHandler)).With("plugin", name)
}

// Open starts a copy of the program at path, whether it is pinned or not unless
// the settings ask for a pin, and supervises it until Close.
func Open(ctx context.Context, path string, s OpenSettings) (*Plugin, error) {
	dir, file := filepath.Split(path)
	dir, err := filepath.Abs(cmp.Or(dir, "."))
	if err != nil {
		return nil, err
	}
	program, err := pin.Copy(dir, file, s.RunDir, !s.Pinned)
	if err != nil {
		return nil, err
	}
	return open(ctx, program, dir, s, defaultLimits)
}

// open takes over the program.
func open(ctx context.Context, program *pin.Program, dir string, s OpenSettings, l limits) (*Plugin, error) {
	name := programName(program.Path)
	logger := s.logger(name)
	settings := process.Settings{
		Name:        name,
		Path:        program.Path,
		Dir:         filepath.Dir(program.Path),
		Env:         append([]string{DirVariable + "=" + dir}, s.Env...),
		Handshake:   handshake,
		Logger:      logger,
		Timeout:     cmp.Or(s.StartTimeout, l.start),
		DialOptions: append(dialOptions(), grpc.WithWriteBufferSize(buffer)),
	}
	p := newPlugin(name, logger, l)
	p.program = program
	p.dial = func(ctx context.Context) (*link, error) {
		pr, err := process.Start(ctx, settings)
		if err != nil {
			return nil, err
		}
		return &link{conn: pr.Conn(), pid: pr.PID(), gone: pr.Exited(), why: pr.ExitText, kill: pr.Kill, stop: pr.Stop}, nil
	}
	return p.begin(ctx)
}

// Join serves the offers in this process, over a connection in memory. Close
// shuts their instances down.
func Join(ctx context.Context, s OpenSettings, offers ...Offer) (*Plugin, error) {
	if err := checkOffers(ctx, offers); err != nil {
		return nil, err
	}
	const name = "joined"
	p := newPlugin(name, s.logger(name), defaultLimits)
	p.dial = func(context.Context) (*link, error) { return joined(name, p.logger, offers) }
	return p.begin(ctx)
}

// joined serves over a pipe.
func joined(name string, logger *slog.Logger, offers []Offer) (*link, error) {
	s := newServer(name, programVersion(), logger, offers)
	g := grpc.NewServer(serverOptions()...)
	s.register(g)
	lis := newPipeListener()
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = g.Serve(lis) // until it is stopped
	}()
	conn, err := grpc.NewClient("passthrough:///"+name, append(dialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(lis.dial))...)
	if err != nil {
		g.Stop()
		return nil, err
	}
	var once sync.Once
	stop := func(ctx context.Context) (err error) {
		once.Do(func() {
			err = errors.Join(conn.Close(), s.shutdown(ctx))
			g.Stop()
			<-served
		})
		return err
	}
	return &link{
		conn: conn, gone: served, why: func() string { return "stopped" }, stop: stop,
		kill: func() { g.Stop() },
	}, nil
}

// dialOptions are those of all connections to plugins.
func dialOptions() []grpc.DialOption {
	return append(clientCompression(), grpc.WithDefaultCallOptions(
		grpc.ForceCodecV2(codec{}),
		grpc.MaxCallRecvMsgSize(MaxAnswer),
		grpc.MaxCallSendMsgSize(MaxMessage)))
}

// MaxAnswer is what the host takes from a plugin in one message.
const MaxAnswer = 8 << 20

func newPlugin(name string, logger *slog.Logger, l limits) *Plugin {
	p := &Plugin{
		name: name, logger: logger, limits: l,
		done: make(chan struct{}), changed: make(chan struct{}), instances: map[*instanceClient]struct{}{},
	}
	p.life, p.cancel = context.WithCancel(context.Background())
	return p
}

// begin starts the process for the first time, and then the supervision. On an
// error nothing is left.
func (p *Plugin) begin(ctx context.Context) (*Plugin, error) {
	l, err := p.connect(ctx)
	if err != nil {
		p.cancel()
		return nil, errors.Join(err, p.removeProgram())
	}
	p.set(Running, l)
	p.logger.Info("plugin is running", "pid", l.pid, "version", p.about.GetVersion())
	go func() {
		defer close(p.done)
		p.supervise(l)
	}()
	return p, nil
}

// Name is the plugin's.
func (p *Plugin) Name() string { return p.name }

// Describe tells what the plugin has.
func (p *Plugin) Describe() *pluginpb.DescribeResponse { return p.about }

// PID is that of the process at the moment; 0 if there is none.
func (p *Plugin) PID() int {
	if l := p.current.Load(); l != nil {
		return l.pid
	}
	return 0
}

// Exporter makes an instance of an exporter, as the type "plugin" does;
// component may be empty if there is only one. The configuration is JSON;
// mistakes in it are [core.FieldError]s below "config".
func (p *Plugin) Exporter(ctx context.Context, s core.Settings, component string, config core.JSON) (core.Exporter, error) {
	return newExporterClient(ctx, p, s, Config{Component: component, Config: config, Timeout: defaultTimeout})
}

// Sampler makes an instance of a sampler likewise.
func (p *Plugin) Sampler(ctx context.Context, s core.Settings, component string, config core.JSON) (core.Sampler, error) {
	return newSamplerClient(ctx, p, s, Config{Component: component, Config: config, MaxLeases: defaultMaxLeases})
}

// Close ends the plugin: it is told to end, and killed when ctx is done. It is
// idempotent.
func (p *Plugin) Close(ctx context.Context) error {
	p.once.Do(func() {
		p.cancel()
		<-p.done
		if l := p.current.Swap(nil); l != nil {
			ctx, cancel := context.WithTimeout(ctx, p.limits.stop)
			defer cancel()
			p.err = l.stop(ctx)
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

// set changes the state and the link, and wakes who waits for it.
func (p *Plugin) set(s State, l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = s
	p.current.Store(l)
	close(p.changed)
	p.changed = make(chan struct{})
}

// change is closed when the state changes.
func (p *Plugin) change() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// pipeListener accepts connections in memory.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) dial(ctx context.Context, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
	case <-ctx.Done():
	}
	return nil, errors.Join(net.ErrClosed, here.Close(), there.Close())
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (*pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
