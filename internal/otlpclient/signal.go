package otlpclient

import "strings"

// Signal is what is sent.
type Signal uint8

// The signals.
const (
	Traces Signal = iota
	Metrics
)

// String is its name: "traces".
func (s Signal) String() string {
	if s == Metrics {
		return "metrics"
	}
	return "traces"
}

// path is where it is posted to below the base of an endpoint.
func (s Signal) path() string { return "/v1/" + s.String() }

// prefix begins the variables that are for it alone.
func (s Signal) prefix() string { return forAll + strings.ToUpper(s.String()) + "_" }
