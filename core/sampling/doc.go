// Package sampling is the vocabulary of decisions about traces, and what authors
// of samplers implement.
//
// The trace ID holds 56 random bits, R. A sampler answers with a [Threshold] T,
// and the trace is selected if R >= T, so that all samplers, services and
// languages that follow OpenTelemetry's consistent probability sampling agree.
// The threshold of a kept span travels in tracestate (ot=th:...); its adjusted
// count, 2^56/(2^56-T), is how many spans it speaks for.
//
// A [Sampler] is a [StartSampler], an [EndSampler], a [SegmentSampler], or several
// of them. It says with an [Answer] what it wants, and in its [Traits] what the
// host must know of it. The unit of decision is the segment: a local root and
// everything below it in this process. A trace has one here, or several.
//
// Source: https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/
package sampling
