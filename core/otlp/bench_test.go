package otlp_test

import (
	"context"
	"fmt"
	"testing"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/internal/testspans"
)

// The goal: riffle needs at most a fifth of the time that the SDK does, and
// allocates nothing.
func BenchmarkEncode(b *testing.B) {
	const batch = 512
	spans := testspans.Service(b, batch)

	b.Run(fmt.Sprintf("impl=riffle/spans=%d", batch), func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			buf = otlp.AppendRequest(buf[:0], spans)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/span")
	})
	b.Run(fmt.Sprintf("impl=sdk/spans=%d", batch), func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		exporter := otlptrace.NewUnstarted(clientFunc(func(rs []*tracepb.ResourceSpans) (err error) {
			buf, err = proto.MarshalOptions{}.MarshalAppend(buf[:0], &tracepb.TracesData{ResourceSpans: rs})
			return err
		}))
		for b.Loop() {
			if err := exporter.ExportSpans(context.Background(), spans); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/span")
	})
}

func BenchmarkEstimateSize(b *testing.B) {
	span := testspans.Service(b, 1)[0]
	b.ReportAllocs()
	for b.Loop() {
		otlp.EstimateSize(span)
	}
}

func BenchmarkDecode(b *testing.B) {
	const batch = 512
	spans := testspans.Service(b, batch)
	for _, format := range []struct {
		name   string
		in     []byte
		decode func([]byte) ([]sdktrace.ReadOnlySpan, error)
	}{
		{"protobuf", otlp.AppendRequest(nil, spans), otlp.Decode},
		{"json", otlp.AppendJSON(nil, spans), otlp.DecodeJSON},
	} {
		b.Run("format="+format.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := format.decode(format.in); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/span")
		})
	}
}

// clientFunc is an OTLP client of the SDK that hands over what the SDK's
// transform made.
type clientFunc func([]*tracepb.ResourceSpans) error

func (clientFunc) Start(context.Context) error { return nil }
func (clientFunc) Stop(context.Context) error  { return nil }

func (f clientFunc) UploadTraces(_ context.Context, rs []*tracepb.ResourceSpans) error {
	return f(rs)
}
