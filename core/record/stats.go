package record

import "sync/atomic"

// Stats is what a [TracerProvider] knows about its spans. Counters only grow.
type Stats struct {
	// Started counts local roots that no rule dropped, Dropped those that one did, or
	// a parent that is followed.
	Started, Dropped uint64
	// Unrecorded counts local roots that were not recorded for lack of memory, from the
	// start or to their end. NoRoom are the first of these.
	Unrecorded, NoRoom uint64
	// NoThreshold counts local roots below a sampled remote parent that does not tell
	// its threshold, ImpossibleThreshold those below one whose threshold contradicts the
	// sampled flag, or says less than one in 2^20. They are in Started too, and nothing
	// stands for what such a parent left out.
	NoThreshold, ImpossibleThreshold uint64

	// Kept counts segments of which spans were kept, by the name of the sampler that
	// answered with the least threshold the first time; "" is a remote parent, or
	// nobody.
	Kept map[string]uint64
	// NotKept counts segments of which spans were let go. One that is decided in parts
	// can be in both. Of them, Discarded are those that a segment sampler discarded,
	// UnderPressure those that were let go for lack of memory. Of these, TooLarge are
	// the ones that were let go whatever their randomness was, since open spans of
	// theirs held too much: no weight stands for them.
	NotKept, Discarded, UnderPressure, TooLarge uint64
	// OverBudget counts segments that would have been kept but for the budget.
	OverBudget uint64
	// Overdue counts how often what had ended of a segment was decided because
	// it was open for too long, Thinned because it held too much, Crowded because all
	// together did.
	Overdue, Thinned, Crowded uint64
	// Cut counts segments that a limit kept from being kept, by the name of its end
	// sampler, because clients chose their randomness.
	Cut map[string]uint64
	// Suspensions counts how often a sampler was suspended because it panicked or was
	// slow, by its name.
	Suspensions map[string]uint64
	// Asks counts what samplers were asked and answered, by their names: of those in
	// force, and of those that lists had before.
	Asks map[string]Asks
	// Suspended are the samplers that are suspended now, by their names.
	Suspended map[string]Suspension
	// SpansKept and SpansNotKept count spans that ended.
	SpansKept, SpansNotKept uint64

	// Open counts the segments of which a span is open or waits now; Waiting those, or
	// parts of them, that wait for answers of segment samplers; Remembered the
	// traces for which an answer is remembered; HeldBytes is what both take.
	// Probability is 1, or less while memory is short.
	Open, Waiting int
	Remembered    int
	HeldBytes     int64 // of MaxBytes
	MaxBytes      int64
	Probability   float64
}

// Stats returns a snapshot.
func (p *TracerProvider) Stats() Stats { return p.live.stats() }

func (l *live) stats() Stats {
	s := Stats{
		Kept:        map[string]uint64{},
		Cut:         map[string]uint64{},
		Suspensions: map[string]uint64{},
		Asks:        map[string]Asks{},
		Suspended:   map[string]Suspension{},
		Open:        l.open(),
		Waiting:     l.asker.waiting(),
		Remembered:  int(l.memory.traces.Load()),
		MaxBytes:    l.bounds().MaxBytes,
		HeldBytes:   l.exactly() + l.memory.bytes(),
		Probability: l.pressure().Probability(),
	}
	for i := range l.started {
		c := &l.started[i]
		none, impossible := c.started[saysNone].Load(), c.started[saysImpossible].Load()
		s.Started += c.started[saysKnown].Load() + none + impossible
		s.Dropped += c.dropped.Load()
		s.NoRoom += c.noRoom.Load()
		s.NoThreshold += none
		s.ImpossibleThreshold += impossible
	}
	s.Unrecorded = s.NoRoom
	for i := range l.shards {
		c := &l.shards[i].counts
		s.Discarded += c.discarded.Load()
		s.UnderPressure += c.abandoned.Load()
		s.Overdue += c.overdue.Load()
		s.Thinned += c.thinned.Load()
		s.Crowded += c.crowded.Load()
		s.TooLarge += c.tooLarge.Load()
		s.OverBudget += c.overBudget.Load()
		s.Unrecorded += c.unrecorded.Load()
		s.NotKept += c.notKept.Load() // after its parts, which are counted before it
		s.SpansKept += c.spansKept.Load()
		s.SpansNotKept += c.spansLost.Load()
	}
	r := l.rules()
	for _, e := range r.entries {
		s.Suspensions[e.name] = 0
		if now, is := e.suspension(); is && now.Until.After(s.Suspended[e.name].Until) {
			s.Suspended[e.name] = now
		}
	}
	for _, e := range r.end {
		if e.limit != nil {
			s.Cut[e.name] = 0
		}
	}
	for i, name := range *l.names.list.Load() {
		add := func(to map[string]uint64, counts *[maxNames]atomic.Uint64) {
			if n := counts[i].Load(); n > 0 {
				to[name] = n
			}
		}
		add(s.Kept, &l.kept)
		add(s.Cut, &l.cut)
		add(s.Suspensions, &l.suspended)
		if a := l.asks[i].Load(); a != nil {
			s.Asks[name] = a.stats()
		}
	}
	return s
}

// bytes is what the memory takes.
func (m *memory) bytes() int64 {
	return m.traces.Load()*(toldBytes-answerBytes) + m.told.Load()*answerBytes
}
