package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/trustedfile"
)

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
	section   string // its path; "" is the whole document
	file      string
	samplers  *component.Registry[sampling.Sampler]
	exporters *component.Registry[sdktrace.SpanExporter]
	// meterProviders are what the metrics section can name.
	meterProviders *component.Registry[component.MeterProvider]
	environ        []string
	doubt          error // about the file's mode
	absent         bool  // what is secret need not be there
}

func newOptions(opts []Option) *options {
	o := &options{
		section: DefaultSection, file: "config", environ: os.Environ(),
		samplers: sampling.Samplers, exporters: component.Exporters, meterProviders: component.MeterProviders,
	}
	for _, opt := range opts {
		opt(o)
	}
	return o
}

// App names the application. The variables of one called fluxbase are
// FLUXBASE_OBSERVABILITY_TRACING_*, after its name and the path of the section, and
// its name is the default of service_namespace. Without it, there are neither.
func App(name string) Option { return func(o *options) { o.app = name } }

// File is what [Parse] calls its input in positions.
func File(name string) Option { return func(o *options) { o.file = name } }

// Samplers takes sampler types from r instead of [sampling.Samplers].
func Samplers(r *component.Registry[sampling.Sampler]) Option {
	return func(o *options) { o.samplers = r }
}

// Exporters takes exporter types from r instead of [component.Exporters].
func Exporters(r *component.Registry[sdktrace.SpanExporter]) Option {
	return func(o *options) { o.exporters = r }
}

// MeterProviders takes what the metrics section can name from r instead of
// [component.MeterProviders].
func MeterProviders(r *component.Registry[component.MeterProvider]) Option {
	return func(o *options) { o.meterProviders = r }
}

// Environ takes variables from env, in the form of [os.Environ], instead of
// the process.
func Environ(env []string) Option { return func(o *options) { o.environ = env } }

// WithoutSecrets checks a file where its secrets are not: a variable that is not set
// stands for a value that would be right, and so does a file that cannot be read for a
// key whose name ends in _file. Such a configuration is not one to be started.
func WithoutSecrets() Option { return func(o *options) { o.absent = true } }

// Load reads the file at path and the environment. A file that does not exist
// is an error that wraps [io/fs.ErrNotExist]; mistakes in the file or the
// variables are [core.ConfigErrors].
func Load(path string, opts ...Option) (core.Spec, error) {
	data, doubt, err := read(path)
	if err != nil {
		return core.Spec{}, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(data, append([]Option{File(path), func(o *options) { o.doubt = doubt }}, opts...)...)
}

// Parse reads a file's content and the environment, as [Load] does.
func Parse(data []byte, opts ...Option) (core.Spec, error) {
	o := newOptions(opts)
	if err := CheckSection(o.section); err != nil {
		return core.Spec{}, err
	}
	r := newReader(o)
	r.readFile(data)
	return r.spec()
}

// FromEnv reads the environment alone. Without any variable, the spec is one
// of tracing that is off.
func FromEnv(opts ...Option) (core.Spec, error) {
	o := newOptions(opts)
	if err := CheckSection(o.section); err != nil {
		return core.Spec{}, err
	}
	r := newReader(o)
	r.readVariables()
	return r.spec()
}

// read returns at most one byte more than maxFile, which Parse refuses. The file may be
// a pipe, as shells make them, a link, and anybody's, as those of containers are; doubt
// is what is wrong with its mode.
func read(path string) (data []byte, doubt, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		doubt = trustedfile.World(info)
	}
	data, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	return data, doubt, err
}

// section is what the section of a file holds.
type section struct {
	core.Spec  `yaml:",inline"`
	Endpoint   *string  `yaml:"endpoint" doc:"where to send traces, as host:port or URL: short for one otlp exporter"`
	Insecure   *bool    `yaml:"insecure" doc:"plain text instead of TLS for endpoint; without it, an endpoint on loopback without a scheme is plain text and any other is TLS"`
	SampleRate *float64 `yaml:"sample_rate" doc:"share of the traces to keep, 0 (none) to 1: short for a ratio sampler at the end of samplers; without any sampler, all traces are kept"`
	Samplers   []*node  `yaml:"samplers" doc:"which traces to keep: start samplers are asked in order and the first that does not abstain decides; end samplers are asked about every trace"`
	Exporters  []*node  `yaml:"exporters" doc:"where traces go; each gets all that are kept; by default one otlp exporter"`
	Metrics    *node    `yaml:"metrics" doc:"starts a MeterProvider, for a service that has none: riffle's own metrics, and all others of the process, leave as exporter says"`
}

// shortForm are the keys that stand for a part of an entry.
var shortForm = []string{"endpoint", "insecure", "sample_rate"}

// defaults are the values of keys that no source sets.
func defaults(app string) section {
	s := section{Spec: core.DefaultSpec()}
	s.ServiceNamespace = app
	return s
}

// attributeKeys are resource attributes that have a key of their own.
var attributeKeys = []struct{ attribute, key string }{
	{"service.name", "service_name"},
	{"service.version", "service_version"},
	{"service.namespace", "service_namespace"},
	{"deployment.environment.name", "environment"},
	{"deployment.environment", "environment"},
}

// reader collects what the sources say, and the mistakes in it. It is the source of
// the spec that it reads.
type reader struct {
	*options
	env             environment
	docs            []*document // the files
	asks            bool        // OTEL_TRACES_SAMPLER names a sampler that is asked below parents
	otel, file, app *node       // mappings; nil if the source says nothing
	// otelFile is an OpenTelemetry file as it was written, whose tree is otel; nil
	// without one. No OTEL_* variable counts besides it.
	otelFile *node
	section  section
	lists    map[string][]*node // the entries of samplers and exporters
	errs     core.ConfigErrors
	warnings core.ConfigErrors
	loaded   bool // mistakes that are found from now on are few
	// standsFor leads from the path of what the short form was turned into to
	// the path of the short form.
	standsFor map[string]string
	// unusable are the paths of entries, and of keys in them, that cannot be
	// decoded at all.
	unusable map[string]bool
	// secrets are what may be some; nil until they are asked for, with mu held.
	mu      sync.Mutex
	secrets *parts
	// metricsReads tells that the metrics section takes what it leaves out from variables.
	metricsReads bool
	// shared are the types with keys that sections set.
	shared []sharedType
}

func newReader(o *options) *reader {
	r := &reader{
		options: o, env: newEnvironment(o.environ), section: defaults(o.app),
		lists: map[string][]*node{}, standsFor: map[string]string{}, unusable: map[string]bool{}, shared: sharedTypes(o),
	}
	r.app = r.appTree()
	return r
}

// readVariables reads OpenTelemetry's variables, or the file that one of them names.
func (r *reader) readVariables() {
	if path := strings.TrimSpace(r.env[otelConfigFile]); path != "" {
		r.readOTelFile(path)
		return
	}
	r.otel = r.otelTree()
}

// readFile reads the file, and OpenTelemetry's variables unless it is a file of
// OpenTelemetry's own.
func (r *reader) readFile(data []byte) {
	doc, errs := newDocument(r.options.file, data)
	isOTel := len(errs) == 0 && isOpenTelemetry(doc.root, r.options.section)
	if !isOTel {
		r.readVariables()
	}
	r.docs, r.errs = append(r.docs, doc), append(r.errs, errs...)
	r.doubtful(r.options.file, r.doubt)
	switch {
	case len(errs) > 0:
		return
	case isOTel:
		r.openTelemetry(doc)
		return
	}
	b := &builder{doc: doc, substitute: r.env.substitute, path: r.options.section, absent: r.absent}
	r.file = b.section()
	r.errs = append(r.errs, b.errs...)
	r.warnings = append(r.warnings, b.warnings...)
}

// doubtful warns about the mode of a file.
func (r *reader) doubtful(file string, doubt error) {
	if doubt != nil {
		r.warn(file, "%w: who writes it decides where traces are sent, and which plugins run", doubt)
	}
}

// spec reads the sources in their order, so that a later one overrides an earlier
// one, and checks the result.
func (r *reader) spec() (core.Spec, error) {
	spec := r.read()
	if len(r.errs) > 0 {
		return core.Spec{}, r.mistakes()
	}
	r.warnings, r.loaded = r.finished(r.warnings), true
	return spec, nil
}

// read returns the spec as far as it can be read; what is wrong with it is in errs.
func (r *reader) read() core.Spec {
	r.askBelowParents()
	for _, tree := range []**node{&r.otel, &r.file, &r.app} {
		*tree = r.decode(*tree)
	}
	spec := r.section.Spec
	spec.Source = r
	spec.Samplers = r.samplerPlans()
	spec.Exporters = r.exporterPlans()
	spec.Metrics = r.metricsPlan()
	r.checkShared()
	r.checkVariables()
	if spec.Enabled {
		if r.otelFile == nil {
			r.warnIgnored()
		}
		if m := r.otel.member("enabled"); m.value != nil && m.value.text == "false" {
			r.warn(m.pos, "overridden by %s", r.locate("enabled"))
		}
	}
	if err := spec.Check(); err != nil {
		r.add(err)
	}
	r.warnings = append(r.warnings, spec.Warnings()...)
	if spec.Enabled && spec.ServiceName == "" && len(r.errs) == 0 { // it may be misspelled
		r.warnings = append(r.warnings, r.Place("service_name", errNoServiceName))
	}
	return spec
}

var errNoServiceName = errors.New("not set: backends will show the service under a name made up from its program")

// decode reads a tree into the section. It returns the tree without the keys of the
// short form that could not be read, so that each mistake is found once.
func (r *reader) decode(tree *node) *node {
	if tree == nil {
		return nil
	}
	rest := tree
	d := decoder{hide: r.hide, skip: sharedSections(r.shared), elsewhere: r.misplaced}
	if r.otelFile == nil || tree != r.otel {
		tree = r.withoutAttributes(tree)
	}
	d.decode(tree, &r.section)
	tree = rest
	for _, e := range component.FieldErrors(errors.Join(d.errs...)) {
		r.errs = append(r.errs, &core.ConfigError{Position: tree.locate(e.Path), Path: r.fullPathIn(tree, e.Path), Err: e.Err})
		if slices.Contains(shortForm, e.Path) {
			rest = rest.without(e.Path)
		}
	}
	return rest
}

// withoutAttributes moves resource attributes that have a key of their own to it.
func (r *reader) withoutAttributes(tree *node) *node {
	resource := tree.member("resource").value
	if resource == nil || resource.kind != mapping {
		return tree
	}
	out, rest := tree, resource
	for _, a := range attributeKeys {
		m := resource.member(a.attribute)
		if m.value == nil || m.value.kind != scalar {
			continue
		}
		rest = rest.without(a.attribute)
		if path := keyPath("resource", a.attribute); tree.has(a.key) {
			r.fail(tree.locate(path), path, fmt.Errorf("%s says the same: keep one of them", a.key))
		} else if !out.has(a.key) {
			out = out.with(member{key: a.key, pos: m.pos, value: m.value})
		}
	}
	return out.with(member{key: "resource", pos: tree.member("resource").pos, value: rest})
}

func (r *reader) fail(position, path string, err error) {
	full := component.JoinPath(r.options.section, path)
	if r.otelFile != nil {
		full = r.fullPath(path)
	}
	r.errs = append(r.errs, &core.ConfigError{Position: position, Path: full, Err: err})
}

func (r *reader) warn(position string, format string, args ...any) {
	r.warnings = append(r.warnings, &core.ConfigError{Position: position, Err: fmt.Errorf(format, args...)})
}
