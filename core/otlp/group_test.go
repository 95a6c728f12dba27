package otlp

import (
	"testing"
	"unsafe"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// withHash gives a set the hash of another.
func withHash(set *attribute.Set, of attribute.Set) {
	*(*uint64)(unsafe.Pointer(set)) = *(*uint64)(unsafe.Pointer(&of))
}

// Two sets of attributes with one hash are two.
func TestOneHashOfTwoSets(t *testing.T) {
	mine := attribute.NewSet(attribute.String("tenant", "acme"))
	theirs := attribute.NewSet(attribute.String("tenant", "initech"))
	withHash(&theirs, mine)
	if mine.Equivalent() != theirs.Equivalent() || mine == theirs {
		t.Fatal("sets are not what they were: the hash is not their first field, and this tests nothing")
	}
	one, two := resource.NewSchemaless(mine.ToSlice()...), resource.NewSchemaless(attribute.String("tenant", "initech"))
	withHash(two.Set(), *one.Set())
	span := func(res *resource.Resource, set attribute.Set) sdktrace.ReadOnlySpan {
		return tracetest.SpanStub{Resource: res, InstrumentationScope: instrumentation.Scope{Name: "a", Attributes: set}}.Snapshot()
	}
	g := group([]sdktrace.ReadOnlySpan{span(one, mine), span(one, theirs), span(one, mine), span(two, mine), span(one, theirs), span(two, theirs)})
	defer g.release()
	var got [][]int
	for r := range g.resources {
		for sc := range g.scopesOf(r) {
			var spans []int
			for i := range g.spansOf(sc) {
				spans = append(spans, i)
			}
			got = append(got, spans)
		}
	}
	if len(g.resources) != 2 || len(got) != 4 || len(got[0]) != 2 || len(got[1]) != 2 {
		t.Errorf("%d resources, spans by scope: %v", len(g.resources), got)
	}
}
