package record

var (
	NormalizeAttribute  = normalizeAttribute
	NormalizeAttributes = normalizeAttributes
	NormalizeSet        = normalizeSet
)
