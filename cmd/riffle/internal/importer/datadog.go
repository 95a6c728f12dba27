package importer

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// datadogRule is one of DD_TRACE_SAMPLING_RULES.
// Source: https://docs.datadoghq.com/tracing/trace_pipeline/ingestion_mechanisms/
type datadogRule struct {
	Service    string            `json:"service"`
	Name       string            `json:"name"`
	Resource   string            `json:"resource"`
	Tags       map[string]string `json:"tags"`
	SampleRate *float64          `json:"sample_rate"`
	// MaxPerSecond is of rules for spans; tracers know it of these too.
	MaxPerSecond float64 `json:"max_per_second"`
}

// datadog reads DD_*; it reports whether they say what is sampled.
func (c *config) datadog(v *variablesOf) bool {
	if s, _ := v.get("DD_TRACE_ENABLED"); strings.EqualFold(s, "false") || s == "0" {
		c.off = true
	}
	if endpoint, why := agent(v); endpoint != "" {
		c.keys = c.keys.with("exporters", []any{fields{{"type", "otlp"}, {"endpoint", endpoint}}})
		c.note("%s", why)
	} else if why != "" {
		c.note("%s", why)
	}
	if list, ok := v.get("DD_TRACE_PROPAGATION_STYLE"); ok {
		c.propagators("DD_TRACE_PROPAGATION_STYLE", strings.Split(list, ","))
	}
	if v.has("DD_SPAN_SAMPLING_RULES") {
		c.note("DD_SPAN_SAMPLING_RULES: riffle keeps a segment as a whole, and no single spans of one that is not kept.")
	}
	rules, hasRules := v.get("DD_TRACE_SAMPLING_RULES")
	rate, hasRate := v.get("DD_TRACE_SAMPLE_RATE")
	if hasRules {
		base, ok := share(rate)
		if !ok {
			base = 1
		}
		c.datadogRules(rules, base)
	}
	limit, hasLimit := v.get("DD_TRACE_RATE_LIMIT")
	switch p, ok := share(rate); {
	case hasRate && ok:
		c.raise(p, "DD_TRACE_SAMPLE_RATE")
	case hasRate:
		c.note("DD_TRACE_SAMPLE_RATE is no share from 0 to 1: everything is kept that no rule is about.")
		c.raise(1, "DD_TRACE_SAMPLE_RATE")
	case hasRules, hasLimit:
		c.note("Without DD_TRACE_SAMPLE_RATE the Agent says what share is kept of what no rule is about; riffle asks no Agent: adaptive, in place of ratio, comes closest.")
		c.raise(1, "no rule")
	default:
		return false
	}
	perSecond := &object{values: map[string]any{"limit": limit}}
	n, ok := perSecond.number("limit")
	switch {
	case hasLimit && (!ok || n <= 0):
		c.note("DD_TRACE_RATE_LIMIT is no number of traces above 0: left out.")
	case hasLimit && (hasRules || hasRate):
		c.note("DD_TRACE_RATE_LIMIT is the budget: where Datadog drops what is above, the threshold rises, and the weights say so.")
		c.budget = fields{{"traces_per_second", n}}
	case hasLimit:
		c.note("DD_TRACE_RATE_LIMIT counts with DD_TRACE_SAMPLING_RULES or DD_TRACE_SAMPLE_RATE alone: left out.")
	default:
		c.note("The budget is the default of DD_TRACE_RATE_LIMIT, 100 traces a second of a process.")
		c.budget = fields{{"traces_per_second", int64(100)}}
	}
	return true
}

// datadogRules translates rules of which the first that matches decides, as the first
// start sampler that answers does. base is what is kept where none does.
func (c *config) datadogRules(text string, base float64) {
	var rules []json.RawMessage
	if err := json.Unmarshal([]byte(text), &rules); err != nil {
		c.note("DD_TRACE_SAMPLING_RULES is no list in JSON: %s.", oneLine(err.Error()))
		return
	}
	for i, raw := range rules {
		name := fmt.Sprintf("DD_TRACE_SAMPLING_RULES[%d]", i)
		var r datadogRule
		if err := json.Unmarshal(raw, &r); err != nil {
			c.leftOut(name, []string{"it is no object with texts for service, name, resource and tags, and a number for sample_rate"})
			continue
		}
		if r.SampleRate == nil || *r.SampleRate < 0 || *r.SampleRate > 1 {
			c.leftOut(name, []string{"it has no sample_rate from 0 to 1"})
			continue
		}
		if anyText(r.Name) && *r.SampleRate < base {
			c.leftOut(name, []string{operation(&r), "without it the rule would be about more, and keeps less than the rest"})
			continue
		}
		c.datadogRule(name, &r)
	}
}

func (c *config) datadogRule(name string, r *datadogRule) {
	notes := []string{name}
	when := []*expr{}
	atEnd := false
	if anyText(r.Service) {
		when = append(when, trace(field{"resource", fields{{"service.name", fold(r.Service)}}}))
	}
	if anyText(r.Name) {
		notes = append(notes, operation(r))
	}
	if anyText(r.Resource) {
		notes = append(notes, "resource is taken for the name of the local root, by its case; what a router names later is not seen at the start")
		when = append(when, trace(field{"name", r.Resource}))
	}
	for _, key := range slices.Sorted(maps.Keys(r.Tags)) {
		if key == "" {
			continue
		}
		cond := any(fields{{"exists", true}})
		if anyText(r.Tags[key]) {
			cond = tag(key, r.Tags[key])
		}
		atEnd = atEnd || knownAtEnd(key)
		when = append(when, trace(field{"attributes", fields{{key, cond}}}))
	}
	if r.MaxPerSecond > 0 {
		notes = append(notes, "max_per_second is left out: riffle limits what end samplers keep, and has a budget for all")
	}
	m := matchOf(allOf(when...))
	if len(when) == 0 {
		if len(notes) > 1 {
			c.leftOut(name, notes[1:])
			return
		}
		m = fields{{"name", "*"}}
	}
	keys := fields{{"type", "attribute"}, {"name", c.unique(name)}, {"match", m}, {"sample", *r.SampleRate}}
	if atEnd {
		notes = append(notes, "it looks at what is known at the end alone: whatever the other rules keep, it keeps this share")
		keys = fields{{"type", "attribute"}, {"name", keys[1].value}, {"at", "end"}, {"match", fields{{"root", m}}}, {"sample", *r.SampleRate}}
		if res := m.get("resource"); res != nil {
			inner := slices.DeleteFunc(slices.Clone(m), func(f field) bool { return f.key == "resource" })
			keys[3].value = fields{{"resource", res}, {"root", inner}}
		}
	}
	c.samplers = append(c.samplers, entry{notes: notes, keys: keys})
}

// operation says why a rule is without its name.
func operation(r *datadogRule) string {
	return fmt.Sprintf("its name %q is left out: operations of Datadog's, such as http.request, are no names of spans here", oneLine(r.Name))
}

// anyText tells that a pattern says something.
func anyText(pattern string) bool { return strings.Trim(pattern, "*") != "" }

// tag is a condition on an attribute. Datadog's patterns are also about numbers, as they
// are written; riffle's are about texts alone, so those that are a range become one.
func tag(key, pattern string) any {
	if strings.Contains(key, "status_code") && len(pattern) == 2 && pattern[1] == '*' {
		pattern = pattern[:1] + "??"
	}
	digits := strings.TrimRight(pattern, "?")
	n, err := strconv.Atoi(digits)
	if open := len(pattern) - len(digits); err == nil && n > 0 && open > 0 && len(pattern) <= 9 {
		for range open {
			n *= 10
		}
		return fields{{"min", int64(n)}, {"max", int64(n + int(math.Pow10(open)) - 1)}}
	}
	return fold(pattern)
}

// fold is a condition by no case, as Datadog's are.
func fold(pattern string) any {
	if strings.ContainsAny(pattern, "*?") {
		return fields{{"glob", pattern}, {"ignore_case", true}}
	}
	return fields{{"equals", pattern}, {"ignore_case", true}}
}

// knownAtEnd tells of an attribute that no span starts with.
func knownAtEnd(key string) bool {
	return strings.Contains(key, "status_code") || strings.HasPrefix(key, "error") || strings.HasPrefix(key, "exception.") || strings.Contains(key, "body.size")
}
