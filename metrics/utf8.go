package metrics

import (
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/riffletrace/riffle/core/delivery/valid"
)

// makeValid replaces what is not UTF-8 in the attributes of all points. OTLP has none:
// one such text, which clients may choose, would keep everything from being exported.
func makeValid(metrics *metricdata.ResourceMetrics) {
	for _, scope := range metrics.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Gauge[int64]:
				makeValidPoints(data.DataPoints)
			case metricdata.Gauge[float64]:
				makeValidPoints(data.DataPoints)
			case metricdata.Sum[int64]:
				makeValidPoints(data.DataPoints)
			case metricdata.Sum[float64]:
				makeValidPoints(data.DataPoints)
			case metricdata.Histogram[int64]:
				makeValidHistograms(data.DataPoints)
			case metricdata.Histogram[float64]:
				makeValidHistograms(data.DataPoints)
			case metricdata.ExponentialHistogram[int64]:
				makeValidExponentials(data.DataPoints)
			case metricdata.ExponentialHistogram[float64]:
				makeValidExponentials(data.DataPoints)
			}
		}
	}
}

func makeValidPoints[N int64 | float64](points []metricdata.DataPoint[N]) {
	for i := range points {
		valid.Set(&points[i].Attributes)
		makeValidExemplars(points[i].Exemplars)
	}
}

func makeValidHistograms[N int64 | float64](points []metricdata.HistogramDataPoint[N]) {
	for i := range points {
		valid.Set(&points[i].Attributes)
		makeValidExemplars(points[i].Exemplars)
	}
}

func makeValidExponentials[N int64 | float64](points []metricdata.ExponentialHistogramDataPoint[N]) {
	for i := range points {
		valid.Set(&points[i].Attributes)
		makeValidExemplars(points[i].Exemplars)
	}
}

// makeValidExemplars is about what views leave out of series.
func makeValidExemplars[N int64 | float64](exemplars []metricdata.Exemplar[N]) {
	for i := range exemplars {
		valid.KeyValues(&exemplars[i].FilteredAttributes)
	}
}
