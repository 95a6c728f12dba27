package delivery_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/delivery/disk"
)

// at is a backend at an endpoint.
type at struct {
	*backend
	endpoint string
}

func (a at) Traits() delivery.Traits {
	return delivery.Traits{Endpoint: a.endpoint, Compression: delivery.None}
}

// What waits for an endpoint that was changed is told of once, with what to do. How an
// endpoint is written makes no other one of it.
func TestStranded(t *testing.T) {
	tests := []struct {
		name, before, after string
		stranded            bool
	}{
		{"another endpoint", "old:4317", "new:4317", true},
		{"the same", "localhost:4317", "localhost:4317", false},
		{"the same in capitals", "localhost:4317", "LOCALHOST:4317", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			f, l := one(t, at{dead(), tt.before}, &journal{}, onDisk(dir))
			f.HandOver(spans(0, 25, 0)...)
			until(t, "stored", func() bool { return l.Stats().Stored == 25 })
			shutDown(t, l)

			log := &journal{}
			b := &backend{}
			_, l = one(t, at{b, tt.after}, log, onDisk(dir))
			if !tt.stranded {
				until(t, "sent", func() bool { return l.Stats().Sent == 25 })
				shutDown(t, l)
				if said := log.lines("not this exporter's any more"); len(said) != 0 {
					t.Errorf("it says %q", said)
				}
				return
			}
			until(t, "told", func() bool { return len(log.lines("not this exporter's any more")) > 0 })
			shutDown(t, l)
			said := log.lines("not this exporter's any more")
			if len(said) != 1 {
				t.Fatalf("it says %q", said)
			}
			for _, want := range []string{"endpoint=" + tt.before, "batches=3", "spans=25", "riffle queue send " + dir + " --exporter backend --endpoint old:4317 --to ENDPOINT", "riffle queue purge"} {
				if !strings.Contains(said[0], want) {
					t.Errorf("%q is not in %q", want, said[0])
				}
			}
		})
	}
}

// frozen is a file system on which files cannot be made, until it is released.
type frozen struct {
	disk.OS
	until chan struct{}
}

func (f frozen) Create(string) (disk.File, error) {
	<-f.until
	return nil, errors.New("gone")
}

func (f frozen) Lock(name string) (io.Closer, error) { return f.OS.Lock(name) }

// A disk that hangs delays a shutdown no longer than a quarter of a second, and the
// error names it and what it leaves behind.
func TestShutdownWithFrozenDisk(t *testing.T) {
	fs := frozen{until: make(chan struct{})}
	c := delivery.Defaults()
	onDisk("queue")(&c)
	c.Queue.Dir = t.TempDir()
	f := &delivery.Lines{}
	l := f.Add(dead(), c, delivery.Settings{Name: "backend", Type: "fake", Logger: slog.New(slog.DiscardHandler)}.WithFS(fs))
	f.HandOver(spans(0, 7, 0)...)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := l.Shutdown(ctx)
	took := time.Since(began)
	close(fs.until)
	if got := message(err); !strings.Contains(got, "7 spans were left behind") || !strings.Contains(got, "the disk queue in "+c.Queue.Dir+": it hangs") {
		t.Errorf("Shutdown = %q", got)
	}
	if took > 5*time.Second { // 450 ms, on a machine that has nothing else to do
		t.Errorf("took %v", took)
	}
	_ = l.Shutdown(t.Context()) // ends when the disk is back
}
