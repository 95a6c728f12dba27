package findings_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"
	"text/tabwriter"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/findings"
)

// These tests know the kinds from the package's documentation alone, and share no code
// with what finds them. Half of the traces of each kind have what is wrong in them, the
// others something that only looks like it; all are traces of random services with
// nothing else that is wrong, unless it is labelled too.

var plants = map[findings.Kind]planted{
	findings.NPlusOne:         nPlusOne,
	findings.SequentialCalls:  sequentialCalls,
	findings.SlowQuery:        slowQuery,
	findings.SlowExternalCall: slowExternal,
	findings.ErrorOrigin:      errorOrigin,
	findings.Retry:            retry,
	findings.Gap:              gap,
	findings.FanOut:           fanOut,
	findings.Chatty:           chatty,
	findings.UnendedSpan:      unended,
	findings.ClockSkew:        clockSkew,
	findings.MissingParent:    missingParent,
	findings.LargeAttribute:   largeAttribute,
}

// documented are the thresholds as the documentation of the package has them.
func documented() (c findings.Config) {
	c.NPlusOne.MinCalls = 5
	c.SequentialCalls.MinCalls, c.SequentialCalls.MinCost = 2, component.Duration(5*time.Millisecond)
	c.SlowQuery.MinDuration = component.Duration(100 * time.Millisecond)
	c.SlowExternalCall.MinDuration = component.Duration(500 * time.Millisecond)
	c.Retry.Storm = 5
	c.Gap.MinDuration, c.Gap.MinShare = component.Duration(100*time.Millisecond), 0.25
	c.FanOut.MinConcurrent = 10
	c.Chatty.MinCalls = 10
	c.ClockSkew.MinSkew = component.Duration(5 * time.Millisecond)
	c.LargeAttribute.MinSize = 8 << 10
	c.Examples = 10
	return c
}

// perKind is how many traces there are of each kind.
const perKind = 420

// generated is trace i of a kind: what is wrong and what only looks so take turns.
func generated(k, i int) *world {
	kind := findings.Kinds()[k]
	w := newWorld(uint64(k*perKind + i))
	of := plants[kind].wrong
	if i%2 == 1 {
		of = plants[kind].near
	}
	first := of[i/2%len(of)]
	if w.coin() {
		w.grow(first)
		return w
	}
	// Something else is wrong in it, too, or looks so.
	other := plants[pick(w, findings.Kinds()...)]
	second := pick(w, slices.Concat(other.wrong, other.near)...)
	w.grow(func(w *world, parent *node, at time.Duration) time.Duration {
		at = first(w, parent, at)
		return second(w, parent, at+w.between(0, time.Millisecond))
	})
	return w
}

type score struct{ right, missed, invented int }

// TestGenerated holds what is found to what is there.
func TestGenerated(t *testing.T) {
	scores := map[findings.Kind]*score{}
	for _, kind := range findings.Kinds() {
		scores[kind] = new(score)
	}
	told := map[string]int{} // few of each
	tell := func(key, format string, args ...any) {
		if told[key]++; told[key] <= 3 {
			t.Logf("%s: %s", key, fmt.Sprintf(format, args...))
		}
	}
	mistakes := 0
	for k, planted := range findings.Kinds() {
		for i := range perKind {
			w := generated(k, i)
			place := fmt.Sprintf("trace %d of %s (old %v)", i, planted, w.old)
			found := findings.Trace(documented(), w.of(w.trace))
			for id := range w.states {
				if id != w.trace {
					found = append(found, findings.Trace(documented(), w.of(id))...)
				}
			}
			found = append(found, findings.Across(documented(), w.snapshots())...)
			for _, l := range w.labels {
				i := slices.IndexFunc(found, l.is)
				if i < 0 {
					scores[l.kind].missed++
					tell(fmt.Sprint(l.kind, " missed"), "%s: at %s %s", place, l.at.service, l.at.name)
					continue
				}
				scores[l.kind].right++
				for _, wrong := range l.compare(w, found[i]) {
					mistakes++
					tell(fmt.Sprint(l.kind, " figures"), "%s: %s", place, wrong)
				}
				found = slices.Delete(found, i, i+1)
			}
			for _, f := range found {
				scores[f.Kind].invented++
				tell(fmt.Sprint(f.Kind, " invented"), "%s: %+v", place, f)
			}
		}
	}
	if mistakes > 0 {
		t.Errorf("%d figures are wrong", mistakes)
	}
	t.Logf("of %d traces:\n%s", perKind*len(scores), table(t, scores))
}

// of are the spans of one trace.
func (w *world) of(id [16]byte) []sdktrace.ReadOnlySpan {
	return slices.DeleteFunc(w.snapshots(), func(s sdktrace.ReadOnlySpan) bool { return s.SpanContext().TraceID() != id })
}

// is reports whether a finding is about what is labelled.
func (l *label) is(f findings.Finding) bool {
	return f.Kind == l.kind && slices.ContainsFunc(l.spans, func(n *node) bool {
		return slices.Contains(f.Spans, n.id.String()) && (n != l.at || n == l.spans[0] || n.parent == l.spans[0].parent) // one parent may have several
	})
}

// compare returns what is wrong with a finding of what is labelled.
func (l *label) compare(w *world, f findings.Finding) (wrong []string) {
	weight := w.weight(l.at)
	if want := l.count * weight; math.Abs(f.Count-want) > 1e-6*want {
		wrong = append(wrong, fmt.Sprintf("count %v, want %v (weight %v)", f.Count, want, weight))
	}
	want, slack := milliseconds(l.cost)*weight, milliseconds(l.slack+time.Microsecond)*weight
	if !l.free && math.Abs(f.CostMS-want) > slack {
		wrong = append(wrong, fmt.Sprintf("cost %v ms, want %v (weight %v)", f.CostMS, want, weight))
	}
	if l.service != "" && f.Service != l.service {
		wrong = append(wrong, fmt.Sprintf("service %q, want %q", f.Service, l.service))
	}
	if f.Advice == "" {
		wrong = append(wrong, "no advice")
	}
	return wrong
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func table(t *testing.T, scores map[findings.Kind]*score) string {
	t.Helper()
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "kind\tright\tmissed\tinvented\tprecision\trecall\t")
	const bar = 0.95
	for _, kind := range findings.Kinds() {
		s := scores[kind]
		precision, recall := float64(s.right)/float64(s.right+s.invented), float64(s.right)/float64(s.right+s.missed)
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.3f\t%.3f\t\n", kind, s.right, s.missed, s.invented, precision, recall)
		if !(precision >= bar && recall >= bar) {
			t.Errorf("%s: precision %.3f and recall %.3f, want %.2f", kind, precision, recall, bar)
		}
	}
	w.Flush()
	return out.String()
}

// TestGeneratedTotals: what is aggregated over all traces of a kind is what is in them.
func TestGeneratedTotals(t *testing.T) {
	for k, kind := range findings.Kinds() {
		var spans []sdktrace.ReadOnlySpan
		var count, cost, slack float64
		free := false
		for i := range perKind {
			w := generated(k, i)
			spans = append(spans, w.snapshots()...)
			spans = append(spans, w.snapshots()[:i%3]...) // there twice, for which it counts once
			for _, l := range w.labels {
				if l.kind == kind {
					weight := w.weight(l.at)
					count += l.count * weight
					cost += milliseconds(l.cost) * weight
					slack += milliseconds(l.slack+time.Microsecond) * weight
					free = free || l.free
				}
			}
		}
		var gotCount, gotCost float64
		for _, f := range findings.Find(documented(), spans) {
			if f.Kind == kind {
				gotCount, gotCost = gotCount+f.Count, gotCost+f.CostMS
			}
		}
		if math.Abs(gotCount-count) > 1e-6*count || !free && math.Abs(gotCost-cost) > slack {
			t.Errorf("%s: count %v and cost %v ms, want %v and %v", kind, gotCount, gotCost, count, cost)
		}
	}
}

// TestGenerator: at least half of the traces are wrong, and each is one that can be.
func TestGenerator(t *testing.T) {
	for k, kind := range findings.Kinds() {
		wrong := 0
		for i := range perKind {
			w := generated(k, i)
			if slices.ContainsFunc(w.labels, func(l label) bool { return l.kind == kind }) {
				wrong++
			}
			ids := map[[8]byte]bool{}
			for _, n := range w.nodes {
				if ids[n.id] || !n.id.IsValid() || !n.unended && n.end < n.start || n.parent != nil && n.parent.trace != n.trace {
					t.Fatalf("trace %d of %s: %+v", i, kind, n)
				}
				ids[n.id] = true
			}
		}
		if wrong < perKind/2 || wrong > perKind*2/3 {
			t.Errorf("%s: wrong in %d of %d traces, want half, and some by chance", kind, wrong, perKind)
		}
	}
}
