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
	if r.budget == nil {
		return unlowered
	}
	var size float64
	switch {
	case r.budget.spans:
		for s := l.first; s != nil; s = s.next {
			size++
		}
	case !g.has(isCounted | isCountedLost): // else it is counted already
		size = 1
	}
	if g.has(isSure) { // forced: nothing raises it
		raise = sampling.Always
	}
	present := g.present()
	base := min(1, g.baseline(raise)/present)
	class, p := r.budget.classes-1, base
	if prior := g.prior(); prior != nil {
		class = r.classOf(prior.by)
		p = min(1, max(base, max(prior.threshold, g.pressure, raise).Probability()/present))
	}
	now := time.Now()
	f, fBase := r.budget.of(g, now).Take(now, class, p, base, size)
	if g.has(isSure) {
		return unlowered
	}
	return factors{f, fBase}
}

// present is the probability with which a segment comes so far that it is decided. Those
// like it that do not are not counted: a parent has left them out, or pressure.
func (g *segment) present() float64 {
	if g.has(isGiven) {
		return trusted(g.more.parent).Probability()
	}
	return max(g.start.Probability(), g.pressure.Probability())
}

// baseline is the probability that what is no class of its own keeps the segment with.
func (g *segment) baseline(raise sampling.Threshold) float64 {
	p := max(min(g.start, max(g.least, g.pressure)), raise).Probability()
	if g.has(startUnknown) {
		p = max(p, raise.Probability())
	}
	if m := g.more; m != nil && m.unknown != sampling.Never {
		p = max(p, max(m.unknown, g.pressure, raise).Probability())
	}
	return p
}

// prior is the answer of the first class that spoke; nil if none did but the last.
func (g *segment) prior() *prior {
	r := g.rules()
	if r.budget == nil || g.more == nil || r.classOf(g.more.prior.by) == r.budget.classes-1 {
		return nil
	}
	return &g.more.prior
}

// prior is the least threshold that the first class said that spoke.
type prior struct {
	threshold sampling.Threshold
	by        int16 // the number of the name
	rule      *string
}

// filePrior takes an answer if its class comes before the one that is there, or is it.
func (g *segment) filePrior(a *answer, t sampling.Threshold) {
	r := g.rules()
	if r.budget == nil {
		return
	}
	class := r.classOf(a.by)
	if class == r.budget.classes-1 {
		return
	}
	if now := g.prior(); now != nil {
		if was := r.classOf(now.by); class > was || class == was && t >= now.threshold {
			return
		}
	}
	g.rarely().prior = prior{t, a.by, a.rule}
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
			r.classes = append(r.classes, uint8(r.budget.classes-1))
		}
		r.classes[e.number] = uint8(class)
	}
}
