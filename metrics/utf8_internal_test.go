package metrics

import (
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// What a view leaves out of series is in exemplars, of which the SDK keeps the slice.
func TestExemplarsNotUTF8(t *testing.T) {
	kept := []attribute.KeyValue{attribute.String("z", "\xff"), attribute.String("a", "b")}
	points := []metricdata.DataPoint[int64]{{Exemplars: []metricdata.Exemplar[int64]{{FilteredAttributes: kept}}}}
	makeValid(&metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{{Data: metricdata.Sum[int64]{DataPoints: points}}}}}})
	if got := points[0].Exemplars[0].FilteredAttributes; got[0] != attribute.String("z", "\uFFFD") || got[1] != kept[1] {
		t.Errorf("%v", got)
	}
	if kept[0].Value.AsString() != "\xff" {
		t.Error("what the SDK keeps is changed")
	}
}
