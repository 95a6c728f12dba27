package sampling

import "go.opentelemetry.io/otel/attribute"

// Attributes that riffle sets on spans it hands over.
const (
	// SamplerKey names, on a local root, the sampler with the least threshold.
	SamplerKey = attribute.Key("sampling.sampler")
	// RuleKey names, beside SamplerKey, which rule of the sampler spoke, if it has rules.
	RuleKey = attribute.Key("sampling.rule")
	// PartialKey tells, on a local root and on the first span handed over, that
	// the segment was decided before it was complete, or that spans of it are gone.
	PartialKey = attribute.Key("sampling.partial")
	// SpansForgottenKey counts, beside PartialKey, spans of the segment that were
	// gone by then.
	SpansForgottenKey = attribute.Key("sampling.spans_forgotten")
	// ParentMissingKey tells, on a local root, that its remote parent was not
	// sampled, and that nobody has said since that it is kept.
	ParentMissingKey = attribute.Key("sampling.parent_missing")
	// UnfinishedKey tells, on a span that was open at Shutdown, that Shutdown has
	// ended it.
	UnfinishedKey = attribute.Key("span.unfinished")
)
