package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery"
)

// onDisk sets a queue on a disk. Batches are small and written at once.
func onDisk(dir string) func(*delivery.Config) {
	return func(c *delivery.Config) {
		c.Queue.Storage, c.Queue.Dir, c.Queue.Fsync = delivery.StorageDisk, dir, delivery.FsyncNever
		c.Batch.MaxSpans = 10
		c.Batch.MaxAge = 1e6
		c.Send.Backoff.Initial, c.Send.Backoff.Max = 1e6, 1e6
	}
}

// until polls for a state.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// shutDown shuts a line down, which tells of as many lost spans as there are.
func shutDown(t testing.TB, l *delivery.Line) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	err := l.Shutdown(ctx)
	switch lost := l.Stats().Lost; {
	case lost == 0 && err != nil, lost > 0 && !strings.HasPrefix(message(err), fmt.Sprintf("%d span", lost)):
		t.Errorf("shutting down: %v, and %d spans were lost", err, lost)
	}
}

// dead is a backend that is not there.
func dead() *backend {
	return &backend{respond: func(context.Context, []string) (delivery.Response, error) { return delivery.Response{}, errAway }}
}

func batches(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*", "part-*", "ready", "*.batch"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// What one process could not send, the next one does: whatever the exporter
// takes, and whatever it is compressed with.
func TestDiskOutlivesTheLine(t *testing.T) {
	exporters := map[string]func(*backend) sdktrace.SpanExporter{
		"requests": func(b *backend) sdktrace.SpanExporter { return b },
		"spans":    func(b *backend) sdktrace.SpanExporter { return plain{b} },
		"gzip":     func(b *backend) sdktrace.SpanExporter { return compressed{b, delivery.Gzip} },
		"zstd":     func(b *backend) sdktrace.SpanExporter { return compressed{b, delivery.Zstd} },
		"snappy":   func(b *backend) sdktrace.SpanExporter { return compressed{b, delivery.Snappy} },
	}
	for from, first := range exporters {
		for to, second := range exporters {
			t.Run(from+" to "+to, func(t *testing.T) {
				dir := t.TempDir()
				f, l := one(t, first(dead()), &journal{}, onDisk(dir))
				f.HandOver(spans(0, 95, 10)...)
				until(t, "stored", func() bool { return l.Stats().Stored == 95 })
				shutDown(t, l)
				if s := l.Stats(); s.Waiting != 95 || s.Lost != 0 {
					t.Errorf("%+v", s)
				}
				if n := len(batches(t, dir)); n != 10 {
					t.Errorf("%d files", n)
				}

				b := &backend{}
				_, l = one(t, second(b), &journal{}, onDisk(dir))
				until(t, "sent", func() bool { return l.Stats().Sent == 95 })
				shutDown(t, l)
				each(t, b, 0, 95)
				accounted(t, l, b)
				if s := l.Stats(); s.TakenOver != 95 || s.Waiting != 0 || s.Bytes != 0 {
					t.Errorf("%+v", s)
				}
				if left := batches(t, dir); len(left) != 0 {
					t.Errorf("%d files are left", len(left))
				}
			})
		}
	}
}

// compressed is a backend that wants bodies compressed.
type compressed struct {
	*backend
	compression delivery.Compression
}

func (c compressed) Traits() delivery.Traits { return delivery.Traits{Compression: c.compression} }

func (c compressed) ExportRequest(ctx context.Context, r delivery.Request) (delivery.Response, error) {
	body, err := c.compression.Decompress(r.Body)
	if err != nil {
		return delivery.Response{}, err
	}
	return c.backend.ExportRequest(ctx, delivery.Request{Body: body, Spans: r.Spans})
}

// What is sent soon is never written; what a shutdown leaves behind is.
func TestDiskIsSpared(t *testing.T) {
	dir, b := t.TempDir(), &backend{}
	f, l := one(t, b, &journal{}, func(c *delivery.Config) {
		onDisk(dir)(c)
		c.Queue.Fsync = "1m"
	})
	f.HandOver(spans(0, 100, 0)...)
	until(t, "sent", func() bool { return l.Stats().Sent == 100 })
	b.mu.Lock()
	b.respond = dead().respond
	b.mu.Unlock()
	f.HandOver(spans(100, 150, 0)...)
	shutDown(t, l)
	if s := l.Stats(); s.Stored != 50 || s.Waiting != 50 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
	if n := len(batches(t, dir)); n != 5 {
		t.Errorf("%d files", n)
	}
}

// A damaged file costs its batch, is counted and named.
func TestDiskDamage(t *testing.T) {
	dir := t.TempDir()
	f, l := one(t, dead(), &journal{}, onDisk(dir))
	f.HandOver(spans(0, 30, 0)...)
	until(t, "stored", func() bool { return l.Stats().Stored == 30 })
	shutDown(t, l)
	if err := os.Truncate(batches(t, dir)[1], 99); err != nil {
		t.Fatal(err)
	}
	b, log := &backend{}, &journal{}
	_, l = one(t, b, log, onDisk(dir))
	until(t, "done", func() bool { return l.Stats().Waiting == 0 && l.Stats().HandedOver == 30 })
	shutDown(t, l)
	accounted(t, l, b)
	if s := l.Stats(); s.Sent != 20 || s.Dropped.Damaged != 10 {
		t.Errorf("%+v", s)
	}
	if said := log.lines("damaged"); len(said) != 1 || !strings.Contains(said[0], "bad") {
		t.Errorf("%q", said)
	}
}

// Some backends refuse what is old.
func TestMaxAge(t *testing.T) {
	dir := t.TempDir()
	f, l := one(t, dead(), &journal{}, onDisk(dir))
	f.HandOver(spans(0, 10, 0)...) // they have ended in 1970
	until(t, "stored", func() bool { return l.Stats().Stored == 10 })
	shutDown(t, l)
	b := &backend{}
	_, l = one(t, b, &journal{}, func(c *delivery.Config) {
		onDisk(dir)(c)
		c.Queue.MaxAge = 3600e9
	})
	until(t, "dropped", func() bool { return l.Stats().Dropped.TooOld == 10 })
	shutDown(t, l)
	accounted(t, l, b)
	if left := batches(t, dir); len(left) != 0 {
		t.Errorf("%d files are left", len(left))
	}
}

// A disk that cannot be used makes the queue one in memory, until it can.
func TestDiskTrouble(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	if err := os.WriteFile(dir, []byte("in the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	log, b := &journal{}, dead()
	f, l := one(t, b, log, onDisk(dir))
	f.HandOver(spans(0, 50, 0)...)
	until(t, "warning", func() bool { return len(log.lines("the disk queue cannot store")) == 1 })
	if s := l.Stats(); s.Stored != 0 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	until(t, "stored", func() bool { return l.Stats().Stored == 50 })
	if err := os.RemoveAll(dir); err != nil { // it breaks again
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, []byte("in the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.HandOver(spans(50, 60, 0)...)
	until(t, "second warning", func() bool { return len(log.lines("the disk queue cannot store")) == 2 })
	b.mu.Lock()
	b.respond = nil
	b.mu.Unlock()
	until(t, "sent from memory", func() bool { return b.received()["55"] == 1 })
	if err := os.Remove(dir); err != nil { // now they are gone for good
		t.Fatal(err)
	}
	until(t, "the end of the others", func() bool { return l.Stats().Waiting == 0 })
	if s := l.Stats(); s.Sent != 10 || s.Dropped.Damaged != 50 {
		t.Errorf("%+v", s)
	}
	accounted(t, l, b)
	if n := len(log.lines("stores again")); n != 1 {
		t.Errorf("said %d times that it stores again", n)
	}
}

// With the disk in trouble and the backend away, memory is bounded.
func TestDiskTroubleIsBounded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	if err := os.WriteFile(dir, []byte("in the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := dead()
	f, l := one(t, b, &journal{}, func(c *delivery.Config) {
		onDisk(dir)(c)
		c.Queue.MaxBytes, c.Batch.MaxBytes = 64<<10, 4<<10
	})
	for i := range 100 {
		f.HandOver(spans(10*i, 10*i+10, 1000)...)
	}
	until(t, "full", func() bool { return l.Stats().Dropped.QueueFull > 0 })
	accounted(t, l, b)
	if s := l.Stats(); s.Bytes > 64<<10 {
		t.Errorf("%+v", s)
	}
}

// A split batch is stored as its pieces.
func TestDiskSplit(t *testing.T) {
	dir := t.TempDir()
	b := &backend{respond: func(_ context.Context, names []string) (delivery.Response, error) {
		if len(names) > 3 {
			return delivery.Response{}, &delivery.ExportError{Outcome: delivery.TooLarge, Err: errors.New("too large")}
		}
		return delivery.Response{}, errAway
	}}
	f, l := one(t, b, &journal{}, onDisk(dir))
	f.HandOver(spans(0, 10, 0)...)
	until(t, "split and stored", func() bool { return l.Stats().Split == 3 && len(batches(t, dir)) == 4 })
	shutDown(t, l)
	b = &backend{}
	_, l = one(t, b, &journal{}, onDisk(dir))
	until(t, "sent", func() bool { return l.Stats().Sent == 10 })
	each(t, b, 0, 10)
}

// When the queue is full, the oldest files go.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	f, l := one(t, dead(), &journal{}, func(c *delivery.Config) {
		onDisk(dir)(c)
		c.Queue.MaxBytes, c.Queue.WhenFull, c.Batch.MaxBytes = 64<<10, delivery.DropOldest, 4<<10
	})
	for i := range 1000 {
		f.HandOver(span(fmt.Sprint(i), 1000))
		if i%20 == 0 {
			until(t, "stored or dropped", func() bool { s := l.Stats(); return s.Stored+s.Dropped.QueueFull+20 > s.HandedOver })
		}
	}
	until(t, "full", func() bool { return l.Stats().Dropped.QueueFull > 0 })
	until(t, "files deleted", func() bool {
		var sum int64
		for _, name := range batches(t, dir) {
			if info, err := os.Stat(name); err == nil {
				sum += info.Size()
			}
		}
		return sum <= 64<<10
	})
	if s := l.Stats(); s.Bytes > 64<<10 || s.HandedOver != s.Waiting+s.Dropped.QueueFull {
		t.Errorf("%+v", s)
	}
}
