package cloudtrace

import (
	"fmt"
	"slices"
	"strings"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/riffletrace/riffle/core/delivery"
)

// The limits of the page that doc.go names.
const (
	maxKey        = 512
	maxValue      = 64 << 10
	maxName       = 1024 // of a span, and of an event
	maxSchemaURL  = 8192
	maxAttributes = 1024 // of a resource, a span, an event or a link
	maxEvents     = 256
	maxLinks      = 128
	// maxTogether is of all attributes in a ResourceSpans, those of its resource,
	// scopes, spans, events and links.
	maxTogether = 8192
)

const projectKey = "gcp.project_id"

// fit returns the request with a project in every resource, and within the
// limits: what is past them is cut off or dropped, and counted as dropped where
// it was. It is nil if the request is good as it is. The project is asked for if
// a resource has none, or, if it is explicit, in any case.
func fit(raw []byte, explicit bool, project func() (string, error)) ([]byte, error) {
	var req coltracepb.ExportTraceServiceRequest
	if err := proto.Unmarshal(raw, &req); err != nil {
		return nil, &delivery.ExportError{Outcome: delivery.Refused, Err: fmt.Errorf("reading a request: %w", err)}
	}
	var f fitter
	var all []*tracepb.ResourceSpans
	for _, rs := range req.GetResourceSpans() {
		if rs.Resource == nil {
			rs.Resource = &resourcepb.Resource{}
		}
		if explicit || !hasProject(rs.Resource) {
			id, err := project()
			if err != nil {
				return nil, err
			}
			f.setProject(rs.Resource, id)
		}
		all = append(all, f.resourceSpans(rs)...)
	}
	if !f.changed {
		return nil, nil
	}
	req.ResourceSpans = all
	return proto.Marshal(&req)
}

func hasProject(r *resourcepb.Resource) bool {
	for _, a := range r.GetAttributes() {
		if a.GetKey() == projectKey && a.GetValue().GetStringValue() != "" {
			return true
		}
	}
	return false
}

// fitter makes things fit, and knows whether it had to.
type fitter struct{ changed bool }

func (f *fitter) setProject(r *resourcepb.Resource, id string) {
	value := &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: id}}
	for _, a := range r.Attributes {
		if a.GetKey() == projectKey {
			f.changed = f.changed || a.GetValue().GetStringValue() != id
			a.Value = value
			return
		}
	}
	f.changed = true
	// First: it is not the one to be dropped.
	r.Attributes = append([]*commonpb.KeyValue{{Key: projectKey, Value: value}}, r.Attributes...)
}

// resourceSpans fits spans of a resource, and cuts them into as many
// ResourceSpans as the number of their attributes makes necessary.
func (f *fitter) resourceSpans(rs *tracepb.ResourceSpans) []*tracepb.ResourceSpans {
	f.attributes(&rs.Resource.Attributes, &rs.Resource.DroppedAttributesCount)
	f.text(&rs.SchemaUrl, maxSchemaURL)
	var total int
	for _, ss := range rs.GetScopeSpans() {
		f.text(&ss.SchemaUrl, maxSchemaURL)
		if scope := ss.GetScope(); scope != nil {
			f.attributes(&scope.Attributes, &scope.DroppedAttributesCount)
			total += len(scope.Attributes)
		}
		for _, s := range ss.GetSpans() {
			f.span(s)
			total += attributesOf(s)
		}
	}
	if len(rs.Resource.Attributes)+total <= maxTogether {
		return []*tracepb.ResourceSpans{rs}
	}
	f.changed = true
	return cut(rs)
}

// cut makes ResourceSpans that keep maxTogether.
func cut(rs *tracepb.ResourceSpans) (all []*tracepb.ResourceSpans) {
	var part *tracepb.ResourceSpans
	var room int
	begin := func() {
		part = &tracepb.ResourceSpans{Resource: rs.Resource, SchemaUrl: rs.SchemaUrl}
		room = maxTogether - len(rs.Resource.Attributes)
		all = append(all, part)
	}
	begin()
	for _, ss := range rs.GetScopeSpans() {
		ofScope := len(ss.GetScope().GetAttributes())
		var scope *tracepb.ScopeSpans // in this part
		for _, s := range ss.GetSpans() {
			need := attributesOf(s)
			if scope == nil {
				need += ofScope
			}
			if need > room && len(part.ScopeSpans) > 0 {
				begin()
				scope, need = nil, attributesOf(s)+ofScope
			}
			if need > room { // even by itself
				shed(s, need-room)
				need = room
			}
			if scope == nil {
				scope = &tracepb.ScopeSpans{Scope: ss.Scope, SchemaUrl: ss.SchemaUrl}
				part.ScopeSpans = append(part.ScopeSpans, scope)
			}
			scope.Spans = append(scope.Spans, s)
			room -= need
		}
	}
	return all
}

func attributesOf(s *tracepb.Span) int {
	n := len(s.GetAttributes())
	for _, e := range s.GetEvents() {
		n += len(e.GetAttributes())
	}
	for _, l := range s.GetLinks() {
		n += len(l.GetAttributes())
	}
	return n
}

// shed drops n attributes of links and events, the last first.
func shed(s *tracepb.Span, n int) {
	drop := func(attrs *[]*commonpb.KeyValue, dropped *uint32) {
		k := min(n, len(*attrs))
		*attrs = (*attrs)[:len(*attrs)-k]
		*dropped += uint32(k)
		n -= k
	}
	for _, l := range slices.Backward(s.Links) {
		drop(&l.Attributes, &l.DroppedAttributesCount)
	}
	for _, e := range slices.Backward(s.Events) {
		drop(&e.Attributes, &e.DroppedAttributesCount)
	}
}

func (f *fitter) span(s *tracepb.Span) {
	f.text(&s.Name, maxName)
	f.attributes(&s.Attributes, &s.DroppedAttributesCount)
	if n := len(s.Events) - maxEvents; n > 0 {
		s.Events, s.DroppedEventsCount, f.changed = s.Events[:maxEvents], s.DroppedEventsCount+uint32(n), true
	}
	for _, e := range s.Events {
		f.text(&e.Name, maxName)
		f.attributes(&e.Attributes, &e.DroppedAttributesCount)
	}
	if n := len(s.Links) - maxLinks; n > 0 {
		s.Links, s.DroppedLinksCount, f.changed = s.Links[:maxLinks], s.DroppedLinksCount+uint32(n), true
	}
	for _, l := range s.Links {
		f.attributes(&l.Attributes, &l.DroppedAttributesCount)
	}
}

// attributes drops those that cannot be sent, and cuts off values that are
// text.
func (f *fitter) attributes(attrs *[]*commonpb.KeyValue, dropped *uint32) {
	kept := (*attrs)[:0]
	for _, a := range *attrs {
		fits := len(kept) < maxAttributes && len(a.GetKey()) <= maxKey
		if fits {
			if v, ok := a.GetValue().GetValue().(*commonpb.AnyValue_StringValue); ok {
				f.text(&v.StringValue, maxValue)
			} else {
				fits = proto.Size(a.GetValue()) <= maxValue
			}
		}
		if fits {
			kept = append(kept, a)
		} else {
			*dropped++
			f.changed = true
		}
	}
	*attrs = kept
}

// text cuts off what is past n bytes, between characters.
func (f *fitter) text(s *string, n int) {
	if len(*s) > n {
		*s, f.changed = strings.ToValidUTF8((*s)[:n], ""), true
	}
}
