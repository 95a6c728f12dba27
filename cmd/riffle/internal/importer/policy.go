package importer

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// maxPolicies bounds how deeply policies are nested.
const maxPolicies = 20

// silent are keys of policies that say nothing about what is kept.
var silent = []string{"name", "cache_max_size", "error_mode"}

// rule reads a policy, and says what of it was not read.
func (c *config) rule(o *object, depth int) rule {
	r := c.readRule(o, depth)
	if r.when.op == unknown { // it is left out as a whole
		return r
	}
	kind := o.text("type")
	note := func(part *object, where string) {
		for _, key := range part.unread() {
			if !slices.Contains(silent, key) {
				r.notes = append(r.notes, fmt.Sprintf("%s: not looked at, v0.158 has no such key here", oneLine(where+key)))
			}
		}
	}
	note(o.object(kind), kind+".")
	note(o, "")
	return r
}

func (c *config) readRule(o *object, depth int) rule {
	kind := o.text("type")
	settings := o.object(kind)
	one := func(e *expr) rule { return rule{when: e, share: 1} }
	if depth > maxPolicies {
		return one(isUnknown("policies are nested too deeply"))
	}
	switch kind {
	case "always_sample":
		return one(isAlways())
	case "probabilistic":
		percent, ok := settings.number("sampling_percentage")
		if !ok {
			return one(isUnknown(fmt.Sprintf("sampling_percentage %q is no number", oneLine(settings.text("sampling_percentage")))))
		}
		return rule{when: isAlways(), share: round(min(max(percent, 0), 100) / 100), salts: []string{settings.text("hash_salt")}}
	case "rate_limiting", "bytes_limiting":
		return limiting(kind, settings)
	case "latency":
		return one(latency(settings))
	case "numeric_attribute":
		return one(inverted(settings, numeric(settings)))
	case "string_attribute":
		return one(inverted(settings, textual(settings)))
	case "boolean_attribute":
		if settings.text("key") == "" {
			return one(isUnknown("the policy has no key"))
		}
		return one(inverted(settings, attribute(settings.text("key"), settings.is("value"))))
	case "status_code":
		return one(statusCode(settings))
	case "span_count":
		return one(spanCount(settings))
	case "trace_state":
		return one(traceState(settings))
	case "trace_flags":
		return one(isUnknown("riffle decides by the trace's randomness, and the sampled flag depends on it; remote_parent: watch keeps what a caller has sampled"))
	case "ottl_condition":
		return one(ottlPolicy(settings))
	case "and":
		return c.all(settings.list("and_sub_policy"), depth+1)
	case "not":
		return c.opposite(settings.object("not_sub_policy"), depth+1)
	case "":
		return one(isUnknown("the policy has no type"))
	default:
		return one(isUnknown(fmt.Sprintf("type %s is none that v0.158 of the processor has, or one that cannot stand here", oneLine(kind))))
	}
}

// all is a rule for what all of the policies select.
func (c *config) all(policies []any, depth int) rule {
	r := rule{share: 1}
	var when []*expr
	for _, item := range policies {
		o, ok := item.(*object)
		if !ok {
			when = append(when, isUnknown("a policy within it is no mapping"))
			continue
		}
		sub := c.rule(o, depth)
		when = append(when, sub.when)
		r.notes = append(r.notes, sub.notes...)
		if sub.limit > 0 && (r.limit == 0 || sub.limit < r.limit) {
			r.limit = sub.limit
		}
		switch {
		case len(sub.salts) == 0:
			r.share *= sub.share
		case len(r.salts) > 0 && slices.Equal(r.salts[:1], sub.salts[:1]): // the same hash
			r.share = min(r.share, sub.share)
		default:
			r.share = round(r.share * sub.share)
			r.salts = append(r.salts, sub.salts...)
		}
	}
	if len(when) == 0 {
		r.when = isUnknown("there are no policies in it")
		return r
	}
	r.when = allOf(when...)
	return r
}

// opposite is the rule for what a policy does not select.
func (c *config) opposite(o *object, depth int) rule {
	r := c.rule(o, depth)
	switch {
	case r.limit > 0:
		return rule{when: isUnknown("riffle cannot keep what is above a limit"), share: 1}
	case r.when.op == always && r.share < 1:
		r.share = round(1 - r.share)
		return r
	case r.share < 1:
		return rule{when: isUnknown("riffle cannot keep what a policy with a share leaves"), share: 1}
	}
	r.when = negate(r.when)
	return r
}

func limiting(kind string, o *object) rule {
	key, per := "spans_per_second", 1.0
	var notes []string
	if kind == "bytes_limiting" {
		key, per = "bytes_per_second", 1<<10
		notes = []string{"riffle counts no bytes: a span is taken for 1 KiB"}
	}
	limit, ok := o.number(key)
	if !ok {
		return rule{when: isUnknown(fmt.Sprintf("%s %q is no number", key, oneLine(o.text(key)))), share: 1}
	}
	if limit <= 0 {
		return rule{when: isNever(), share: 1}
	}
	if burst, ok := o.number("burst_capacity"); ok && burst > 0 {
		notes = append(notes, "burst_capacity "+text(burst)+": riffle has no bucket: its thresholds follow the load")
	}
	return rule{when: isAlways(), share: 1, limit: round(max(limit/per, 0.001)), notes: notes}
}

// inverted is a condition that no span meets, if it is inverted.
func inverted(o *object, e *expr) *expr {
	if e.op == unknown {
		return e
	}
	e = anySpan(e)
	if !o.is("invert_match") {
		return e
	}
	return negate(e)
}

func latency(o *object) *expr {
	low, ok1 := o.number("threshold_ms")
	high, ok2 := o.number("upper_threshold_ms")
	const most = 1e12
	if !ok1 || !ok2 || low < 0 || low > most || high < 0 || high > most {
		return isUnknown("threshold_ms or upper_threshold_ms is no number of milliseconds")
	}
	if high > 0 && high <= low {
		return isNever()
	}
	e := trace(field{"duration", fields{{"min", milliseconds(int64(low) + 1)}}})
	if high > 0 {
		e.keys = fields{{"duration", fields{{"min", milliseconds(int64(low) + 1)}, {"max", milliseconds(int64(high))}}}}
	}
	e.slow = &band{int64(low), int64(high)}
	return e
}

func numeric(o *object) *expr {
	low, ok1 := o.number("min_value")
	high, ok2 := o.number("max_value")
	switch {
	case o.text("key") == "":
		return isUnknown("the policy has no key")
	case !ok1 || !ok2:
		return isUnknown("min_value or max_value is no number")
	case low == 0 && high == 0: // 0 is not set
		return isUnknown("it has neither min_value nor max_value, or they are 0, which the Collector takes for absent")
	case low != 0 && high != 0 && low > high:
		return isNever()
	}
	var bounds fields
	if low != 0 {
		bounds = bounds.with("min", low)
	}
	if high != 0 {
		bounds = bounds.with("max", high)
	}
	return attribute(o.text("key"), bounds)
}

func textual(o *object) *expr {
	key := o.text("key")
	if key == "" {
		return isUnknown("the policy has no key")
	}
	var values []any
	var patterns []string
	for _, v := range o.texts("values") {
		if !o.is("enabled_regex_matching") {
			if v != "" {
				values = append(values, substituted(v))
			}
			continue
		}
		v = literal(v)
		if err := checkPattern(v); err != nil {
			return isUnknown(err.Error())
		}
		patterns = append(patterns, v)
	}
	switch {
	case len(patterns) > 0:
		return attribute(key, fields{{"regex", joinPatterns(patterns)}})
	case len(values) == 1:
		return attribute(key, values[0])
	case len(values) > 1:
		return attribute(key, values)
	default:
		return isNever()
	}
}

// checkPattern says what is wrong with a regular expression.
func checkPattern(p string) error {
	if _, err := regexp.Compile(p); err != nil {
		return fmt.Errorf("%s: %s", oneLine(p), oneLine(err.Error()))
	}
	return nil
}

func joinPatterns(all []string) string {
	if len(all) == 1 {
		return all[0]
	}
	return "(?:" + strings.Join(all, ")|(?:") + ")"
}

var collectorVariable = regexp.MustCompile(`\$\$|\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(:-[^}$]*)?\}`)

// substituted is a value of a Collector's file in which variables may stand: they are
// variables of riffle's.
func substituted(s string) any {
	if !strings.Contains(s, "$") {
		return s
	}
	found := false
	var b strings.Builder
	end := 0
	for _, m := range collectorVariable.FindAllStringSubmatchIndex(s, -1) {
		b.WriteString(escaped(s[end:m[0]]))
		end = m[1]
		if m[2] < 0 {
			b.WriteString("$$")
			continue
		}
		found = true
		b.WriteString("${" + s[m[2]:m[3]])
		if m[4] >= 0 {
			b.WriteString(s[m[4]:m[5]])
		} else {
			b.WriteString(":-")
		}
		b.WriteString("}")
	}
	b.WriteString(escaped(s[end:]))
	if !found {
		return literal(s)
	}
	return variable(b.String())
}

func escaped(s string) string { return strings.ReplaceAll(s, "$", "$$") }

// literal takes the escapes of a Collector's file.
func literal(s string) string { return strings.ReplaceAll(s, "$$", "$") }

func statusCode(o *object) *expr {
	var values []any
	for _, s := range o.texts("status_codes") {
		switch s {
		case "OK", "ERROR", "UNSET":
			values = append(values, strings.ToLower(s))
		default:
			return isUnknown(fmt.Sprintf("status_codes has %q: the Collector knows OK, ERROR and UNSET", oneLine(s)))
		}
	}
	switch len(values) {
	case 0:
		return isUnknown("status_codes is empty")
	case 1:
		return trace(field{"any_span", fields{{"status", values[0]}}})
	default:
		return trace(field{"any_span", fields{{"status", values}}})
	}
}

func spanCount(o *object) *expr {
	low, ok1 := o.number("min_spans")
	high, ok2 := o.number("max_spans")
	switch {
	case !ok1 || !ok2 || high < 0 || low > 1e9 || high > 1e9:
		return isUnknown("min_spans or max_spans is no number of spans")
	case high > 0 && high < low:
		return isNever()
	case low <= 1 && high == 0:
		return isAlways()
	}
	var bounds fields
	if low > 0 {
		bounds = bounds.with("min", float64(int64(low)))
	}
	if high > 0 {
		bounds = bounds.with("max", float64(int64(high)))
	}
	return trace(field{"spans", bounds})
}

func traceState(o *object) *expr {
	key := o.text("key")
	var values []any
	for _, v := range o.texts("values") {
		if v != "" && len(key)+len(v) < 256 {
			values = append(values, substituted(v))
		}
	}
	switch {
	case key == "":
		return isUnknown("the policy has no key")
	case key == "ot":
		return isUnknown("ot of tracestate holds the randomness by which riffle decides: no rule can look at it")
	case len(values) == 0:
		return isNever()
	case len(values) == 1:
		return trace(field{"tracestate", fields{{key, values[0]}}})
	}
	return trace(field{"tracestate", fields{{key, values}}})
}
