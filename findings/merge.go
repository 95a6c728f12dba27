package findings

import (
	"cmp"
	"slices"
	"strings"
)

// about is what findings are aggregated by.
type about struct {
	kind               Kind
	service, operation string
}

// example is one time that something was found.
type example struct {
	Finding
	trace string // the first
}

// aggregate is one finding of many.
type aggregate struct {
	count, cost float64
	times       int
	examples    []example // in order
}

// merger aggregates findings.
type merger struct {
	examples int
	all      map[about]*aggregate
}

func newMerger(c Config) *merger { return &merger{examples: c.Examples, all: map[about]*aggregate{}} }

// add keeps no more of a finding than will be shown.
func (m *merger) add(f *Finding, trace string, fill func(*Finding)) {
	key := about{f.Kind, f.Service, f.Operation}
	g := m.all[key]
	if g == nil {
		g = &aggregate{}
		m.all[key] = g
	}
	g.count += f.Count
	g.cost += f.CostMS
	g.times++
	e := example{Finding: *f, trace: trace}
	at, _ := slices.BinarySearchFunc(g.examples, e, compareExamples)
	most := max(m.examples, 1)
	if at == most {
		return
	}
	// Of one trace, what costs most is the example, and of what costs alike the first.
	if same := slices.IndexFunc(g.examples, func(o example) bool { return o.trace == trace }); same >= 0 {
		if compareExamples(g.examples[same], e) <= 0 {
			return
		}
		g.examples = slices.Delete(g.examples, same, same+1)
	}
	fill(&e.Finding)
	e.Spans, e.Traces = slices.Clone(first(e.Spans, m.examples)), slices.Clone(first(e.Traces, m.examples))
	g.examples = first(slices.Insert(g.examples, at, e), most)
}

func compareExamples(a, b example) int {
	return cmp.Or(cmp.Compare(b.CostMS, a.CostMS), cmp.Compare(b.Count, a.Count), cmp.Compare(a.trace, b.trace))
}

func first[T any](all []T, n int) []T { return all[:min(len(all), max(n, 0))] }

// findings returns what was added.
func (m *merger) findings() []Finding {
	out := make([]Finding, 0, len(m.all))
	for key, g := range m.all {
		f := Finding{
			Kind: key.kind, Service: key.service, Operation: key.operation, Count: g.count, CostMS: g.cost,
			Traces: []string{}, Spans: []string{},
		}
		for _, e := range g.examples {
			for _, id := range e.Traces {
				if len(f.Traces) < m.examples && !slices.Contains(f.Traces, id) {
					f.Traces = append(f.Traces, id)
				}
			}
		}
		worst := g.examples[0]
		f.Spans = append(f.Spans, first(worst.Spans, m.examples)...)
		f.Advice = worst.Advice
		if g.times > 1 && !strings.HasPrefix(f.Advice, worstOf) {
			f.Advice = worstOf + f.Advice
		}
		out = append(out, f)
	}
	sortFindings(out)
	return out
}

// worstOf stands before advice that is about one of many.
const worstOf = "At worst: "

// sortFindings puts what costs most first. What is alike stays in its order.
func sortFindings(all []Finding) {
	kinds := map[Kind]int{}
	for i, k := range Kinds() {
		kinds[k] = i
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(b.CostMS, a.CostMS),
			cmp.Compare(b.Count, a.Count),
			cmp.Compare(kinds[a.Kind], kinds[b.Kind]),
			cmp.Compare(a.Service, b.Service),
			cmp.Compare(a.Operation, b.Operation),
			slices.Compare(a.Traces, b.Traces),
		)
	})
}
