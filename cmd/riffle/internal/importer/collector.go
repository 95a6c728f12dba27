package importer

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// spansPerTrace is how many spans a trace is taken for where a rule counts spans, or
// bytes at 1 KiB each.
const spansPerTrace = 10

// collector reads the first processor tail_sampling, or the one that Part names.
// Source: https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/processor/tailsamplingprocessor/v0.158.0/processor/tailsamplingprocessor
func (c *config) collector(data []byte) error {
	docs, err := documents(data)
	if err != nil {
		return err
	}
	var f finder
	for _, doc := range docs {
		f.look("tail_sampling", doc, 0)
	}
	if len(f.all) == 0 {
		return errors.New("there is no processor tail_sampling with policies in the file")
	}
	i := 0
	if part := c.options.Part; part != "" {
		if i = slices.IndexFunc(f.all, func(p processor) bool { return p.name == part }); i < 0 {
			return fmt.Errorf("no processor is called %q: there are %s", oneLine(part), strings.Join(f.names(), ", "))
		}
	} else if len(f.all) > 1 {
		c.note("Of the processors %s this is %s: --part takes another.", strings.Join(f.names(), ", "), f.all[0].name)
	}
	c.processor(f.all[i].settings)
	return nil
}

// processor is one that was found in a file.
type processor struct {
	name     string
	settings *object
}

type finder struct {
	all   []processor
	files int // within the file that were read
}

// maxFiles bounds how many files within one are read: an alias can repeat one.
const maxFiles = 50

func (f *finder) names() []string {
	var all []string
	for _, p := range f.all {
		all = append(all, oneLine(p.name))
	}
	return all
}

// look finds processors in v, which stands at a key: those of a Collector, in its own
// file or in one of Kubernetes, or a section alone.
func (f *finder) look(key string, v any, depth int) {
	switch v := v.(type) {
	case *object:
		_, isList := v.get("policies").([]any)
		if isTail := key == "tail_sampling" || strings.HasPrefix(key, "tail_sampling/"); isTail && isList {
			f.add(key, v)
			return
		}
		for _, name := range v.names() {
			f.look(name, v.get(name), depth+1)
		}
	case []any:
		if depth == 0 && isPolicies(v) {
			f.add(key, &object{keys: []string{"policies"}, values: map[string]any{"policies": v}})
			return
		}
		for _, item := range v {
			f.look("", item, depth+1)
		}
	case string: // a file within a file, as a ConfigMap has it
		if depth == 0 || f.files == maxFiles || !strings.Contains(v, "tail_sampling") || !strings.Contains(v, "\n") {
			return
		}
		f.files++
		docs, err := documents([]byte(v))
		if err != nil {
			return
		}
		for _, doc := range docs {
			if _, isText := doc.(string); !isText {
				f.look("", doc, depth+1)
			}
		}
	}
}

func (f *finder) add(name string, settings *object) {
	if !slices.ContainsFunc(f.all, func(p processor) bool { return p.name == name }) {
		f.all = append(f.all, processor{name, settings})
	}
}

func isPolicies(list []any) bool {
	for _, item := range list {
		if o, ok := item.(*object); !ok || !o.has("type") {
			return false
		}
	}
	return len(list) > 0
}

// processor translates one.
func (c *config) processor(p *object) {
	c.settings(p)
	policies := p.list("policies")
	keeping := 0
	for _, item := range policies {
		o, _ := item.(*object)
		if t := o.text("type"); t != "drop" {
			keeping++
		}
	}
	for i, item := range policies {
		o, ok := item.(*object)
		if !ok {
			c.leftOut(fmt.Sprintf("policies[%d]", i), []string{"it is no mapping"})
			continue
		}
		name := oneLine(o.text("name"))
		if name == "" {
			name = fmt.Sprintf("policies[%d]", i)
		}
		switch o.text("type") {
		case "drop":
			c.drop(name, o)
		case "composite":
			c.composite(name, o.object("composite"), keeping == 1)
		default:
			c.policy(name, o, keeping == 1)
		}
	}
	// What drops is asked last by riffle, wherever it stands: it is put first to be read so.
	sort.SliceStable(c.samplers, func(i, j int) bool { return drops(c.samplers[i]) && !drops(c.samplers[j]) })
}

// ask leaves nothing to a caller: one that sends all to another program, which decides
// there, has set the sampled flag of everything.
func (c *config) ask() {
	c.keys = c.keys.with("remote_parent", "ask")
	c.note("remote_parent: ask: callers that send everything to be sampled later set the sampled flag of everything. Once they sample themselves, leave it out.")
}

func drops(e entry) bool { t := e.keys.get("type"); return t == "discard" || t == "at_most" }

// settings says what becomes of what is no policy.
func (c *config) settings(p *object) {
	c.note("The Collector decides by all spans of a trace that reach it; riffle by those of this process: its segment of the trace.")
	c.ask()
	for _, key := range p.names() {
		switch key {
		case "policies", "expected_new_traces_per_sec", "sample_on_first_match":
		case "decision_wait", "decision_wait_after_root_received":
			c.note("%s %s: riffle waits until a segment is complete, and no longer than max_wait (2m).", key, oneLine(p.text(key)))
		case "num_traces", "block_on_overflow", "maximum_trace_size_bytes":
			c.note("%s %s: riffle bounds bytes, by max_bytes (64MiB) and max_trace_bytes (4MiB).", key, oneLine(p.text(key)))
		case "decision_cache":
			c.note("decision_cache: riffle's is decision_memory; spans that start late belong to their segment without it.")
		case "sampling_strategy":
			if s := p.text(key); s != "trace-complete" {
				c.note("sampling_strategy %s: riffle decides when a segment is complete.", oneLine(s))
			}
		default:
			c.note("%s: not read, riffle has nothing like it.", oneLine(key))
		}
	}
}

// rule is a policy as far as riffle says it.
type rule struct {
	when  *expr
	share float64 // of what it selects
	limit float64 // spans per second; 0 is none
	salts []string
	notes []string
}

// policy translates one that keeps traces.
func (c *config) policy(name string, o *object, alone bool) {
	r := c.rule(o, 0)
	c.keep(name, o.text("type"), r, alone)
}

// keep writes a rule that keeps traces.
func (c *config) keep(name, kind string, r rule, alone bool) {
	kind = cmp.Or(oneLine(kind), "no type")
	when, lost := resolve(normal(r.when, false), true)
	notes := append([]string{name + " (" + kind + ")"}, r.notes...)
	for _, why := range lost {
		notes = append(notes, lostNote(when, why, "a condition is left out, so that it keeps more: "))
	}
	switch {
	case when.op == unknown:
		c.leftOut(name+" ("+kind+")", notes[1:])
	case when.op == always && r.limit == 0:
		c.raise(r.share, name)
		if len(notes) > 1 {
			c.samplers = append(c.samplers, entry{notes: notes})
		}
	case when.op == never || r.share <= 0:
		c.leftOut(name+" ("+kind+")", append(notes[1:], "it keeps nothing"))
	case when.op == always:
		c.limited(name, r, notes, alone)
	default:
		keys := keeper(c.unique(name), when, r.share)
		if r.limit > 0 {
			keys = keys.with("limit", fields{{"per_second", r.limit / spansPerTrace}})
			notes = append(notes, limitNote(r.limit))
		}
		c.samplers = append(c.samplers, entry{notes: notes, keys: keys})
	}
}

// lostNote says what a rule is without; of one that is left out the reason is enough.
func lostNote(when *expr, why, condition string) string {
	if when.op == unknown {
		return strings.TrimPrefix(why, alternative)
	}
	if strings.HasPrefix(why, alternative) {
		return why
	}
	return condition + why
}

func limitNote(spans float64) string {
	return fmt.Sprintf("%s spans a second: riffle's limit counts traces, here of %d spans each; weights stay right above it", text(spans), spansPerTrace)
}

// limited is a rule for all traces with a limit.
func (c *config) limited(name string, r rule, notes []string, alone bool) {
	if alone {
		c.raise(r.share, name)
		c.budget = fields{{"spans_per_second", r.limit}}
		notes = append(notes, "as the budget below: its threshold follows the load, instead of a bucket that is empty or not")
		c.samplers = append(c.samplers, entry{notes: notes})
		return
	}
	keys := fields{
		{"type", "adaptive"},
		{"name", c.unique(name)},
		{"at", "end"},
		{"key", []any{}},
		{"target_per_second", r.limit / spansPerTrace},
	}
	if r.share < 1 {
		keys = keys.with("sample", r.share)
	}
	notes = append(notes, limitNote(r.limit))
	c.samplers = append(c.samplers, entry{notes: notes, keys: keys})
}

// keeper is the sampler for a condition.
func keeper(name string, when *expr, share float64) fields {
	parts := []*expr{when}
	if when.op == and {
		parts = when.of
	}
	i := slices.IndexFunc(parts, func(e *expr) bool { return e.op == leaf && e.slow != nil })
	rest := slices.Clone(parts)
	var keys fields
	switch {
	case i >= 0:
		rest = slices.Delete(rest, i, i+1)
		keys = fields{{"type", "slow"}, {"name", name}, {"threshold", milliseconds(parts[i].slow.low + 1)}}
		if high := parts[i].slow.high; high > 0 {
			keys = keys.with("below", milliseconds(high+1))
		}
	case when.op == leaf && isError(when):
		keys = fields{{"type", "error"}, {"name", name}}
		rest = nil
	case when.op == leaf && when.keys[0].key == "spans" && len(when.keys) == 1:
		keys = append(fields{{"type", "spans"}, {"name", name}}, when.keys[0].value.(fields)...)
		rest = nil
	default:
		return fields{{"type", "attribute"}, {"name", name}, {"at", "end"}, {"match", endMatch(when)}, {"sample", share}}
	}
	if len(rest) > 0 {
		keys = keys.with("match", matchOf(allOf(rest...)))
	}
	if share < 1 {
		keys = keys.with("sample", share)
	}
	return keys
}

// isError tells that e is a span with status Error, which the sampler error asks.
func isError(e *expr) bool {
	m, _ := e.keys.get("any_span").(fields)
	return len(e.keys) == 1 && len(m) == 1 && m[0].key == "status" && m[0].value == "error"
}

func milliseconds(n int64) string {
	if n <= 0 || n > math.MaxInt64/int64(time.Millisecond) {
		return "0s"
	}
	return (time.Duration(n) * time.Millisecond).String()
}

// drop translates a policy that drops traces, whatever the others say.
func (c *config) drop(name string, o *object) {
	r := c.all(o.object("drop").list("drop_sub_policy"), 0)
	c.dropRule(name, "drop", r)
}

func (c *config) dropRule(name, kind string, r rule) {
	when, lost := resolve(normal(r.when, false), false)
	notes := append([]string{name + " (" + kind + ")"}, r.notes...)
	for _, why := range lost {
		notes = append(notes, lostNote(when, why, "less is dropped: "))
	}
	if r.limit > 0 {
		when = isUnknown("")
		notes = append(notes, "riffle cannot limit what is dropped")
	}
	switch when.op {
	case unknown:
		c.leftOut(name+" ("+kind+")", notes[1:])
		return
	case never:
		c.leftOut(name+" ("+kind+")", append(notes[1:], "it drops nothing"))
		return
	case always:
		when = trace(field{"spans", fields{{"min", int64(1)}}})
		notes = append(notes, "it drops every trace")
	}
	if cheap(when) {
		notes = append(notes, "where the local root has this attribute when it starts, a rule of the sampler route or attribute (sample: drop) costs less: the trace is not recorded then")
	}
	keys := fields{{"type", "discard"}, {"name", c.unique(name)}, {"match", matchOf(when)}}
	if r.share < 1 {
		keys = fields{{"type", "at_most"}, {"name", keys[1].value}, {"match", matchOf(when)}, {"sample", round(1 - r.share)}}
	}
	c.samplers = append(c.samplers, entry{notes: notes, keys: keys})
}

// cheap tells that a condition is about one attribute that a request starts with.
func cheap(e *expr) bool {
	m, _ := e.keys.get("any_span").(fields)
	a, _ := m.get("attributes").(fields)
	if e.op != leaf || len(m) != 1 || len(a) != 1 {
		return false
	}
	return slices.Contains([]string{"url.path", "http.target", "http.route", "http.url", "url.full", "user_agent.original", "http.user_agent"}, a[0].key)
}

func round(x float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 12, 64), 64)
	return r
}

// composite translates a list of which the first that matches decides, each with a
// part of a rate.
func (c *config) composite(name string, o *object, alone bool) {
	total, ok := o.number("max_total_spans_per_second")
	subs := o.list("composite_sub_policy")
	if !ok || len(subs) == 0 {
		c.leftOut(name+" (composite)", []string{"it has no composite_sub_policy, or a rate that is no number"})
		return
	}
	percent := map[string]float64{}
	for _, item := range o.list("rate_allocation") {
		a, _ := item.(*object)
		p, _ := a.number("percent")
		if p <= 0 {
			p = 100 / float64(len(subs))
		}
		percent[a.text("policy")] = p
	}
	notes := []string{fmt.Sprintf("%s (composite): in the Collector the first of its policies that selects a trace decides, in the order of composite_sub_policy; policy_order is not looked at (v0.158). riffle asks all", name)}
	var order []any
	first := len(c.samplers)
	for i, item := range subs {
		sub, _ := item.(*object)
		subName := oneLine(sub.text("name"))
		if subName == "" {
			subName = fmt.Sprintf("%s[%d]", name, i)
		}
		r := c.rule(sub, 1)
		p, allocated := percent[sub.text("name")]
		if !allocated {
			r.notes = append(r.notes, "without rate_allocation the Collector (v0.158) keeps nothing by it: here it counts")
		}
		if !alone && allocated && total > 0 {
			r.limit = total * p / 100
		}
		if c.keep(subName, sub.text("type"), r, false); r.when.op != always {
			order = append(order, subName)
		}
	}
	if alone && total > 0 {
		c.budget = fields{{"spans_per_second", total}}
		if len(order) > 0 {
			c.budget = c.budget.with("order", append(c.entryNames(first), "baseline"))
		}
		notes = append(notes, "as the budget below: its order says who is cut last. rate_allocation is left out: what one policy does not use, the others can")
	} else if total > 0 {
		notes = append(notes, fmt.Sprintf("max_total_spans_per_second %s is left out, since there are other policies, which riffle's budget would cut too; each policy has a limit instead", text(total)))
	}
	c.samplers = slices.Insert(c.samplers, first, entry{notes: notes})
}

// entryNames are those of the entries from the i-th on.
func (c *config) entryNames(i int) []any {
	var all []any
	for _, e := range c.samplers[i:] {
		if name, ok := e.keys.get("name").(string); ok {
			all = append(all, name)
		}
	}
	return all
}
