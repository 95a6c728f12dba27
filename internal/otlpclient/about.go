package otlpclient

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/riffletrace/riffle/core/component"
)

// Connection tells people where it sends. It shows no value of a header.
func (r *Resolved) Connection() component.Connection {
	return component.Connection{
		Endpoint: r.Endpoint(), Protocol: string(r.Protocol), TLS: r.security(),
		Headers: slices.Sorted(maps.Keys(r.Headers)),
	}
}

// TakenVariables tells which keys are taken from OTEL_EXPORTER_OTLP_*.
func (c Config) TakenVariables() []component.TakenVariable {
	filled, v := c.withEnv(os.Getenv)
	resolved, err := filled.resolve()
	if err != nil {
		return nil
	}
	var all []component.TakenVariable
	add := func(variable, value string, path ...string) {
		if name := v.taken[variable]; name != "" && value != "" {
			all = append(all, component.TakenVariable{Path: path, Name: name, Value: component.Secret(value), Hidden: variable == "HEADERS"})
		}
	}
	add("ENDPOINT", filled.Endpoint, "endpoint")
	if c.URLPath == "" {
		add("ENDPOINT", filled.URLPath, "url_path")
	}
	add("PROTOCOL", string(filled.Protocol), "protocol")
	add("COMPRESSION", string(filled.Compression), "compression")
	add("TIMEOUT", filled.Timeout.String(), "timeout")
	for _, name := range slices.Sorted(maps.Keys(filled.Headers)) {
		add("HEADERS", string(filled.Headers[name]), "headers", name)
	}
	if filled.Insecure != nil {
		add("INSECURE", strconv.FormatBool(*filled.Insecure), "insecure")
	}
	if resolved.TLS == nil {
		return all // what there is of certificates is not used
	}
	if filled.TLS.FromEnv && filled.Insecure == nil && resolved.scheme == "" {
		// One alone makes a connection to this machine secure, whether it can be read or not.
		both := v.prefixes()
		name := cmp.Or(v.first("CERTIFICATE", both), v.first("CLIENT_CERTIFICATE", both), v.first("CLIENT_KEY", both))
		all = append(all, component.TakenVariable{Path: []string{"insecure"}, Name: name, Value: "false"})
	}
	add("CERTIFICATE", filled.TLS.CAFile, "tls", "ca_file")
	add("CLIENT_CERTIFICATE", filled.TLS.CertFile, "tls", "cert_file")
	add("CLIENT_KEY", filled.TLS.KeyFile, "tls", "key_file")
	return all
}

// security tells in words how the connection is secured.
func (r *Resolved) security() string {
	if r.TLS == nil {
		return "off"
	}
	words := []string{"on"}
	switch {
	case r.TLS.VerifyConnection != nil:
		words = append(words, "own CA")
	case r.TLS.InsecureSkipVerify:
		words = append(words, "any certificate is accepted")
	}
	if r.TLS.GetClientCertificate != nil {
		words = append(words, "client certificate")
	}
	return strings.Join(words, ", ")
}

// otherPorts are those of protocols that are not OTLP.
// Source: https://www.jaegertracing.io/docs/2.10/apis/, https://zipkin.io/zipkin/,
// https://github.com/prometheus/prometheus/wiki/Default-port-allocations,
// https://opentelemetry.io/docs/collector/internal-telemetry/
var otherPorts = map[string]string{
	"6831": "Jaeger's agent", "6832": "Jaeger's agent", "14250": "Jaeger's own protocol", "14268": "Jaeger's own protocol",
	"16686": "Jaeger's web pages", "9411": "Zipkin's protocol", "9090": "Prometheus", "8888": "the Collector's own metrics",
}

// Warn tells of a port, and a path, that belong to another protocol than the endpoint
// is spoken to with.
func (r *Resolved) Warn() error {
	var errs []error
	warn := func(format string, args ...any) {
		errs = append(errs, &component.FieldError{Path: "endpoint", Err: fmt.Errorf(format, args...)})
	}
	_, port, err := net.SplitHostPort(targetHost(r.Address))
	if err != nil {
		port = "" // of a socket
	}
	switch {
	case r.Protocol == GRPC && port == HTTP.defaultPort():
		warn("port %s is usually that of OTLP over HTTP, and this is gRPC: write protocol: %s, or port %s", port, HTTP, GRPC.defaultPort())
	case r.Protocol == HTTP && port == GRPC.defaultPort():
		warn("port %s is usually that of OTLP over gRPC, and this is HTTP: write protocol: %s, or port %s", port, GRPC, HTTP.defaultPort())
	case otherPorts[port] != "":
		warn("port %s is usually that of %s, which does not take OTLP: OTLP is taken at port %s (gRPC) or %s (HTTP)", port, otherPorts[port], GRPC.defaultPort(), HTTP.defaultPort())
	}
	switch path := strings.TrimRight(r.Path, "/"); {
	case strings.Count(path, r.Signal.path()) > 1:
		warn("the path has %s twice: it is added to an endpoint that does not end in it", r.Signal.path())
	case strings.Contains(path, "/api/v2/spans"), strings.Contains(path, "/api/traces"):
		warn("the path is that of Zipkin's or Jaeger's own protocol: OTLP is taken at %s", r.Signal.path())
	}
	return errors.Join(errs...)
}
