package demo

import (
	"fmt"
	"io"
	"text/tabwriter"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/riffletrace/riffle/cmd/riffle/internal/demo/service"
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
	if err := r.printTable(w); err != nil {
		return err
	}
	r.printNotes(w)
	fmt.Fprintf(w, "\n%d spans were kept in %.1f s.\n", r.SpansExported, r.Seconds)
	for _, e := range r.Exporters {
		if e.Lost > 0 {
			fmt.Fprintf(w, "The exporter %q lost %d spans.\n", e.Name, e.Lost)
		}
	}
	_, err := fmt.Fprintf(w, "Other requests: --seed %d. Your own rules: --config FILE. What they can say: riffle components.\n", r.Seed+1)
	return err
}

// printTable compares the counts. What a rule dropped is in none of them.
func (r *Result) printTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...any) {
		for _, c := range cells {
			fmt.Fprint(t, c, "\t")
		}
		fmt.Fprintln(t)
	}
	exact := func(n int) string {
		if r.RequestsUnrecorded > 0 {
			return fmt.Sprintf("≥ %d", n)
		}
		return fmt.Sprint(n)
	}
	all, of := r.Calls+r.RequestsUnrecorded, &r.weighted
	row("", "requests", "exact", "weighted", "traces kept")
	row("all", r.Requests-r.RequestsDropped, all, of.all.text(all), r.TracesKept)
	row("errors", r.RequestsError, exact(r.CallsError), of.failed.text(r.ofCalls(r.CallsError)), r.TracesKeptError)
	row("slow", r.RequestsSlow+r.RequestsSlowUnplanned, exact(r.CallsSlow), of.slow.text(r.ofCalls(r.CallsSlow)), of.slow.kept)
	return t.Flush()
}

// printNotes says what the columns are.
func (r *Result) printNotes(w io.Writer) {
	fmt.Fprint(w, "\nrequests: what the load driver saw. exact: what riffle's span metrics counted, kept or not.\n"+
		"weighted: what the kept traces stand for, ± the standard error.\n")
	if r.WeightedStandardError == nil || r.WeightedErrorStandardError == nil || r.WeightedSlowStandardError == nil {
		fmt.Fprint(w, "weighted ≥: too few of these traces stand for others to say how many there were. More --requests may help.\n")
	}
	slow, edge := r.slowUncounted()
	if n := r.RequestsDropped; n > 0 && r.RequestsUnrecorded == 0 && r.RequestsError-r.CallsError+slow > 0 {
		fmt.Fprintf(w, "Dropped by a rule, and not in all: %d requests, of which %d failed and %d were slow.\n", n, r.RequestsError-r.CallsError, slow)
	} else if n > 0 {
		fmt.Fprintf(w, "Dropped by a rule, and not in all: %d requests.\n", n)
	}
	if r.RequestsUnrecorded > 0 {
		fmt.Fprintf(w, "Memory was short: %d requests were not recorded to their end. They are in exact's all; how many of\n"+
			"them failed or were slow was not counted. The weights of the others say that they are missing.\n", r.RequestsUnrecorded)
	} else if r.letGo > 0 {
		fmt.Fprintf(w, "Memory was short: %d parts of traces, of the second service, were not recorded to their end.\n", r.letGo)
	}
	if edge > 0 {
		fmt.Fprintf(w, "Slow by the service's clock, but not from the start of their span to its end: %d requests.\n", edge)
	}
	if r.rootless > 0 {
		fmt.Fprintf(w, "Of %d kept traces there is only what the second service did.\n", r.rootless)
	}
}

// slowUncounted is how many slow requests are in no duration: of routes of which some were
// not recorded, and of the others, whose spans took less than the service's clock says.
func (r *Result) slowUncounted() (missing, edge int) {
	for route, truth := range r.truth {
		switch c := r.counted.servers[route]; {
		case route == service.RoutePayment:
		case c.all < truth.all:
			missing += truth.slowest - c.slow
		default:
			edge += truth.slowest - c.slow
		}
	}
	return missing, edge
}

func decode(spans []*tracepb.ResourceSpans) ([]sdktrace.ReadOnlySpan, error) {
	b, err := proto.Marshal(&collectorpb.ExportTraceServiceRequest{ResourceSpans: spans})
	if err != nil {
		return nil, err
	}
	return otlp.Decode(b)
}
