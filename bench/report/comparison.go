package report

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/riffletrace/riffle/bench"
)

// Comparison writes what changed since a baseline, and reports whether anything
// is worse by more than the noise.
func Comparison(w io.Writer, baseline, now *bench.Result) (worse bool, err error) {
	fmt.Fprintf(w, "\nCOMPARED WITH riffle %s of %s, %s\n", baseline.Versions["riffle"], baseline.Started.Format("2 January 2006"), baseline.Machine.CPU)
	was, is := &baseline.Machine, &now.Machine
	if was.CPU != is.CPU || was.Cores != is.Cores || !slices.Equal(was.Variables, is.Variables) {
		fmt.Fprintln(w, "The machines are not alike: differences may be theirs.")
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	changes := now.Compare(baseline)
	if len(changes) == 0 {
		fmt.Fprintln(t, "  no variant is in both")
	}
	for _, c := range changes {
		verdict := "the same, within the noise"
		switch {
		case c.Worse:
			verdict, worse = "WORSE", true
		case c.Better:
			verdict = "better"
		case !c.Old.Bounded() || !c.New.Bounded():
			verdict = "too few rounds to tell"
		}
		show := func(e bench.Estimate) string {
			if c.Figure == "overhead" {
				return shareIn(e)
			}
			return number(e.Value, 1)
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t->\t%s\t%s\n", c.Variant, c.Figure, show(c.Old), show(c.New), verdict)
	}
	return worse, t.Flush()
}
