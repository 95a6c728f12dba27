package config

import (
	"bytes"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/spanmetrics"
)

// Effective returns the configuration that all sources make together, as a file that
// says the same: each value with its origin as a comment. The value of a secret is ***;
// where a variable stands for a part of the file, it is left there, as ${NAME}. It is
// to be asked of an inspection without mistakes.
func (i *Inspection) Effective() []byte {
	w := &effective{env: i.reader.env}
	i.reader.write(w, &i.Spec)
	return w.out.Bytes()
}

// Public is what [Inspection.Effective] returns, for anybody: a value or a key that does
// not look like words, small numbers or the path of a file is *** too.
func (r *reader) Public(spec *core.Spec) *core.PublicConfig {
	w := &effective{env: r.env, public: true}
	r.write(w, spec)
	r.mu.Lock()
	defer r.mu.Unlock()
	return &core.PublicConfig{Settings: w.settings, Mask: r.hiddenParts().without}
}

// write writes what all sources make together.
func (r *reader) write(w *effective, spec *core.Spec) {
	way := names(r.options.section)
	for depth, name := range way {
		w.line(depth, yamlKey(name)+":", "")
	}
	depth := len(way)
	all := r.merged()
	known := fields(defaults(r.options.app))
	left := slices.Concat(shortForm, []string{"samplers", "exporters", "metrics"}, sharedSections(r.shared))
	known = slices.DeleteFunc(known, func(f component.Field) bool { return slices.Contains(left, f.Key) })
	for _, key := range left {
		all = all.without(key)
	}
	if spec.SpanMetrics != nil && all.has("span_metrics") { // a section that is not there has no defaults
		at := slices.IndexFunc(known, func(f component.Field) bool { return f.Key == "span_metrics" })
		known[at].Schema.Fields = spanMetricsFields(spec.SpanMetrics)
	}
	w.mapping(depth, all, known, true)

	entryFields := fields(entry{})
	w.list(depth, "samplers", r.lists["samplers"], func(typ string) []component.Field {
		return slices.Concat(entryFields, fieldsOfType(r.samplers, typ), fields(core.SamplerKeys{}))
	})
	host := r.lineFields()
	exporters := slices.Clone(r.lists["exporters"])
	for at, n := range exporters {
		if at < len(spec.Exporters) { // an application may have changed them since
			exporters[at] = n.withTaken(spec.Exporters[at].TakenVariables())
		}
	}
	w.list(depth, "exporters", exporters, func(typ string) []component.Field {
		return slices.Concat(entryFields, fieldsOfType(r.exporters, typ), host)
	})
	if e := spec.Metrics; e != nil && r.section.Metrics != nil {
		w.line(depth, "metrics:", "")
		known := slices.Concat(fields(metricsHead{}), fieldsOfType(r.meterProviders, e.Type()))
		w.mapping(depth+1, r.section.Metrics.withTaken(e.TakenVariables()), known, true)
	}
}

// spanMetricsFields are the keys of the section, with what it makes of those left out.
func spanMetricsFields(c *spanmetrics.Config) []component.Field {
	base := spanmetrics.Config{Exponential: c.Exponential} // without which there are buckets
	base = base.WithDefaults()
	base.Exponential = false
	return fields(base)
}

// merged is what the sources say of all keys but those of lists, the later above the
// earlier ones.
func (r *reader) merged() *node {
	out := &node{kind: mapping}
	for _, tree := range []*node{r.otel, r.file, r.app} {
		switch {
		case tree == nil:
		case tree == r.otel && r.otelFile != nil:
			out = merge(out, tree)
		default:
			out = merge(out, r.withoutAttributes(tree))
		}
	}
	return out
}

// merge puts one mapping over another.
func merge(below, above *node) *node {
	out := below.with()
	for _, m := range above.members {
		if m.value.kind == null {
			continue
		}
		if old := out.member(m.key).value; old != nil && old.kind == mapping && m.value.kind == mapping {
			m.value = merge(old, m.value)
		}
		out.set(m)
	}
	return out
}

// lineVariables are those that set keys of a line where its entry does not.
var lineVariables = map[string]string{
	"batch.max_age": "OTEL_BSP_SCHEDULE_DELAY", "send.timeout": "OTEL_BSP_EXPORT_TIMEOUT",
	"queue.max_bytes": "OTEL_BSP_MAX_QUEUE_SIZE", "batch.max_spans": "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
}

// lineFields are the keys of an exporter's line, with what is taken where an entry
// leaves them out.
func (r *reader) lineFields() []component.Field {
	base, _ := r.line()
	return fields(base)
}

// withTaken returns a copy of an entry with what its component takes from variables.
func (n *node) withTaken(all []component.TakenVariable) *node {
	out := n.with()
	for _, t := range all {
		key := t.Path[len(t.Path)-1]
		m := member{key: key, pos: t.Name, value: &node{kind: scalar, text: string(t.Value), hidden: t.Hidden, pos: t.Name}}
		if len(t.Path) > 1 {
			inside := out.member(t.Path[0]).value
			if inside == nil || inside.kind != mapping {
				inside = &node{kind: mapping, pos: t.Name}
			}
			m = member{key: t.Path[0], pos: t.Name, value: inside.with(m)}
		}
		out.set(m)
	}
	return out
}

// effective is a file that is being written.
type effective struct {
	out bytes.Buffer
	env environment
	// public tells that anybody may read it: then it is lines in place of a text.
	public   bool
	settings []core.Setting
	values   bool // of attributes, which are not shown
	// dash begins the next line: the first of an item.
	dash bool
	path []string
}

const ofDefault = "default"

func (w *effective) line(depth int, text, origin string) {
	indent := strings.Repeat("  ", depth)
	if w.dash {
		indent = indent[:len(indent)-2] + "- "
		w.dash = false
	}
	if w.public {
		w.settings = append(w.settings, core.Setting{Line: indent + text, Origin: origin})
		return
	}
	w.out.WriteString(indent + text)
	if origin != "" {
		w.out.WriteString("  # " + origin)
	}
	w.out.WriteByte('\n')
}

// list writes the entries of a list.
func (w *effective) list(depth int, key string, entries []*node, known func(typ string) []component.Field) {
	if len(entries) == 0 {
		w.line(depth, key+": []", "")
		return
	}
	w.line(depth, key+":", "")
	for _, n := range entries {
		w.dash = true
		w.mapping(depth+2, n, known(n.member("type").value.text), true)
	}
}

// mapping writes the members of a mapping in the order of its fields, and the defaults
// of those that it leaves out: if all, also those that are the empty values.
func (w *effective) mapping(depth int, n *node, known []component.Field, all bool) {
	for _, f := range known {
		w.path = append(w.path, f.Key)
		if n.has(f.Key) {
			w.member(depth, n.member(f.Key), f, all)
		} else {
			w.missing(depth, f, all)
		}
		w.path = w.path[:len(w.path)-1]
	}
	for _, m := range n.members {
		if !slices.ContainsFunc(known, func(f component.Field) bool { return f.Key == m.key }) {
			w.unknown(depth, m)
		}
	}
}

// unknown writes a member that has a key of somebody's own: an attribute. What a match says
// of its values is about people and customers.
func (w *effective) unknown(depth int, m member) {
	before := w.values
	w.values = before || w.public && slices.Contains(w.path, "match")
	w.member(depth, m, component.Field{}, false)
	w.values = before
}

// missing writes the default of a key that nobody sets.
func (w *effective) missing(depth int, f component.Field, all bool) {
	if inside := f.Fields(); f.Schema.Kind == component.Section {
		inside = slices.DeleteFunc(slices.Clone(inside), func(f component.Field) bool { return !hasDefault(f) })
		if len(inside) > 0 {
			w.line(depth, f.Key+":", "")
			w.mapping(depth+1, &node{kind: mapping}, inside, false)
		}
		return
	}
	if f.Default == "" || !all && f.Schema.Kind == component.Boolean {
		return
	}
	origin := ofDefault
	if v := lineVariables[strings.Join(w.path, ".")]; v != "" && f.Default != lineDefault(w.path) {
		origin = v
	}
	text := f.Default
	if f.Schema.Kind != component.List {
		text = yamlText(text, false)
	}
	w.line(depth, f.Key+": "+text, origin)
}

// hasDefault reports whether a field that nobody sets has a value that is not empty.
func hasDefault(f component.Field) bool {
	if f.Schema.Kind == component.Section {
		return slices.ContainsFunc(f.Fields(), hasDefault)
	}
	return f.Default != "" && f.Schema.Kind != component.Boolean
}

// lineDefault is the default of a key of a line without variables.
func lineDefault(path []string) string {
	known := fields(delivery.Defaults())
	for i, key := range path {
		at := slices.IndexFunc(known, func(f component.Field) bool { return f.Key == key })
		switch {
		case at < 0:
			return ""
		case i == len(path)-1:
			return known[at].Default
		}
		known = known[at].Fields()
	}
	return ""
}

func (w *effective) member(depth int, m member, f component.Field, all bool) {
	w.value(depth, w.key(m.key)+":", m.pos, m.value, f, all)
}

// key is a key as it may be shown.
func (w *effective) key(key string) string {
	if w.public && shownKey(key) != key {
		return `"***"`
	}
	return yamlKey(key)
}

// value writes a value behind a key, or behind the dash of an item.
func (w *effective) value(depth int, lead, origin string, n *node, f component.Field, all bool) {
	// Of what is somebody else's to read nobody knows which keys are of secrets.
	foreign := f.Schema.Kind == component.Any
	switch {
	case n.kind == mapping && (len(n.members) > 0 || all && hasDefault(f)):
		if lead != "" {
			w.line(depth, lead, "")
			depth++
		}
		if foreign {
			w.foreign(depth, n)
			return
		}
		w.mapping(depth, n, f.Fields(), all)
	case n.kind == list && len(n.items) > 0:
		w.line(depth, lead, "")
		for _, item := range n.items {
			w.dash = true
			w.value(depth+2, "", item.pos, item, component.Field{Schema: component.Schema{Kind: ofItems(f.Schema.Kind)}}, false)
		}
	default:
		w.line(depth, strings.TrimLeft(lead+" ", " ")+w.scalar(n), origin)
	}
}

// ofItems is the kind of the items of a list: somebody else's too if the list is.
func ofItems(k component.Kind) component.Kind {
	if k == component.Any {
		return k
	}
	return component.Text
}

// foreign writes a mapping of a component that somebody else reads. What its keys say
// may be a secret is hidden.
func (w *effective) foreign(depth int, n *node) {
	for _, m := range n.members {
		value := m.value
		if secretKey.MatchString(m.key) {
			value = &node{kind: scalar, hidden: true, pos: value.pos, text: value.text, raw: value.raw, absent: value.absent}
		}
		w.value(depth, w.key(m.key)+":", m.pos, value, component.Field{Schema: component.Schema{Kind: component.Any}}, false)
	}
}

var (
	secretKey = regexp.MustCompile(`(?i)` + secretKeys)
	// wholeReference is a scalar that is a variable and nothing else, without a default.
	wholeReference = regexp.MustCompile(`^\$\{[A-Za-z_][A-Za-z0-9_]*\}$`)
)

// written reports whether the variables of a scalar can be left in it: reading them
// again gives what it says. Of an OpenTelemetry file that may be something else, because
// a value of it was taken apart, or a variable of it is not set.
func (w *effective) written(n *node) bool {
	text, _, missing, errs := w.env.substitute(n.raw)
	return n.raw != "" && text == n.text && len(errs) == 0 && (n.absent || len(missing) == 0)
}

// isPublic reports whether anybody may see a text that stands for a value.
func isPublic(text string) bool {
	text = plainReference.ReplaceAllString(text, "")
	return isPath(text) || isPlain(text) && !mixed.MatchString(text)
}

// publicURL is what anybody may see of a value that is not public: of a URL, where it leads.
func publicURL(n *node) string {
	u, err := url.Parse(n.text)
	if err != nil || n.substituted || u.Host == "" || !isPublic(u.Host) {
		return "***"
	}
	return u.Scheme + "://" + u.Host + "/***"
}

// scalar is the value of a scalar, or of what is empty, as it may be shown.
func (w *effective) scalar(n *node) string {
	switch {
	case n.kind == mapping:
		return "{}"
	case n.kind == list:
		return "[]"
	case n.kind == null:
		return "null"
	case n.hidden && wholeReference.MatchString(n.raw) && w.written(n):
		return yamlText(n.raw, n.quoted)
	case n.hidden || w.values:
		return `"***"`
	case w.public && (!w.written(n) || !isPublic(n.raw)) && (!isPublic(n.text) || n.substituted):
		return yamlText(publicURL(n), true)
	case w.written(n):
		return yamlText(n.raw, n.quoted)
	}
	text := n.text
	before, query, ok := strings.Cut(text, "?")
	if ok && (strings.Contains(before, "://") || strings.HasPrefix(before, "/") && strings.Contains(query, "=")) {
		text = before + "?***" // there may be a key in a query
	}
	return yamlText(strings.ReplaceAll(text, "$", "$$"), n.quoted)
}

// plainScalar is text that YAML reads as it is without quotes.
var plainScalar = regexp.MustCompile(`^[A-Za-z0-9_./$+-][A-Za-z0-9_./$+:{}~%=-]*$`)

// yamlText writes a scalar.
func yamlText(text string, quoted bool) string {
	isNull := strings.EqualFold(text, "null") // of a variable it is a word
	if !quoted && !isNull && plainScalar.MatchString(text) && !strings.HasSuffix(text, ":") && text != "-" && !strings.HasPrefix(text, "---") {
		return text
	}
	return string(appendJSONString(nil, text))
}

// yamlKey writes a key.
func yamlKey(key string) string {
	if _, isBool := yamlBool(key); isBool || !identifier.MatchString(key) || key == "null" {
		return string(appendJSONString(nil, key))
	}
	return key
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
