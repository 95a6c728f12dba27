package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// span is a span as Zipkin has it.
// Source: https://zipkin.io/zipkin-api/#/default/post_spans
type span struct {
	TraceID     string            `json:"traceId"`
	ID          string            `json:"id"`
	ParentID    string            `json:"parentId,omitempty"`
	Name        string            `json:"name,omitempty"`
	Kind        string            `json:"kind,omitempty"`
	Timestamp   int64             `json:"timestamp,omitempty"` // microseconds
	Duration    int64             `json:"duration,omitempty"`  // microseconds
	Local       *endpoint         `json:"localEndpoint,omitempty"`
	Remote      *endpoint         `json:"remoteEndpoint,omitempty"`
	Annotations []annotation      `json:"annotations,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

type endpoint struct {
	ServiceName string `json:"serviceName"`
}

type annotation struct {
	Timestamp int64  `json:"timestamp"`
	Value     string `json:"value"`
}

// encode writes the spans as a list and says how many it left out because they
// have no ID.
func encode(spans []sdktrace.ReadOnlySpan) (body []byte, left int, err error) {
	list := make([]span, 0, len(spans))
	for _, s := range spans {
		if !s.SpanContext().IsValid() {
			left++
			continue
		}
		list = append(list, convert(s))
	}
	body, err = json.Marshal(list)
	return body, left, err
}

// convert follows OpenTelemetry's mapping, but for events, links and the
// status the Collector's: those that read spans with its code, as Jaeger does,
// have everything back, and refuse a whole batch for what they take for theirs
// and cannot read.
// Source: https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/zipkin/
func convert(s sdktrace.ReadOnlySpan) span {
	z := span{
		TraceID:   s.SpanContext().TraceID().String(),
		ID:        s.SpanContext().SpanID().String(),
		Name:      s.Name(),
		Kind:      kinds[s.SpanKind()],
		Timestamp: micros(s.StartTime()),
		Tags:      tags(s),
	}
	if s.Parent().HasSpanID() {
		z.ParentID = s.Parent().SpanID().String()
	}
	if took := s.EndTime().Sub(s.StartTime()); took >= 0 && z.Timestamp > 0 {
		z.Duration = max(1, took.Microseconds()) // 0 means unknown
	}
	if name, ok := s.Resource().Set().Value("service.name"); ok {
		z.Local = &endpoint{name.String()}
	}
	if s.SpanKind() == trace.SpanKindClient || s.SpanKind() == trace.SpanKindProducer {
		z.Remote = remote(s.Attributes())
	}
	for _, e := range s.Events() {
		value := unbarred(e.Name)
		if len(e.Attributes) > 0 || e.DroppedAttributeCount > 0 {
			value += bar + attribute.MapValue(e.Attributes...).String() + bar + strconv.Itoa(e.DroppedAttributeCount)
		}
		z.Annotations = append(z.Annotations, annotation{micros(e.Time), value})
	}
	return z
}

// bar stands between the parts of what Zipkin has one text for.
const bar = "|"

// unbarred is the text without bars.
func unbarred(s string) string { return strings.ReplaceAll(s, bar, "/") }

// kinds has no entry for those that Zipkin does not know.
var kinds = map[trace.SpanKind]string{
	trace.SpanKindServer:   "SERVER",
	trace.SpanKindClient:   "CLIENT",
	trace.SpanKindProducer: "PRODUCER",
	trace.SpanKindConsumer: "CONSUMER",
}

// micros is 0, which is left out, for what was before 1970.
func micros(t time.Time) int64 { return max(0, t.UnixMicro()) }

// remote is the other side, by the attribute that says it best.
func remote(attributes []attribute.KeyValue) *endpoint {
	for _, key := range []attribute.Key{"peer.service", "server.address", "network.peer.address", "messaging.destination.name", "db.namespace"} {
		for _, kv := range attributes {
			if kv.Key == key && kv.Value.String() != "" {
				return &endpoint{kv.Value.String()}
			}
		}
	}
	return nil
}

// tags holds everything that Zipkin has no place for.
func tags(s sdktrace.ReadOnlySpan) map[string]string {
	t := make(map[string]string)
	for _, kv := range s.Resource().Attributes() {
		if kv.Key != "service.name" {
			t[string(kv.Key)] = kv.Value.String()
		}
	}
	for _, kv := range s.Attributes() {
		t[string(kv.Key)] = kv.Value.String()
	}
	set := func(key, value string) {
		if value != "" && value != "0" {
			t[key] = value
		}
	}
	set("otel.scope.name", s.InstrumentationScope().Name)
	set("otel.scope.version", s.InstrumentationScope().Version)
	set("otel.dropped_attributes_count", strconv.Itoa(s.DroppedAttributes()))
	set("otel.dropped_events_count", strconv.Itoa(s.DroppedEvents()))
	set("otel.dropped_links_count", strconv.Itoa(s.DroppedLinks()))
	// The weight of the span is in it.
	set("w3c.tracestate", s.SpanContext().TraceState().String())
	if s.SpanKind() == trace.SpanKindInternal {
		t["span.kind"] = "internal"
	}
	switch s.Status().Code {
	case codes.Error:
		t["otel.status_code"] = "STATUS_CODE_ERROR"
		t["error"] = "true"
		set("otel.status_description", s.Status().Description)
	case codes.Ok:
		t["otel.status_code"] = "STATUS_CODE_OK"
	}
	for i, link := range s.Links() {
		t["otlp.link."+strconv.Itoa(i)] = strings.Join([]string{
			link.SpanContext.TraceID().String(),
			link.SpanContext.SpanID().String(),
			unbarred(link.SpanContext.TraceState().String()),
			attribute.MapValue(link.Attributes...).String(),
			strconv.Itoa(link.DroppedAttributeCount),
		}, bar)
	}
	return t
}
