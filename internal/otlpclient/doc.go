// Package otlpclient is what the exporters that speak OTLP share: where to
// send and how (endpoint, TLS, headers), the OTEL_EXPORTER_OTLP_* variables
// that fill what a configuration leaves open, and messages that tell people
// what to do about an error.
package otlpclient
