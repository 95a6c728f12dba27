package azuremonitor

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// convert makes the items of a span: that of the span first, then one for each
// of its events.
func convert(s sdktrace.ReadOnlySpan, key string) [][]byte {
	c := newConverter(s, key)
	items := make([][]byte, 0, 1+len(s.Events()))
	if kind := s.SpanKind(); kind == trace.SpanKindServer || kind == trace.SpanKindConsumer {
		items = append(items, c.request())
	} else {
		items = append(items, c.dependency())
	}
	for _, e := range s.Events() {
		items = append(items, c.event(e))
	}
	return items
}

type converter struct {
	span  sdktrace.ReadOnlySpan
	attrs map[attribute.Key]attribute.Value
	key   string
	rate  float64
	tags  map[string]string // of all items
}

func newConverter(s sdktrace.ReadOnlySpan, key string) *converter {
	c := &converter{span: s, key: key, rate: sampleRate(s), attrs: make(map[attribute.Key]attribute.Value, len(s.Attributes()))}
	for _, a := range s.Attributes() {
		c.attrs[a.Key] = a.Value
	}
	c.tags = map[string]string{
		"ai.operation.id":        s.SpanContext().TraceID().String(),
		"ai.internal.sdkVersion": "riffle",
	}
	set := s.Resource().Set()
	of := func(key attribute.Key) string {
		v, _ := set.Value(key)
		return v.String()
	}
	for tag, value := range map[string]string{
		"ai.cloud.role":         strings.Trim(of("service.namespace")+"."+of("service.name"), "."),
		"ai.cloud.roleInstance": first(of("service.instance.id"), of("host.name")),
	} {
		if value != "" {
			c.tags[tag] = cut(value, maxRole)
		}
	}
	if version := of("service.version"); version != "" {
		c.tags["ai.application.ver"] = cut(version, maxText)
	}
	return c
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// sampleRate is the percentage that the weight of a span stands for; 0 if it is
// unknown.
func sampleRate(s sdktrace.ReadOnlySpan) float64 {
	for member := range strings.SplitSeq(s.SpanContext().TraceState().Get("ot"), ";") {
		th, ok := strings.CutPrefix(member, "th:")
		if !ok {
			continue
		}
		if t, err := sampling.ParseThreshold(th); err == nil && t < sampling.Never {
			return 100 * t.Probability()
		}
	}
	return 0
}

// value is that of the first of the attributes that is there.
func (c *converter) value(keys ...attribute.Key) string {
	for _, k := range keys {
		if v, ok := c.attrs[k]; ok {
			if s := v.String(); s != "" {
				return s
			}
		}
	}
	return ""
}

// envelope is one of a type; name is that of the type without its Data.
func (c *converter) envelope(name string, at time.Time, parent trace.SpanID, base any) *envelope {
	tags := make(map[string]string, len(c.tags)+3)
	maps.Copy(tags, c.tags)
	if parent.IsValid() {
		tags["ai.operation.parentId"] = parent.String()
	}
	return &envelope{
		Ver: 1, Name: "Microsoft.ApplicationInsights." + name, Time: timestamp(at),
		SampleRate: c.rate, IKey: c.key, Tags: tags,
		Data: data{BaseType: name + "Data", BaseData: base},
	}
}

// httpCode is the status of an HTTP request; 0 if the span is of none.
func (c *converter) httpCode() int64 {
	for _, k := range []attribute.Key{"http.response.status_code", "http.status_code"} {
		if v, ok := c.attrs[k]; ok && v.Type() == attribute.INT64 {
			return v.AsInt64()
		}
	}
	return 0
}

// result is the code of the result, and whether it is a good one.
func (c *converter) result() (code string, success bool) {
	success = c.span.Status().Code != codes.Error
	if status := c.httpCode(); status != 0 {
		return fmt.Sprint(status), success && status < 400
	}
	if status := c.value("rpc.response.status_code", "rpc.grpc.status_code", "db.response.status_code"); status != "" {
		return cut(status, maxText), success
	}
	if !success {
		return "2", false // as OTLP has it
	}
	return "0", true
}

func (c *converter) request() []byte {
	s, p := c.span, c.properties()
	code, success := c.result()
	r := &request{
		Ver: schemaVersion, ID: s.SpanContext().SpanID().String(), Name: cut(s.Name(), maxText),
		Duration: duration(s), ResponseCode: code, Success: success,
		URL:        cut(c.url("server.address", "net.host.name", "server.port", "net.host.port"), maxURL),
		Properties: p.of,
	}
	client := c.value("client.address", "http.client_ip", "network.peer.address", "net.peer.ip")
	if s.SpanKind() == trace.SpanKindConsumer {
		r.Source = cut(c.value("messaging.destination.name", "messaging.destination"), maxText)
	} else {
		r.Source = cut(client, maxText)
	}
	e := c.envelope("Request", s.StartTime(), s.Parent().SpanID(), r)
	if r.Name != "" {
		e.Tags["ai.operation.name"] = r.Name
	}
	if net.ParseIP(client) != nil && len(client) <= maxIP {
		e.Tags["ai.location.ip"] = client
	}
	return encode(e, p, &r.URL)
}

func (c *converter) dependency() []byte {
	s, p := c.span, c.properties()
	code, success := c.result()
	d := &dependency{
		Ver: schemaVersion, ID: s.SpanContext().SpanID().String(), Name: cut(first(s.Name(), "unnamed"), maxText),
		ResultCode: code, Duration: duration(s), Success: success, Properties: p.of,
	}
	address := hostPort(c.value("server.address", "net.peer.name", "network.peer.address", "net.peer.ip"), c.value("server.port", "net.peer.port"))
	switch db, rpc, queue := c.value("db.system.name", "db.system"), c.value("rpc.system.name", "rpc.system"), c.value("messaging.system"); {
	case s.SpanKind() == trace.SpanKindInternal || s.SpanKind() == trace.SpanKindUnspecified:
		d.Type = "InProc"
	case db != "":
		d.Type, d.Data = db, c.value("db.query.text", "db.statement", "db.operation.name", "db.operation")
		d.Target = strings.Trim(address+" | "+c.value("db.namespace", "db.name"), " |")
		if sqlSystems[db] {
			d.Type = "SQL"
		}
	case c.value("http.request.method", "http.method") != "":
		d.Type, d.Target = "HTTP", address
		d.Data = c.url("server.address", "net.peer.name", "server.port", "net.peer.port")
	case rpc != "":
		d.Type, d.Target, d.Data = rpc, address, s.Name()
	case queue != "":
		d.Type, d.Target = queue, strings.Trim(address+"/"+c.value("messaging.destination.name", "messaging.destination"), "/")
	default:
		d.Target = first(c.value("peer.service"), address)
	}
	d.Type, d.Target, d.Data = cut(d.Type, maxText), cut(d.Target, maxText), cut(d.Data, maxCommand)
	return encode(c.envelope("RemoteDependency", s.StartTime(), s.Parent().SpanID(), d), p, &d.Data)
}

// sqlSystems are databases that Application Insights shows as SQL.
var sqlSystems = map[string]bool{
	"mssql": true, "microsoft.sql_server": true, "mysql": true, "mariadb": true, "postgresql": true, "sqlite": true, "db2": true, "ibm.db2": true,
	"oracle": true, "oracle.db": true, "other_sql": true,
}

// event is an exception, or a line among the traces.
func (c *converter) event(ev sdktrace.Event) []byte {
	p := newProperties(ev.DroppedAttributeCount)
	parent := c.span.SpanContext().SpanID()
	if ev.Name != "exception" {
		p.add(ev.Attributes)
		m := &message{Ver: schemaVersion, Message: cut(first(ev.Name, "event"), maxMessage), SeverityLevel: information, Properties: p.of}
		return encode(c.envelope("Message", ev.Time, parent, m), p, &m.Message)
	}
	var d exceptionDetails
	for _, a := range ev.Attributes {
		switch a.Key {
		case "exception.type":
			d.TypeName = cut(a.Value.String(), maxText)
		case "exception.message":
			d.Message = cut(a.Value.String(), maxMessage)
		case "exception.stacktrace":
			d.Stack = cut(a.Value.String(), maxMessage)
		default:
			p.set(string(a.Key), a.Value.String())
		}
	}
	d.TypeName = first(d.TypeName, "exception")
	d.Message = first(d.Message, d.TypeName)
	d.HasFullStack = d.Stack != ""
	x := &exception{Ver: schemaVersion, Exceptions: []exceptionDetails{d}, SeverityLevel: severe, Properties: p.of}
	return encode(c.envelope("Exception", ev.Time, parent, x), p, &x.Exceptions[0].Stack, &x.Exceptions[0].Message)
}

// properties are the attributes of the span and of its resource, and what has
// no place in the schema.
func (c *converter) properties() *properties {
	s := c.span
	p := newProperties(s.DroppedAttributes())
	for _, a := range s.Resource().Attributes() {
		if !strings.HasPrefix(string(a.Key), "telemetry.sdk.") {
			p.set(string(a.Key), a.Value.String())
		}
	}
	p.add(s.Attributes())
	if scope := s.InstrumentationScope(); scope.Name != "" {
		p.set("otel.scope.name", scope.Name)
		if scope.Version != "" {
			p.set("otel.scope.version", scope.Version)
		}
	}
	switch status := s.Status(); status.Code {
	case codes.Error:
		p.set("otel.status_code", "ERROR")
		if status.Description != "" {
			p.set("otel.status_description", status.Description)
		}
	case codes.Ok:
		p.set("otel.status_code", "OK")
	}
	if n := s.DroppedEvents(); n > 0 {
		p.set("otel.dropped_events_count", fmt.Sprint(n))
	}
	if n := s.DroppedLinks(); n > 0 {
		p.set("otel.dropped_links_count", fmt.Sprint(n))
	}
	if links := s.Links(); len(links) > 0 {
		p.set("_MS.links", linksOf(links))
	}
	return p
}

// linksOf is JSON that Application Insights shows as links, of as many as fit.
func linksOf(links []sdktrace.Link) string {
	type link struct {
		OperationID string `json:"operation_Id"`
		ID          string `json:"id"`
	}
	const perLink = 90 // bytes, a little more than one is
	all := make([]link, 0, len(links))
	for _, l := range links[:min(len(links), maxPropText/perLink)] {
		all = append(all, link{l.SpanContext.TraceID().String(), l.SpanContext.SpanID().String()})
	}
	b, err := json.Marshal(all)
	if err != nil { // of strings: it cannot be
		return ""
	}
	return string(b)
}

// url is that of an HTTP request, put together if it is in parts.
func (c *converter) url(host, oldHost, port, oldPort attribute.Key) string {
	if full := c.value("url.full", "http.url"); full != "" {
		return full
	}
	scheme, path := c.value("url.scheme", "http.scheme"), first(c.value("url.path"), c.value("http.target"))
	address := first(hostPort(c.value(host, oldHost), c.value(port, oldPort)), c.value("http.host"))
	if scheme == "" || address == "" {
		return path
	}
	if query := c.value("url.query"); query != "" {
		path += "?" + query
	}
	if path != "" && !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return scheme + "://" + address + path
}

func hostPort(host, port string) string {
	if host == "" || port == "" {
		return host
	}
	return net.JoinHostPort(host, port)
}

// duration is days.hours:minutes:seconds, and seven digits.
func duration(s sdktrace.ReadOnlySpan) string {
	d := max(s.EndTime().Sub(s.StartTime()), 0)
	const day = 24 * time.Hour
	return fmt.Sprintf("%02d.%02d:%02d:%02d.%07d", d/day, d%day/time.Hour, d%time.Hour/time.Minute, d%time.Minute/time.Second, d%time.Second/100)
}
