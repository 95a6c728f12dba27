package azuremonitor

// For the tests.
var (
	Convert         = convert
	ParseConnection = parseConnection
	MaxItems        = &maxItems
)
