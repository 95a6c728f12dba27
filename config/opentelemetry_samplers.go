package config

import (
	"cmp"

	"github.com/riffletrace/riffle/core/record"
)

// readSamplers reads tracer_provider.sampler.
func (f *otelFile) readSamplers(provider member) {
	n := f.get(provider.value, "sampler")
	samplers := &node{kind: list, pos: provider.pos, path: provider.value.path}
	parents := record.Follow
	if n == nil { // the default, or there is a mistake in it
		samplers.items = []*node{ratioAt(provider.value, provider.value.as("1"))}
	} else {
		samplers.pos, samplers.path = provider.value.member("sampler").pos, n.path
		parents = f.sampler(n, &samplers.items)
	}
	f.tree.put("samplers", samplers)
	f.tree.put("remote_parent", samplers.as(string(parents)))
	if f.watch {
		f.watchParents()
	}
}

// watchParents lets end samplers keep what a remote parent has left out.
func (f *otelFile) watchParents() {
	if m := f.tree.member("remote_parent"); m.value != nil && m.value.text == string(record.Follow) {
		f.tree.put("remote_parent", m.value.as(string(record.Watch)))
	}
}

// ratioAt returns an entry that keeps a share, and stands where n does.
func ratioAt(n, rate *node) *node {
	e := n.section()
	e.put("type", e.as("ratio"))
	e.put("rate", rate)
	return e
}

// sampler adds the entries that a sampler is, and returns what it makes of remote
// parents.
func (f *otelFile) sampler(n *node, into *[]*node) record.RemoteParent {
	m := f.only(n)
	if m.key == "" {
		return record.Follow // there is a mistake in it
	}
	if rate := f.rate(m); rate != nil {
		*into = append(*into, ratioAt(m.value, rate))
		return record.Ask
	}
	e := &node{kind: mapping, pos: m.pos, path: m.value.path}
	switch m.key {
	case "parent_based":
		return f.parentBased(m, into)
	case "always_record":
		if root := f.recorded(m); root != nil {
			return f.sampler(root, into)
		}
	case "composite/development":
		e.put("type", e.as("composite"))
		e.put("sampler", f.composable(m.value))
	case "jaeger_remote/development":
		f.jaegerRemote(e, m.value)
	default:
		f.component(e, m)
		*into = append(*into, e)
		f.watch = true
		return record.Watch
	}
	*into = append(*into, e)
	return record.Ask
}

// recorded makes all spans be recorded, and returns the sampler of an always_record.
func (f *otelFile) recorded(m member) (root *node) {
	f.tree.put("always_record", m.value.as("true"))
	f.watch = true // the parent decides what is kept, and what it left out is recorded too
	return f.get(m.value, "root")
}

// rate returns the share that a sampler keeps of which that is all; nil for others.
func (f *otelFile) rate(m member) *node {
	switch m.key {
	case "always_on":
		return m.value.as("1")
	case "always_off":
		return m.value.as("0")
	case "trace_id_ratio_based", "probability/development":
		return cmp.Or(f.get(m.value, "ratio"), m.value.as("1"))
	}
	return nil
}

// parentBased adds the entries of the root's sampler. Where remote parents mean
// something of their own, a sampler is asked that knows of them.
func (f *otelFile) parentBased(m member, into *[]*node) record.RemoteParent {
	f.isDefault(m.value, "local_parent_sampled", "always_on")
	f.isDefault(m.value, "local_parent_not_sampled", "always_off")
	if f.says(m.value, "remote_parent_sampled", "always_on") && f.says(m.value, "remote_parent_not_sampled", "always_off") {
		if root := f.get(m.value, "root"); root != nil {
			f.sampler(root, into)
		} else {
			*into = append(*into, ratioAt(m.value, m.value.as("1")))
		}
		return record.Follow
	}
	e := &node{kind: mapping, pos: m.pos, path: m.value.path}
	e.put("type", e.as("composite"))
	tree := e.section()
	tree.set(member{key: m.key, pos: m.pos, value: f.parents(m.value)})
	e.put("sampler", tree)
	*into = append(*into, e)
	return record.Ask
}

// says reports whether a sampler is the one that it is by default.
func (f *otelFile) says(n *node, key, otherwise string) bool {
	s := f.get(n, key)
	return s == nil || f.only(s).key == otherwise
}

// isDefault refuses a sampler for children, which belong to the segment of their
// parent.
func (f *otelFile) isDefault(n *node, key, otherwise string) {
	if !f.says(n, key, otherwise) {
		m := n.member(key)
		f.fail(m.value, m.pos, "only %s is supported: the spans of a service that belong together are decided as one, by the sampler of their root", otherwise)
	}
}

// parents returns what the sampler composite is configured with for a parent_based.
func (f *otelFile) parents(n *node) *node {
	out := n.section()
	for _, key := range []string{"root", "remote_parent_sampled", "remote_parent_not_sampled"} {
		if s := f.get(n, key); s != nil {
			out.set(member{key: key, pos: n.member(key).pos, value: f.asComposable(s)})
		}
	}
	return out
}

// asComposable returns what the sampler composite is configured with for a sampler.
func (f *otelFile) asComposable(n *node) *node {
	m := f.only(n)
	out := n.section()
	switch m.key {
	case "":
	case "always_record":
		if root := f.recorded(m); root != nil {
			return f.asComposable(root)
		}
	case "composite/development":
		return f.composable(m.value)
	case "parent_based":
		f.isDefault(m.value, "local_parent_sampled", "always_on")
		f.isDefault(m.value, "local_parent_not_sampled", "always_off")
		out.set(member{key: m.key, pos: m.pos, value: f.parents(m.value)})
	case "always_on", "always_off", "trace_id_ratio_based":
		out.set(member{key: m.key, pos: m.pos, value: notNull(m.value)})
	case "probability/development":
		out.set(member{key: "probability", pos: m.pos, value: notNull(m.value)})
	default:
		f.fail(m.value, m.pos, "only the root of a parent_based with the default for remote parents can be %q", m.key)
	}
	return out
}

// composable returns a tree of composable samplers in which none is null.
func (f *otelFile) composable(n *node) *node {
	m := f.only(n)
	out := n.section()
	if m.key == "" {
		return out
	}
	v := notNull(m.value)
	switch m.key {
	case "parent_threshold":
		v = v.section()
		if root := f.get(m.value, "root"); root != nil {
			v.set(member{key: "root", pos: m.value.member("root").pos, value: f.composable(root)})
		}
	case "annotating":
		if of := f.get(m.value, "sampler"); of != nil {
			v = v.with(member{key: "sampler", pos: m.value.member("sampler").pos, value: f.composable(of)})
		}
	case "rule_based":
		if rules := f.get(m.value, "rules"); rules != nil {
			all := *rules
			all.items = nil
			for _, rule := range rules.items {
				if s := f.get(rule, "sampler"); s != nil {
					rule = rule.with(member{key: "sampler", pos: rule.member("sampler").pos, value: f.composable(s)})
				}
				all.items = append(all.items, rule)
			}
			v = v.with(member{key: "rules", pos: m.value.member("rules").pos, value: &all})
		}
	}
	out.set(member{key: m.key, pos: m.pos, value: v})
	return out
}

// notNull returns a mapping, which is empty if n is null.
func notNull(n *node) *node {
	if n.kind == null {
		return n.section()
	}
	return n
}

func (f *otelFile) jaegerRemote(e, n *node) {
	e.put("type", e.as("jaeger_remote"))
	f.copy(e, n, "endpoint", "endpoint")
	e.put("interval", f.milliseconds(n, "interval", 60_000, "1s"))
	initial := f.only(f.get(n, "initial_sampler"))
	for initial.key == "parent_based" {
		if root := f.get(initial.value, "root"); root != nil {
			initial = f.only(root)
		} else {
			initial = member{key: "always_on", pos: initial.pos, value: initial.value}
		}
	}
	if initial.key == "" {
		return
	}
	rate := f.rate(initial)
	if rate == nil {
		f.fail(initial.value, initial.pos, "only a ratio can be the initial sampler, not %q", initial.key)
		return
	}
	e.put("initial", rate)
}
