package demo

import (
	"fmt"
	"io"
	"text/tabwriter"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/exporters/stdout/tree"
)

// Print shows the result to people: the sample traces, and a table.
func (r *Result) Print(w io.Writer, o tree.Options) error {
	for _, sample := range r.Samples {
		spans, err := decode(sample)
		if err != nil {
			return fmt.Errorf("reading a kept trace: %w", err)
		}
		if err := tree.Write(w, spans, o); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	if r.Interrupted {
		fmt.Fprint(w, "interrupted: this is what there is so far\n\n")
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...any) {
		for _, c := range cells {
			fmt.Fprint(t, c, "\t")
		}
		fmt.Fprintln(t)
	}
	row("", "requests", "traces kept")
	row("all", r.Requests, r.TracesKept)
	row("errors", r.RequestsError, r.TracesKeptError)
	row("slow", r.RequestsSlow, r.TracesKeptSlow)
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%d spans were exported in %.1f s. The kept traces, weighted, stand for %.0f ± %.0f requests; there were %d.\n",
		r.SpansExported, r.Seconds, r.WeightedRequests, r.WeightedStandardError, r.Requests-r.RequestsDropped)
	for _, e := range r.Exporters {
		if e.Lost > 0 {
			fmt.Fprintf(w, "The exporter %q lost %d spans.\n", e.Name, e.Lost)
		}
	}
	_, err := fmt.Fprintf(w, "Other requests: --seed %d. Your own rules: --config FILE. What they can say: riffle components.\n", r.Seed+1)
	return err
}

func decode(spans []*tracepb.ResourceSpans) ([]sdktrace.ReadOnlySpan, error) {
	b, err := proto.Marshal(&collectorpb.ExportTraceServiceRequest{ResourceSpans: spans})
	if err != nil {
		return nil, err
	}
	return otlp.Decode(b)
}
