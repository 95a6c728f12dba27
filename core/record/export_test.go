package record

import "reflect"

var (
	NormalizeAttribute  = normalizeAttribute
	NormalizeAttributes = normalizeAttributes
	NormalizeSet        = normalizeSet
)

// The types that implement OpenTelemetry's interfaces.
var (
	TracerType   = reflect.TypeFor[*tracer]()
	SpanType     = reflect.TypeFor[*span]()
	RecordedType = reflect.TypeFor[*recorded]()
	ViewType     = reflect.TypeFor[*view]()
)
