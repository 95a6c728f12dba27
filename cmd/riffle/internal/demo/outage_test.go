package demo

import (
	"context"
	"flag"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/riffletrace/riffle/cmd/riffle/internal/demo/receiver"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/exporters/otlp"
)

var outageRequests = flag.Int("outage-requests", 6000, "requests of TestOutage; 45000 make the outage last 10 s or more")

// gate stands before a backend and can be shut: then nothing listens there, and
// connections are cut.
type gate struct {
	address string
	to      string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]struct{}
	wg       sync.WaitGroup
}

func (g *gate) open(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	address := g.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	g.listener, g.address, g.conns = l, l.Addr().String(), make(map[net.Conn]struct{})
	g.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			g.pass(ctx, c)
		}
	})
	return nil
}

func (g *gate) pass(ctx context.Context, in net.Conn) {
	out, err := new(net.Dialer).DialContext(ctx, "tcp", g.to)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		in.Close()
		return
	}
	if g.listener == nil {
		in.Close()
		out.Close()
		return
	}
	g.conns[in], g.conns[out] = struct{}{}, struct{}{}
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		g.wg.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // it ends when either end is closed
			way[0].Close()
			way[1].Close()
		})
	}
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.listener == nil {
		return
	}
	g.listener.Close()
	g.listener = nil
	for c := range g.conns {
		c.Close()
	}
}

// A backend that is away in the middle of the load costs nothing: every span
// that was kept arrives there, and the application notices nothing.
func TestOutage(t *testing.T) {
	backend, err := receiver.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	g := &gate{to: backend.Endpoint()}
	if err := g.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer g.wg.Wait()
	defer g.shut()

	o := options(t, 1, *outageRequests)
	insecure := true
	o.Spec.Exporters = []core.ExporterEntry{core.UseExporter(otlp.Factory, "away", otlp.Config{Endpoint: g.address, Insecure: &insecure, Protocol: otlp.HTTP})}
	var done, away atomic.Int64
	first, last := int64(o.Requests/5), int64(o.Requests*7/10)
	o.Progress = func() {
		switch done.Add(1) {
		case first:
			g.shut()
			away.Store(time.Now().UnixNano())
		case last:
			if err := g.open(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
			t.Logf("the backend was away for %v", time.Since(time.Unix(0, away.Load())))
		}
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	spans := 0
	for _, trace := range backend.Traces() {
		spans += trace.Spans
	}
	// At least once: a batch whose answer was cut off is sent again.
	if r.Exporters[0].Lost != 0 || spans < r.SpansExported {
		t.Errorf("of %d spans %d arrived at the backend that was away; %+v", r.SpansExported, spans, r.Exporters)
	}
	if len(backend.Traces()) != r.TracesKept {
		t.Errorf("%d traces arrived, %d were kept", len(backend.Traces()), r.TracesKept)
	}
}
