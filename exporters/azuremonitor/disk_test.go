package azuremonitor_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/azuretest"
)

// What a 206 leaves is on the disk, and the next process sends it: no item is
// lost, and those that were taken come twice only if they are of a span that has
// others to send, as the page says.
func TestPartialOnDisk(t *testing.T) {
	dir := t.TempDir()
	onDisk := func(d *delivery.Config) {
		d.Queue.Storage, d.Queue.Dir, d.Queue.Fsync = delivery.StorageDisk, dir, delivery.FsyncAlways
		d.Batch.MaxSpans = 5
	}
	f := azuretest.New(t)
	f.Respond = func(_ int, items []*azuretest.Item) (int, http.Header, string) {
		status, _, body := f.Part(items, func(title string) int {
			if title == "span 3 failed" || title == "span 7" {
				return http.StatusTooManyRequests
			}
			return 0
		})
		return status, http.Header{"Retry-After": {"600"}}, body
	}
	var names []string
	want := make(map[string]int)
	for i := range 10 {
		name := fmt.Sprint("span ", i)
		names = append(names, name)
		want[name], want[name+" failed"], want[name+" went on"] = 1, 1, 1
	}

	lines, l := line(t, with(f.Connection()), &bytes.Buffer{}, onDisk)
	lines.HandOver(troubled(names...)...)
	until(t, func() bool { return l.Stats().Attempts > 0 })
	shutDown(t, l)
	first := l.Stats()
	if first.Lost != 0 || first.HandedOver != first.Sent+first.Waiting || first.Waiting == 0 {
		t.Errorf("%+v", first)
	}
	before := f.Accepted()

	f.Respond = nil
	_, l = line(t, with(f.Connection()), &bytes.Buffer{}, onDisk)
	until(t, func() bool { return l.Stats().Sent == first.Waiting })
	shutDown(t, l)
	if s := l.Stats(); s.TakenOver != first.Waiting || s.Waiting != 0 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
	for _, name := range []string{"span 3", "span 7"} {
		for _, item := range []string{name, name + " failed", name + " went on"} {
			if before[item] > 0 {
				want[item] = 2
			}
		}
	}
	if diff := cmp.Diff(want, f.Accepted()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 20s")
		}
	}
}

func shutDown(t *testing.T, l *delivery.Line) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := l.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}
