package importer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// refinery reads the rules of one environment.
// Source: https://github.com/honeycombio/refinery/blob/v3.2.2/refinery_rules.md
func (c *config) refinery(data []byte) error {
	samplers, err := refineryRules(data)
	if err != nil {
		return err
	}
	names := samplers.names()
	if len(names) == 0 {
		return errors.New("there are no Samplers in the rules")
	}
	part := c.options.Part
	switch {
	case part != "":
		if !samplers.has(part) {
			return fmt.Errorf("no environment is called %q: there are %s", oneLine(part), shown(names))
		}
	case samplers.has("__default__"):
		part = "__default__"
	default:
		part = names[0]
	}
	if len(names) > 1 {
		c.note("Of the environments %s this is %s: --part takes another.", shown(names), oneLine(part))
	}
	c.note("Refinery decides by all spans of a trace; riffle by those of this process: its segment of the trace.")
	c.note("Refinery's first rule that matches decides; riffle's samplers are all asked: the most that one keeps counts, and what at_most and discard say bounds it. The matches below make the same of it.")
	c.ask()
	c.chosen(samplers.object(part))
	return nil
}

func shown(names []string) string {
	var all []string
	for _, n := range names {
		all = append(all, oneLine(n))
	}
	return strings.Join(all, ", ")
}

// refineryRules are the samplers by environment.
func refineryRules(data []byte) (*object, error) {
	if tomlRules.Match(data) {
		return nil, errors.New("rules in TOML are of Refinery 1: convert them with its tools/convert (convert rules --input=rules.toml --output=rules.yaml), and import the YAML")
	}
	docs, err := documents(data)
	if err != nil {
		return nil, err
	}
	left := maxFiles
	for _, doc := range docs {
		if o := findRules(doc, 0, &left); o != nil {
			return o, nil
		}
	}
	return nil, errors.New("there is no mapping Samplers in the file")
}

// findRules finds the samplers also in a file of Kubernetes, or values of Helm. left is
// how many files within the file are still read.
func findRules(v any, depth int, left *int) *object {
	switch v := v.(type) {
	case *object:
		if s := v.object("Samplers"); s != nil {
			return s
		}
		for _, key := range v.names() {
			if s := findRules(v.get(key), depth+1, left); s != nil {
				return s
			}
		}
	case []any:
		for _, item := range v {
			if s := findRules(item, depth+1, left); s != nil {
				return s
			}
		}
	case string:
		if depth == 0 || *left == 0 || !strings.Contains(v, "Samplers") || !strings.Contains(v, "\n") {
			return nil
		}
		*left--
		docs, _ := documents([]byte(v))
		for _, doc := range docs {
			if o, isObject := doc.(*object); isObject && o.object("Samplers") != nil {
				return o.object("Samplers")
			}
		}
	}
	return nil
}

// samplerKinds are those that an environment can have.
var samplerKinds = []string{"DeterministicSampler", "RulesBasedSampler", "DynamicSampler", "EMADynamicSampler", "EMAThroughputSampler", "WindowedThroughputSampler", "TotalThroughputSampler"}

// chosenKind is the sampler that is set in a choice of one.
func chosenKind(o *object) (string, *object) {
	for _, kind := range samplerKinds {
		if o.has(kind) {
			return kind, o.object(kind)
		}
	}
	return "", nil
}

// chosen translates the sampler of an environment.
func (c *config) chosen(o *object) {
	kind, settings := chosenKind(o)
	switch kind {
	case "":
		c.leftOut("the environment", []string{"it has none of " + strings.Join(samplerKinds, ", ")})
	case "RulesBasedSampler":
		c.rules(settings)
	default:
		d := downstream(kind, settings)
		if d.goal > 0 {
			c.budget = fields{{"traces_per_second", d.goal}}
		}
		c.dynamic(kind, kind, d, nil, nil)
	}
}

// dynamicRate is a sampler of Refinery's as far as riffle says it.
type dynamicRate struct {
	share float64 // of the traces
	goal  float64 // traces per second, in place of the share
	key   []any
	notes []string
}

// downstream reads a sampler that is not about rules.
func downstream(kind string, o *object) dynamicRate {
	d := dynamicRate{share: 1}
	rate := func(key string) {
		n, ok := o.number(key)
		switch {
		case !ok || n < 0:
			d.notes = append(d.notes, fmt.Sprintf("%s %q is no rate: everything is kept", key, oneLine(o.text(key))))
		case n > 1:
			d.share = 1 / n
		}
	}
	switch kind {
	case "DeterministicSampler":
		rate("SampleRate")
		return d
	case "DynamicSampler":
		rate("SampleRate")
	case "EMADynamicSampler":
		rate("GoalSampleRate")
	default:
		goal, ok := o.number("GoalThroughputPerSec")
		if !ok || goal <= 0 {
			d.notes = append(d.notes, "GoalThroughputPerSec is no rate: 100 is taken")
			goal = 100
		}
		d.goal = goal
	}
	for _, f := range o.texts("FieldList") {
		k := keyOf(f)
		if k == "" {
			d.notes = append(d.notes, fmt.Sprintf("the field %s of the key is left out: riffle has nothing for it", oneLine(f)))
		} else if !slices.Contains(d.key, any(k)) {
			d.key = append(d.key, k)
		}
	}
	for _, ignored := range []string{"UseTraceLength", "UseClusterSize"} {
		if o.is(ignored) {
			d.notes = append(d.notes, map[string]string{
				"UseTraceLength": "UseTraceLength: riffle's key does not hold the number of spans",
				"UseClusterSize": "UseClusterSize: each process of riffle has the rate to itself: divide it by their number",
			}[ignored])
		}
	}
	return d
}

// keyOf is a field of a key in riffle's words; "" if there is none.
func keyOf(f string) string {
	f = strings.TrimPrefix(f, "root.")
	switch f {
	case "", "trace.trace_id", "trace.span_id", "trace.parent_id", "duration_ms":
		return ""
	case "error":
		return "status"
	case "service_name":
		return "service.name"
	case "http.route":
		return "route"
	}
	if strings.HasPrefix(f, "?.") || strings.HasPrefix(f, "meta.") {
		return ""
	}
	return f
}

// dynamic writes what comes closest to a dynamic sampler, for the traces of a
// condition; nil are all that no rule is about.
func (c *config) dynamic(name, kind string, d dynamicRate, when *expr, notes []string) {
	notes = append(notes, d.notes...)
	head := name
	if kind != name && kind != "" {
		head += " (" + kind + ")"
	}
	notes = append([]string{head}, notes...)
	key := d.key
	if len(key) == 0 {
		key = []any{"name"}
	}
	if d.goal > 0 {
		keys := fields{{"type", "adaptive"}, {"name", c.unique(name)}, {"at", "end"}}
		if when != nil {
			keys = keys.with("match", endMatch(when))
		}
		keys = append(keys, fields{{"key", key}, {"target_per_second", d.goal}}...)
		notes = append(notes, "adaptive comes closest: each key has the target to itself, where Refinery shares the goal among the keys: divide it by their number, or see budget")
		c.samplers = append(c.samplers, entry{notes: notes, keys: keys})
		return
	}
	if kind != "" && kind != "DeterministicSampler" {
		notes = append(notes, "the rate as a whole; Refinery keeps more of rare keys and less of frequent ones: rare, which keeps the first of each key, comes closest")
		keys := fields{{"type", "rare"}, {"name", c.unique(name + " rare")}}
		if when != nil {
			keys = keys.with("match", matchOf(when))
		}
		keys = append(keys, fields{{"first", int64(1)}, {"window", "1m"}, {"key", key}}...)
		c.samplers = append(c.samplers, entry{notes: notes, keys: keys})
		notes = nil
	}
	if when == nil {
		c.raise(d.share, name)
		if len(notes) > 1 {
			c.samplers = append(c.samplers, entry{notes: notes})
		}
		return
	}
	c.samplers = append(c.samplers, entry{notes: notes, keys: fields{
		{"type", "attribute"}, {"name", c.unique(name)}, {"at", "end"}, {"match", endMatch(when)}, {"sample", d.share},
	}})
}
