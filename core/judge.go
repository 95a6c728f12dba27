package core

import (
	"context"
	"slices"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
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

	mu       sync.Mutex
	queue    []request
	closed   bool
	added    uint64 // requests
	judged   uint64
	progress chan struct{} // closed, and replaced, after every batch

	signal chan struct{}
	life   context.Context //nolint:containedctx // ends with the judge
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// request is a trace that waits for the judge. Its spans stay in the buffer,
// where their memory is bounded.
type request struct {
	id       trace.TraceID
	complete bool
}

// caseFile is one trace before the judge.
type caseFile struct {
	id       trace.TraceID
	spans    []sdktrace.ReadOnlySpan
	complete bool
	least    sampling.Threshold
}

func newJudge(b *buffer, samplers []*traceEntry) *judge {
	j := &judge{buffer: b, samplers: samplers, progress: make(chan struct{}), signal: make(chan struct{}, 1)}
	j.life, j.stop = context.WithCancel(context.Background())
	return j
}

func (j *judge) start() {
	j.done.Go(func() { j.run(j.life) })
}

// add takes a trace whose shard is locked, and reports whether it did: after
// shutdown it does not.
func (j *judge) add(sh *shard, st *traceState, complete bool) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return false
	}
	st.cut = st.cut || !complete
	sh.move(st, inJudging)
	j.queue = append(j.queue, request{id: st.id, complete: complete})
	j.added++
	select {
	case j.signal <- struct{}{}:
	default:
	}
	return true
}

func (j *judge) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.signal:
		}
		for ctx.Err() == nil && j.next(ctx) {
		}
	}
}

// next judges one batch, and tells whether there was one.
func (j *judge) next(ctx context.Context) bool {
	j.mu.Lock()
	n := min(len(j.queue), judgeBatch)
	requests := slices.Clone(j.queue[:n])
	j.queue = slices.Delete(j.queue, 0, n)
	j.mu.Unlock()
	if n == 0 {
		return false
	}
	batch := make([]caseFile, 0, n)
	for _, r := range requests {
		if c, ok := j.open(r); ok {
			batch = append(batch, c)
		}
	}
	answers := make([][]sampling.Answer, len(j.samplers))
	for i, e := range j.samplers {
		answers[i] = j.ask(ctx, e, batch)
	}
	for i := range batch {
		j.conclude(&batch[i], i, answers)
	}

	j.mu.Lock()
	j.judged += uint64(n)
	close(j.progress)
	j.progress = make(chan struct{})
	j.mu.Unlock()
	return true
}

// open makes the file of a trace, unless it was cut for lack of room. The spans
// stay the trace's own; the samplers see a copy of the list.
func (j *judge) open(r request) (c caseFile, ok bool) {
	sh := j.buffer.shard(r.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	st := sh.state(r.id)
	if st == nil || st.list != inJudging {
		return c, false
	}
	c = caseFile{id: r.id, complete: r.complete, least: st.least}
	if live := sh.held(st); live != nil {
		c.spans = slices.Clone(live.spans)
	}
	return c, true
}

// ask asks one sampler about the traces of a batch that its match selects.
func (*judge) ask(ctx context.Context, e *traceEntry, batch []caseFile) []sampling.Answer {
	answers := make([]sampling.Answer, len(batch))
	var traces []sampling.Segment
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

func (c *caseFile) trace() sampling.Segment {
	t := sampling.Segment{TraceID: c.id, Spans: c.spans, Complete: c.complete, Threshold: c.least}
	for _, s := range c.spans {
		if isLocalRoot(s) {
			t.Root = s
			break
		}
	}
	return t
}

// conclude files the answers about the i-th trace of a batch.
func (j *judge) conclude(c *caseFile, i int, answers [][]sampling.Answer) {
	b := j.buffer
	sh := b.shard(c.id)
	sh.mu.Lock()
	st := sh.state(c.id)
	if st == nil || st.list != inJudging {
		sh.mu.Unlock()
		return
	}
	for k, e := range j.samplers {
		a := answers[k][i]
		switch t, _ := a.Threshold(); {
		case a.IsAtMost() && t == sampling.Never:
			st.discard = !st.forced
		case a.IsThreshold():
			b.speak(st, t, sampling.Always, e.rank, e.number)
		default:
		}
	}
	if st.discard {
		st.kept, st.spoken = false, false
		sh.counts.discarded++
	}
	b.decide(sh, st)
	st.late = true
	var out handOver
	b.outcome(sh, st, nil, &out)
	if st.open == 0 {
		b.completed(sh, st)
	}
	sh.mu.Unlock()
	b.handOver(&out)
}

// flush waits until what was added before the call has been judged.
func (j *judge) flush(ctx context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for upTo := j.added; j.judged < upTo; {
		progress := j.progress
		j.mu.Unlock()
		var err error
		select {
		case <-progress:
		case <-ctx.Done():
			err = ctx.Err()
		}
		j.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}

// shutdown judges what is left. Once ctx is done, samplers are asked with a
// context that is done, and for no longer than a batch may take.
func (j *judge) shutdown(ctx context.Context) {
	_ = j.flush(ctx)
	j.stop()
	j.done.Wait()
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	for end := time.Now().Add(judgeDeadline); j.next(j.life); {
		if time.Now().After(end) {
			j.samplers = nil
		}
	}
}
