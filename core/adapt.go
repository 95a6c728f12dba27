package core

import (
	"context"
	"errors"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// SDKSamplerConfig is what users set of an SDK sampler that stands in the
// list.
type SDKSamplerConfig struct {
	_    struct{} `doc:"a sampler of the OpenTelemetry SDK"`
	Drop bool     `yaml:"drop" doc:"a drop of the SDK's sampler drops the trace whatever end samplers would say; otherwise it is only not selected"`
}

// SDKSampler is the factory that makes an SDK sampler available in
// configurations under a name.
func SDKSampler(name string, s sdktrace.Sampler) Factory[Sampler] {
	return NewFactory(name, SDKSamplerConfig{}, func(_ context.Context, _ Settings, c SDKSamplerConfig) (Sampler, error) {
		return FromSDKSampler(s, c), nil
	})
}

// FromSDKSampler makes an SDK sampler stand in the samplers list. Nobody
// knows with which probability it selects, so it answers [Selected] or
// [Unselected], and [Drop] only if c says so.
func FromSDKSampler(s sdktrace.Sampler, c SDKSamplerConfig) StartSampler {
	return sdkSampler{sampler: s, drop: c.Drop}
}

type sdkSampler struct {
	sampler sdktrace.Sampler
	drop    bool
}

func (s sdkSampler) SampleStart(p StartParameters) Answer {
	result := s.sampler.ShouldSample(sdktrace.SamplingParameters{
		ParentContext: p.ParentContext,
		TraceID:       p.traceID,
		Name:          p.Name,
		Kind:          p.Kind,
		Attributes:    p.Attributes,
		Links:         p.Links,
	})
	a := Unselected()
	switch {
	case result.Decision == sdktrace.RecordAndSample:
		a = Selected()
	case result.Decision == sdktrace.Drop && s.drop:
		a = Drop()
	}
	return a.WithAttributes(result.Attributes...)
}

func (s sdkSampler) Description() string { return s.sampler.Description() }
func (s sdkSampler) MayDrop() bool       { return s.drop }
func (sdkSampler) NeverAbstains() bool   { return true }

// NewSDKSampler builds the start samplers of a spec as one SDK sampler, for a
// TracerProvider of the SDK's own. Its exporters are not looked at. End and
// trace samplers need a [Provider] and are refused. Shut it down with the
// returned function.
func NewSDKSampler(ctx context.Context, spec Spec, opts ...Option) (sdktrace.Sampler, func(context.Context) error, error) {
	o := newOptions(opts)
	spec.Exporters = nil
	if err := spec.Check(o.samplers, o.exporters); err != nil {
		return nil, nil, err
	}
	built, err := buildSamplers(ctx, &spec, o)
	if err != nil {
		return nil, nil, err
	}
	if built.watches() {
		return nil, nil, errors.Join(errors.New("building an SDK sampler: end and trace samplers need a core.Provider"), built.shutdown(ctx))
	}
	rules, err := newStartRules(spec.remoteParent(), built.start)
	if err != nil {
		return nil, nil, errors.Join(err, built.shutdown(ctx))
	}
	return ruleSampler{rules}, built.shutdown, nil
}

type ruleSampler struct{ *startRules }

func (s ruleSampler) ShouldSample(p sdktrace.SamplingParameters) (result sdktrace.SamplingResult) {
	s.sample(&p, &result)
	return result
}

func (s ruleSampler) Description() string { return s.description() }

// Interface guards.
var (
	_ Dropper          = sdkSampler{}
	_ Baseline         = sdkSampler{}
	_ sdktrace.Sampler = ruleSampler{}
)
