package core

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery/redact"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/spanmetrics"
)

// Spec says what a [Provider] is made of. Its tags are what users can set of it:
// package config reads a file into it. The zero value of a bound means its
// default.
type Spec struct {
	Enabled          bool                `yaml:"enabled" doc:"turns tracing on"`
	ServiceName      string              `yaml:"service_name" doc:"resource attribute service.name"`
	ServiceVersion   string              `yaml:"service_version" doc:"resource attribute service.version; by default that of the build info"`
	ServiceNamespace string              `yaml:"service_namespace" doc:"resource attribute service.namespace; by default the application's name"`
	Environment      string              `yaml:"environment" doc:"resource attributes deployment.environment.name and deployment.environment"`
	RemoteParent     record.RemoteParent `yaml:"remote_parent" doc:"what a remote parent means: watch follows its decision, but lets end samplers keep the local part of a trace that it left out; follow follows it and nothing else; ask asks the start samplers, with the trace's own randomness, and follows it where they say so; ignore keeps its trace ID and decides anew; restart begins a new trace with a link to it; the last two are for endpoints that anybody can call"`
	AlwaysRecord     bool                `yaml:"always_record" doc:"records also what no sampler selects or waits for, so that span processors see every span; it is not exported"`
	Propagators      []string            `yaml:"propagators" enum:"tracecontext,baggage,b3,b3multi,jaeger,xray,ottrace,none" doc:"formats of the trace context in headers: tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace, or none alone"`
	Resource         map[string]string   `yaml:"resource" doc:"further attributes of the resource"`
	Limits           SpanLimits          `yaml:"limits" doc:"what one span can hold; -1 is no limit"`
	MaxWait          component.Duration  `yaml:"max_wait" doc:"how long a segment may stay open before what has ended of it is decided"`
	DecisionWait     component.Duration  `yaml:"decision_wait" doc:"the same, while segments hold more than half of max_bytes; by default 30s, or max_wait if that is less"`
	DecisionMemory   DecisionMemory      `yaml:"decision_memory" doc:"for how long an end sampler's answer counts for other segments of the trace"`
	MaxBytes         component.Size      `yaml:"max_bytes" doc:"what segments that wait for their decision may take; near it, fewer are recorded, and their weights say so"`
	MaxTraceBytes    component.Size      `yaml:"max_trace_bytes" doc:"what one segment may take of it; of a larger one, the oldest spans that are no errors are decided early"`
	Budget           *BudgetConfig       `yaml:"budget" doc:"bounds what is kept over all samplers"`
	SpanMetrics      *spanmetrics.Config `yaml:"span_metrics" doc:"counts every span, kept or not, in metrics"`
	// Redact comes before the rules of each exporter.
	Redact *redact.Config `yaml:"redact" doc:"what to take out of the spans of all exporters; exporters can have rules of their own besides"`
	// Reload is for who reads the spec from a file; a [Provider] does not look at it.
	Reload    ReloadMode      `yaml:"reload" doc:"watch: when the file changes it is read again, and put into force if it has no mistakes; off: only when the application says so"`
	Samplers  []SamplerEntry  `yaml:"-"`
	Exporters []ExporterEntry `yaml:"-"`
	// Metrics starts a MeterProvider, unless tracing is off; nil starts none.
	Metrics *MetricsEntry `yaml:"-"`

	// ExactResource is what the resource is made of besides; nil finds out by itself what
	// can be known of the host, the process and the build.
	ExactResource *ExactResource `yaml:"-"`

	// Source is where the spec was read from; nil if it was made in Go.
	Source Source `yaml:"-"`
}

// ReloadMode says when a file is read again.
type ReloadMode string

const (
	// ReloadOff leaves it to the application.
	ReloadOff ReloadMode = "off"
	// ReloadWatch reads the file again when it changes.
	ReloadWatch ReloadMode = "watch"
)

// ConfigSchema lists the values.
func (ReloadMode) ConfigSchema() component.Schema { return component.Enum(ReloadOff, ReloadWatch) }

// Source is where a [Spec] was read from.
type Source interface {
	// Place returns the mistake that err tells about the key at path, which is
	// relative to the spec: "samplers[1].rate". It knows the position, and the path
	// that people wrote. nil: it was told already.
	Place(path string, err error) *ConfigError
	// Warnings are worth telling people, but no mistakes.
	Warnings() ConfigErrors
	// Files are those that were read.
	Files() []string
}

// PublicSource is a [Source] that knows what anybody may see of the configuration.
type PublicSource interface {
	Source
	// Public is about the configuration that the spec was made from.
	Public(s *Spec) *PublicConfig
}

// PublicConfig is what anybody may see of a configuration.
type PublicConfig struct {
	// Settings are its lines, as a file that says the same.
	Settings []Setting
	// Mask takes out of what components say of it what may be secret. It is safe to call
	// concurrently.
	Mask func(text string) string
}

// Setting is a line of a configuration.
type Setting struct {
	// Line is YAML, with its indentation: "  sample: 0.1". What may be secret is ***.
	Line string `json:"line"`
	// Origin is where its value stands, a position in a file or a variable, or "default";
	// "" if the line has no value.
	Origin string `json:"origin,omitempty"`
}

// DefaultSpec has the defaults of all keys that have one.
func DefaultSpec() Spec {
	return Spec{
		RemoteParent:   record.Watch,
		Reload:         ReloadOff,
		Propagators:    []string{"tracecontext", "baggage"},
		MaxWait:        component.Duration(2 * time.Minute),
		DecisionMemory: DecisionMemory{Traces: 100_000, Age: component.Duration(time.Minute)},
		MaxBytes:       64 << 20,
		// DecisionWait and MaxTraceBytes have none: they are 30 s, or MaxWait if that is
		// less, and 4 MiB, or MaxBytes if that is less.
	}
}

// SpanLimits bound what a span can hold. nil leaves the SDK's default, which is
// OpenTelemetry's, or in a spec made in Go what its variables say; a negative number is
// no limit.
type SpanLimits struct {
	_                    struct{} `doc:"what one span can hold; -1 is no limit"`
	AttributeCount       *int     `yaml:"attribute_count" doc:"attributes of a span (OpenTelemetry's default: 128)"`
	AttributeValueLength *int     `yaml:"attribute_value_length" doc:"characters of a string value; longer ones are cut. Unless set, every name, key and value, a list or map as a whole, is cut to 16 KiB and ends in ...[truncated]; -1 cuts nothing (OpenTelemetry's default)"`
	EventCount           *int     `yaml:"event_count" doc:"events of a span (128)"`
	LinkCount            *int     `yaml:"link_count" doc:"links of a span (128)"`
	EventAttributeCount  *int     `yaml:"event_attribute_count" doc:"attributes of an event (128)"`
	LinkAttributeCount   *int     `yaml:"link_attribute_count" doc:"attributes of a link (128)"`
}

// DecisionMemory bounds what is remembered of the answers of end and segment
// samplers, for other segments of the trace.
type DecisionMemory struct {
	_      struct{}           `doc:"what is remembered of samplers' answers, for other segments of the trace"`
	Traces int                `yaml:"traces" doc:"for how many traces; fewer where max_bytes is small"`
	Age    component.Duration `yaml:"age" doc:"for how long after the answer, or after Provider.Keep"`
}

// PropagatorNames are the propagators that a spec can name.
func PropagatorNames() []string {
	return []string{"tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray", "ottrace", "none"}
}

// Check finds every mistake of the spec that can be found without building
// anything. It returns [ConfigErrors] and has no side effects.
func (s *Spec) Check() error {
	_, err := s.check()
	return err
}

// checkScalars finds the mistakes in what is no list of components.
func (s *Spec) checkScalars(add func(path string, err error)) {
	if known := s.RemoteParent.ConfigSchema().Enum; s.RemoteParent != "" && !slices.Contains(known, string(s.RemoteParent)) {
		add("remote_parent", fmt.Errorf("%s is not one of %s", component.Shown(string(s.RemoteParent)), strings.Join(known, ", ")))
	}
	switch s.Reload {
	case "", ReloadOff, ReloadWatch:
	default:
		add("reload", fmt.Errorf("%s is not one of off, watch", component.Shown(string(s.Reload))))
	}
	for i, name := range s.Propagators {
		path := fmt.Sprintf("propagators[%d]", i)
		switch {
		case !slices.Contains(PropagatorNames(), name):
			msg := fmt.Sprintf("unknown propagator %q", name)
			if near := component.Nearest(name, PropagatorNames()); near != "" {
				msg += fmt.Sprintf(" (did you mean %q?)", near)
			}
			add(path, fmt.Errorf("%s: known are %s", msg, strings.Join(PropagatorNames(), ", ")))
		case slices.Index(s.Propagators, name) < i:
			add(path, fmt.Errorf("%q is listed twice", name))
		case name == "none" && len(s.Propagators) > 1:
			add(path, errors.New(`"none" stands alone`))
		}
	}
	if s.MaxWait < 0 || s.MaxWait > 0 && s.MaxWait < minDecisionWait {
		add("max_wait", fmt.Errorf("%s is too short: want %s or more", s.MaxWait, minDecisionWait))
	}
	if full := s.withDefaults(); full.DecisionWait > full.MaxWait {
		add("decision_wait", fmt.Errorf("%s is longer than max_wait (%s)", full.DecisionWait, full.MaxWait))
	}
	if s.DecisionWait < 0 || s.DecisionWait > 0 && s.DecisionWait < minDecisionWait {
		add("decision_wait", fmt.Errorf("%s is too short: want %s or more", s.DecisionWait, minDecisionWait))
	}
	if s.MaxBytes < 0 || s.MaxBytes > 0 && s.MaxBytes < minMaxBytes {
		add("max_bytes", fmt.Errorf("%s is too little: want %s or more", s.MaxBytes, minMaxBytes))
	}
	if full := s.withDefaults(); s.MaxTraceBytes < 0 || full.MaxTraceBytes > full.MaxBytes {
		add("max_trace_bytes", fmt.Errorf("%s is not between 0 and max_bytes (%s)", full.MaxTraceBytes, full.MaxBytes))
	}
	if s.Budget != nil {
		s.Budget.check(s.Samplers, add)
	}
	if s.DecisionMemory.Traces < 0 {
		add("decision_memory.traces", fmt.Errorf("%d is negative", s.DecisionMemory.Traces))
	}
	if s.DecisionMemory.Age < 0 {
		add("decision_memory.age", fmt.Errorf("%s is negative", s.DecisionMemory.Age))
	}
}

const (
	minDecisionWait = component.Duration(10 * time.Millisecond)
	decisionWait    = component.Duration(30 * time.Second) // the default, where MaxWait has room
	minMaxBytes     = component.Size(1 << 20)
	maxTraceBytes   = component.Size(4 << 20) // the default, where MaxBytes has room
)

// withDefaults returns the spec with the defaults of what it leaves out.
func (s *Spec) withDefaults() Spec {
	d, out := DefaultSpec(), *s
	out.RemoteParent = cmp.Or(s.RemoteParent, d.RemoteParent)
	out.MaxWait = cmp.Or(s.MaxWait, d.MaxWait)
	out.DecisionWait = cmp.Or(s.DecisionWait, min(decisionWait, out.MaxWait))
	out.DecisionMemory.Traces = cmp.Or(s.DecisionMemory.Traces, d.DecisionMemory.Traces)
	out.DecisionMemory.Age = cmp.Or(s.DecisionMemory.Age, d.DecisionMemory.Age)
	out.MaxBytes = cmp.Or(s.MaxBytes, d.MaxBytes)
	out.MaxTraceBytes = cmp.Or(s.MaxTraceBytes, min(maxTraceBytes, out.MaxBytes))
	if len(s.Propagators) == 0 {
		out.Propagators = d.Propagators
	}
	return out
}

func (s *Spec) bounds() record.Bounds {
	return record.Bounds{
		MaxWait:         time.Duration(s.MaxWait),
		DecisionWait:    time.Duration(s.DecisionWait),
		MemoryAge:       time.Duration(s.DecisionMemory.Age),
		MemoryTraces:    s.DecisionMemory.Traces,
		MaxBytes:        int64(s.MaxBytes),
		MaxSegmentBytes: int64(s.MaxTraceBytes),
	}
}
