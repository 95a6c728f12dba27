package sampling

import (
	"context"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
)

// SDKSamplerConfig is what users set of an SDK sampler that stands in the
// list.
type SDKSamplerConfig struct {
	_    struct{} `doc:"a sampler of the OpenTelemetry SDK"`
	Drop bool     `yaml:"drop" doc:"a drop of the SDK's sampler drops the trace whatever end samplers would say; otherwise it is only not selected"`
}

// SDKSampler is the factory that makes an SDK sampler available in
// configurations under a name.
func SDKSampler(name string, s sdktrace.Sampler) component.Factory[Sampler] {
	return component.NewFactory(name, SDKSamplerConfig{}, func(_ context.Context, _ component.Settings, c SDKSamplerConfig) (Sampler, error) {
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

func (s sdkSampler) Traits() Traits {
	return Traits{Description: s.sampler.Description(), MayDrop: s.drop, AlwaysAnswers: true}
}

// Interface guard.
var _ StartSampler = sdkSampler{}
