package delivery_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery"
)

// What a backend took of a batch that is on the disk is not sent again, and what
// remains is, by the next process too.
func TestPartialOnDisk(t *testing.T) {
	for _, takes := range []string{"spans", "requests"} {
		t.Run(takes, func(t *testing.T) {
			dir := t.TempDir()
			b := dead()
			h := &halting{backend: b, takes: 3, outcome: delivery.Retry, after: 10 * time.Minute}
			var e sdktrace.SpanExporter = h
			if takes == "spans" {
				e = onlySpans{h}
			}
			// Stored while the backend is away.
			f, l := one(t, e, &journal{}, onDisk(dir))
			f.HandOver(spans(0, 100, 10)...)
			until(t, "stored", func() bool { return l.Stats().Stored == 100 })
			shutDown(t, l)
			if n := len(batches(t, dir)); n != 10 {
				t.Fatalf("%d files", n)
			}

			// A part of one batch is taken, and the backend wants to be left alone.
			b.respond = nil
			_, l = one(t, e, &journal{}, onDisk(dir))
			until(t, "taken", func() bool { return l.Stats().Sent > 0 })
			shutDown(t, l)
			s := l.Stats()
			if s.TakenOver != 100 || s.Sent%3 != 0 || s.Waiting != 100-s.Sent || s.Lost != 0 {
				t.Errorf("%+v", s)
			}
			if n := len(batches(t, dir)); n != 10 {
				t.Errorf("%d files are left", n)
			}

			// It takes three spans of each request, then the rest.
			h.after = 0
			_, l = one(t, e, &journal{}, onDisk(dir))
			until(t, "sent", func() bool { return l.Stats().Sent == s.Waiting })
			shutDown(t, l)
			each(t, b, 0, 100)
			if n := len(b.received()); n != 100 {
				t.Errorf("%d spans", n)
			}
			if s := l.Stats(); s.Waiting != 0 || s.Bytes != 0 || s.Lost != 0 {
				t.Errorf("%+v", s)
			}
			if left := batches(t, dir); len(left) != 0 {
				t.Errorf("%d files are left", len(left))
			}
		})
	}
}

// A process that is killed between the response and the write sends the whole
// batch again: twice is better than never.
func TestPartialKilled(t *testing.T) {
	dir := t.TempDir()
	b := dead()
	f, l := one(t, b, &journal{}, onDisk(dir))
	f.HandOver(spans(0, 10, 10)...)
	until(t, "stored", func() bool { return l.Stats().Stored == 10 })
	shutDown(t, l)

	b.respond = nil
	h := &halting{backend: b, takes: 3, outcome: delivery.Retry, after: 10 * time.Minute}
	_, l = one(t, h, &journal{}, func(c *delivery.Config) {
		onDisk(dir)(c)
		c.Queue.Fsync = "1m" // what remains is not written soon
	})
	until(t, "taken", func() bool { return l.Stats().Sent == 3 })
	if n := len(batches(t, dir)); n != 1 {
		t.Errorf("%d files: the batch must stay until what is left of it is written", n)
	}
	copied := copyOf(t, dir) // as it is at this moment
	shutDown(t, l)
	taken := int(l.Stats().Sent) // 3, and as many again if it has tried once more before it ended

	_, l = one(t, b, &journal{}, onDisk(copied))
	until(t, "sent", func() bool { return l.Stats().Sent == 10 })
	shutDown(t, l)
	var twice int
	for _, n := range b.received() {
		twice += n - 1
	}
	if n := len(b.received()); n != 10 || twice != taken {
		t.Errorf("%d spans came, %d of them twice, want 10 and %d", n, twice, taken)
	}
}

// copyOf copies a directory with its modes.
func copyOf(t testing.TB, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Mkdir(filepath.Join(to, name), 0o700)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), content, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}
