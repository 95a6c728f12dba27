package match

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/route"
)

// compiler goes on after a mistake, so that all of them are found.
type compiler struct {
	keys       map[attribute.Key]struct{}
	conditions []*condition
	notes      []note
	needs      needs
	errs       []error
}

func (cc *compiler) err() error { return errors.Join(cc.errs...) }

func (cc *compiler) fail(path, format string, args ...any) {
	cc.errs = append(cc.errs, &component.FieldError{Path: path, Err: fmt.Errorf(format, args...)})
}

// note remembers when a key is not known.
func (cc *compiler) note(path string, of lack) { cc.notes = append(cc.notes, note{path, of}) }

// config puts what is cheap, and known early, before the rest.
func (cc *compiler) config(c *Config, path string) *node {
	before := len(cc.errs)
	n := &node{op: opAll}
	add := func(part *node) { n.in = append(n.in, part) }
	if c.Parent != "" {
		at := join(path, "parent")
		cc.note(at, notOfSpan)
		if c.Parent != "none" && c.Parent != "remote" {
			cc.fail(at, "%q is neither none nor remote", c.Parent)
		}
		add(&node{op: opParent, of: ofNobody, remote: c.Parent == "remote"})
	}
	for _, m := range cc.conditionsOf(c.Resource, join(path, "resource")) {
		cc.ofResource(m)
		add(&node{op: opResource, of: ofNobody, condition: m})
	}
	if c.Spans != nil {
		at := join(path, "spans")
		cc.note(at, ofEnded|notOfSpan)
		add(&node{op: opSpans, of: ofNobody, bounds: cc.counts(c.Spans, at)})
	}
	for _, m := range cc.conditionsOf(c.Baggage, join(path, "baggage")) {
		cc.needs.baggage = true
		add(&node{op: opBaggage, of: ofNobody, condition: m})
	}
	for _, m := range cc.conditionsOf(c.Tracestate, join(path, "tracestate")) {
		cc.tracestateKey(string(m.key), joinKey(join(path, "tracestate"), string(m.key)))
		add(&node{op: opTracestate, of: ofNobody, condition: m})
	}
	if len(c.Baggage) > 0 {
		cc.note(join(path, "baggage"), notOfSpan)
	}
	if len(c.Tracestate) > 0 {
		cc.note(join(path, "tracestate"), notOfSpan)
	}
	n.in = append(n.in, cc.about(&spanKeys{
		kind: c.Kind, duration: c.Duration, status: c.Status, route: c.Route,
		attributes: c.Attributes, dotted: c.Dotted, name: c.Name, scope: c.Scope, event: c.Event, link: c.Link, links: c.Links,
	}, path, ofRoot, ofSpan)...)
	if c.Root != nil {
		at := join(path, "root")
		cc.note(at, notOfSpan)
		add(cc.span(c.Root, at, ofRoot))
	}
	if c.Span != nil {
		add(cc.span(c.Span, join(path, "span"), ofSpan))
	}
	if len(c.All) > 0 {
		add(&node{op: opAll, in: cc.list(c.All, join(path, "all"))})
	}
	if len(c.Any) > 0 {
		add(&node{op: opAny, in: cc.list(c.Any, join(path, "any"))})
	}
	if c.Not != nil {
		add(&node{op: opNot, in: []*node{cc.config(c.Not, join(path, "not"))}})
	}
	if c.AnySpan != nil {
		at := join(path, "any_span")
		cc.note(at, ofEnded|notOfSpan)
		cc.needs.ended = true
		notes := len(cc.notes)
		add(&node{op: opAnySpan, of: ofNobody, in: []*node{cc.span(c.AnySpan, at, ofEach)}})
		cc.notes = cc.notes[:notes] // what is inside is said by that
	}
	return cc.joined(n, path, before, configKeys)
}

var (
	configKeys = "attributes, name, route, kind, status, duration, parent, spans, baggage, tracestate, resource, scope, event, link, links, root, span, any_span, all, any, not"
	spanKeyset = "attributes, name, route, kind, status, duration, scope, event, link, links, all, any, not"
)

// joined is a node, or the only one in it. before is how many mistakes there were
// before it.
func (cc *compiler) joined(n *node, path string, before int, known string) *node {
	if len(n.in) == 0 && len(cc.errs) == before {
		cc.fail(path, "an empty match: want one or more of %s", known)
	}
	if len(n.in) == 1 {
		return n.in[0]
	}
	return n
}

func (cc *compiler) list(all []Config, path string) []*node {
	nodes := make([]*node, len(all))
	for i := range all {
		nodes[i] = cc.config(&all[i], item(path, i))
	}
	return nodes
}

// span is a match about one span.
func (cc *compiler) span(c *SpanConfig, path string, of who) *node {
	before := len(cc.errs)
	n := &node{op: opAll, in: cc.about(&spanKeys{
		kind: c.Kind, duration: c.Duration, status: c.Status, route: c.Route,
		attributes: c.Attributes, dotted: c.Dotted, name: c.Name, scope: c.Scope, event: c.Event, link: c.Link, links: c.Links,
	}, path, of, of)}
	if len(c.All) > 0 {
		n.in = append(n.in, &node{op: opAll, in: cc.spans(c.All, join(path, "all"), of)})
	}
	if len(c.Any) > 0 {
		n.in = append(n.in, &node{op: opAny, in: cc.spans(c.Any, join(path, "any"), of)})
	}
	if c.Not != nil {
		n.in = append(n.in, &node{op: opNot, in: []*node{cc.span(c.Not, join(path, "not"), of)}})
	}
	return cc.joined(n, path, before, spanKeyset)
}

func (cc *compiler) spans(all []SpanConfig, path string, of who) []*node {
	nodes := make([]*node, len(all))
	for i := range all {
		nodes[i] = cc.span(&all[i], item(path, i), of)
	}
	return nodes
}

// spanKeys are the keys that Config and SpanConfig have in common.
type spanKeys struct {
	kind, status, route, scope any
	duration                   *Durations
	attributes, dotted         map[string]any
	name                       string
	event                      *Event
	link                       *Link
	links                      *Counts
}

// about makes the nodes of what is about the request of one span, and of what is about
// another.
func (cc *compiler) about(k *spanKeys, path string, request, of who) (nodes []*node) {
	if kinds := cc.texts(k.kind, join(path, "kind")); kinds != nil {
		nodes = append(nodes, cc.kind(kinds, request))
	}
	if scopes := cc.texts(k.scope, join(path, "scope")); scopes != nil {
		n := &node{op: opScope, of: of}
		for _, s := range scopes {
			n.globs = append(n.globs, Glob(s.text))
		}
		nodes = append(nodes, n)
	}
	if k.duration != nil {
		at := join(path, "duration")
		cc.note(at, notAtStart)
		nodes = append(nodes, &node{op: opDuration, of: request, bounds: cc.durations(k.duration, at)})
	}
	if statuses := cc.texts(k.status, join(path, "status")); statuses != nil {
		cc.note(join(path, "status"), notAtStart)
		nodes = append(nodes, cc.status(statuses, request))
	}
	if k.name != "" {
		nodes = append(nodes, &node{op: opName, of: of, globs: []Glob{Glob(k.name)}})
	}
	for _, c := range cc.attributes(k.attributes, k.dotted, path) {
		cc.keys[c.key] = struct{}{}
		cc.ofResource(c)
		c.ended = strings.HasPrefix(string(c.key), exceptionPrefix)
		if IsKnownAtEnd(string(c.key)) {
			cc.note(c.path, notAtStart)
		}
		nodes = append(nodes, &node{op: opAttribute, of: of, condition: c})
	}
	if patterns := cc.texts(k.route, join(path, "route")); patterns != nil {
		nodes = append(nodes, cc.route(patterns, request))
	}
	if k.links != nil {
		nodes = append(nodes, &node{op: opLinks, of: of, bounds: cc.counts(k.links, join(path, "links"))})
	}
	if k.link != nil {
		at := join(path, "link")
		n := &node{op: opLink, of: of, conditions: cc.attributes(k.link.Attributes, k.link.Dotted, at)}
		if len(k.link.Attributes)+len(k.link.Dotted) == 0 {
			cc.fail(at, "an empty match: want attributes; links: {min: 1} is about spans with any link")
		}
		nodes = append(nodes, n)
	}
	if k.event != nil {
		nodes = append(nodes, cc.event(k.event, join(path, "event"), of))
	}
	return nodes
}

func (cc *compiler) event(e *Event, path string, of who) *node {
	cc.note(path, notAtStart)
	if e.Name == "" && len(e.Attributes)+len(e.Dotted) == 0 {
		cc.fail(path, "an empty match: want name, attributes or both")
	}
	name := Glob(e.Name)
	if name == "" {
		name = "*"
	}
	return &node{op: opEvent, of: of, globs: []Glob{name}, conditions: cc.attributes(e.Attributes, e.Dotted, path)}
}

// ofResource has the resource be asked about a condition.
func (cc *compiler) ofResource(c *condition) {
	c.number = len(cc.conditions)
	cc.conditions = append(cc.conditions, c)
}

func (cc *compiler) tracestateKey(key, path string) {
	if key == "ot" {
		cc.fail(path, "it holds the randomness of the trace, on which nothing may depend but the comparison with a threshold")
		return
	}
	if _, err := (trace.TraceState{}).Insert(key, "x"); err != nil {
		cc.fail(path, "no key of a tracestate: want a lowercase letter, and then letters, digits and any of _-*/@")
	}
}

var kindNames = []string{"internal", "server", "client", "producer", "consumer"}

func (cc *compiler) kind(names []text, of who) *node {
	n := &node{op: opKind, of: of}
	for _, name := range names {
		i := slices.Index(kindNames, name.text)
		if i < 0 {
			cc.fail(name.path, "%q is not a kind%s", name.text, suggest(name.text, kindNames))
			continue
		}
		n.kinds[trace.SpanKindInternal+trace.SpanKind(i)] = true
	}
	return n
}

var (
	statusNames = []string{"unset", "error", "ok"}
	statusCodes = []codes.Code{codes.Unset, codes.Error, codes.Ok}
)

func (cc *compiler) status(names []text, of who) *node {
	n := &node{op: opStatus, of: of}
	for _, name := range names {
		i := slices.Index(statusNames, name.text)
		if i < 0 {
			cc.fail(name.path, "%q is not a status%s", name.text, suggest(name.text, statusNames))
			continue
		}
		n.statuses[statusCodes[i]] = true
	}
	return n
}

// route spreads patterns over tables so that none conflicts with another of its
// table: which of them wins does not matter here.
func (cc *compiler) route(patterns []text, of who) *node {
	for _, k := range route.Keys() {
		cc.keys[k] = struct{}{}
	}
	n := &node{op: opRoute, of: of}
	for _, p := range patterns {
		for i := 0; ; i++ {
			if i == len(n.tables) {
				n.tables = append(n.tables, new(route.Table[struct{}]))
			}
			err := n.tables[i].Add(p.text, struct{}{})
			if errors.As(err, new(*route.ConflictError)) {
				continue
			}
			if err != nil {
				cc.fail(p.path, "%w", err)
			}
			break
		}
	}
	return n
}

func (cc *compiler) counts(c *Counts, path string) bounds {
	b := boundsOf(c.Min, c.Max)
	cc.checkBounds(&b, path, func(n int64) string { return strconv.FormatInt(n, 10) })
	return b
}

func (cc *compiler) durations(d *Durations, path string) bounds {
	b := boundsOf(d.Min, d.Max)
	cc.checkBounds(&b, path, func(n int64) string { return component.Duration(n).String() })
	return b
}

func boundsOf[N ~int | ~int64](least, most *N) (b bounds) {
	if least != nil {
		b.min, b.hasMin = int64(*least), true
	}
	if most != nil {
		b.max, b.hasMax = int64(*most), true
	}
	return b
}

func (cc *compiler) checkBounds(b *bounds, path string, text func(int64) string) {
	if !b.hasMin && !b.hasMax {
		cc.fail(path, "an empty range: want min, max or both")
	}
	if b.hasMin && b.min < 0 {
		cc.fail(join(path, "min"), "%s is negative", text(b.min))
	}
	if b.hasMax && b.max < 0 {
		cc.fail(join(path, "max"), "%s is negative", text(b.max))
	}
	if b.hasMin && b.hasMax && b.min > b.max {
		cc.fail(join(path, "min"), "%s is above max, %s", text(b.min), text(b.max))
	}
}

// text is a string with its place.
type text struct{ text, path string }

// texts reads a string or a list of them; nil is none, or a mistake.
func (cc *compiler) texts(x any, path string) []text {
	if x == nil {
		return nil
	}
	if s, ok := scalar(x).(string); ok {
		return []text{{s, path}}
	}
	v := reflect.ValueOf(x)
	if v.Kind() != reflect.Slice {
		cc.fail(path, "want a string or a list of them, not %s", what(x))
		return nil
	}
	if v.Len() == 0 {
		cc.fail(path, "an empty list matches nothing")
	}
	var all []text
	for i := range v.Len() {
		s, ok := scalar(v.Index(i).Interface()).(string)
		if !ok {
			cc.fail(item(path, i), "want a string, not %s", what(v.Index(i).Interface()))
			continue
		}
		all = append(all, text{s, item(path, i)})
	}
	return all
}

// conditionsOf reads a mapping of conditions by key.
func (cc *compiler) conditionsOf(all map[string]any, path string) (conditions []*condition) {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		conditions = append(conditions, cc.condition(key, all[key], joinKey(path, key)))
	}
	return conditions
}

// attributes reads the conditions below path, and those of the keys with a dot.
func (cc *compiler) attributes(below, dotted map[string]any, path string) []*condition {
	all := cc.conditionsOf(below, join(path, "attributes"))
	for _, c := range cc.conditionsOf(dotted, path) {
		if _, twice := below[string(c.key)]; twice {
			cc.fail(c.path, "it is one of attributes too: leave one of them out")
		}
		if !strings.Contains(string(c.key), ".") {
			cc.fail(c.path, "only a key with a dot is short for one of attributes")
		}
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b *condition) int { return a.cost() - b.cost() })
	return all
}
