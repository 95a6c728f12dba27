package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
)

// experimental ends a key that is in development.
const experimental = "/development"

// otelConfigFile names a file of OpenTelemetry's own schema. While it is set, no other
// OTEL_* variable counts.
const otelConfigFile = "OTEL_CONFIG_FILE"

// An OpenTelemetry file is checked by the table of its schema, and what is right in it
// becomes a tree of riffle's own section, whose nodes keep their positions and paths.
// The tree takes the place of that of the OTEL_* variables.

// otelFile is an OpenTelemetry file that is being read.
type otelFile struct {
	*reader
	file *node // as it was written
	tree *node // of riffle's section
	// wrong are nodes with a mistake that is reported.
	wrong map[*node]bool
	// passed are the keys that are not read.
	passed []string
	// watch tells that spans must be recorded below parents that are not sampled:
	// samplers of riffle's own are in the list, which may be end samplers.
	watch bool
}

// isOpenTelemetry reports whether a file is OpenTelemetry's: it says so, and does not have
// the section.
func isOpenTelemetry(y *yaml.Node, section string) bool {
	isOTel, path := below(y, "file_format") != nil, names(section)
	for _, key := range path {
		if y = below(y, key); y == nil {
			return isOTel
		}
	}
	return isOTel && len(path) == 0
}

// below returns the value of a key; nil if there is none.
func below(y *yaml.Node, key string) *yaml.Node {
	if y = target(y); y.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(y.Content); i += 2 {
			if y.Content[i].Value == key {
				return y.Content[i+1]
			}
		}
	}
	return nil
}

// readOTelFile reads the file that OTEL_CONFIG_FILE names.
func (r *reader) readOTelFile(path string) {
	fail := func(err error) {
		r.errs = append(r.errs, &core.ConfigError{Position: otelConfigFile, Err: err})
	}
	data, doubt, err := read(path)
	if err != nil {
		fail(fmt.Errorf("reading the file that it names: %w", err))
		return
	}
	doc, errs := newDocument(path, data)
	r.docs = append(r.docs, doc)
	r.errs = append(r.errs, errs...)
	r.doubtful(path, doubt)
	switch {
	case len(errs) > 0:
	case !isOpenTelemetry(doc.root, r.options.section):
		fail(fmt.Errorf(`%s is no OpenTelemetry configuration: it has no file_format, such as "1.1"`, path))
	default:
		r.openTelemetry(doc)
	}
}

// openTelemetry reads an OpenTelemetry file into r.otel.
func (r *reader) openTelemetry(doc *document) {
	b := &builder{doc: doc, substitute: r.env.substituteOTel, otel: true}
	f := &otelFile{reader: r, file: b.node(doc.root, ""), wrong: map[*node]bool{}}
	r.otelFile = f.file
	r.errs = append(r.errs, b.errs...)
	f.tree = &node{kind: mapping, pos: f.file.pos}
	r.otel = f.tree
	if !f.checkVersion() {
		return
	}
	f.tree.put("service_namespace", f.file.as("")) // nothing is in the resource but what the file says
	f.check(f.file, member{pos: f.file.pos}, otelRoot)
	f.resource()
	f.propagators()
	f.limits()
	f.traces()
	f.distribution()
	f.names()
	if len(f.passed) > 0 {
		r.warn(f.file.pos, "not read: %s", strings.Join(f.passed, ", "))
	}
}

var fileFormat = regexp.MustCompile(`^(\d{1,4})\.(\d{1,4})(?:\.\d{1,4})?(-[0-9A-Za-z./-]+)?$`)

// newestMinor is that of the schema that is known.
const newestMinor = 1

// checkVersion reports whether the file is of a version that can be read.
// Source: VERSIONING.md of the schema
func (f *otelFile) checkVersion() bool {
	m := f.file.member("file_format")
	if m.value.kind != scalar {
		f.fail(m.value, m.pos, `want the version of the schema, "1.1", not %s`, m.value.what())
		return false
	}
	v := fileFormat.FindStringSubmatch(m.value.text)
	if v == nil || v[1] != "1" || v[3] != "" {
		shown := component.Shown(m.value.text)
		if v != nil && len(v[3]) <= len("-rc.10") { // too short for a secret
			shown = strconv.Quote(v[0])
		}
		f.fail(m.value, m.pos, `%s is not read: want "1.0" or "1.1"`, shown)
		return false
	}
	if minor, _ := strconv.Atoi(v[2]); minor > newestMinor {
		f.warn(m.pos, "file_format %s is newer than 1.%d, the newest that is known: what is new in it is an error, or not read", v[0], newestMinor)
	}
	return true
}

// fail reports a mistake in a node of the file. at is where it is shown.
func (f *otelFile) fail(n *node, at, format string, args ...any) {
	f.wrong[n] = true
	f.failKey(at, n.path, format, args...)
}

// failKey reports a mistake about the key at a path.
func (f *otelFile) failKey(at, path, format string, args ...any) {
	if len(f.errs) <= maxMistakes {
		f.errs = append(f.errs, &core.ConfigError{Position: at, Path: path, Err: fmt.Errorf(format, args...)})
	}
}

// get returns the value of a key that can be read; nil if there is none.
func (f *otelFile) get(n *node, key string) *node {
	if n == nil {
		return nil
	}
	m := n.member(key)
	if m.value == nil || m.value.kind == null || m.value.kind == broken || f.wrong[m.value] {
		return nil
	}
	return m.value
}

// only returns the one key of a mapping with its value, which may be null; "" if they
// cannot be read.
func (f *otelFile) only(n *node) member {
	if n == nil || n.kind != mapping || f.wrong[n] || len(n.members) != 1 {
		return member{}
	}
	if m := n.members[0]; m.value.kind != broken && !f.wrong[m.value] {
		return m
	}
	return member{}
}

// as makes a scalar that stands where n does.
func (n *node) as(text string) *node {
	c := *n
	c.kind, c.text, c.quoted, c.items, c.members = scalar, text, false, nil, nil
	return &c
}

// section makes a mapping that stands where n does.
func (n *node) section() *node { return &node{kind: mapping, pos: n.pos, path: n.path} }

// put sets a key to a value that stands where the value does.
func (n *node) put(key string, value *node) { n.set(member{key: key, pos: value.pos, value: value}) }

// putIn sets a key of a section, which is made if it is missing.
func (n *node) putIn(section, key string, value *node) {
	in := n.member(section).value
	if in == nil {
		in = n.section()
		n.put(section, in)
	}
	in.put(key, value)
}

// distribution takes the keys of riffle's section that have no place elsewhere in
// the file.
func (f *otelFile) distribution() {
	m := f.file.member("distribution")
	if m.value == nil || m.value.kind != mapping {
		return
	}
	for _, d := range m.value.members {
		switch {
		case d.key != "riffle":
			f.passed = append(f.passed, shownPath(d.value.path))
			continue
		case d.value.kind != mapping:
			if d.value.kind != broken {
				f.fail(d.value, d.pos, "want a mapping, not %s", f.reader.wrong(d.value))
			}
			continue
		}
		for _, key := range d.value.members {
			switch place, elsewhere := otelPlaces[key.key]; {
			case elsewhere:
				(&decoder{hide: f.hide}).hideUnknown(key, nil)
				f.fail(key.value, key.pos, "is said by %s in this file", place)
			case (key.key == "samplers" || key.key == "exporters") && key.value.kind == list:
				own := f.tree.entries(key.key)
				all := slices.Concat(key.value.items, own)
				if key.key == "exporters" {
					all = slices.Concat(own, key.value.items)
				} else if len(key.value.items) > 0 {
					f.watch = true
				}
				n := *key.value
				n.items = all
				f.tree.set(member{key: key.key, pos: key.pos, value: &n})
			default:
				f.tree.set(key)
			}
		}
		if f.watch && !d.value.has("remote_parent") {
			f.watchParents()
		}
	}
}

// names gives each entry that is made of another part of the file than distribution a
// name that no other has. What is named in the file keeps its name.
func (f *otelFile) names() {
	for key, base := range map[string]func(*node) string{"exporters": exporterKey, "samplers": idOf} {
		entries := f.tree.entries(key)
		given := func(e *node) bool { return e.has("name") || strings.HasPrefix(e.path, "distribution.") }
		taken := map[string]bool{}
		for _, e := range entries {
			taken[idOf(e)] = taken[idOf(e)] || given(e)
		}
		numbers := map[string]int{} // the last of each name
		for _, e := range entries {
			if given(e) {
				continue
			}
			called := base(e)
			n := numbers[called] + 1
			name := called
			if n > 1 {
				name = numbered(called, n)
			}
			for ; taken[name]; name = numbered(called, n) {
				n++
			}
			numbers[called], taken[name] = n, true
			e.put("name", e.as(name))
		}
	}
}

func numbered(name string, n int) string { return name + "_" + strconv.Itoa(n) }

// idOf is the name of an entry, or its type.
func idOf(e *node) string {
	for _, key := range []string{"name", "type"} {
		if m := e.member(key); m.value != nil && m.value.kind == scalar {
			return m.value.text
		}
	}
	return ""
}

// otelPlaces are the keys of riffle's section that an OpenTelemetry file has a place of
// its own for.
var otelPlaces = map[string]string{
	"enabled":           "disabled",
	"service_name":      "resource.attributes",
	"service_version":   "resource.attributes",
	"service_namespace": "resource.attributes",
	"environment":       "resource.attributes",
	"resource":          "resource.attributes",
	"propagators":       "propagator",
	"limits":            "tracer_provider.limits",
	"sample_rate":       "tracer_provider.sampler",
	"endpoint":          "tracer_provider.processors",
	"insecure":          "tracer_provider.processors",
}
