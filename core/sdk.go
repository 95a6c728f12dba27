package core

import (
	"context"
	"errors"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/record"
)

// NewSDKSampler builds the start samplers of a spec as one SDK sampler, for a
// TracerProvider of the SDK's own. Its exporters are not looked at. End and
// segment samplers need a [Provider] and are refused, and so are a budget, which is
// spent as traces end, span_metrics, and remote_parent: restart, for which a sampler is asked too
// late. Shut it down with the returned function.
func NewSDKSampler(ctx context.Context, spec Spec, opts ...Option) (sdktrace.Sampler, func(context.Context) error, error) {
	o := newOptions(opts)
	spec.Exporters = nil
	plan, err := spec.check()
	if err != nil {
		return nil, nil, err
	}
	switch {
	case plan.RemoteParent == record.Restart:
		return nil, nil, errors.New("building an SDK sampler: remote_parent: restart needs a core.Provider")
	case plan.Budget != nil:
		return nil, nil, errors.New("building an SDK sampler: a budget needs a core.Provider")
	case plan.SpanMetrics != nil:
		return nil, nil, errors.New("building an SDK sampler: span_metrics need a core.Provider")
	}
	res, err := newResource(ctx, plan)
	if err != nil {
		return nil, nil, err
	}
	built, err := plan.buildSamplers(ctx, o, serviceName(res), nil, nil)
	if err != nil {
		return nil, nil, err
	}
	if built.record.WaitForEnd() {
		return nil, nil, errors.Join(errors.New("building an SDK sampler: end and segment samplers need a core.Provider"), built.shutdown(ctx))
	}
	sampler := record.NewSDKSampler(built.record.Start(), plan.RemoteParent, res)
	if plan.AlwaysRecord {
		sampler = sdktrace.AlwaysRecord(sampler)
	}
	return sampler, built.shutdown, nil
}
