package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/delivery/redact"
)

// root is where the file, and every path in an error, has the section.
const root = "observability.tracing"

const (
	// maxFile bounds the file that is read.
	maxFile = 1 << 20
	// maxMistakes bounds how many mistakes are reported, and what it takes to
	// find them in a file that is nothing but mistakes.
	maxMistakes = 100
)

// Option changes how a configuration is read.
type Option func(*options)

type options struct {
	app       string
	file      string
	samplers  *core.Registry[core.Sampler]
	exporters *core.Registry[core.Exporter]
	environ   []string
}

func newOptions(opts []Option) *options {
	o := &options{app: "fluxbase", file: "config", samplers: &core.Samplers, exporters: &core.Exporters, environ: os.Environ()}
	for _, opt := range opts {
		opt(o)
	}
	return o
}

// App names the application, by default fluxbase: its variables are called
// FLUXBASE_OBSERVABILITY_TRACING_*, and it is the default of
// service_namespace.
func App(name string) Option { return func(o *options) { o.app = name } }

// File is what [Parse] calls its input in positions.
func File(name string) Option { return func(o *options) { o.file = name } }

// Samplers takes sampler types from r instead of [core.Samplers].
func Samplers(r *core.Registry[core.Sampler]) Option { return func(o *options) { o.samplers = r } }

// Exporters takes exporter types from r instead of [core.Exporters].
func Exporters(r *core.Registry[core.Exporter]) Option { return func(o *options) { o.exporters = r } }

// Environ takes variables from env, in the form of [os.Environ], instead of
// the process.
func Environ(env []string) Option { return func(o *options) { o.environ = env } }

// Load reads the file at path and the environment. A file that does not exist
// is an error that wraps [io/fs.ErrNotExist]; mistakes in the file or the
// variables are [core.ConfigErrors].
func Load(path string, opts ...Option) (core.Spec, error) {
	data, err := read(path)
	if err != nil {
		return core.Spec{}, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(data, append([]Option{File(path)}, opts...)...)
}

// Parse reads a file's content and the environment, as [Load] does.
func Parse(data []byte, opts ...Option) (core.Spec, error) {
	r := newReader(newOptions(opts))
	r.readFile(data)
	return r.spec()
}

// FromEnv reads the environment alone. Without any variable, the spec is one
// of tracing that is off.
func FromEnv(opts ...Option) (core.Spec, error) {
	return newReader(newOptions(opts)).spec()
}

// read returns at most one byte more than maxFile, which Parse refuses.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// section is observability.tracing, as one source has it. nil is what the
// source does not set.
type section struct {
	Enabled          *bool             `yaml:"enabled" doc:"turns tracing on"`
	Endpoint         *string           `yaml:"endpoint" doc:"where to send traces, as host:port or URL: short for one otlp exporter"`
	Insecure         *bool             `yaml:"insecure" doc:"plain text instead of TLS for endpoint; without it, an endpoint on loopback without a scheme is plain text and any other is TLS"`
	SampleRate       *float64          `yaml:"sample_rate" doc:"share of the traces to keep, 0 (none) to 1: short for a ratio sampler at the end of samplers; without any sampler, all traces are kept"`
	ServiceName      *string           `yaml:"service_name" doc:"resource attribute service.name"`
	ServiceVersion   *string           `yaml:"service_version" doc:"resource attribute service.version; by default that of the build info"`
	ServiceNamespace *string           `yaml:"service_namespace" doc:"resource attribute service.namespace; by default the application's name"`
	Environment      *string           `yaml:"environment" doc:"resource attributes deployment.environment.name and deployment.environment"`
	RemoteParent     *string           `yaml:"remote_parent" doc:"what the sampling decision of a remote parent means: watch follows it, but lets end samplers keep the local part of a trace that the parent left out; follow follows it and nothing else; ignore starts a new root, for endpoints that anybody can call"`
	Propagators      []string          `yaml:"propagators" doc:"formats of the trace context in headers: tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace, or none alone"`
	Resource         map[string]string `yaml:"resource" doc:"further attributes of the resource"`
	Limits           core.Limits       `yaml:"limits" doc:"what one span can hold; -1 is no limit"`
	DecisionWait     *core.Duration    `yaml:"decision_wait" doc:"when an open trace is decided; what ends later follows the decision"`
	DecisionMemory   decisionMemory    `yaml:"decision_memory" doc:"what is remembered of decided traces, for spans that end later"`
	MaxBytes         *core.Size        `yaml:"max_bytes" doc:"what traces that wait for their decision may take; above it, fewer are recorded, and their weights say so"`
	MaxTraceBytes    *core.Size        `yaml:"max_trace_bytes" doc:"what one trace may take of it; a larger one is decided early"`
	Redact           *redact.Config    `yaml:"redact" doc:"what to take out of the spans of all exporters; exporters can have rules of their own besides"`
	Plugins          plugins           `yaml:"plugins" doc:"where programs that serve components are found, and which of them may run"`
	Samplers         []*node           `yaml:"samplers" doc:"which traces to keep: start samplers are asked in order and the first that does not abstain decides; end samplers are asked about every trace"`
	Exporters        []*node           `yaml:"exporters" doc:"where traces go; each gets all that are kept; by default one otlp exporter"`
}

// decisionMemory is [core.DecisionMemory] as one source has it.
type decisionMemory struct {
	Traces *int           `yaml:"traces" doc:"how many traces; fewer where max_bytes is small"`
	Age    *core.Duration `yaml:"age" doc:"for how long after the last span, or after Provider.Keep"`
}

// plugins is [core.Plugins] as one source has it.
type plugins struct {
	Dir           *string `yaml:"dir" doc:"directory of the programs, called riffle-plugin-NAME, and of riffle-plugins.lock, which pins them"`
	AllowUnpinned *bool   `yaml:"allow_unpinned" doc:"runs programs that riffle-plugins.lock does not pin; for development"`
	RunDir        *string `yaml:"run_dir" doc:"where the private copies that run are made; by default the directory for temporary files, which may not allow programs"`
}

// defaults are the values of keys that no source sets.
func defaults(app string) section {
	off, watch := false, string(core.Watch)
	return section{
		Enabled:          &off,
		ServiceNamespace: &app,
		RemoteParent:     &watch,
		Propagators:      []string{"tracecontext", "baggage"},
		DecisionWait:     new(core.DefaultDecisionWait),
		DecisionMemory:   decisionMemory{Traces: new(core.DefaultDecisionTraces), Age: new(core.DefaultDecisionAge)},
		MaxBytes:         new(core.DefaultMaxBytes),
		// MaxTraceBytes has none: core's depends on MaxBytes.
	}
}

// host are the keys of a list entry that are not the component's. Adding a
// field adds a key.
type host struct {
	Type string `yaml:"type" doc:"the kind of component"`
	Name string `yaml:"name" doc:"the entry's name in logs and attributes, unique in its list; by default its type"`
}

var hostKeys = keysOf(reflect.TypeFor[host]())

// listKeys are the keys of the entries of a list that [core] reads, besides
// type and name.
var listKeys = map[string]reflect.Type{
	"samplers":  reflect.TypeFor[core.SamplerKeys](),
	"exporters": reflect.TypeFor[core.ExporterKeys](),
}

// attributeKeys are resource attributes that have a key of their own.
var attributeKeys = []struct {
	attribute, key string
	field          func(*section) **string
}{
	{"service.name", "service_name", func(s *section) **string { return &s.ServiceName }},
	{"service.version", "service_version", func(s *section) **string { return &s.ServiceVersion }},
	{"service.namespace", "service_namespace", func(s *section) **string { return &s.ServiceNamespace }},
	{"deployment.environment.name", "environment", func(s *section) **string { return &s.Environment }},
	{"deployment.environment", "environment", func(s *section) **string { return &s.Environment }},
}

// source is one of the places that a configuration comes from.
type source struct {
	tree *node // a mapping; nil if the source says nothing
	section
}

// reader collects the sources and the mistakes in them.
type reader struct {
	*options
	env             environment
	doc             *document // nil without a file
	otel, file, app source
	errs            core.ConfigErrors
	warnings        core.ConfigErrors
	// standsFor leads from the path of what the short form was turned into to
	// the path of the short form.
	standsFor map[string]string
	// unusable are the paths of entries, and of host keys in them, that cannot
	// be decoded at all.
	unusable map[string]bool
}

func newReader(o *options) *reader {
	r := &reader{options: o, env: newEnvironment(o.environ), standsFor: map[string]string{}, unusable: map[string]bool{}}
	r.otel = r.decode(r.otelTree())
	r.app = r.decode(r.appTree())
	return r
}

// readFile adds the file.
func (r *reader) readFile(data []byte) {
	doc, errs := newDocument(r.options.file, data)
	r.doc, r.errs = doc, append(r.errs, errs...)
	if len(errs) > 0 {
		return
	}
	b := &builder{doc: doc, env: r.env}
	tree := b.section()
	r.errs = append(r.errs, b.errs...)
	r.warnings = append(r.warnings, b.warnings...)
	r.file = r.decode(tree)
}

// decode reads a tree into a section and moves attributes that have a key of
// their own to it.
func (r *reader) decode(tree *node) source {
	s := source{tree: tree}
	if tree == nil {
		return s
	}
	d := decoder{hide: r.hide}
	d.decode(tree, &s.section)
	for _, e := range core.FieldErrors(errors.Join(d.errs...)) {
		r.fail(tree.locate(e.Path), e.Path, e.Err)
	}
	for _, a := range attributeKeys {
		value, ok := s.Resource[a.attribute]
		if !ok {
			continue
		}
		delete(s.Resource, a.attribute)
		if field := a.field(&s.section); *field == nil {
			*field = &value
		}
		if path := keyPath("resource", a.attribute); tree.has(a.key) {
			r.fail(tree.locate(path), path, fmt.Errorf("%s says the same: keep one of them", a.key))
		}
	}
	return s
}

func (r *reader) fail(position, path string, err error) {
	r.errs = append(r.errs, &core.ConfigError{Position: position, Path: joinPath(root, path), Err: err})
}

func (r *reader) warn(position string, format string, args ...any) {
	r.warnings = append(r.warnings, &core.ConfigError{Position: position, Err: fmt.Errorf(format, args...)})
}

func (r *reader) hide(n *node) {
	if r.doc != nil {
		r.doc.hide(n.pos)
	}
}

func (r *reader) quote(position string) string {
	if r.doc == nil {
		return ""
	}
	return r.doc.quote(position)
}

// locate asks the sources, the one that wins first.
func (r *reader) locate(path string) string {
	sources := []*node{r.app.tree, r.file.tree, r.otel.tree}
	for _, tree := range sources {
		if pos, ok := tree.find(path); ok {
			return pos
		}
	}
	return r.file.tree.locate(path)
}

// spec merges the sources and checks the result.
func (r *reader) spec() (core.Spec, error) {
	merged := defaults(r.options.app)
	for _, s := range []source{r.otel, r.file, r.app} {
		merge(&merged, &s.section)
	}
	spec := core.Spec{
		Enabled:          *merged.Enabled,
		ServiceName:      value(merged.ServiceName),
		ServiceVersion:   value(merged.ServiceVersion),
		ServiceNamespace: value(merged.ServiceNamespace),
		Environment:      value(merged.Environment),
		Resource:         merged.Resource,
		RemoteParent:     core.RemoteParent(value(merged.RemoteParent)),
		Propagators:      merged.Propagators,
		Limits:           merged.Limits,
		DecisionWait:     value(merged.DecisionWait),
		DecisionMemory:   core.DecisionMemory{Traces: value(merged.DecisionMemory.Traces), Age: value(merged.DecisionMemory.Age)},
		MaxBytes:         value(merged.MaxBytes),
		MaxTraceBytes:    value(merged.MaxTraceBytes),
		Redact:           merged.Redact,
		Plugins: core.Plugins{
			Dir:           value(merged.Plugins.Dir),
			AllowUnpinned: value(merged.Plugins.AllowUnpinned),
			RunDir:        value(merged.Plugins.RunDir),
		},
		Path:   root,
		Locate: r.locate,
	}
	spec.Samplers = r.components("samplers", r.samplerEntries())
	spec.Exporters = r.components("exporters", r.exporterEntries(spec.Enabled))
	r.checkVariables()
	if spec.Enabled {
		r.warnIgnored()
		if r.otel.Enabled != nil && !*r.otel.Enabled {
			r.warn("OTEL_SDK_DISABLED", "overridden by %s", r.locate("enabled"))
		}
	}

	if err := spec.Check(r.samplers, r.exporters); err != nil {
		r.add(err)
	}
	if len(r.errs) > 0 {
		return core.Spec{}, r.mistakes()
	}
	spec.Quote, spec.Warnings = r.quote, r.quoted(r.warnings)
	return spec, nil
}

// mistakes returns the first of them by line, each with the line it is in.
func (r *reader) mistakes() error {
	_ = r.errs.Sorted() // in place
	if len(r.errs) > maxMistakes {
		r.errs = append(r.errs[:maxMistakes], &core.ConfigError{
			Position: r.errs[maxMistakes].Position,
			Err:      errors.New("there are more mistakes from here on"),
		})
	}
	return r.quoted(r.errs)
}

func (r *reader) quoted(errs core.ConfigErrors) core.ConfigErrors {
	for _, e := range errs {
		e.Snippet = r.quote(e.Position)
	}
	return errs
}

// add takes over the mistakes that [core.Spec.Check] found, except those in
// an entry that is a mistake as a whole.
func (r *reader) add(err error) {
	var found core.ConfigErrors
	if !errors.As(err, &found) {
		r.fail("", "", err)
		return
	}
	for _, e := range found {
		if entry, _, _ := strings.Cut(e.Path, "]"); r.unusable[entry+"]"] || r.unusable[e.Path] {
			continue
		}
		path := e.Path
		for path != "" {
			if short, ok := r.standsFor[path]; ok {
				e.Path = short
				break
			}
			path = path[:max(0, strings.LastIndexByte(path, '.'))]
		}
		r.errs = append(r.errs, e)
	}
}

// components turns the entries of a list into components.
func (r *reader) components(list string, entries []*node) []core.Component {
	var all []core.Component
	entryKeys := hostKeys
	if t, ok := listKeys[list]; ok {
		entryKeys = append(slices.Clip(hostKeys), keysOf(t)...)
	}
	for i, n := range entries {
		path := fmt.Sprintf("%s[%d]", list, i)
		var h host
		if n.kind == mapping {
			d := decoder{hide: r.hide, only: hostKeys}
			d.decode(n, &h)
			for _, e := range core.FieldErrors(errors.Join(d.errs...)) {
				r.fail(n.locate(e.Path), joinPath(path, e.Path), e.Err)
				r.unusable[joinPath(joinPath(root, path), e.Path)] = true
			}
		} else {
			r.unusable[joinPath(root, path)] = true
			if n.kind != broken {
				r.fail(n.pos, path, fmt.Errorf("want a mapping that begins with \"- type:\", not %s", n.what()))
			}
		}
		all = append(all, core.Component{
			Type:   h.Type,
			Name:   h.Name,
			Decode: func(into any) error { return r.decodeEntry(n, into, decoder{skip: entryKeys}) },
			Host: func(into any) error {
				return r.decodeEntry(n, into, decoder{only: keysOf(reflect.TypeOf(into).Elem())})
			},
			Locate: n.locate,
		})
	}
	return all
}

// decodeEntry reads a part of an entry.
func (r *reader) decodeEntry(n *node, into any, d decoder) error {
	d.hide = r.hide
	d.decode(n, into)
	return errors.Join(d.errs...)
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
