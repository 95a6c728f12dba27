package core

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/record"
)

// BudgetConfig bounds what is kept of all traces, whatever samplers say.
type BudgetConfig struct {
	_               struct{} `doc:"bounds what is kept over all samplers: one threshold rises, and the weights with it"`
	TracesPerSecond float64  `yaml:"traces_per_second" doc:"segments kept per second on average; this or spans_per_second"`
	SpansPerSecond  float64  `yaml:"spans_per_second" doc:"spans kept per second on average"`
	By              []string `yaml:"by" doc:"attributes of the local root, or route, name, kind, status: each combination of values has a budget of its own, 1,000 of them, the rest share one"`
	Order           []string `yaml:"order" doc:"names or types of samplers: what the first keeps is cut last; baseline, which is whatever is not listed, is the first to be cut"`
}

// baselineClass is the class of what no other has.
const baselineClass = "baseline"

// defaultOrder cuts errors last.
var defaultOrder = []string{"error", "slow", baselineClass}

// check finds the mistakes. It knows the samplers.
func (c *BudgetConfig) check(samplers []SamplerEntry, add func(path string, err error)) {
	rates := []struct {
		path  string
		value float64
	}{{"budget.traces_per_second", c.TracesPerSecond}, {"budget.spans_per_second", c.SpansPerSecond}}
	for _, r := range rates {
		if r.value != 0 && (!(r.value > 0) || math.IsInf(r.value, 0)) {
			add(r.path, fmt.Errorf("%v is not a rate: want a number above 0", r.value))
		}
	}
	switch {
	case c.TracesPerSecond == 0 && c.SpansPerSecond == 0:
		add("budget", errors.New("missing: want traces_per_second or spans_per_second, above 0"))
	case c.TracesPerSecond != 0 && c.SpansPerSecond != 0:
		add("budget.spans_per_second", errors.New("both traces_per_second and spans_per_second: want one of them"))
	}
	for i, word := range c.By {
		path := fmt.Sprintf("budget.by[%d]", i)
		if word == "" {
			add(path, errors.New("empty: want an attribute of the local root"))
		} else if slices.Index(c.By, word) < i {
			add(path, fmt.Errorf("%q is listed twice", word))
		}
	}
	known := slices.Clone(defaultOrder)
	for _, e := range samplers {
		for _, word := range []string{e.ID(), e.Type()} {
			if !slices.Contains(known, word) {
				known = append(known, word)
			}
		}
	}
	for i, word := range c.Order {
		path := fmt.Sprintf("budget.order[%d]", i)
		switch {
		case !slices.Contains(known, word):
			msg := fmt.Sprintf("no sampler has the name or the type %s", component.Shown(word))
			if near := component.Nearest(word, known); near != "" {
				msg += fmt.Sprintf(" (did you mean %q?)", near)
			}
			add(path, errors.New(msg))
		case slices.Index(c.Order, word) < i:
			add(path, fmt.Errorf("%q is listed twice", word))
		case word == baselineClass && i < len(c.Order)-1:
			add(path, errors.New("the baseline is what is cut first: it stands last, or not at all"))
		}
	}
}

// classes are the words of the order that samplers bear, without the baseline. One that
// none bears would have a part of the budget for nothing.
func (c *BudgetConfig) classes(samplers []SamplerEntry) []string {
	order := c.Order
	if len(order) == 0 {
		order = defaultOrder
	}
	return slices.DeleteFunc(slices.Clone(order), func(word string) bool {
		return word == baselineClass || !slices.ContainsFunc(samplers, func(e SamplerEntry) bool { return word == e.ID() || word == e.Type() })
	})
}

// classesOf are the classes of samplers, by name.
func (c *BudgetConfig) classesOf(samplers []SamplerEntry) map[string]int {
	if c == nil {
		return nil
	}
	of := map[string]int{}
	classes := c.classes(samplers)
	for i := range samplers {
		e := &samplers[i]
		class := slices.Index(classes, e.ID())
		if class < 0 {
			class = slices.Index(classes, e.Type())
		}
		if class >= 0 {
			of[e.ID()] = class
		}
	}
	return of
}

// budget is one that is in force, and what it was made from.
type budget struct {
	*record.Budget
	config  BudgetConfig
	classes []string
}

// newBudget makes the budget of a configuration, or takes the former one if that is of
// the same: what is spent stays so.
func newBudget(c *BudgetConfig, samplers []SamplerEntry, former *pipeline) budget {
	if c == nil {
		return budget{}
	}
	next := budget{config: *c, classes: c.classes(samplers)}
	if former != nil && reflect.DeepEqual(former.budget.config, next.config) && slices.Equal(former.budget.classes, next.classes) {
		next.Budget = former.budget.Budget
	}
	if next.Budget == nil {
		b := record.BudgetConfig{PerSecond: c.TracesPerSecond, By: c.By, Classes: len(next.classes) + 1}
		if c.SpansPerSecond != 0 {
			b.PerSecond, b.Spans = c.SpansPerSecond, true
		}
		next.Budget = record.NewBudget(b)
	}
	return next
}
