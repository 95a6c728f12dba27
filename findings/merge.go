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
	cost          float64
	traces, spans []string
	advice        string
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
func (m *merger) add(f *Finding) {
	key := about{f.Kind, f.Service, f.Operation}
	g := m.all[key]
	if g == nil {
		g = &aggregate{}
		m.all[key] = g
	}
	g.count += f.Count
	g.cost += f.CostMS
	g.times++
	e := example{cost: f.CostMS, traces: f.Traces, spans: f.Spans, advice: f.Advice}
	at, _ := slices.BinarySearchFunc(g.examples, e, compareExamples)
	if at >= max(m.examples, 1) {
		return
	}
	if m.known(g, at, e) {
		return
	}
	e.spans = slices.Clone(first(e.spans, m.examples))
	e.traces = slices.Clone(first(e.traces, m.examples))
	g.examples = slices.Insert(g.examples, at, e)
	if len(g.examples) > max(m.examples, 1) {
		g.examples = g.examples[:len(g.examples)-1]
	}
}

// known reports whether a trace stands in the examples, at a higher cost; at a lower one
// it is taken out.
func (*merger) known(g *aggregate, at int, e example) bool {
	if len(e.traces) == 0 {
		return false
	}
	for i := range g.examples {
		if len(g.examples[i].traces) > 0 && g.examples[i].traces[0] == e.traces[0] {
			if i < at {
				return true
			}
			g.examples = slices.Delete(g.examples, i, i+1)
			return false
		}
	}
	return false
}

func compareExamples(a, b example) int {
	if c := cmp.Compare(b.cost, a.cost); c != 0 {
		return c
	}
	if c := slices.Compare(a.traces, b.traces); c != 0 {
		return c
	}
	return slices.Compare(a.spans, b.spans)
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
			for _, id := range e.traces {
				if len(f.Traces) < m.examples && !slices.Contains(f.Traces, id) {
					f.Traces = append(f.Traces, id)
				}
			}
		}
		worst := g.examples[0]
		f.Spans = append(f.Spans, first(worst.spans, m.examples)...)
		f.Advice = worst.advice
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

// sortFindings puts what costs most first.
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
			slices.Compare(a.Spans, b.Spans),
		)
	})
}
