package record

import (
	"time"

	"github.com/riffletrace/riffle/core/rate"
	"github.com/riffletrace/riffle/core/sampling"
)

// Budget bounds what is kept of all segments together. Rules that have the same one
// share it.
type Budget struct {
	all     *rate.Budget  // nil if each key has its own
	byKey   *rate.Budgets // nil if there are no keys
	key     *rate.Key
	classes int
	spans   bool // what is counted; else segments
}

// BudgetConfig says what a [Budget] is.
type BudgetConfig struct {
	PerSecond float64  // kept on average, above 0
	Spans     bool     // spans are counted, not segments
	By        []string // as [rate.NewKey] takes them; each combination has a budget
	// Classes counts the classes of samplers, of which the first is cut last. The last
	// is that of whoever is in no other.
	Classes int
}

// maxBudgets is how many combinations of values have a budget of their own.
const maxBudgets = 1000

// NewBudget returns one of which nothing is spent.
func NewBudget(c BudgetConfig) *Budget {
	b := &Budget{classes: c.Classes, spans: c.Spans}
	if len(c.By) == 0 {
		b.all = rate.NewBudget(c.PerSecond, c.Classes)
	} else {
		b.key, b.byKey = rate.NewKey(c.By), rate.NewBudgets(c.PerSecond, c.Classes, maxBudgets)
	}
	return b
}

// of is the budget that a segment is counted in.
func (b *Budget) of(g *segment, now time.Time) *rate.Budget {
	if b.all != nil {
		return b.all
	}
	root := &g.root.recorded
	var buf [256]byte // enough for most
	key, ok := b.key.Append(buf[:0], &rate.Root{Name: root.Name(), Kind: root.SpanKind(), Status: root.code(), Attributes: root.Attributes()}, now)
	if !ok {
		return b.byKey.Rest()
	}
	return b.byKey.Of(key, now)
}

// factors are what a budget makes of the probabilities of a segment: that of its class, and
// that of whatever else was said.
type factors struct{ class, base float64 }

var unlowered = factors{1, 1}

// spend counts spans that are decided now in the budget, and returns what it makes of
// their probability. That depends on what was decided before, on how many they are, and
// on what was said of the segment, but not on its randomness.
func (g *segment) spend(l spans, raise sampling.Threshold) factors {
	r := g.rules()
	switch {
	case r.budget == nil:
		return unlowered
	case !g.has(isSpent):
	case g.has(isSure) || g.more == nil || g.more.spent == (factors{}):
		return unlowered
	default:
		return g.more.spent
	}
	size := 1.0
	if r.budget.spans {
		size = 0
		for s := l.first; s != nil; s = s.next {
			size++
		}
	}
	if g.has(isSure) { // forced: nothing raises it
		raise = sampling.Always
	}
	present := g.present()
	class, first, rest := g.byClass()
	base := min(1, g.baseline(rest.threshold, raise)/present)
	p := min(1, max(base, max(first.threshold, raise).Probability()/present))
	now := time.Now()
	f, fBase := r.budget.of(g, now).Take(now, class, p, base, size)
	if g.has(isSure) {
		f, fBase = 1, 1
	}
	g.spent(factors{f, fBase}, p, raise)
	return factors{f, fBase}
}

// spent notes what came of counting a segment with a probability: it is not counted
// again, and what is decided of it later is kept with the same one, until more is said. Of
// spans each counts, and what a segment sampler bounds now it may not bound later.
func (g *segment) spent(c factors, p float64, raise sampling.Threshold) {
	if g.rules().budget.spans || p == 0 || raise != sampling.Always {
		return
	}
	g.bits |= isSpent
	if c != unlowered || g.more != nil {
		g.rarely().spent = c
	}
}

// present is the probability with which a segment comes so far that it is decided. Those
// like it that do not are not counted: a parent has left them out, or pressure.
func (g *segment) present() float64 {
	if g.has(isGiven) {
		t, _ := trusted(g.more.parent.TraceState(), g.randomness)
		return t.Probability()
	}
	return max(g.start.Probability(), g.pressure.Probability())
}

// baseline is the probability that what is no class of its own keeps the segment with:
// from that threshold on, or with one that is unknown.
func (g *segment) baseline(t, raise sampling.Threshold) float64 {
	p := max(t, raise).Probability()
	if g.has(startSpeaks) {
		p = max(p, max(g.startFrom(), raise).Probability())
	}
	if m := g.more; m != nil && m.unknown != sampling.Never {
		p = max(p, max(m.unknown, g.pressure, raise).Probability())
	}
	return p
}

// saidBy is a threshold, and who has said it.
type saidBy struct {
	threshold sampling.Threshold
	giver
}

var saidByNobody = saidBy{threshold: sampling.Never}

// classed is what the classes said of a segment of which one spoke, but for the last.
type classed struct {
	first  int16  // the number of the name of who spoke of the first class
	least  saidBy // of what they said
	others saidBy // the least of what others said
}

// byClass is the first class that spoke of the segment, the least that classes said, but
// for the last, and the least that the last said.
func (g *segment) byClass() (class int, first, rest saidBy) {
	r := g.rules()
	start := saidBy{g.start, giver{g.startBy, g.startRule}}
	class, first, rest = r.budget.classes-1, saidByNobody, saidBy{g.least, giver{g.leastBy, g.leastRule}}
	if m := g.more; m != nil && m.classed.least.threshold != sampling.Never {
		class, first, rest = r.classOf(m.classed.first), m.classed.least, m.classed.others
	}
	first.threshold, rest.threshold = max(first.threshold, g.pressure), max(rest.threshold, g.pressure)
	to := &rest
	if of := r.classOf(g.startBy); of < r.budget.classes-1 && g.start != sampling.Never {
		class, to = min(class, of), &first
	}
	if start.threshold <= to.threshold {
		*to = start
	}
	return class, first, rest
}

// fileByClass notes an answer from a threshold on, before it is filed.
func (g *segment) fileByClass(a *answer, t sampling.Threshold) {
	r := g.rules()
	if r.budget == nil || t == sampling.Never {
		return
	}
	said := saidBy{t, giver{a.by, a.rule}}
	class := r.classOf(a.by)
	spoke := g.more != nil && g.more.classed.least.threshold != sampling.Never
	switch {
	case class == r.budget.classes-1 && !spoke: // the least of all is that of the others
	case class == r.budget.classes-1:
		if c := &g.more.classed; t < c.others.threshold {
			c.others = said
			g.bits &^= isSpent
		}
	case !spoke:
		g.rarely().classed = classed{a.by, said, saidBy{g.least, giver{g.leastBy, g.leastRule}}}
		g.bits &^= isSpent
	default:
		c := &g.more.classed
		first := r.classOf(c.first)
		if class < first {
			c.first = a.by
			g.bits &^= isSpent
		}
		if t < c.least.threshold || t == c.least.threshold && class < first {
			c.least = said
			g.bits &^= isSpent
		}
	}
}

// classOf is the class of the sampler with the name of that number.
func (r *rules) classOf(number int16) int {
	if int(number) >= len(r.classes) {
		return r.budget.classes - 1
	}
	return int(r.classes[number])
}

// setClasses notes the classes of samplers, by name; what is not there is in the last.
func (r *rules) setClasses(byName map[string]int) {
	for _, e := range r.entries {
		class, ok := byName[e.name]
		if !ok {
			class = r.budget.classes - 1
		}
		for len(r.classes) <= int(e.number) {
			r.classes = append(r.classes, int16(r.budget.classes-1))
		}
		r.classes[e.number] = int16(class)
	}
}
