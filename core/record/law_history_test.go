package record

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/riffletrace/riffle/core/sampling"
)

// lawHistory is what happens to a provider. It says everything but the randomness of
// the one trace that is varied.
type lawHistory struct {
	setup  lawSetup
	traces []lawTrace
	events []lawEvent
	varied int // the trace
}

// lawTrace is a trace of a history.
type lawTrace struct {
	id         uint64 // what makes its ID
	randomness uint64 // while it is not varied
	spoken     bool   // it stands in tracestate, and not in the ID
	sameID     int    // the trace whose ID this one has, with a randomness of its own; or itself
}

type lawKind uint8

const (
	lawRoot     lawKind = iota // without a parent
	lawRemote                  // below a caller elsewhere, with threshold or, if that is unknown, flag
	lawCall                    // this service calls itself: below the remote context of ref
	lawBare                    // below the context of ref, as a local one, and nothing else
	lawChild                   // below ref
	lawWrapped                 // below ref, wrapped in a span of somebody else
	lawCopied                  // below the bare context of ref, in what ref started in
	lawCrossed                 // below the bare context of ref, in what other started in
	lawNewRoot                 // a new root in what ref started in
	lawEnd                     // ref ends, failed if flag
	lawFail                    // ref fails, and stays open
	lawGrow                    // ref gets an attribute of n bytes
	lawAdvance                 // n ticks pass
	lawKeep                    // somebody speaks for the trace
	lawPressure                // n halvings of what has a few spans
	lawRoom                    // ref's segment is decided to make room
	lawOverdue                 // ref's segment is decided as overdue
	lawFlush
	lawReconfigure // other rules
	lawKinds
)

// starts reports whether the event starts a span.
func (k lawKind) starts() bool { return k <= lawNewRoot }

// lawEvent is one step of a history. A span is known by the number of the event that
// started it.
type lawEvent struct {
	kind       lawKind
	number     int
	ref, other int
	trace      int
	n          int
	name       string // of a span that starts
	threshold  sampling.Threshold
	forced     bool
	flag       bool
}

// lawThresholds are those that callers and samplers speak of.
var lawThresholds = []sampling.Threshold{
	sampling.Always, sampling.Always, 4 << 52, 8 << 52, 12 << 52, 0xff << 48, 0x123456789abcde, 1, sampling.Never - 1,
	sampling.Unknown, sampling.Never,
}

var lawNames = strings.Split("abcdefghij", "")

// lawDice makes choices: from a seed, or from the bytes of a fuzzer as long as there
// are any.
type lawDice struct {
	seeded *rand.Rand // nil: bytes
	bytes  []byte
}

func newLawDice(seed uint64) *lawDice { return &lawDice{seeded: rand.New(rand.NewPCG(seed, 0))} }

func (d *lawDice) intN(n int) int {
	switch {
	case d.seeded != nil:
		return d.seeded.IntN(n)
	case len(d.bytes) == 0:
		return 0
	}
	b := d.bytes[0]
	d.bytes = d.bytes[1:]
	return int(b) % n
}

// oneIn is true once in n times, and never when there are no bytes left.
func (d *lawDice) oneIn(n int) bool { return d.intN(n) == n-1 }

func (d *lawDice) empty() bool { return d.seeded == nil && len(d.bytes) == 0 }

func (d *lawDice) uint64() (v uint64) {
	for range 8 {
		v = v<<8 | uint64(d.intN(256))
	}
	return v
}

func (d *lawDice) threshold() sampling.Threshold { return lawThresholds[d.intN(len(lawThresholds))] }

// lawWeights is how often each kind of event happens.
var lawWeights = func() (kinds []lawKind) {
	for kind, n := range [lawKinds]int{
		lawRoot: 3, lawRemote: 5, lawCall: 5, lawBare: 2, lawChild: 16, lawWrapped: 2, lawCopied: 2, lawCrossed: 1, lawNewRoot: 1,
		lawEnd: 32, lawFail: 2, lawGrow: 4, lawAdvance: 12, lawKeep: 2, lawPressure: 5, lawRoom: 2, lawOverdue: 2, lawFlush: 1, lawReconfigure: 2,
	} {
		for range n {
			kinds = append(kinds, lawKind(kind))
		}
	}
	return kinds
}()

// lawMaker makes a history.
type lawMaker struct {
	*lawDice
	h     lawHistory
	spans []lawEvent // that were started
	open  []int      // places in spans
}

func newLawHistory(d *lawDice) *lawHistory {
	m := &lawMaker{lawDice: d}
	m.h.setup = newLawSetup(d)
	for n := 12 + d.intN(60); len(m.h.events) < n && !d.empty(); {
		if e := m.event(); m.allows(&e) {
			e.number = len(m.h.events)
			m.h.events = append(m.h.events, e)
			if e.kind.starts() {
				m.open = append(m.open, len(m.spans))
				m.spans = append(m.spans, e)
			}
		}
	}
	m.h.varied = m.vary()
	return &m.h
}

// newTrace adds a trace, sometimes with the ID of another.
func (m *lawMaker) newTrace(remote bool) int {
	n := len(m.h.traces)
	t := lawTrace{id: m.uint64(), randomness: m.uint64() >> 8, sameID: n}
	if remote && n > 0 && m.oneIn(8) {
		t.sameID = m.h.traces[m.intN(n)].sameID
	}
	t.spoken = t.sameID != n || m.oneIn(6)
	m.h.traces = append(m.h.traces, t)
	return n
}

// span picks one that was started: mostly one that is open, and mostly a late one.
func (m *lawMaker) span() *lawEvent {
	if len(m.open) > 0 && !m.oneIn(4) {
		last := len(m.open) - 1
		return &m.spans[m.open[max(m.intN(len(m.open)), last-m.intN(4))]]
	}
	return &m.spans[m.intN(len(m.spans))]
}

func (m *lawMaker) event() (e lawEvent) {
	if len(m.spans) == 0 {
		e.kind = []lawKind{lawRoot, lawRemote}[m.intN(2)]
	} else {
		e.kind = lawWeights[m.intN(len(lawWeights))]
		s := m.span()
		e.ref, e.trace = s.number, s.trace
	}
	if e.kind.starts() {
		e.name = lawNames[m.intN(len(lawNames))]
		e.n = m.payload()
	}
	switch e.kind {
	case lawRoot, lawNewRoot:
		e.trace, e.forced = m.newTrace(false), m.oneIn(12)
		if e.kind == lawNewRoot { // it starts without the tracestate of what it leaves
			m.h.traces[e.trace].spoken = false
		}
	case lawRemote:
		if len(m.h.traces) == 0 || m.intN(2) == 0 {
			e.trace = m.newTrace(true)
		}
		e.threshold, e.flag, e.forced = m.threshold(), m.intN(2) == 0, m.oneIn(12)
		if e.threshold == sampling.Never {
			e.threshold = sampling.Unknown
		}
	case lawCall:
		e.forced = m.oneIn(12)
	case lawCrossed:
		e.other = m.span().number
	case lawEnd:
		e.flag = m.oneIn(6)
		if len(m.open) > 0 {
			e.ref = m.end(m.intN(len(m.open)))
		}
	case lawGrow:
		e.n = 100 + m.payload()
	case lawAdvance:
		e.n = 1 + m.intN(1+m.intN(25))
	case lawKeep:
		e.threshold = m.threshold()
	case lawPressure:
		e.n = m.intN(4)
	case lawReconfigure:
		e.n = m.intN(64)
	default:
	}
	if e.kind == lawRemote || e.kind == lawCall {
		switch id := m.h.traces[e.trace].sameID; m.h.setup.mode {
		case Restart: // what begins is a trace of its own
			e.trace = m.newTrace(false)
			m.h.traces[e.trace].spoken = false
		case Ignore: // it has a randomness of its own
			e.trace = m.newTrace(false)
			m.h.traces[e.trace].spoken, m.h.traces[e.trace].sameID = true, id
		default:
		}
	}
	return e
}

func (m *lawMaker) end(place int) (number int) {
	number = m.spans[m.open[place]].number
	m.open = append(m.open[:place], m.open[place+1:]...)
	return number
}

func (m *lawMaker) payload() int {
	if m.oneIn(3) {
		return 100 * m.intN(12)
	}
	return 0
}

// allows leaves out what the law does not speak of.
func (m *lawMaker) allows(e *lawEvent) bool {
	s := &m.h.setup
	switch e.kind {
	case lawPressure:
		return s.pressed
	case lawRemote:
		return !s.tellsThreshold() || e.threshold == sampling.Always || e.threshold == sampling.Unknown
	case lawCall, lawBare:
		return !s.tellsThreshold()
	case lawCrossed:
		x, y := m.h.traces[e.trace], m.h.traces[m.h.events[e.other].trace]
		return !s.tellsThreshold() && x.sameID != y.sameID
	default:
		return true
	}
}

// vary picks the trace that is varied. Under pressure it decides how many segments
// come as far as a sampler with a memory, which then says something else about the next
// one: only traces of one segment are free of that.
func (m *lawMaker) vary() int {
	if len(m.spans) == 0 {
		return 0
	}
	x := m.spans[m.intN(len(m.spans))].trace
	if !m.h.setup.pressed || !m.h.setup.couples() {
		return x
	}
	segments := make([]int, len(m.h.traces))
	for _, s := range m.spans {
		if k := s.kind; k != lawChild && k != lawWrapped && k != lawCopied {
			segments[m.h.traces[s.trace].sameID]++
		}
	}
	for i := range m.h.traces {
		if t := (x + i) % len(m.h.traces); segments[m.h.traces[t].sameID] == 1 {
			return t
		}
	}
	return -1
}

func (h *lawHistory) String() string {
	var b strings.Builder
	used := map[string]bool{}
	for _, e := range h.events {
		used[e.name] = true
	}
	fmt.Fprintf(&b, "%s\ntrace %d is varied\n", h.setup.describe(used), h.varied)
	for i, t := range h.traces {
		for _, e := range h.events {
			if e.trace == i && (e.kind.starts() || e.kind == lawKeep) {
				fmt.Fprintf(&b, "trace %d: R %014x, %s\n", i, t.randomness, lawIf(t.spoken, fmt.Sprintf("in tracestate, ID as of %d", t.sameID), "in the ID"))
				break
			}
		}
	}
	for _, e := range h.events {
		fmt.Fprintln(&b, e)
	}
	return b.String()
}

func lawIf(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

func (e lawEvent) String() string {
	switch e.kind {
	case lawEnd:
		return fmt.Sprintf("     end of %d%s", e.ref, lawIf(e.flag, ", failed", ""))
	case lawFail:
		return fmt.Sprintf("     %d fails, and stays open", e.ref)
	case lawGrow:
		return fmt.Sprintf("     %d gets %d bytes", e.ref, e.n)
	case lawAdvance:
		return fmt.Sprintf("     %d ticks", e.n)
	case lawKeep:
		return fmt.Sprintf("     Keep trace %d with %v", e.trace, e.threshold)
	case lawPressure:
		return fmt.Sprintf("     pressure %d", e.n)
	case lawRoom:
		return fmt.Sprintf("     the segment of %d is decided to make room", e.ref)
	case lawOverdue:
		return fmt.Sprintf("     the segment of %d is decided as overdue", e.ref)
	case lawFlush:
		return "     ForceFlush"
	case lawReconfigure:
		return fmt.Sprintf("     other rules %d", e.n)
	default:
	}
	where := map[lawKind]string{
		lawRoot:    "root",
		lawRemote:  fmt.Sprintf("below a caller with %v%s", e.threshold, lawIf(e.flag, ", sampled if that is unknown", "")),
		lawCall:    fmt.Sprintf("called by %d", e.ref),
		lawBare:    fmt.Sprintf("below the bare local context of %d", e.ref),
		lawChild:   fmt.Sprintf("child of %d", e.ref),
		lawWrapped: fmt.Sprintf("child of %d, wrapped", e.ref),
		lawCopied:  fmt.Sprintf("child of %d, copied", e.ref),
		lawCrossed: fmt.Sprintf("below the bare context of %d in that of %d", e.ref, e.other),
		lawNewRoot: fmt.Sprintf("new root in the context of %d", e.ref),
	}[e.kind]
	return fmt.Sprintf("%3d: span %q of trace %d: %s%s, %d bytes", e.number, e.name, e.trace, where, lawIf(e.forced, ", forced", ""), e.n)
}
