package delivery

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/riffletrace/riffle/core/delivery/disk"
)

// diskWriter does what a line has to do with its disk.
type diskWriter struct {
	line     *Line
	queue    *diskQueue
	fs       disk.FS
	dir      string
	identity disk.Identity
	sync     bool
	interval time.Duration

	store     *disk.Store
	failing   atomic.Bool // the last attempt to write has failed
	looked    time.Time
	trouble   time.Time // the last attempt that failed
	undeleted []disk.Entry
}

const (
	takeOverEvery = time.Minute
	retryEvery    = time.Second // after the disk has failed
	// Batches of a group are encoded and written together.
	groupBytes = 8 << 20
)

func newDiskWriter(l *Line, q *diskQueue, s Settings) *diskWriter {
	c := l.config.Queue
	interval, _ := c.Fsync.interval() // it is valid
	return &diskWriter{
		line: l, queue: q, fs: s.fs, dir: c.Dir, sync: c.Fsync != FsyncNever, interval: interval,
		identity: disk.Identity{Name: s.Name, Type: s.Type, Endpoint: l.traits.Endpoint},
	}
}

// run stores batches until stop is closed, and those that are left then.
func (w *diskWriter) run(stop <-chan struct{}) {
	w.open()
	w.line.allowWork()
	timer := time.NewTimer(takeOverEvery)
	defer timer.Stop()
	for {
		select {
		case <-w.queue.wake:
		case <-timer.C:
		case <-stop:
			w.write(0)
			w.clean()
			if w.store != nil {
				_ = w.store.Close() // the end of the process does it, too
			}
			return
		}
		if w.store == nil && time.Since(w.trouble) >= retryEvery {
			w.open()
		}
		wait := w.write(w.interval)
		w.clean()
		w.takeOver()
		timer.Reset(wait)
	}
}

func (w *diskWriter) open() {
	store, entries, err := disk.Open(w.fs, w.dir, w.identity)
	if err != nil {
		w.failed(err)
		return
	}
	w.store, w.looked = store, time.Now()
	w.line.takeOver(entries)
	w.lookForStranded()
}

// lookForStranded warns of what waits for an exporter of this name that had another
// endpoint. Nobody will send it.
func (w *diskWriter) lookForStranded() {
	queues, err := disk.Stranded(w.fs, w.dir, w.identity, nil)
	if err != nil {
		w.line.reporter.warn("the disk queue cannot see what waits for other endpoints", "error", err)
		return
	}
	for _, q := range queues {
		batches, spans := q.Waiting()
		w.line.reporter.logger.Warn("spans wait in the disk queue for an endpoint that is not this exporter's any more: send them, or delete them",
			"endpoint", q.Endpoint, "batches", batches, "spans", spans,
			"send", fmt.Sprintf("riffle queue send %s --exporter %s --endpoint %s --to ENDPOINT", quoted(w.dir), quoted(w.identity.Name), quoted(q.Endpoint)),
			"delete", fmt.Sprintf("riffle queue purge --exporter %s --endpoint %s %s", quoted(w.identity.Name), quoted(q.Endpoint), quoted(w.dir)))
	}
}

// quoted is an argument as a shell takes it: people copy what the log tells them to
// run, and an endpoint comes from a file.
func quoted(s string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:@%+="
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// failed logs once, until the disk works again.
func (w *diskWriter) failed(err error) {
	w.trouble = time.Now()
	if !w.failing.Swap(true) {
		w.line.reporter.logger.Warn("the disk queue cannot store: batches wait in memory until it can", "error", err)
	}
}

func (w *diskWriter) takeOver() {
	if w.store == nil || time.Since(w.looked) < takeOverEvery {
		return
	}
	w.looked = time.Now()
	entries, err := w.store.TakeOver()
	w.line.takeOver(entries)
	if err != nil {
		w.line.reporter.warn("the disk queue cannot take over what another process has left", "error", err)
	}
}

// write stores batches that have waited for as long as interval. It returns
// how long the next can wait.
func (w *diskWriter) write(interval time.Duration) time.Duration {
	for {
		group, wait := w.group(interval)
		if len(group) == 0 {
			return wait
		}
		entries, err := w.store.Write(w.encode(group), w.sync)
		w.line.stored(group[:len(entries)], entries)
		if err != nil {
			w.requeue(group[len(entries):])
			w.failed(err)
			return max(retryEvery, w.interval)
		}
		if w.failing.Swap(false) {
			w.line.reporter.logger.Info("the disk queue stores again")
		}
	}
}

// group returns batches that are due.
func (w *diskWriter) group(interval time.Duration) (group []*batch, wait time.Duration) {
	l, q := w.line, w.queue
	l.mu.Lock()
	defer l.mu.Unlock()
	q.unstored = slices.DeleteFunc(q.unstored, func(b *batch) bool { return !b.unstored })
	if len(q.unstored) == 0 {
		return nil, takeOverEvery
	}
	if w.store == nil || w.failing.Load() && !l.closed {
		if wait = retryEvery - time.Since(w.trouble); wait > 0 || w.store == nil {
			return nil, max(wait, time.Millisecond)
		}
	}
	crowded := q.unstoredBytes > q.inMemory/4
	if wait = interval - time.Since(q.unstored[0].unstoredSince); wait > 0 && !crowded {
		return nil, wait
	}
	var size int64
	for i, b := range q.unstored {
		// Those that have come lately may still be sent before their time.
		if size += b.size; i > 0 && (size > groupBytes || !crowded && time.Since(b.unstoredSince) < interval/2) {
			break
		}
		group = append(group, b)
	}
	q.unstored = slices.Clone(q.unstored[len(group):])
	return group, 0
}

// requeue puts back what was not stored.
func (w *diskWriter) requeue(group []*batch) {
	w.line.mu.Lock()
	defer w.line.mu.Unlock()
	w.queue.unstored = slices.Concat(group, w.queue.unstored)
}

// clean deletes files that nobody needs any more. What cannot be deleted is
// retried.
func (w *diskWriter) clean() {
	w.line.mu.Lock()
	remove := append(w.undeleted, w.queue.remove...)
	w.undeleted, w.queue.remove = nil, nil
	w.line.mu.Unlock()
	for _, e := range remove {
		if err := w.store.Remove(e); err != nil {
			w.undeleted = append(w.undeleted, e)
			w.line.reporter.warn("the disk queue cannot delete what was sent: it may be sent again after a restart", "error", err)
		}
	}
}

// stored notes which batches are on the disk.
func (l *Line) stored(group []*batch, entries []disk.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.writer.queue
	for i, e := range entries {
		q.stored(group[i], e)
		l.counts.stored.Add(uint64(e.Spans))
	}
	l.queuedBytes.Store(q.size())
	l.full.Store(false)
}

// takeOver queues what other processes have left.
func (l *Line) takeOver(entries []disk.Entry) {
	if len(entries) > 0 {
		l.reporter.logger.Info("the disk queue has batches of an earlier process", "batches", len(entries))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		l.counts.takenOver.Add(uint64(e.Spans))
		l.counts.handedOver.Add(uint64(e.Spans))
		l.writer.queue.takeOver(&batch{count: e.Spans, size: e.Size, handedOverAt: e.FirstEnd, firstEnd: e.FirstEnd, file: &e, takenOver: true})
	}
	l.queuedBytes.Store(l.writer.queue.size())
	l.changed.Broadcast()
}

// allowWork lets the workers begin.
func (l *Line) allowWork() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready = true
	l.changed.Broadcast()
}
