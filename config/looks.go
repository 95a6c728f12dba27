package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/riffletrace/riffle/core/component"
)

// ErrNothingRead is about a file in which there was nothing to read: it has no such
// section, or an empty one. It is a warning, because an application's file need not
// have one; for who checks a file it is a mistake. What wraps it says what the file
// looks like instead.
var ErrNothingRead = errors.New("nothing in it is for riffle")

const (
	// maxKeys is how many keys of a file are named.
	maxKeys = 12
	// maxLooked bounds how much of a file is looked at, and how deep.
	maxLooked, maxLookedDepth = 20_000, 6
)

// nothingRead says what a file looks like that has no section, or an empty one. at is
// where its reading ended: a mapping, or what is empty in its place.
func (b *builder) nothingRead() {
	at, what := b.looksLike(target(b.doc.root))
	if at == nil {
		at = b.doc.root
	}
	b.warn(at, "%w: %s", ErrNothingRead, what)
}

func (b *builder) warn(y *yaml.Node, format string, args ...any) {
	b.warnings = append(b.warnings, newError(b.doc.at(y), format, args...))
}

// looksLike tells what a file is, in which there was nothing to read: at is the key, or
// the value, that shows it.
func (b *builder) looksLike(root *yaml.Node) (at *yaml.Node, what string) {
	missing := "it has no " + b.path
	if name := otherProgram(root); name != "" {
		return root, fmt.Sprintf("it looks like %s", name)
	}
	if at, what := b.dottedKey(root); at != nil {
		return at, what
	}
	if at, what := b.wrongIndent(root); at != nil {
		return at, what
	}
	s := search{b: b, left: maxLooked}
	s.look(nil, root, "", 0)
	switch {
	case s.best == nil && b.path == "":
		return root, "none of its keys is one of riffle's: " + keysShown(root)
	case s.best == nil && b.keyOf(root) != nil:
		return b.keyOf(root), b.path + " is empty"
	case s.best == nil && len(root.Content) == 0:
		return root, missing + ", nor anything else"
	case s.best == nil:
		return root, fmt.Sprintf("%s; its keys are %s", missing, keysShown(root))
	case s.path == "":
		return s.best, fmt.Sprintf("%s, but keys of it, such as %s, stand at the top: indent them below %s, or read the whole file as the section: --section '', riffle.Section(\"\")",
			missing, shownQuoted(s.best.Value), b.path)
	case component.Nearest(s.path, []string{b.path}) != "":
		return s.best, fmt.Sprintf("%s (did you mean it by %s?)", missing, shownPath(s.path))
	default:
		return s.best, fmt.Sprintf("%s, but %s looks like it: move it there, or read it where it is: --section %[2]s, riffle.Section(%[3]q)", missing, shownPath(s.path), shownPath(s.path))
	}
}

// otherProgram names the program whose file it is; "" if that is not known.
func otherProgram(root *yaml.Node) string {
	has := func(keys ...string) bool {
		return !slices.ContainsFunc(keys, func(key string) bool { return valueAt(root, key) == nil })
	}
	switch {
	case has("tracer_provider"), has("meter_provider"), has("logger_provider"):
		return "the configuration of an OpenTelemetry SDK, as otelconf reads it, without its file_format"
	case has("service.pipelines"), has("receivers", "exporters"), has("receivers", "service"):
		return "the configuration of an OpenTelemetry Collector: riffle is in the service, and its exporters are a list of entries with a type"
	case has("apiVersion", "kind"):
		return "a Kubernetes manifest: the file that the service reads is probably inside of it"
	case has("services") && anyBelow(valueAt(root, "services"), "image", "build", "env_file", "environment"):
		return "a Compose file: the file that the service reads is another"
	case has("scrape_configs"), has("alerting", "rule_files"):
		return "the configuration of Prometheus"
	case has("RulesVersion"), has("Samplers.__default__"), has("Samplers", "DeterministicSampler"):
		return "the rules of Refinery: its conditions are samplers of their own here"
	case has("General.ConfigurationVersion"), has("RefineryTelemetry"), has("PeerManagement"):
		return "the configuration of Refinery"
	case has("default_strategy"), has("service_strategies"):
		return "sampling strategies of Jaeger: write a ratio sampler, and route for operations"
	case has("sampler", "reporter"), has("extensions.jaeger_query"), has("extensions.jaeger_storage"):
		return "the configuration of Jaeger"
	case has("distributor", "ingester"), has("distributor", "storage"), has("compactor", "querier"):
		return "the configuration of Tempo"
	case has("apm_config"), has("dd_url"), has("api_key", "site"):
		return "the configuration of a Datadog Agent"
	default:
		return ""
	}
}

// dottedKey finds the path of the section written as one key.
func (b *builder) dottedKey(root *yaml.Node) (at *yaml.Node, what string) {
	way := names(b.path)
	if len(way) < 2 {
		return nil, ""
	}
	for i := 0; root.Kind == yaml.MappingNode && i+1 < len(root.Content); i += 2 {
		if key := root.Content[i]; key.Value == b.path || strings.HasPrefix(key.Value, b.path+".") {
			return key, fmt.Sprintf("%s is one key with dots in it: write %s: below %s:", shownQuoted(key.Value), way[1], way[0])
		}
	}
	return nil, ""
}

// wrongIndent finds a key on the way to the section that is empty, because what
// belongs to it is not indented below it.
func (b *builder) wrongIndent(root *yaml.Node) (at *yaml.Node, what string) {
	y, path := root, ""
	way := names(b.path)
	var around []*yaml.Node // the mappings around what is empty, the innermost first
	for i, name := range way {
		key, value := memberOf(y, name)
		if key == nil {
			return nil, ""
		}
		path = component.JoinPath(path, name)
		around = slices.Insert(around, 0, y)
		value = target(value)
		if value.Kind == yaml.MappingNode && len(value.Content) > 0 {
			y = value
			continue
		}
		if i+1 < len(way) {
			if next, _ := memberOf(y, way[i+1]); next != nil {
				return key, fmt.Sprintf("%s is empty, because %s stands beside it: indent it below %s", path, shownQuoted(next.Value), name)
			}
			return nil, ""
		}
		for n, mapping := range around {
			ours := ownKeys(mapping)
			switch {
			case len(ours) == 0:
			case n == 0:
				return key, fmt.Sprintf("%s is empty, because %s stands beside it: indent it below %s", path, shownQuoted(ours[0].Value), name)
			case likeness(ours) >= enough:
				return key, fmt.Sprintf("%s is empty, because %s in line %d is not indented below %s", path, shownQuoted(ours[0].Value), ours[0].Line, name)
			}
		}
		return nil, ""
	}
	return nil, ""
}

// keyOf is the key of the section; nil if it is not there.
func (b *builder) keyOf(root *yaml.Node) (key *yaml.Node) {
	y := root
	for _, name := range names(b.path) {
		if key, y = memberOf(y, name); key == nil {
			return nil
		}
	}
	return key
}

// search looks for a mapping that has keys as the section has.
type search struct {
	b    *builder
	left int

	best  *yaml.Node // its key, or the first of its keys
	path  string
	score int
}

func (s *search) look(key, y *yaml.Node, path string, depth int) {
	if y = target(y); y.Kind != yaml.MappingNode || depth > maxLookedDepth {
		return
	}
	if s.left -= len(y.Content); s.left < 0 {
		return
	}
	ours := ownKeys(y)
	score := likeness(ours)
	named := path[strings.LastIndexByte(path, '.')+1:]
	if score > 0 && (slices.Contains(usualNames, named) || component.Nearest(named, usualNames) != "") {
		score += 2
	}
	if score >= enough && score > s.score {
		if s.best, s.path, s.score = key, path, score; key == nil {
			s.best = ours[0]
		}
	}
	for i := 0; i+1 < len(y.Content); i += 2 {
		if k := y.Content[i]; CheckSection(k.Value) == nil && k.Value != "" && !strings.Contains(k.Value, ".") {
			s.look(k, y.Content[i+1], component.JoinPath(path, k.Value), depth+1)
		}
	}
}

// enough is the score of a mapping that looks like the section: one telling key, or
// several of those that others have too.
const enough = 3

// likeness is the score of keys of the section.
func likeness(ours []*yaml.Node) (score int) {
	for _, k := range ours {
		score++
		if slices.Contains(tellingKeys, k.Value) {
			score += 2
		}
	}
	return score
}

// tellingKeys are keys of the section that others hardly have.
var tellingKeys = []string{"samplers", "exporters", "sample_rate", "service_name", "remote_parent", "decision_wait", "decision_memory", "max_trace_bytes"}

// usualNames are those of sections for tracing.
var usualNames = []string{"tracing", "traces", "riffle", "otel", "opentelemetry", "telemetry", "observability"}

// ownKeys are the keys of a mapping that are keys of the section, with values that the
// section could have.
func ownKeys(y *yaml.Node) []*yaml.Node {
	known := keysOf(reflect.TypeFor[section]())
	var ours []*yaml.Node
	for i := 0; y.Kind == yaml.MappingNode && i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], target(y.Content[i+1])
		isList := k.Value == "samplers" || k.Value == "exporters" || k.Value == "propagators"
		isMapping := k.Value == "resource" || k.Value == "limits" || k.Value == "decision_memory" || k.Value == "redact"
		switch {
		case !slices.Contains(known, k.Value):
		case isList && v.Kind != yaml.SequenceNode, isMapping && v.Kind != yaml.MappingNode, !isList && !isMapping && v.Kind != yaml.ScalarNode:
		default:
			ours = append(ours, k)
		}
	}
	return ours
}

// memberOf is the member of a mapping with that key.
func memberOf(y *yaml.Node, key string) (k, v *yaml.Node) {
	if y = target(y); y.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(y.Content); i += 2 {
		if y.Content[i].Value == key {
			return y.Content[i], y.Content[i+1]
		}
	}
	return nil, nil
}

// valueAt is what stands at a path; nil if nothing does.
func valueAt(y *yaml.Node, path string) *yaml.Node {
	for _, name := range names(path) {
		if _, y = memberOf(y, name); y == nil {
			return nil
		}
	}
	return y
}

// anyBelow reports whether one of the mappings in a mapping has one of the keys.
func anyBelow(y *yaml.Node, keys ...string) bool {
	y = target(y)
	for i := 0; y.Kind == yaml.MappingNode && i+1 < len(y.Content); i += 2 {
		for _, key := range keys {
			if k, _ := memberOf(y.Content[i+1], key); k != nil {
				return true
			}
		}
	}
	return false
}

// keysShown lists the first keys of a mapping.
func keysShown(y *yaml.Node) string {
	var shown []string
	n := 0
	for i := 0; y.Kind == yaml.MappingNode && i+1 < len(y.Content); i += 2 {
		if n++; n <= maxKeys {
			shown = append(shown, shownKey(y.Content[i].Value))
		}
	}
	switch {
	case n == 0:
		return "none"
	case n > maxKeys:
		return fmt.Sprintf("%s and %d more", strings.Join(shown, ", "), n-maxKeys)
	default:
		return strings.Join(shown, ", ")
	}
}
