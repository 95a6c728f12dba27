// Package composite is the sampler that decides as a tree of samplers says, in the
// words of OpenTelemetry's declarative configuration: its CompositeSampler with the
// composable samplers, and the samplers that are based on the parent.
//
// Host and sampler share the work: the tree makes an answer of what is known when a
// local root starts, and the host compares randomness. The tree is compiled twice, for
// local roots without a parent and for those below a remote one, so that what it says
// of parents costs nothing when a span starts.
//
// Source: https://opentelemetry.io/docs/specs/otel/trace/sdk/#compositesampler
package composite

import (
	"context"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// Config is what users set.
type Config struct {
	_       struct{} `doc:"decides as a tree of OpenTelemetry's samplers says; those that look at a remote parent need remote_parent: ask"`
	Sampler Sampler  `yaml:"sampler" doc:"exactly one of these keys"`
}

// Sampler is a sampler of the tree: exactly one of its fields is set.
type Sampler struct {
	AlwaysOn          *AlwaysOn        `yaml:"always_on" doc:"keeps every trace"`
	AlwaysOff         *AlwaysOff       `yaml:"always_off" doc:"keeps none"`
	Probability       *Probability     `yaml:"probability" doc:"keeps a share of the traces, whatever a parent decided"`
	TraceIDRatioBased *Probability     `yaml:"trace_id_ratio_based" doc:"the same as probability"`
	ParentThreshold   *ParentThreshold `yaml:"parent_threshold" doc:"follows the remote parent"`
	ParentBased       *ParentBased     `yaml:"parent_based" doc:"asks a sampler by what the remote parent decided"`
	RuleBased         *RuleBased       `yaml:"rule_based" doc:"asks the sampler of the first rule that matches"`
	Annotating        *Annotating      `yaml:"annotating" doc:"adds attributes to the local roots of another sampler; not below the remote parents of parent_based"`
}

// ConfigChoice tells that exactly one key is set.
func (*Sampler) ConfigChoice() {}

// AlwaysOn keeps every trace.
type AlwaysOn struct{}

// AlwaysOff keeps none.
type AlwaysOff struct{}

// Probability keeps a share of the traces.
type Probability struct {
	Ratio *float64 `yaml:"ratio" doc:"share of the traces to keep, 0 to 1; by default 1"`
}

// ParentThreshold follows the parent.
type ParentThreshold struct {
	Root *Sampler `yaml:"root" doc:"the sampler to ask where there is no parent, one of the keys of sampler"`
}

// ParentBased asks by the parent. What it asks below a sampled parent can only lower
// the share of the traces; what is kept below another has no weight.
type ParentBased struct {
	Root                   *Sampler `yaml:"root" doc:"the sampler to ask where there is no parent; by default always_on"`
	RemoteParentSampled    *Sampler `yaml:"remote_parent_sampled" doc:"that below a sampled remote parent; by default always_on, which keeps what the parent keeps"`
	RemoteParentNotSampled *Sampler `yaml:"remote_parent_not_sampled" doc:"that below another remote parent; by default always_off; what it keeps has no weight"`
}

// RuleBased asks the sampler of the first rule that matches.
type RuleBased struct {
	Rules []Rule `yaml:"rules" doc:"the first whose conditions all hold decides; a trace that none matches is not kept"`
}

// Rule is a rule about local roots: what is below them belongs to them. All its
// conditions must hold.
type Rule struct {
	AttributeValues   *Values   `yaml:"attribute_values" doc:"an attribute that has one of some values"`
	AttributePatterns *Patterns `yaml:"attribute_patterns" doc:"an attribute whose value matches patterns"`
	SpanKinds         []Kind    `yaml:"span_kinds" doc:"the kinds of local roots"`
	Parent            []Parent  `yaml:"parent" doc:"what the local roots start below: none, or a remote parent; a local root has no local parent"`
	Sampler           *Sampler  `yaml:"sampler" doc:"the sampler to ask, one of the keys of sampler"`
}

// Values are those that an attribute may have. A value that is no string counts as its
// text, a list has those of its items.
type Values struct {
	Key    string   `yaml:"key" doc:"the attribute's key"`
	Values []string `yaml:"values" doc:"values of which it must have one, as text: \"404\", \"true\"; of a list one item must"`
}

// Patterns are those that the text of an attribute's value must match.
type Patterns struct {
	Key      string   `yaml:"key" doc:"the attribute's key"`
	Included []string `yaml:"included" doc:"patterns of which it must match one, as text; of a list one item must; * stands for any text, ? for one character; by default all match"`
	Excluded []string `yaml:"excluded" doc:"patterns of which it must match none, whatever is included"`
}

// Annotating adds attributes.
type Annotating struct {
	Sampler    *Sampler       `yaml:"sampler" doc:"the sampler to ask, one of the keys of sampler"`
	Attributes map[string]any `yaml:"attributes" doc:"what to add: strings, booleans, numbers, and lists of one kind of these"`
}

// Kind is that of a span.
type Kind string

// ConfigSchema lists the values.
func (Kind) ConfigSchema() component.Schema { return component.Enum(kindNames...) }

var kindNames = []Kind{"internal", "server", "client", "producer", "consumer"}

// Parent is what a span starts below.
type Parent string

// The parents.
const (
	NoParent     Parent = "none"
	RemoteParent Parent = "remote"
	LocalParent  Parent = "local"
)

// ConfigSchema lists the values.
func (Parent) ConfigSchema() component.Schema { return component.Enum(parentNames...) }

var parentNames = []Parent{NoParent, RemoteParent, LocalParent}

// Validate checks the tree.
func (c *Config) Validate() error {
	_, err := c.build()
	return err
}

func (c *Config) build() (*sampler, error) {
	ck := checker{keys: map[attribute.Key]struct{}{}}
	ck.sampler(&c.Sampler, "sampler", 1, false)
	if err := ck.err(); err != nil {
		return nil, err
	}
	s := &sampler{traits: ck.traits()}
	s.traits.Description = "composite: " + c.Sampler.describe()
	var err error
	if s.root, err = compile(&c.Sampler, noParent); err != nil {
		return nil, err
	}
	if s.below, err = compile(&c.Sampler, remoteParent); err != nil {
		return nil, err
	}
	return s, nil
}

// Factory makes the sampler; it is registered as "composite".
var Factory = component.NewFactory("composite", Config{}, New)

func init() { sampling.Samplers.MustAdd(Factory) }

// New builds the sampler.
func New(_ context.Context, _ component.Settings, c Config) (sampling.Sampler, error) {
	s, err := c.build()
	if err != nil {
		return nil, err
	}
	return s, nil
}

type sampler struct {
	root, below *node
	traits      sampling.Traits
}

func (s *sampler) SampleStart(p sampling.StartParameters) sampling.Answer {
	n := s.root
	if p.RemoteParent {
		n = s.below
	}
	return n.decide(&p).answer
}

// Traits: a tree that looks at no parent depends on attributes and kinds alone.
func (s *sampler) Traits() sampling.Traits { return s.traits }

// Interface guards.
var (
	_ sampling.StartSampler = (*sampler)(nil)
	_ component.Choice      = (*Sampler)(nil)
)
