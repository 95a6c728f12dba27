package core

import (
	"math"
	"unicode/utf8"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery/redact"
	"github.com/riffletrace/riffle/internal/bound"
)

// sdk returns the limits with the SDK's defaults where none is set. The SDK's own way to
// them reads the environment.
func (l SpanLimits) sdk() sdktrace.SpanLimits {
	limits := sdktrace.SpanLimits{
		AttributeValueLengthLimit:   sdktrace.DefaultAttributeValueLengthLimit,
		AttributeValueDepthLimit:    sdktrace.DefaultAttributeValueDepthLimit,
		AttributeCountLimit:         sdktrace.DefaultAttributeCountLimit,
		EventCountLimit:             sdktrace.DefaultEventCountLimit,
		LinkCountLimit:              sdktrace.DefaultLinkCountLimit,
		AttributePerEventCountLimit: sdktrace.DefaultAttributePerEventCountLimit,
		AttributePerLinkCountLimit:  sdktrace.DefaultAttributePerLinkCountLimit,
	}
	for _, f := range []struct {
		from *int
		to   *int
	}{
		{l.AttributeCount, &limits.AttributeCountLimit},
		{l.AttributeValueLength, &limits.AttributeValueLengthLimit},
		{l.EventCount, &limits.EventCountLimit},
		{l.LinkCount, &limits.LinkCountLimit},
		{l.EventAttributeCount, &limits.AttributePerEventCountLimit},
		{l.LinkAttributeCount, &limits.AttributePerLinkCountLimit},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	return limits
}

// maxText bounds names and values, in bytes: to 16 KiB, unless attribute_value_length
// allows more characters, or is no limit.
func (l SpanLimits) maxText() int {
	if n := l.AttributeValueLength; n != nil && *n < 0 {
		return 0
	}
	return max(int(bound.Default), utf8.UTFMax*min(l.sdk().AttributeValueLengthLimit, math.MaxInt/utf8.UTFMax))
}

// cut is what redaction must know of the limits.
func (l SpanLimits) cut() redact.Cut {
	return redact.Cut{Length: l.sdk().AttributeValueLengthLimit, Marker: bound.Marker}
}
