package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/bench/internal/outside"
)

// flushTimeout bounds sending what is left.
const flushTimeout = 30 * time.Second

// serviceStart says which service to be, and how to trace it.
type serviceStart struct {
	Target  string            `json:"target"`
	Variant Variant           `json:"variant"`
	Outside outside.Addresses `json:"outside"`
	Spans   int               `json:"spans"`             // per request, if known
	Profile string            `json:"profile,omitempty"` // file name, without ending
	Scratch string            `json:"scratch"`           // where to make a directory
}

// usage is what the process has used since it began, with everything sent that
// was to be sent.
type usage struct {
	User       time.Duration `json:"user"`
	System     time.Duration `json:"system"`
	Faults     uint64        `json:"faults"`
	AllocBytes uint64        `json:"alloc_bytes"`
	Allocs     uint64        `json:"allocs"`
	HeapHigh   uint64        `json:"heap_high"`  // while it was watched since the last mark
	WaitsHigh  uint64        `json:"waits_high"` // likewise
	Mapped     uint64        `json:"mapped"`     // memory that is in use, or was and is not given back
	GCs        uint64        `json:"gcs"`
}

// serviceRole is the process of the service under test.
type serviceRole struct {
	targets []Target

	telemetry *telemetry
	server    *http.Server
	close     func()
	dir       string
	spans     int
	sampled   atomic.Uint64 // requests that were seen to be sampled
	heap      heapWatch
	kind      Kind
	profile   string
	profiling *os.File
}

func (p *serviceRole) do(ctx context.Context, r request) (reply, error) {
	switch {
	case r.Start != nil && p.telemetry == nil:
		return p.start(ctx, r.Start)
	case r.Watch != nil && p.telemetry != nil:
		p.heap.watch(*r.Watch, p.telemetry.waits)
		return reply{}, nil
	case r.Mark && p.telemetry != nil:
		return p.mark(ctx)
	default:
		return reply{}, errors.New("nothing is asked of the service")
	}
}

func (p *serviceRole) start(ctx context.Context, s *serviceStart) (reply, error) {
	i := slices.IndexFunc(p.targets, func(t Target) bool { return t.Name == s.Target })
	if i < 0 {
		return reply{}, fmt.Errorf("target %q: bench.Main was not given it", s.Target)
	}
	var err error
	if p.dir, err = os.MkdirTemp(s.Scratch, "service"); err != nil {
		return reply{}, err
	}
	p.spans, p.kind, p.profile = s.Spans, s.Variant.Kind, s.Profile
	if p.telemetry, err = newTelemetry(ctx, &s.Variant, s.Outside, p.dir); err != nil {
		return reply{}, err
	}
	otel.SetTracerProvider(p.telemetry.tracers)
	otel.SetTextMapPropagator(propagator())
	handler, closing, err := p.targets[i].Handler(ctx, Service{
		Tracers:    p.telemetry.tracers,
		Propagator: propagator(),
		Peer:       s.Outside.Peer,
		Seen: func(ctx context.Context) {
			if trace.SpanContextFromContext(ctx).IsSampled() {
				p.sampled.Add(1)
			}
		},
	})
	if err != nil {
		return reply{}, fmt.Errorf("building the service: %w", err)
	}
	p.close = closing
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return reply{}, err
	}
	// A connection that nobody has used yet waits as long as the others have their turn.
	p.server = &http.Server{Handler: handler, ReadHeaderTimeout: time.Hour, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func() { _ = p.server.Serve(listener) }() // it ends with the process, or end
	return reply{URL: "http://" + listener.Addr().String()}, nil
}

// mark tells what was used. The first one starts the profile.
func (p *serviceRole) mark(ctx context.Context) (reply, error) {
	if p.telemetry.flush != nil {
		ctx, cancel := context.WithTimeout(ctx, flushTimeout)
		defer cancel()
		if err := p.telemetry.flush(ctx); err != nil {
			return reply{}, fmt.Errorf("sending what is left: %w", err)
		}
	}
	u, err := p.usage()
	if err != nil {
		return reply{}, err
	}
	if p.profile != "" && p.profiling == nil {
		if p.profiling, err = os.Create(p.profile + ".cpu.pprof"); err != nil {
			return reply{}, err
		}
		return reply{Usage: u}, pprof.StartCPUProfile(p.profiling)
	}
	return reply{Usage: u}, nil
}

func (p *serviceRole) usage() (*usage, error) {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/allocs:objects"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
	}
	metrics.Read(samples)
	u, err := resources()
	u.AllocBytes, u.Allocs = samples[0].Value.Uint64(), samples[1].Value.Uint64()
	u.Mapped, u.GCs = samples[2].Value.Uint64()-samples[3].Value.Uint64(), samples[4].Value.Uint64()
	u.HeapHigh, u.WaitsHigh = p.heap.high.Swap(0), p.heap.waits.Swap(0)
	return &u, err
}

// end closes everything and tells what became of the spans.
func (p *serviceRole) end(ctx context.Context) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	p.heap.watch(false, nil)
	err := p.endProfile()
	if p.server != nil {
		err = errors.Join(err, p.server.Close())
	}
	if p.close != nil {
		p.close()
	}
	var c Counts
	if p.telemetry != nil {
		var failure error
		c, failure = p.telemetry.finish(ctx)
		err = errors.Join(err, failure)
		if n := p.sampled.Load() * uint64(p.spans); p.kind == Stock && n > 0 {
			c.Kept = n // as the service saw it
		}
	}
	if p.dir != "" {
		err = errors.Join(err, os.RemoveAll(p.dir))
	}
	return reply{Final: &c}, err
}

func (p *serviceRole) endProfile() error {
	if p.profiling == nil {
		return nil
	}
	pprof.StopCPUProfile()
	err := p.profiling.Close()
	var heap bytes.Buffer
	runtime.GC()
	return errors.Join(err,
		pprof.Lookup("allocs").WriteTo(&heap, 0),
		os.WriteFile(filepath.Clean(p.profile+".heap.pprof"), heap.Bytes(), 0o600))
}

// heapWatch looks at the size of the heap, and at what waits in it, from time to time.
type heapWatch struct {
	high, waits atomic.Uint64
	stop, done  chan struct{} // nil: it does not look
}

const heapInterval = 10 * time.Millisecond

// watch begins or ends it. waits may be nil.
func (h *heapWatch) watch(on bool, waits func() uint64) {
	switch {
	case on && h.stop == nil:
		h.stop, h.done = make(chan struct{}), make(chan struct{})
		go h.look(waits)
	case !on && h.stop != nil:
		close(h.stop)
		<-h.done
		h.stop = nil
	}
}

func (h *heapWatch) look(waits func() uint64) {
	defer close(h.done)
	tick := time.NewTicker(heapInterval)
	defer tick.Stop()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	for {
		metrics.Read(sample)
		h.high.Store(max(h.high.Load(), sample[0].Value.Uint64()))
		select {
		case <-tick.C:
		case <-h.stop:
			// What waits is looked at once, since asking takes a little of the time that
			// is measured.
			if waits != nil {
				h.waits.Store(max(h.waits.Load(), waits()))
			}
			return
		}
	}
}
