package record_test

import (
	"slices"
)

// shrink leaves out of a history what a difference does not need.
func shrink(h *history, want, got makeProvider) *history {
	small := *h
	differs := func(less history) bool {
		text, _ := compare(&less, want, got)
		if text != "" {
			small = less
		}
		return text != ""
	}
	if _, op := compare(h, want, got); op+1 < len(h.operations) {
		less := small
		less.operations = small.operations[:op+1]
		differs(less)
	}
	for again := true; again; {
		again = false
		for i := range slices.Backward(small.operations) {
			less := small
			less.operations = slices.Delete(slices.Clone(small.operations), i, i+1)
			again = differs(less) || again
		}
		for i := range small.operations {
			for _, o := range simpler(small.operations[i]) {
				less := small
				less.operations = slices.Clone(small.operations)
				less.operations[i] = o
				if differs(less) {
					again = true
					break
				}
			}
		}
	}
	return resolved(&small)
}

// resolved writes the numbers of spans, contexts and tracers as what they mean. In
// a history they are any, so that leaving out an operation makes another history
// and not an error.
func resolved(h *history) *history {
	same := *h
	same.operations = nil
	spans, contexts := 0, 1
	span := func(n int) int { return n % max(spans, 1) }
	for _, o := range h.operations {
		switch op := o.(type) {
		case start:
			op.place, op.tracer = op.place%contexts, op.tracer%len(h.tracers)
			op.links = slices.Clone(op.links)
			for i := range op.links {
				op.links[i].span = span(op.links[i].span)
			}
			spans++
			contexts++
			o = op
		case move:
			op.place %= contexts
			contexts++
			o = op
		case spanCall:
			op.span = span(op.span)
			if l, ok := op.call.(addLink); ok {
				l.span = span(l.span)
				op.call = l
			}
			o = op
		}
		same.operations = append(same.operations, o)
	}
	return &same
}

// simpler returns an operation without one thing each.
func simpler(o operation) (list []operation) {
	switch o := o.(type) {
	case spanCall:
		for _, c := range simplerCall(o.call) {
			list = append(list, spanCall{o.span, c})
		}
	case start:
		for i := range o.links {
			less := o
			less.links = without(o.links, i)
			list = append(list, less)
		}
		for i := range o.kinds {
			less := o
			less.kinds = without(o.kinds, i)
			list = append(list, less)
		}
		for i, h := range o.hooks {
			less := o
			less.hooks = without(o.hooks, i)
			list = append(list, less)
			for _, c := range simplerCall(h) {
				less.hooks = slices.Clone(o.hooks)
				less.hooks[i] = c
				list = append(list, less)
			}
		}
		for _, opts := range simplerOptions(o.options) {
			less := o
			less.options = opts
			list = append(list, less)
		}
		if less := o; o.newRoot || o.nilContext {
			less.newRoot, less.nilContext = false, false
			list = append(list, less)
		}
	}
	return list
}

func simplerCall(c call) (list []call) {
	switch c := c.(type) {
	case setAttributes:
		for i := range c {
			list = append(list, without(c, i))
		}
	case addEvent:
		for _, o := range simplerOptions(c.options) {
			list = append(list, addEvent{c.name, o})
		}
	case recordError:
		for _, o := range simplerOptions(c.options) {
			list = append(list, recordError{c.err, o})
		}
	case addLink:
		for i := range c.attributes {
			less := c
			less.attributes = without(c.attributes, i)
			list = append(list, less)
		}
	case endSpan:
		for i := range c.hooks {
			less := c
			less.hooks = without(c.hooks, i)
			list = append(list, less)
		}
		for _, o := range simplerOptions(c.options) {
			less := c
			less.options = o
			list = append(list, less)
		}
		if less := c; c.how != plainly {
			less.how = plainly
			list = append(list, less)
		}
	}
	return list
}

func simplerOptions(o options) (list []options) {
	for i, kvs := range o.attributes {
		less := o
		less.attributes = without(o.attributes, i)
		list = append(list, less)
		for j := range kvs {
			less.attributes = slices.Clone(o.attributes)
			less.attributes[i] = without(kvs, j)
			list = append(list, less)
		}
	}
	for i := range o.times {
		less := o
		less.times = without(o.times, i)
		list = append(list, less)
	}
	for i := range o.stacks {
		less := o
		less.stacks = without(o.stacks, i)
		list = append(list, less)
	}
	return list
}

// without returns a copy, which is nil if it is empty, as histories have it.
func without[S ~[]E, E any](s S, i int) S {
	if len(s) == 1 {
		return nil
	}
	return slices.Delete(slices.Clone(s), i, i+1)
}
