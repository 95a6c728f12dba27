package viewer

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/cmd/riffle/internal/viewer/loopback"
	"github.com/riffletrace/riffle/cmd/riffle/internal/viewer/page"
	"github.com/riffletrace/riffle/cmd/riffle/internal/viewer/receive"
	"github.com/riffletrace/riffle/findings"
)

// Options are those of a viewer. An error about an address names the flag of the command
// view that it comes from.
type Options struct {
	// Listen is where the page is served: an address of loopback, port 0 is a free one.
	Listen string
	// OTLPGRPC and OTLPHTTP are where spans are received, likewise; "" is nowhere.
	OTLPGRPC, OTLPHTTP string
	// MaxBytes bounds the memory of what is held: the oldest traces go.
	MaxBytes int64
	// Sources are read once, one after another, while the viewer runs.
	Sources []Source
	// Warn is told what goes wrong with a source; nil is nobody.
	Warn func(error)
	// Detector looks for what is wrong; the zero value is package findings with its
	// defaults.
	Detector Detector
	// Page is what is served; nil is the page of the viewer.
	Page fs.FS
}

// Source is something to read spans from.
type Source struct {
	Name string
	// Read reads all of it, and calls take with some spans at a time. It ends with ctx.
	Read func(ctx context.Context, take func([]sdktrace.ReadOnlySpan) error) error
}

// Viewer is one that runs.
type Viewer struct {
	store   *store
	servers []*http.Server
	grpc    *receive.Server
	cancel  context.CancelFunc
	running sync.WaitGroup

	page, http, grpcAddr net.Addr // where they listen; nil: nowhere

	mu      sync.Mutex
	sources []sourceStatus
}

// Start starts a viewer, until Close. The context is for starting alone.
func Start(ctx context.Context, opts Options) (*Viewer, error) {
	return start(ctx, opts, quietFor)
}

func start(ctx context.Context, opts Options, quiet time.Duration) (_ *Viewer, err error) {
	if opts.Page == nil {
		opts.Page = page.Files
	}
	if opts.Detector.Trace == nil {
		opts.Detector = defaultDetector()
	}
	v := &Viewer{store: newStore(opts.MaxBytes)}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	v.cancel = cancel
	defer func() {
		if err != nil {
			v.Close()
		}
	}()
	look := &analysis{store: v.store, detect: opts.Detector, quiet: quiet}
	api := &server{store: v.store, analysis: look, sources: v.sourceStatus, turns: make(chan struct{}, 2)}
	receiver := receive.New(v.store.add)

	var l net.Listener
	if opts.OTLPHTTP != "" {
		if l, err = loopback.Listen(ctx, "--otlp-http", opts.OTLPHTTP); err != nil {
			return nil, switchOff(err, "--otlp-http")
		}
		v.http = l.Addr()
		v.serve(l, receiver)
	}
	if opts.OTLPGRPC != "" {
		if l, err = loopback.Listen(ctx, "--otlp-grpc", opts.OTLPGRPC); err != nil {
			return nil, switchOff(err, "--otlp-grpc")
		}
		v.grpcAddr, v.grpc = l.Addr(), receiver.GRPC()
		taken := l
		v.running.Go(func() { _ = v.grpc.Serve(taken) }) // it ends with Close
	}
	api.takes.GRPC, api.takes.HTTP = v.Receivers()
	if l, err = loopback.Listen(ctx, "--listen", opts.Listen); err != nil {
		return nil, err
	}
	v.page = l.Addr()
	v.serve(l, api.handler(opts.Page))
	v.running.Go(func() { look.run(work) })
	for _, s := range opts.Sources {
		v.sources = append(v.sources, sourceStatus{Name: s.Name})
	}
	// Not waited for: nothing ends reading from a terminal.
	go v.read(work, opts.Sources, opts.Warn)
	return v, nil
}

func switchOff(err error, flag string) error {
	return fmt.Errorf("%w; %s \"\" receives nothing there", err, flag)
}

func (v *Viewer) serve(l net.Listener, h http.Handler) {
	s := &http.Server{
		Handler:           loopback.Guard(l.Addr(), h),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	v.servers = append(v.servers, s)
	v.running.Go(func() { _ = s.Serve(l) }) // it ends with Close
}

// read reads the sources.
func (v *Viewer) read(ctx context.Context, sources []Source, warn func(error)) {
	for i, s := range sources {
		err := s.Read(ctx, func(spans []sdktrace.ReadOnlySpan) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			v.store.add(spans)
			v.mu.Lock()
			defer v.mu.Unlock()
			v.sources[i].Spans += len(spans)
			return nil
		})
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			continue
		}
		v.mu.Lock()
		v.sources[i].Error = err.Error()
		v.mu.Unlock()
		if warn != nil {
			warn(err)
		}
	}
}

func (v *Viewer) sourceStatus() []sourceStatus {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]sourceStatus{}, v.sources...)
}

// Add takes spans, of which nothing is kept but texts. It is safe for concurrent use,
// and never waits for who looks at spans.
func (v *Viewer) Add(spans []sdktrace.ReadOnlySpan) { v.store.add(spans) }

// URL is where the page is.
func (v *Viewer) URL() string { return "http://" + v.page.String() + "/" }

// Receivers are where spans are received, by OTLP over gRPC and over HTTP; "" is nowhere.
func (v *Viewer) Receivers() (grpc, http string) {
	if v.grpcAddr != nil {
		grpc = v.grpcAddr.String()
	}
	if v.http != nil {
		http = "http://" + v.http.String()
	}
	return grpc, http
}

// Close ends the viewer at once. It may be called again.
func (v *Viewer) Close() {
	v.cancel()
	for _, s := range v.servers {
		_ = s.Close() // nothing to do about an error
	}
	if v.grpc != nil {
		v.grpc.Stop()
	}
	v.running.Wait()
}

func defaultDetector() Detector {
	c := findings.Defaults()
	return Detector{
		Trace:  func(spans []sdktrace.ReadOnlySpan) []findings.Finding { return findings.Trace(c, spans) },
		Across: func(spans []sdktrace.ReadOnlySpan) []findings.Finding { return findings.Across(c, spans) },
		Merge:  func(all []findings.Finding) []findings.Finding { return findings.Merge(c, all) },
	}
}
