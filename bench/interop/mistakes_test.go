package interop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/riffletrace/riffle/bench/internal/process"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
)

// field is the servers that the mistakes meet.
type field struct {
	*bench
	tls, mutual, named, keyed *collector
	tlsJaeger, mutualJaeger   *jaeger
	dead                      string // an address where nothing listens
}

// mistake is one that people make, and what riffle says about it, with the
// address as the page has it.
type mistake struct {
	message, matter string
	or              string // the other message; which of the two depends on who is faster
	// entry is the exporter's, without its type; $address is replaced by each of
	// those that at returns.
	entry string
	at    func(*field) []string
}

// wanted are the messages about the server at an address.
func (m *mistake) wanted(address string) []string {
	shown, _, _ := strings.Cut(m.message, " ")
	return strings.Split(strings.ReplaceAll(m.message+"\n"+m.or, shown, address), "\n")
}

func grpcOf(all ...backend) []string { return addressesOf("grpc", all) }
func httpOf(all ...backend) []string { return addressesOf("http", all) }

func addressesOf(protocol string, all []backend) []string {
	var addresses []string
	for _, b := range all {
		addresses = append(addresses, b.address(protocol))
	}
	return addresses
}

var mistakes = []mistake{
	{
		message: "localhost:4317 answered in plain text: set insecure: true",
		matter:  "TLS against plain text",
		entry:   `endpoint: $address, insecure: false`,
		at:      func(f *field) []string { return grpcOf(f.plainJaeger, f.plainCollector) },
	},
	{
		message: "localhost:4318 answered in plain text: set insecure: true",
		matter:  "TLS against plain text, over HTTP",
		entry:   `endpoint: $address, insecure: false, protocol: http/protobuf`,
		at:      func(f *field) []string { return httpOf(f.plainJaeger, f.plainCollector) },
	},
	{
		message: "localhost:4318 answered in plain text: write http:// in the endpoint",
		matter:  "TLS against plain text, where the endpoint is a URL",
		entry:   `endpoint: "https://$address", protocol: http/protobuf`,
		at:      func(f *field) []string { return httpOf(f.plainJaeger, f.plainCollector) },
	},
	{
		message: "localhost:4317 hung up on plain text: if it wants TLS, set insecure: false",
		matter:  "plain text against TLS, over gRPC",
		entry:   `endpoint: $address`,
		at:      func(f *field) []string { return grpcOf(f.tlsJaeger, f.tls) },
	},
	{
		message: "localhost:4318 wants TLS: set insecure: false",
		or:      "localhost:4318 hung up on plain text: if it wants TLS, set insecure: false",
		matter:  "plain text against TLS, over HTTP",
		entry:   `endpoint: $address, protocol: http/protobuf`,
		at:      func(f *field) []string { return httpOf(f.tlsJaeger, f.tls) },
	},
	{
		message: "localhost:4317 has a certificate of an unknown authority: set tls.ca_file",
		matter:  "TLS without `ca_file`",
		entry:   `endpoint: "https://$address"`,
		at:      func(f *field) []string { return grpcOf(f.tlsJaeger, f.tls, f.mutual) },
	},
	{
		message: "localhost:4318 has a certificate of an unknown authority: set tls.ca_file",
		matter:  "TLS without `ca_file`, over HTTP",
		entry:   `endpoint: "https://$address", protocol: http/protobuf`,
		at:      func(f *field) []string { return httpOf(f.tlsJaeger, f.tls) },
	},
	{
		message: "localhost:4317 answered in plain text: write http:// in the endpoint",
		or:      "localhost:4317 hung up during the TLS handshake: if it takes plain text, write http:// in the endpoint; if it wants a client certificate, set tls.cert_file and tls.key_file",
		matter:  "TLS over HTTP at the port for gRPC, in plain text",
		entry:   `endpoint: "https://$address", protocol: http/protobuf`,
		at:      func(f *field) []string { return grpcOf(f.plainJaeger, f.plainCollector) },
	},
	{
		message: "localhost:4317 has a certificate for another name: set tls.server_name (certificate is valid for collector.internal, not localhost)",
		matter:  "an address that the certificate does not carry",
		entry:   `endpoint: "https://$address", tls: {ca_file: ca.pem}`,
		at:      func(f *field) []string { return grpcOf(f.named) },
	},
	{
		message: "localhost:4317 wants a client certificate that it trusts: set tls.cert_file and tls.key_file",
		or:      "localhost:4317 hung up after the TLS handshake: it may want a client certificate that it trusts: set tls.cert_file and tls.key_file",
		matter:  "no certificate where one is wanted",
		entry:   `endpoint: "https://$address", tls: {ca_file: ca.pem}`,
		at:      func(f *field) []string { return grpcOf(f.mutualJaeger, f.mutual) },
	},
	{
		message: "localhost:4318 wants a client certificate that it trusts: set tls.cert_file and tls.key_file",
		or:      "localhost:4318 hung up after the TLS handshake: it may want a client certificate that it trusts: set tls.cert_file and tls.key_file",
		matter:  "no certificate where one is wanted, over HTTP",
		entry:   `endpoint: "https://$address", protocol: http/protobuf, tls: {ca_file: ca.pem}`,
		at:      func(f *field) []string { return httpOf(f.mutualJaeger, f.mutual) },
	},
	{
		message: "localhost:4318 speaks HTTP, not gRPC: use protocol http/protobuf, or the port for OTLP over gRPC (usually 4317)",
		matter:  "gRPC at the port for HTTP",
		entry:   `endpoint: $address`,
		at:      func(f *field) []string { return httpOf(f.plainJaeger, f.plainCollector) },
	},
	{
		message: "localhost:4317 speaks gRPC: use protocol grpc, or the port for OTLP over HTTP (usually 4318)",
		matter:  "HTTP at the port for gRPC",
		entry:   `endpoint: $address, protocol: http/protobuf`,
		at:      func(f *field) []string { return grpcOf(f.plainJaeger, f.plainCollector) },
	},
	{
		message: "localhost:4317 refused the connection: nothing listens there",
		matter:  "the wrong port, or the backend is down",
		entry:   `endpoint: $address`,
		at:      func(f *field) []string { return []string{f.dead} },
	},
	{
		message: "localhost:4318 refused the connection: nothing listens there",
		matter:  "the wrong port, or the backend is down, over HTTP",
		entry:   `endpoint: $address, protocol: http/protobuf`,
		at:      func(f *field) []string { return []string{f.dead} },
	},
	{
		message: "localhost:16686 answered with a web page: it is no OTLP receiver; the usual port is 4318",
		matter:  "the port of Jaeger's page",
		entry:   `endpoint: $address, protocol: http/protobuf`,
		at:      func(f *field) []string { return []string{f.plainJaeger.ports.Local("query")} },
	},
	{
		message: "localhost:4318 takes no traces at /api/v1/traces: check the path",
		matter:  "the wrong path",
		entry:   `endpoint: "http://$address/api", protocol: http/protobuf`,
		at:      func(f *field) []string { return httpOf(f.plainJaeger, f.plainCollector) },
	},
	{
		message: "localhost:4317 refused the credentials: check headers",
		matter:  "a missing or wrong key",
		entry:   `endpoint: $address, headers: {Authorization: Bearer wrong}`,
		at:      func(f *field) []string { return grpcOf(f.keyed) },
	},
	{
		message: "localhost:4318 refused the credentials: check headers",
		matter:  "a missing or wrong key, over HTTP",
		entry:   `endpoint: $address, protocol: http/protobuf`,
		at:      func(f *field) []string { return httpOf(f.keyed) },
	},
}

// TestInteropMistakes makes the mistakes against real servers, whose words for
// them no fake knows. Each must get one message, which the page lists.
func TestInteropMistakes(t *testing.T) {
	needsBackends(t)
	b := newBench(t)
	t.Chdir(b.dir)
	f := &field{
		bench:        b,
		tls:          startCollector(t, security{b.authority, "server", false}, demand{}),
		mutual:       startCollector(t, security{b.authority, "server", true}, demand{}),
		named:        startCollector(t, security{b.authority, "internal", false}, demand{}),
		keyed:        startCollector(t, security{}, demand{header: "Authorization", scheme: "Bearer", token: "s3cret"}),
		tlsJaeger:    startJaeger(t, security{b.authority, "server", false}),
		mutualJaeger: startJaeger(t, security{b.authority, "server", true}),
		dead:         process.FreePorts(t, "dead").Local("dead"),
	}
	t.Run("all", func(t *testing.T) { // ends when all in it have
		for _, m := range mistakes {
			for i, address := range m.at(f) {
				t.Run(fmt.Sprint(m.matter, i), func(t *testing.T) {
					t.Parallel()
					got := said(t, strings.ReplaceAll(m.entry, "$address", address))
					if len(got) != 1 || !slices.Contains(m.wanted(address), got[0]) {
						t.Errorf("got  %q\nwant %q", got, m.wanted(address))
					}
				})
			}
		}
	})
}

// said sends a span through an exporter, and returns why it did not arrive,
// in the words of the log.
func said(t *testing.T, entry string) []string {
	t.Helper()
	text := "observability: {tracing: {enabled: true, service_name: fluxbase, exporters: [{type: otlp, timeout: 3s, " + entry + "}]}}"
	spec, err := config.Parse([]byte(text), config.Environ(nil))
	if err != nil {
		t.Fatal(err)
	}
	log := &failures{}
	provider, err := core.New(t.Context(), spec, core.Logger(slog.New(log)))
	if err != nil {
		t.Fatal(err)
	}
	_, span := provider.TracerProvider().Tracer(scope).Start(t.Context(), "lost")
	span.End()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- provider.Shutdown(ctx) }() // it tries until it is told to stop
	if err := process.Poll(func() error {
		if len(log.all()) == 0 {
			return errors.New("the log says nothing")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("the span arrived, or nobody says that it did not")
	}
	return log.all()
}

// failures is a log of which the errors are read.
type failures struct {
	mu       sync.Mutex
	messages []string
}

func (*failures) Enabled(context.Context, slog.Level) bool { return true }
func (f *failures) WithAttrs([]slog.Attr) slog.Handler     { return f }
func (f *failures) WithGroup(string) slog.Handler          { return f }

func (f *failures) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			f.mu.Lock()
			f.messages = append(f.messages, err.Error())
			f.mu.Unlock()
		}
		return true
	})
	return nil
}

func (f *failures) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Compact(slices.Clone(f.messages))
}
