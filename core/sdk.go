package core

import (
	"context"
	"errors"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// NewSDKSampler builds the start samplers of a spec as one SDK sampler, for a
// TracerProvider of the SDK's own. Its exporters are not looked at. End and
// trace samplers need a [Provider] and are refused. Shut it down with the
// returned function.
func NewSDKSampler(ctx context.Context, spec Spec, opts ...Option) (sdktrace.Sampler, func(context.Context) error, error) {
	o := newOptions(opts)
	spec.Exporters = nil
	plan, err := spec.check()
	if err != nil {
		return nil, nil, err
	}
	built, err := plan.buildSamplers(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	if built.waitsForEnd() {
		return nil, nil, errors.Join(errors.New("building an SDK sampler: end and trace samplers need a core.Provider"), built.shutdown(ctx))
	}
	rules, err := newStartRules(plan.RemoteParent, built.start)
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

// Interface guard.
var _ sdktrace.Sampler = ruleSampler{}
