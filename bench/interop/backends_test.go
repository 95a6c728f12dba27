package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/riffletrace/riffle/bench/internal/process"
)

// span is one as a backend tells of it. Both backends are read into it, in
// the words of OpenTelemetry where Jaeger has its own.
type span struct {
	TraceID, ID, Parent string
	Service, Name       string
	Kind                string // server, client, ...
	Status              string // ERROR, OK or empty
	Description         string // of the status
	TraceState          string
	Duration            time.Duration
	Scope               string
	Resource            map[string]any
	Attributes          map[string]any
	Events              []event
	Links               []string // trace ID and span ID
}

type event struct {
	Name       string
	Attributes map[string]any
}

// backend is a running server, and what reads spans back from it.
type backend interface {
	// address is where a protocol is taken.
	address(protocol string) string
	// spans returns those whose resource has the attribute caseKey=name.
	spans(name string) ([]span, error)
}

// caseKey is the resource attribute that tells the spans of one test from
// those of others in the same backend.
const caseKey = "test.case"

// quiet is for Jaeger, which traces itself.
var quiet = []string{"OTEL_TRACES_SAMPLER=always_off"}

// jaeger is Jaeger all-in-one.
type jaeger struct {
	*process.Process
	ports process.Ports
}

// security is how a server speaks; the zero value is plain text.
type security struct {
	*authority
	certificate string // file, without .pem
	mutual      bool
}

func startJaeger(t *testing.T, s security, flags ...string) *jaeger {
	t.Helper()
	var err error
	for range 3 { // a port may be taken meanwhile
		p := process.FreePorts(t, "grpc", "http", "query", "query-grpc", "collector", "collector-grpc", "admin", "zipkin")
		j := &jaeger{ports: p}
		if err = j.start(t, s, flags...); err == nil {
			return j
		}
	}
	t.Fatal(err)
	return nil
}

func (j *jaeger) start(t *testing.T, s security, more ...string) error {
	t.Helper()
	program, err := jaegerProgram()
	if err != nil {
		return err
	}
	flags := []string{
		"--collector.otlp.grpc.host-port=" + j.ports.At("grpc"),
		"--collector.otlp.http.host-port=" + j.ports.At("http"),
		"--query.http-server.host-port=" + j.ports.At("query"),
		"--query.grpc-server.host-port=" + j.ports.At("query-grpc"),
		"--collector.http-server.host-port=" + j.ports.At("collector"),
		"--collector.grpc-server.host-port=" + j.ports.At("collector-grpc"),
		"--admin.http.host-port=" + j.ports.At("admin"),
		"--collector.zipkin.host-port=" + j.ports.At("zipkin"),
	}
	if s.authority != nil {
		for _, protocol := range []string{"grpc", "http"} {
			prefix := "--collector.otlp." + protocol + ".tls."
			flags = append(flags, prefix+"enabled=true",
				prefix+"cert="+s.path(s.certificate+".pem"), prefix+"key="+s.path(s.certificate+"-key.pem"))
			if s.mutual {
				flags = append(flags, prefix+"client-ca="+s.path("ca.pem"))
			}
		}
	}
	j.Process, err = process.Launch(t, j.ports, quiet, program, append(flags, more...)...)
	return err
}

func (j *jaeger) address(protocol string) string { return j.ports.Local(protocol) }

// jaegerTag is an attribute, in the words of Jaeger's API.
type jaegerTag struct {
	Key, Type string
	Value     any
}

// spans asks the query API, as the page in the browser does.
func (j *jaeger) spans(name string) ([]span, error) {
	tags, err := json.Marshal(map[string]string{caseKey: name})
	if err != nil {
		return nil, err
	}
	query := url.Values{"service": {serviceName}, "tags": {string(tags)}, "limit": {"10000"}}
	resp, err := http.Get("http://" + j.ports.At("query") + "/api/traces?" + query.Encode())
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		return nil, fmt.Errorf("the query API answered %s: %s", resp.Status, body)
	}
	var answer struct {
		Data []struct {
			Processes map[string]struct {
				ServiceName string
				Tags        []jaegerTag
			}
			Spans []struct {
				TraceID, SpanID, OperationName, ProcessID string

				Duration   int64 // microseconds
				References []struct{ RefType, TraceID, SpanID string }
				Tags       []jaegerTag
				Logs       []struct{ Fields []jaegerTag }
			}
		}
	}
	decoder := json.NewDecoder(resp.Body)
	decoder.UseNumber()
	if err := decoder.Decode(&answer); err != nil {
		return nil, err
	}
	var all []span
	for _, trace := range answer.Data {
		for _, s := range trace.Spans {
			from := trace.Processes[s.ProcessID]
			got := span{
				TraceID: s.TraceID, ID: s.SpanID, Name: s.OperationName, Service: from.ServiceName,
				Resource: attributes(from.Tags), Attributes: attributes(s.Tags),
				Duration: time.Duration(s.Duration) * time.Microsecond,
			}
			got.Resource["service.name"] = from.ServiceName
			for _, r := range s.References {
				if r.RefType == "CHILD_OF" && r.TraceID == s.TraceID {
					got.Parent = r.SpanID
				} else {
					got.Links = append(got.Links, r.TraceID+" "+r.SpanID)
				}
			}
			for _, l := range s.Logs {
				e := event{Attributes: attributes(l.Fields)}
				e.Name = take(e.Attributes, "event")
				got.Events = append(got.Events, e)
			}
			got.Kind = take(got.Attributes, "span.kind")
			got.Status = take(got.Attributes, "otel.status_code")
			got.Description = take(got.Attributes, "otel.status_description")
			got.TraceState = take(got.Attributes, "w3c.tracestate")
			got.Scope = take(got.Attributes, "otel.scope.name")
			if failed, _ := got.Attributes["error"].(bool); failed != (got.Status == "ERROR") {
				return nil, fmt.Errorf("span %s has the tags error=%v and otel.status_code=%q", got.ID, failed, got.Status)
			}
			delete(got.Attributes, "error")
			all = append(all, got)
		}
	}
	return all, nil
}

func attributes(tags []jaegerTag) map[string]any {
	m := map[string]any{}
	for _, t := range tags {
		m[t.Key] = t.Value
		// What JavaScript would round comes as a string.
		text := fmt.Sprint(t.Value)
		switch t.Type {
		case "int64":
			m[t.Key], _ = strconv.ParseInt(text, 10, 64)
		case "float64":
			m[t.Key], _ = strconv.ParseFloat(text, 64)
		}
	}
	return m
}

// take removes a string from m.
func take(m map[string]any, key string) string {
	s, _ := m[key].(string)
	delete(m, key)
	return s
}

// collector is a Collector with a receiver of its own, which writes what it
// receives to a file.
type collector struct {
	*process.Process
	ports process.Ports
	file  string
}

// collectorConfig is that of a Collector with one OTLP receiver. What is in
// capitals is replaced.
const collectorConfig = `
extensions:
  bearertokenauth:
    header: HEADER
    scheme: "SCHEME"
    token: "TOKEN"
receivers: RECEIVERS
exporters:
  debug:
  file:
    path: FILE
    flush_interval: 50ms
service:
  extensions: [bearertokenauth]
  telemetry:
    metrics:
      level: none
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [file, debug]
`

// demand is what a Collector demands to see in each request.
type demand struct {
	header, scheme, token string
	path                  string // of the URL; empty: the usual one
}

// receivers is the section of a Collector's configuration.
func receivers(s security, d demand) string {
	common := ""
	if s.authority != nil {
		common += fmt.Sprintf(", tls: {cert_file: %q, key_file: %q", s.path(s.certificate+".pem"), s.path(s.certificate+"-key.pem"))
		if s.mutual {
			common += fmt.Sprintf(", client_ca_file: %q", s.path("ca.pem"))
		}
		common += "}"
	}
	if d.header != "" {
		common += ", auth: {authenticator: bearertokenauth}"
	}
	http := common
	if d.path != "" {
		http += fmt.Sprintf(", traces_url_path: %q", d.path)
	}
	return "{otlp: {protocols: {grpc: {endpoint: 0.0.0.0:4317" + common + "}, http: {endpoint: 0.0.0.0:4318" + http + "}}}}"
}

func startCollector(t *testing.T, s security, d demand) *collector {
	t.Helper()
	return startReceivers(t, receivers(s, d), d)
}

// startReceivers starts a Collector with receivers that listen where the
// documentation says.
func startReceivers(t *testing.T, receivers string, d demand) *collector {
	t.Helper()
	if d.header == "" {
		d.header, d.token = "Authorization", "unused" // nobody asks the extension
	}
	file := filepath.Join(t.TempDir(), "traces.json")
	text := strings.NewReplacer("HEADER", d.header, "SCHEME", d.scheme, "TOKEN", d.token, "RECEIVERS", receivers, "FILE", file).Replace(collectorConfig)
	p, server := startWithConfig(t, text)
	return &collector{Process: server, ports: p, file: file}
}

// startWithConfig starts a Collector that listens on free ports instead of
// those that its configuration names.
func startWithConfig(t *testing.T, text string, args ...string) (process.Ports, *process.Process) {
	t.Helper()
	program, err := collectorProgram()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // a port may be taken meanwhile
		names := []string{"grpc"}
		if strings.Contains(text, "0.0.0.0:4318") {
			names = append(names, "http")
		}
		p := process.FreePorts(t, names...)
		file := filepath.Join(t.TempDir(), "otelcol.yaml")
		moved := strings.NewReplacer("0.0.0.0:4317", p.At("grpc"), "0.0.0.0:4318", p.At("http")).Replace(text)
		if err := os.WriteFile(file, []byte(moved), 0o600); err != nil {
			t.Fatal(err)
		}
		var server *process.Process
		if server, err = process.Launch(t, p, quiet, program, append([]string{"--config", file}, args...)...); err == nil {
			return p, server
		}
	}
	t.Fatal(err)
	return nil, nil
}

func (c *collector) address(protocol string) string { return c.ports.Local(protocol) }

// spans reads the file. Its last line may be under way.
func (c *collector) spans(name string) ([]span, error) {
	data, err := os.ReadFile(c.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []span
	for line := range strings.Lines(string(data)) {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		traces, err := new(ptrace.JSONUnmarshaler).UnmarshalTraces([]byte(line))
		if err != nil {
			return nil, err
		}
		for _, rs := range traces.ResourceSpans().All() {
			resource := rs.Resource().Attributes().AsRaw()
			if resource[caseKey] != name {
				continue
			}
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					all = append(all, fromOTLP(resource, ss.Scope().Name(), s))
				}
			}
		}
	}
	return all, nil
}

func fromOTLP(resource map[string]any, scope string, s ptrace.Span) span {
	got := span{
		TraceID: s.TraceID().String(), ID: s.SpanID().String(), Parent: s.ParentSpanID().String(),
		Name: s.Name(), Kind: strings.ToLower(s.Kind().String()),
		Description: s.Status().Message(), TraceState: s.TraceState().AsRaw(),
		Resource: resource, Attributes: s.Attributes().AsRaw(), Scope: scope,
		Duration: s.EndTimestamp().AsTime().Sub(s.StartTimestamp().AsTime()),
	}
	got.Service, _ = resource["service.name"].(string)
	if s.Status().Code() != ptrace.StatusCodeUnset {
		got.Status = strings.ToUpper(s.Status().Code().String())
	}
	for _, e := range s.Events().All() {
		got.Events = append(got.Events, event{Name: e.Name(), Attributes: e.Attributes().AsRaw()})
	}
	for _, l := range s.Links().All() {
		got.Links = append(got.Links, l.TraceID().String()+" "+l.SpanID().String())
	}
	return got
}

var (
	_ backend = (*jaeger)(nil)
	_ backend = (*collector)(nil)
)
