package findings

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// What is looked at to find out whether one call needs another is bounded by these.
const (
	minValue     = 6       // what is shorter is repeated by chance
	maxValue     = 4 << 10 // of an attribute
	maxValues    = 256     // of a call
	maxAncestors = 32
)

// sequential finds calls below a parent that could run side by side. A run of them ends
// at one that needs one of the run, or may write; what overlaps another is no part of any.
func (t *tree) sequential(parent int32, calls []int32) {
	if int(parent) < len(t.spans) && t.call(parent) != nil {
		return // they are what it consists of, such as to look up a name and to connect
	}
	if one := t.call(calls[0]).target; !t.differ(calls, one) {
		return
	}
	r := run{tree: t, parent: parent, services: map[string]string{}}
	for _, i := range calls {
		if server := t.serverBelow(i); server != nil && server.process.service != "" {
			r.services[t.call(i).target] = server.process.service
		}
	}
	for n, i := range calls {
		s := &t.spans[i]
		switch {
		case !s.ended:
			continue
		case t.call(i).unnamed:
			r.last = max(r.last, s.end) // who knows whether it goes elsewhere
			continue
		case t.call(i).writes:
			r.end()
			r.last = max(r.last, s.end)
			continue
		case s.start < r.last, n+1 < len(calls) && t.spans[calls[n+1]].start < s.end:
			r.last = max(r.last, s.end) // it overlaps
			continue
		}
		r.last = max(r.last, s.end)
		values := valuesOf(s.attributes)
		if r.orders(i, values) {
			r.end()
		}
		r.add(i, values)
		if s.failed {
			r.end()
		}
	}
	r.end()
}

func (t *tree) differ(calls []int32, target string) bool {
	for _, i := range calls {
		if t.call(i).target != target {
			return true
		}
	}
	return false
}

// run is calls in a row of which none needs another.
type run struct {
	*tree
	parent int32
	calls  []int32
	// services are those that were seen below calls to a target: of the addresses of its
	// instances, all are one.
	services map[string]string
	last     int64            // when all before were over
	values   map[string]value // that the calls have
	above    map[string]bool  // values that stand above the calls too; nil until needed
	known    map[trace.SpanID]bool
}

// value is where the calls of a run have a value.
type value struct{ keys []attribute.Key }

// end ends the run and tells what was found.
func (r *run) end() {
	calls := r.calls
	r.calls = nil
	if max(len(r.values), len(r.known)) > maxValues {
		r.values, r.known = nil, nil // it takes long to clear them each time
	}
	clear(r.values)
	clear(r.known)
	if len(calls) < 2 {
		return
	}
	targets := map[string]float64{}
	var names []string
	var sum, longest float64
	for _, i := range calls {
		name := r.call(i).target
		name = cmp.Or(r.services[name], name)
		if _, ok := targets[name]; !ok {
			names = append(names, name)
		}
		d := float64(r.spans[i].duration())
		targets[name] += d
		sum += d
		longest = max(longest, targets[name])
	}
	cost := sum - longest
	if len(names) < max(r.config.SequentialCalls.MinCalls, 2) || cost < float64(r.config.SequentialCalls.MinCost) {
		return
	}
	r.find(SequentialCalls, r.nameOf(r.parent, calls[0]), 1, cost, func() string { return adviseSequential(len(calls), names, sum, longest) }, calls...)
}

func (r *run) add(i int32, values []attribute.KeyValue) {
	r.calls = append(r.calls, i)
	if r.known == nil {
		r.values, r.known = map[string]value{}, map[trace.SpanID]bool{}
	}
	r.known[r.spans[i].id] = true
	for _, kv := range values {
		if place(kv.Key) {
			continue
		}
		text := kv.Value.AsString()
		v := r.values[text]
		if len(v.keys) < maxValues {
			v.keys = append(v.keys, kv.Key)
			r.values[text] = v
		}
	}
}

// orders reports whether a call needs one of the run.
func (r *run) orders(i int32, values []attribute.KeyValue) bool {
	if len(r.calls) == 0 {
		return false
	}
	for _, l := range r.spans[i].Links() {
		if l.SpanContext.TraceID() == r.id && r.known[l.SpanContext.SpanID()] {
			return true
		}
	}
	if len(r.values) == 0 {
		return false
	}
	// A value may stand in a longer one, such as an ID in a URL.
	met := map[string][]attribute.Key{}
	for _, kv := range values {
		for part := range parts(kv.Value.AsString()) {
			if _, ok := r.values[part]; ok {
				met[part] = append(met[part], kv.Key)
			}
		}
	}
	for part, keys := range met {
		if r.differently(part, keys) && !r.isAbove(part) {
			return true
		}
	}
	return false
}

// differently reports whether no key with which a call has a value is one of the run's:
// what two calls have under one key, both were given.
func (r *run) differently(part string, keys []attribute.Key) bool {
	for _, had := range r.values[part].keys {
		if slices.Contains(keys, had) {
			return false
		}
	}
	return true
}

// isAbove reports whether what stands above the calls has a value, so that they may have
// it from there.
func (r *run) isAbove(part string) bool {
	if r.above == nil {
		r.above = map[string]bool{}
		take := func(attributes []attribute.KeyValue) {
			for _, kv := range valuesOf(attributes) {
				for p := range parts(kv.Value.AsString()) {
					r.above[p] = true
				}
			}
		}
		at := r.parent
		for range maxAncestors {
			if at < 0 || int(at) >= len(r.spans) {
				break
			}
			take(r.spans[at].attributes)
			at = r.spans[at].parent
		}
		if len(r.calls) > 0 {
			take(r.spans[r.calls[0]].process.resource.Attributes())
		}
	}
	return r.above[part]
}

// place tells that an attribute says where a call goes, and how, and not what it is about.
func place(key attribute.Key) bool {
	first, rest, _ := strings.Cut(string(key), ".")
	switch first {
	case "server", "client", "net", "network", "peer", "user_agent", "thread", "code", "error", "messaging":
		return true
	case "db":
		return !strings.HasPrefix(rest, "response.") && !strings.HasPrefix(rest, "query.parameter.") && !strings.HasPrefix(rest, "operation.parameter.")
	case "rpc":
		return rest == "system" || rest == "system.name" || rest == "service" || rest == "method"
	case "url":
		return rest == "scheme" || rest == "domain"
	case "http":
		switch rest {
		case "method", "request.method", "flavor", "scheme", "host", "user_agent", "route", "status_text":
			return true
		}
	}
	return false
}

// valuesOf returns the values of attributes as texts, those that are long enough.
func valuesOf(attributes []attribute.KeyValue) []attribute.KeyValue {
	var out []attribute.KeyValue
	take := func(key attribute.Key, text string) {
		if len(text) >= minValue && len(out) < maxValues {
			out = append(out, key.String(text[:min(len(text), maxValue)]))
		}
	}
	for i := range attributes {
		kv := &attributes[i]
		switch kv.Value.Type() {
		case attribute.STRING:
			take(kv.Key, kv.Value.AsString())
		case attribute.INT64:
			if n := kv.Value.AsInt64(); n >= 100_000 || n <= -10_000 {
				take(kv.Key, strconv.FormatInt(n, 10))
			}
		case attribute.STRINGSLICE:
			for _, s := range kv.Value.AsStringSlice() {
				take(kv.Key, s)
			}
		}
	}
	return out
}

// parts gives a text, and what stands in it between other characters than those of words
// and of identifiers, if it is long enough.
func parts(text string) func(func(string) bool) {
	return func(yield func(string) bool) {
		if !yield(text) {
			return
		}
		for _, splits := range []func(rune) bool{notInIdentifier, notInWord} {
			for part := range strings.FieldsFuncSeq(text, splits) {
				if len(part) >= minValue && len(part) < len(text) && !yield(part) {
					return
				}
			}
		}
	}
}

func notInWord(r rune) bool {
	return r < 0x80 && r != '_' && r != '-' && !isDigit(byte(r)) && (r|0x20 < 'a' || r|0x20 > 'z')
}

// notInIdentifier lets dots, colons and the like pass, as e-mail addresses have them.
func notInIdentifier(r rune) bool {
	switch r {
	case '.', ':', '@', '+', '~', '%':
		return false
	}
	return notInWord(r)
}
