package core

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel/propagation"

	"github.com/riffletrace/riffle/core/delivery/redact"
)

// RemoteParent says what a remote parent's sampling decision means for a
// local root.
type RemoteParent string

const (
	// Watch follows the parent's decision, but lets end samplers keep the local
	// part of a trace that the parent left out.
	Watch RemoteParent = "watch"
	// Follow follows the parent's decision and nothing else.
	Follow RemoteParent = "follow"
	// Ignore treats the local root as the root of a trace; for endpoints that
	// anybody can call.
	Ignore RemoteParent = "ignore"
)

// Spec says what a [Provider] is made of.
type Spec struct {
	// Enabled is false for tracing that is off.
	Enabled bool

	ServiceName      string
	ServiceVersion   string // empty: from the build info
	ServiceNamespace string
	Environment      string
	// Resource holds further attributes of the resource.
	Resource map[string]string

	RemoteParent RemoteParent // empty: Watch
	Samplers     []Component
	Exporters    []Component
	// Propagators are autoprop's names; empty: tracecontext and baggage.
	Propagators []string
	Limits      Limits

	// Redact is what every exporter takes out of spans, before its own rules.
	Redact *redact.Config

	// DecisionWait is when an open trace is decided; 0 means 30 s. DecisionMemory
	// bounds what is remembered of decided ones. MaxBytes bounds what waits in
	// the buffer, and MaxTraceBytes what one trace can have of it; 0 means 64 MiB
	// and 4 MiB.
	DecisionWait   Duration
	DecisionMemory DecisionMemory
	MaxBytes       Size
	MaxTraceBytes  Size

	// Plugins says where programs that serve components are found.
	Plugins Plugins

	// Path leads the paths of errors: "observability.tracing".
	Path string
	// Locate tells where a path below Path stands, as [Component.Locate] does;
	// Quote returns the line at a position with a caret. Both may be nil.
	Locate func(path string) string
	Quote  func(position string) string

	// Warnings are worth telling people, but no mistakes.
	Warnings ConfigErrors
}

// Limits bound what a span can hold. nil leaves the SDK's default, which is
// OpenTelemetry's; a negative number is no limit.
type Limits struct {
	_                    struct{} `doc:"what one span can hold; -1 is no limit"`
	AttributeCount       *int     `yaml:"attribute_count" doc:"attributes of a span (OpenTelemetry's default: 128)"`
	AttributeValueLength *int     `yaml:"attribute_value_length" doc:"characters of a string value; longer ones are cut (default: no limit)"`
	EventCount           *int     `yaml:"event_count" doc:"events of a span (128)"`
	LinkCount            *int     `yaml:"link_count" doc:"links of a span (128)"`
	EventAttributeCount  *int     `yaml:"event_attribute_count" doc:"attributes of an event (128)"`
	LinkAttributeCount   *int     `yaml:"link_attribute_count" doc:"attributes of a link (128)"`
}

// DecisionMemory bounds what is remembered of decided traces, for spans that
// end later.
type DecisionMemory struct {
	_      struct{} `doc:"what is remembered of decided traces, for spans that end later"`
	Traces int      `yaml:"traces" doc:"how many traces"`
	Age    Duration `yaml:"age" doc:"for how long after the last span"`
}

// Plugins says where programs that serve components are found, and which of
// them may run. It is read by the components of type plugin.
type Plugins struct {
	_             struct{} `doc:"where programs that serve components are found, and which of them may run"`
	Dir           string   `yaml:"dir" doc:"directory of the programs, called riffle-plugin-NAME, and of riffle-plugins.lock, which pins them"`
	AllowUnpinned bool     `yaml:"allow_unpinned" doc:"runs programs that riffle-plugins.lock does not pin; for development"`
	RunDir        string   `yaml:"run_dir" doc:"where the private copies that run are made; by default the directory for temporary files, which may not allow programs"`
}

// The defaults of what bounds the trace buffer.
const (
	DefaultDecisionWait   = Duration(30 * time.Second)
	DefaultMaxBytes       = Size(64 << 20)
	DefaultMaxTraceBytes  = Size(4 << 20)
	DefaultDecisionTraces = 100_000
	DefaultDecisionAge    = Duration(60 * time.Second)
)

// PropagatorNames are the propagators that a spec can name.
func PropagatorNames() []string {
	return []string{"tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray", "ottrace", "none"}
}

// Check finds every mistake of the spec that can be found without building
// anything. It returns [ConfigErrors] and has no side effects.
func (s *Spec) Check(samplers *Registry[Sampler], exporters *Registry[Exporter]) error {
	var errs ConfigErrors
	add := func(path string, err error) {
		e := &ConfigError{Path: joinPath(s.Path, path), Err: err}
		if s.Locate != nil {
			e.Position = s.Locate(path)
		}
		errs = append(errs, e)
	}
	switch s.RemoteParent {
	case "", Watch, Follow, Ignore:
	default:
		add("remote_parent", fmt.Errorf("%q is not one of watch, follow, ignore", string(s.RemoteParent)))
	}
	for i, name := range s.Propagators {
		path := fmt.Sprintf("propagators[%d]", i)
		switch {
		case !slices.Contains(PropagatorNames(), name):
			msg := fmt.Sprintf("unknown propagator %q", name)
			if near := Nearest(name, PropagatorNames()); near != "" {
				msg += fmt.Sprintf(" (did you mean %q?)", near)
			}
			add(path, fmt.Errorf("%s: known are %s", msg, strings.Join(PropagatorNames(), ", ")))
		case slices.Index(s.Propagators, name) < i:
			add(path, fmt.Errorf("%q is listed twice", name))
		case name == "none" && len(s.Propagators) > 1:
			add(path, errors.New(`"none" stands alone`))
		}
	}
	if s.DecisionWait < 0 || s.DecisionWait > 0 && s.DecisionWait < minDecisionWait {
		add("decision_wait", fmt.Errorf("%s is too short: want %s or more", s.DecisionWait, minDecisionWait))
	}
	if s.MaxBytes < 0 || s.MaxBytes > 0 && s.MaxBytes < minMaxBytes {
		add("max_bytes", fmt.Errorf("%s is too little: want %s or more", s.MaxBytes, minMaxBytes))
	}
	if s.MaxTraceBytes < 0 || s.maxTraceBytes() > s.maxBytes() {
		add("max_trace_bytes", fmt.Errorf("%s is not between 0 and max_bytes (%s)", s.maxTraceBytes(), s.maxBytes()))
	}
	if s.DecisionMemory.Traces < 0 {
		add("decision_memory.traces", fmt.Errorf("%d is negative", s.DecisionMemory.Traces))
	}
	if s.DecisionMemory.Age < 0 {
		add("decision_memory.age", fmt.Errorf("%s is negative", s.DecisionMemory.Age))
	}
	for i, c := range s.Samplers {
		if _, err := c.samplerKeys(); err != nil {
			errs = append(errs, configErrorsOf(c, joinPath(s.Path, fmt.Sprintf("samplers[%d]", i)), err)...)
		}
	}
	if s.Redact != nil {
		for _, fe := range FieldErrors(s.Redact.Validate()) {
			add(joinPath("redact", fe.Path), fe.Err)
		}
	}
	errs = append(errs, s.checkLines()...)
	errs = append(errs, checkList(s.Path, "samplers", s.Samplers, samplers)...)
	errs = append(errs, checkList(s.Path, "exporters", s.Exporters, exporters)...)
	return s.quoted(errs).Sorted()
}

func checkList[T any](base, list string, entries []Component, registry *Registry[T]) ConfigErrors {
	var errs ConfigErrors
	first := map[string]int{}
	for i, c := range entries {
		path := joinPath(base, fmt.Sprintf("%s[%d]", list, i))
		errs = append(errs, configErrorsOf(c, path, registry.Check(c))...)
		if c.Type == "" {
			continue
		}
		if j, ok := first[c.ID()]; ok {
			err := fmt.Errorf("%s[%d] is called %q too: give one of them another name", list, j, c.ID())
			errs = append(errs, configErrorsOf(c, path, &FieldError{Path: "name", Err: err})...)
			continue
		}
		first[c.ID()] = i
	}
	return errs
}

// quoted adds the quoted line to errors that have a position and no snippet.
func (s *Spec) quoted(errs ConfigErrors) ConfigErrors {
	if s.Quote == nil {
		return errs
	}
	for _, e := range errs {
		if e.Snippet == "" && e.Position != "" {
			e.Snippet = s.Quote(e.Position)
		}
	}
	return errs
}

// settings are what the host gives to a component of the spec.
func (s *Spec) settings(c Component, o *options, kind string) Settings {
	return Settings{ID: c.ID(), Logger: o.logger.With(kind, c.ID()), MeterProvider: o.meters, Plugins: s.Plugins}
}

const (
	minDecisionWait = Duration(10 * time.Millisecond)
	minMaxBytes     = Size(1 << 20)
)

func (s *Spec) decisionWait() time.Duration {
	return time.Duration(cmp.Or(s.DecisionWait, DefaultDecisionWait))
}

func (s *Spec) maxBytes() Size { return cmp.Or(s.MaxBytes, DefaultMaxBytes) }
func (s *Spec) maxTraceBytes() Size {
	return cmp.Or(s.MaxTraceBytes, min(DefaultMaxTraceBytes, s.maxBytes()))
}

func (s *Spec) bufferLimits() bufferLimits {
	traces := cmp.Or(s.DecisionMemory.Traces, DefaultDecisionTraces)
	// What is remembered must leave room for what waits.
	traces = min(traces, int(s.maxBytes()/4/stateBytes))
	return bufferLimits{
		decisionWait:   s.decisionWait(),
		memoryAge:      time.Duration(cmp.Or(s.DecisionMemory.Age, DefaultDecisionAge)),
		memoryPerShard: (traces + shardCount - 1) / shardCount,
		maxBytes:       int64(s.maxBytes()),
		maxTraceBytes:  int64(s.maxTraceBytes()),
	}
}

// propagator returns the propagators that the spec names.
func (s *Spec) propagator() (propagation.TextMapPropagator, error) {
	if len(s.Propagators) == 0 {
		return propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}), nil
	}
	return autoprop.TextMapPropagator(s.Propagators...)
}
