package sampling

import "go.opentelemetry.io/otel/attribute"

// Attributes that riffle sets on spans it hands over.
const (
	// SamplerKey names, on a local root, the sampler with the least threshold.
	SamplerKey = attribute.Key("sampling.sampler")
	// PartialKey tells, on a local root and on the first span handed over, that
	// the trace was decided before it was complete.
	PartialKey = attribute.Key("sampling.partial")
	// SpansForgottenKey counts, beside PartialKey, spans of the trace that are
	// gone.
	SpansForgottenKey = attribute.Key("sampling.spans_forgotten")
	// ParentMissingKey tells, on a local root, that its remote parent was not
	// sampled.
	ParentMissingKey = attribute.Key("sampling.parent_missing")
)
