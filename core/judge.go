package core

import (
	"context"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// What bounds a call of a trace sampler.
const (
	judgeBatch    = 128
	judgeDeadline = time.Second
)

// judge asks trace samplers about complete and overdue traces, on a goroutine
// of its own. The traces stay in the buffer until they are judged.
type judge struct {
	buffer   *buffer
	samplers []*traceEntry

	mu     sync.Mutex
	queue  []caseFile
	busy   bool          // a batch is before the samplers
	idle   chan struct{} // closed when there is nothing left; nil if nobody waits
	signal chan struct{}
	life   context.Context // ends with the judge
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// caseFile is one trace before the judge.
type caseFile struct {
	id       trace.TraceID
	spans    []sdktrace.ReadOnlySpan
	complete bool
	least    Threshold
}

func newJudge(b *buffer, samplers []*traceEntry) *judge {
	j := &judge{buffer: b, samplers: samplers, signal: make(chan struct{}, 1)}
	j.life, j.stop = context.WithCancel(context.Background())
	return j
}

func (j *judge) start() {
	j.done.Go(func() { j.run(j.life) })
}

// add takes a trace whose shard is locked. Its spans stay its own; the samplers
// see a copy of the list.
func (j *judge) add(sh *shard, st *traceState, complete bool) {
	st.judging = true
	st.cut = st.cut || !complete
	c := caseFile{id: st.id, complete: complete, least: st.least}
	if live := sh.held(st); live != nil {
		c.spans = append(c.spans, live.spans...)
	}
	j.mu.Lock()
	j.queue = append(j.queue, c)
	j.mu.Unlock()
	select {
	case j.signal <- struct{}{}:
	default:
	}
}

func (j *judge) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.signal:
		}
		for j.next(ctx) {
		}
	}
}

// next judges one batch, and tells whether there was one.
func (j *judge) next(ctx context.Context) bool {
	j.mu.Lock()
	n := min(len(j.queue), judgeBatch)
	if n == 0 {
		j.busy = false
		if j.idle != nil {
			close(j.idle)
			j.idle = nil
		}
		j.mu.Unlock()
		return false
	}
	batch := make([]caseFile, n)
	copy(batch, j.queue)
	rest := copy(j.queue, j.queue[n:])
	clear(j.queue[rest:])
	j.queue = j.queue[:rest]
	j.busy = true
	j.mu.Unlock()

	answers := make([][]Answer, len(j.samplers))
	for i, e := range j.samplers {
		answers[i] = j.ask(ctx, e, batch)
	}
	for i := range batch {
		j.conclude(&batch[i], i, answers)
	}
	return true
}

// ask asks one sampler about the traces of a batch that its match selects.
func (j *judge) ask(ctx context.Context, e *traceEntry, batch []caseFile) []Answer {
	answers := make([]Answer, len(batch))
	var traces []Trace
	var places []int
	for i := range batch {
		t := batch[i].trace()
		if e.match != nil && (t.Root == nil || !e.matches(t.Root.Name(), t.Root.SpanKind(), t.Root.Attributes())) {
			continue
		}
		traces = append(traces, t)
		places = append(places, i)
	}
	if len(traces) == 0 {
		return answers
	}
	ctx, cancel := context.WithTimeout(ctx, judgeDeadline)
	defer cancel()
	for i, a := range e.ask(ctx, traces) {
		answers[places[i]] = a
	}
	return answers
}

func (c *caseFile) trace() Trace {
	t := Trace{TraceID: c.id, Spans: c.spans, Complete: c.complete, Threshold: c.least}
	for _, s := range c.spans {
		if isLocalRoot(s) {
			t.Root = s
			break
		}
	}
	return t
}

// conclude files the answers about the i-th trace of a batch.
func (j *judge) conclude(c *caseFile, i int, answers [][]Answer) {
	b := j.buffer
	sh := b.shard(c.id)
	sh.mu.Lock()
	st := sh.state(c.id)
	if st == nil || !st.judging {
		sh.mu.Unlock()
		return
	}
	for k, e := range j.samplers {
		switch a := answers[k][i]; a.verdict {
		case drop:
			st.discard = !st.forced
		case threshold:
			b.speak(st, a.threshold, Always, e.rank, e.number)
		default:
		}
	}
	if st.discard {
		st.kept, st.spoken = false, false
		sh.counts.discarded++
	}
	st.judging = false
	b.decide(sh, st)
	st.late = true
	out := b.outcome(sh, st)
	if st.open == 0 {
		b.completed(sh, st)
	}
	sh.mu.Unlock()
	b.handOver(out)
}

// flush waits until everything that is complete has been judged.
func (j *judge) flush(ctx context.Context) error {
	j.mu.Lock()
	if len(j.queue) == 0 && !j.busy {
		j.mu.Unlock()
		return nil
	}
	if j.idle == nil {
		j.idle = make(chan struct{})
	}
	idle := j.idle
	j.mu.Unlock()
	select {
	case j.signal <- struct{}{}:
	default:
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// shutdown judges what is left, without asking once ctx is done.
func (j *judge) shutdown(ctx context.Context) {
	_ = j.flush(ctx)
	j.stop()
	j.done.Wait()
	done, cancel := context.WithCancel(context.Background())
	cancel()
	for j.next(done) {
	}
}
