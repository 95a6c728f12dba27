package delivery

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// reporter tells people how a line fares: when it starts to fail, why, each time that
// this changes, each minute while it lasts, and when it has recovered; and what is lost
// besides, once a minute for each cause. It says nothing per batch.
type reporter struct {
	logger   *slog.Logger
	counts   *counts
	down     atomic.Bool
	toldFull atomic.Uint64 // of the spans that found no room

	mu      sync.Mutex
	timer   *time.Timer // for what is to be said later
	closed  bool
	outage  *outage // nil: the last batch was accepted
	budget  lineBudget
	notices map[string]*notice
	loss    error // the last one
}

// outage is a time in which no batch is accepted.
type outage struct {
	since  time.Time
	before uint64 // spans that were lost before it
	err    error  // the last one
	effect string // what becomes of spans
	told   string // the kind of the last error that was said; "" for none
	said   time.Time
}

// notice is a message that is said once a minute, with what has come together.
type notice struct {
	said  time.Time
	spans int // not said yet
	attrs []any
}

const (
	reportInterval = time.Minute
	// gatherFor is how long something is gathered that comes in rows, such as the files
	// of a directory that is gone.
	gatherFor = time.Second
)

func newReporter(logger *slog.Logger, c *counts) *reporter {
	r := &reporter{logger: logger, counts: c, notices: make(map[string]*notice), budget: lineBudget{lines: maxLines}}
	r.timer = time.AfterFunc(time.Hour, r.later)
	r.timer.Stop()
	return r
}

func (r *reporter) failing() bool { return r.down.Load() }

// failingSince is since when no batch is accepted; zero if the last was.
func (r *reporter) failingSince() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.outage == nil {
		return time.Time{}
	}
	return r.outage.since
}

// lastFailure is why the last batch was not accepted, nil if it was.
func (r *reporter) lastFailure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.outage == nil {
		return nil
	}
	return r.outage.err
}

// lastLoss is why spans were lost the last time.
func (r *reporter) lastLoss() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loss == nil {
		return errQueueFull // which is not reported one by one
	}
	return r.loss
}

// report is called for each outcome, with how many spans had been lost before.
func (r *reporter) report(o *outcome, before uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	refuses := o.backend == reachable && o.sent == 0 && o.dropped[refused] > 0
	switch {
	case o.failed && o.backend == unreachable:
		r.fails(now, before, o.err, "spans wait until it recovers")
	case o.failed:
		r.notice(now, "spans fail while others are accepted; they are tried again", 0, "error", o.err)
	case refuses:
		r.fails(now, before, o.loss, "spans are lost until it recovers")
	case o.backend == reachable && o.sent+o.rejected > 0:
		r.recovers(now)
	}
	if o.lost() > 0 {
		r.loss = o.loss
	}
	for why, n := range o.dropped {
		if n > 0 && (cause(why) != refused || !refuses) {
			r.notice(now, lossMessages[why], n, lossAttrs(o)...)
		}
	}
	switch {
	case o.rejected > 0:
		r.notice(now, "backend rejected spans of a batch that it accepted", o.rejected, "message", o.message)
	case o.message != "":
		r.notice(now, "backend warns about a batch that it accepted", 0, "message", o.message)
	}
	r.arm(now)
}

// lossMessages say what was lost, by cause.
var lossMessages = [causes]string{
	tooLarge: "backend finds single spans too large; they are dropped",
	refused:  "backend refuses spans; they are dropped",
	poisoned: "span failed again and again while others were accepted; it is dropped",
	expired:  "spans have failed for longer than send.max_elapsed; they are dropped",
	tooOld:   "spans are older than the backend, or queue.max_age, allows; they are dropped",
	tooNew:   "spans are of a time that the backend does not take yet; they are dropped",
	damaged:  "files of the disk queue are damaged or gone; their spans are lost",
}

func lossAttrs(o *outcome) []any {
	attrs := []any{"error", o.loss}
	if o.example != "" {
		attrs = append([]any{"one", o.example}, attrs...)
	}
	return attrs
}

func (r *reporter) fails(now time.Time, before uint64, err error, effect string) {
	if r.outage == nil {
		r.outage = &outage{since: now, before: before}
		r.down.Store(true)
	}
	r.outage.err, r.outage.effect = err, effect
	r.tellOutage(now)
}

// tellOutage says what is wrong, if it was not said yet and may be said now.
func (r *reporter) tellOutage(now time.Time) {
	o := r.outage
	kind := kindOf(o.effect + o.err.Error())
	if o.told == kind || !r.budget.take(now) {
		return
	}
	msg := "exporter is failing; "
	if o.told != "" {
		msg = "exporter fails in another way; "
	}
	o.told, o.said = kind, now
	r.logger.Warn(msg+o.effect, "error", o.err)
}

// kindOf is an error without the numbers in it, which differ each time.
func kindOf(text string) string {
	const enough = 200
	text = text[:min(len(text), enough)]
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' {
			return -1
		}
		return c
	}, text)
}

func (r *reporter) recovers(now time.Time) {
	o := r.outage
	if o == nil {
		return
	}
	r.outage = nil
	r.down.Store(false)
	lost := r.counts.lost() - o.before
	switch {
	case o.told != "":
		r.logger.Info("exporter has recovered", "after", now.Sub(o.since).Round(time.Millisecond), "spans_lost", lost)
	case lost > 0:
		r.notice(now, "exporter has failed for a moment, again; spans were lost", int(lost), "error", o.err)
	}
}

// warn is a notice that is not about spans that are lost.
func (r *reporter) warn(msg string, attrs ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.notice(now, msg, 0, attrs...)
	r.arm(now)
}

// full is for spans that found no room, if there are more of them.
func (r *reporter) full(c *QueueConfig) {
	total := r.counts.dropped[queueFull].Load()
	if total == r.toldFull.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	total = r.counts.dropped[queueFull].Load()
	spans := total - r.toldFull.Swap(total)
	if spans == 0 {
		return
	}
	r.notice(now, "queue is full; spans are dropped: raise queue.max_bytes, or see why the backend does not keep up", int(spans),
		"max_bytes", c.maxBytes().String(), "when_full", string(c.WhenFull))
	r.arm(now)
}

// notice says something, at once if it was not said lately.
func (r *reporter) notice(now time.Time, msg string, spans int, attrs ...any) {
	n := r.notices[msg]
	first := n == nil
	if first {
		n = &notice{said: now.Add(-reportInterval)}
		r.notices[msg] = n
	}
	if n.due(now) && msg == lossMessages[damaged] && n.spans == 0 {
		n.said = now.Add(gatherFor - reportInterval)
	}
	n.spans += spans
	n.attrs = attrs
	if n.due(now) || r.closed {
		r.tell(now, msg, n)
	}
}

func (n *notice) due(now time.Time) bool { return now.Sub(n.said) >= reportInterval }

func (r *reporter) tell(now time.Time, msg string, n *notice) {
	attrs := n.attrs
	if n.spans > 0 {
		attrs = append([]any{"spans", n.spans}, attrs...)
	}
	n.said, n.spans, n.attrs = now, 0, nil
	r.logger.Warn(msg, attrs...)
}

// later says what has waited for its time.
func (r *reporter) later() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	now := time.Now()
	for _, msg := range slices.Sorted(maps.Keys(r.notices)) {
		if n := r.notices[msg]; n.spans > 0 && n.due(now) {
			r.tell(now, msg, n)
		}
	}
	if o := r.outage; o != nil {
		r.tellOutage(now)
		if o.told != "" && now.Sub(o.said) >= reportInterval {
			o.said = now
			r.logger.Warn("exporter is still failing; "+o.effect, "error", o.err, "for", now.Sub(o.since).Round(time.Second),
				"spans_waiting", r.counts.waiting(), "spans_lost", r.counts.lost()-o.before)
		}
	}
	r.arm(now)
}

// arm sets the timer for what is to be said next.
func (r *reporter) arm(now time.Time) {
	var next time.Time
	at := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, n := range r.notices {
		if n.spans > 0 {
			at(n.said.Add(reportInterval))
		}
	}
	if o := r.outage; o != nil {
		if o.told != "" {
			at(o.said.Add(reportInterval))
		}
		if o.told != kindOf(o.effect+o.err.Error()) {
			at(r.budget.next(now))
		}
	}
	if next.IsZero() || r.closed {
		r.timer.Stop()
		return
	}
	r.timer.Reset(max(next.Sub(now), 0))
}

// close says what is left to say.
func (r *reporter) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, msg := range slices.Sorted(maps.Keys(r.notices)) {
		if n := r.notices[msg]; n.spans > 0 {
			r.tell(now, msg, n)
		}
	}
	r.closed = true
	r.timer.Stop()
}

// maxLines is how many lines about failures come at once; after that it is one a
// minute.
const maxLines = 3

// lineBudget bounds how many lines a backend that comes and goes can cause.
type lineBudget struct {
	lines int
	since time.Time // when the last was added, or nothing was missing
}

func (b *lineBudget) fill(now time.Time) {
	for b.lines < maxLines && now.Sub(b.since) >= reportInterval {
		b.lines++
		b.since = b.since.Add(reportInterval)
	}
	if b.lines == maxLines {
		b.since = now
	}
}

func (b *lineBudget) take(now time.Time) bool {
	b.fill(now)
	if b.lines == 0 {
		return false
	}
	b.lines--
	return true
}

// next is when a line can be had.
func (b *lineBudget) next(now time.Time) time.Time {
	b.fill(now)
	if b.lines > 0 {
		return now
	}
	return b.since.Add(reportInterval)
}
