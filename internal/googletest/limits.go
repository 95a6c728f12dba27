package googletest

import (
	"fmt"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// check is what the API checks: it knows no more than the page of limits.
func check(rs *tracepb.ResourceSpans) error {
	var total int
	attributes := func(attrs []*commonpb.KeyValue) error {
		total += len(attrs)
		if len(attrs) > 1024 {
			return fmt.Errorf("%d attributes", len(attrs))
		}
		for _, a := range attrs {
			if len(a.GetKey()) > 512 || len(a.GetValue().GetStringValue()) > 64<<10 || proto.Size(a.GetValue()) > 64<<10+8 {
				return fmt.Errorf("attribute %.20q: key of %d bytes, value of %d", a.GetKey(), len(a.GetKey()), proto.Size(a.GetValue()))
			}
		}
		return nil
	}
	if ProjectOf(rs) == "" {
		return fmt.Errorf("resource is missing required attribute gcp.project_id")
	}
	if err := attributes(rs.GetResource().GetAttributes()); err != nil {
		return err
	}
	for _, ss := range rs.GetScopeSpans() {
		if len(ss.GetSchemaUrl()) > 8192 {
			return fmt.Errorf("schema URL of %d bytes", len(ss.GetSchemaUrl()))
		}
		if err := attributes(ss.GetScope().GetAttributes()); err != nil {
			return err
		}
		for _, s := range ss.GetSpans() {
			if len(s.GetName()) > 1024 || len(s.GetEvents()) > 256 || len(s.GetLinks()) > 128 {
				return fmt.Errorf("span: name of %d bytes, %d events, %d links", len(s.GetName()), len(s.GetEvents()), len(s.GetLinks()))
			}
			if err := attributes(s.GetAttributes()); err != nil {
				return err
			}
			for _, e := range s.GetEvents() {
				if len(e.GetName()) > 1024 {
					return fmt.Errorf("event: name of %d bytes", len(e.GetName()))
				}
				if err := attributes(e.GetAttributes()); err != nil {
					return err
				}
			}
			for _, l := range s.GetLinks() {
				if err := attributes(l.GetAttributes()); err != nil {
					return err
				}
			}
		}
	}
	if total > 8192 {
		return fmt.Errorf("%d attributes in a ResourceSpans", total)
	}
	return nil
}
