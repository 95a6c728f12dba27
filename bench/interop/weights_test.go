package interop

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

const weightsPage = "../../docs/weights.md"

// The population: requests, of which one in 33 fails, each with a query. riffle keeps
// those that fail, and a share of the others.
const (
	weighedRequests = 40_000
	weighedFailures = (weighedRequests + 32) / 33
	// weighedErrors is how many standard errors a sum of weights may be off. All that is
	// random has a fixed seed.
	weighedErrors = 4
)

var weighedRates = []float64{0.1, 0.01}

// useTracestate makes tail_sampling read and write weights.
const useTracestate = "processor.tailsamplingprocessor.usetracestate"

// weighedCase is a processor that gets what riffle keeps, and what somebody counts
// behind it who reads th.
type weighedCase struct {
	name, setting string // as the page has them
	processor     string // in YAML
	gate          bool   // useTracestate
	out           string // what the processor lets out, in words
	// failures and others are the parts that are counted of the requests that fail, and of
	// the others.
	failures, others float64
}

var weighedCases = []weighedCase{
	{
		name: "probabilistic_sampler", setting: "`mode: hash_seed`, which is the default, at 100 %",
		processor: `{sampling_percentage: 100}`, out: "nothing",
	},
	{
		name: "probabilistic_sampler", setting: "`mode: hash_seed` with `fail_closed: false`, at 25 %",
		processor: `{sampling_percentage: 25, fail_closed: false}`, out: "all", failures: 1, others: 1,
	},
	{
		name: "probabilistic_sampler", setting: "`mode: proportional`, at 25 %",
		processor: `{mode: proportional, sampling_percentage: 25}`, out: "a part", failures: 1, others: 1,
	},
	{
		name: "probabilistic_sampler", setting: "`mode: equalizing`, at 25 %",
		processor: `{mode: equalizing, sampling_percentage: 25}`, out: "a part", failures: 1, others: 1,
	},
	{
		name: "probabilistic_sampler", setting: "`mode: equalizing`, at 0.5 %",
		processor: `{mode: equalizing, sampling_percentage: 0.5}`, out: "a part", failures: 1, others: 1,
	},
	{
		name: "tail_sampling", setting: "policy `probabilistic`, at 25 %",
		processor: `{policies: [` + quarter + `]}`, out: "a part", failures: 0.25, others: 0.25,
	},
	{
		name: "tail_sampling", setting: "policies `probabilistic`, at 25 %, and `status_code`",
		processor: `{policies: [` + quarter + `, ` + failing + `]}`, out: "a part", failures: 1, others: 0.25,
	},
	{
		name: "tail_sampling", setting: "policy `probabilistic`, at 25 %, with the gate", gate: true,
		processor: `{policies: [` + quarter + `]}`, out: "a part", failures: 1, others: 1,
	},
	{
		name: "tail_sampling", setting: "policies `probabilistic`, at 25 %, and `status_code`, with the gate", gate: true,
		processor: `{policies: [` + quarter + `, ` + failing + `]}`, out: "all", failures: 1, others: 1,
	},
}

const (
	quarter = `{name: quarter, type: probabilistic, probabilistic: {sampling_percentage: 25}}`
	failing = `{name: failing, type: status_code, status_code: {status_codes: [ERROR]}}`
)

// counted is how the page says that such parts are counted.
func counted(parts ...float64) string {
	switch {
	case slices.Max(parts) == 0:
		return "none"
	case slices.Min(parts) == 1:
		return "right"
	}
	return "too few"
}

// The page says of each case what TestWeights finds.
func TestWeightsRows(t *testing.T) {
	var want [][]string
	for _, c := range weighedCases {
		want = append(want, []string{"`" + c.name + "`", c.setting, c.out, counted(c.failures, c.others), counted(c.failures)})
	}
	text, err := os.ReadFile(weightsPage)
	if err != nil {
		t.Fatal(err)
	}
	got := tableIn(t, string(text), "| processor | setting | lets out | requests counted behind it | failures counted behind it |")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", weightsPage, diff)
	}
	for _, want := range append([]string{useTracestate, "Collector 0.158.0", "Jaeger 1.76.0", "read on 30 November 2026"}, monitorFlags...) {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s does not say %q", weightsPage, want)
		}
	}
}

// Of each backend the page says that it was run, which these tests do, or where it was
// read.
func TestWeightsBackends(t *testing.T) {
	text, err := os.ReadFile(weightsPage)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Collector, `span_metrics`", "Collector, `probabilistic_sampler`", "Collector, `tail_sampling`", "Jaeger, *Search*", "Jaeger, *Monitor*"}
	var ran []string
	for _, row := range tableIn(t, string(text), "| backend | reads | from version | with which switch | shows otherwise | how it is known |") {
		switch known := row[len(row)-1]; {
		case strings.HasPrefix(known, "run here"):
			ran = append(ran, row[0])
		case !strings.Contains(known, "](https://"):
			t.Errorf("%s: %s does not say where that was read", weightsPage, row[0])
		}
	}
	if diff := cmp.Diff(want, ran); diff != "" {
		t.Errorf("%s says that these were run (-want +got):\n%s", weightsPage, diff)
	}
}

// tally is what somebody counts who reads th.
type tally struct {
	of              weighedCase
	spans           int // of requests
	calls, failures estimate
	weights         map[float64]bool
}

// estimate is a sum of weights.
type estimate struct{ sum, variance float64 }

// add adds a span of weight w. Of those like it the part q is left, by chance.
func (e *estimate) add(w, q float64) {
	e.sum += w
	e.variance += w * (w - q)
}

func (c *tally) add(state string, failed bool) error {
	parsed, err := trace.ParseTraceState(state)
	if err != nil {
		return err
	}
	w := sampling.ThresholdIn(parsed).AdjustedCount()
	if w == 0 {
		return fmt.Errorf("a span has no weight: tracestate %q", state)
	}
	c.spans++
	c.weights[w] = true
	q := c.of.others
	if failed {
		q = c.of.failures
		c.failures.add(w, q)
	}
	c.calls.add(w, q)
	return nil
}

// TestWeights sends what riffle keeps of a known population to a real Collector, and reads
// what its processors let out and what span_metrics makes of it.
func TestWeights(t *testing.T) {
	needsBackends(t)
	for _, rate := range weighedRates {
		for _, gate := range []bool{false, true} {
			t.Run(fmt.Sprintf("rate=%v/gate=%v", rate, gate), func(t *testing.T) {
				c := startWeighing(t, gate)
				weigh(t, rate, c.endpoint)
				arrived := c.arrived(t)
				checkTally(t, &arrived)
				if arrived.failures.sum != weighedFailures {
					t.Errorf("%v failures arrived, want all of %d, each with the weight 1", arrived.failures.sum, weighedFailures)
				}
				if arrived.spans > weighedRequests/5 || len(arrived.weights) != 2 {
					t.Errorf("%d of %d arrived, with the weights %v: that shows nothing", arrived.spans, weighedRequests, arrived.weights)
				}
				c.checkMetrics(t, &arrived)
				if _, err := c.process.Interrupt(); err != nil {
					t.Fatal(err)
				}
				for _, of := range c.cases {
					got := c.tally(t, of)
					checkTally(t, &got)
					if out := outWords(got.spans, arrived.spans); out != of.out {
						t.Errorf("%s, %s: it lets out %s, want %s", of.name, of.setting, out, of.out)
					}
				}
			})
		}
	}
}

func outWords(spans, of int) string {
	switch spans {
	case 0:
		return "nothing"
	case of:
		return "all"
	}
	return "a part"
}

// checkTally checks what is counted against the population.
func checkTally(t *testing.T, c *tally) {
	t.Helper()
	failures := c.of.failures * weighedFailures
	for _, e := range []struct {
		name string
		estimate
		want float64
	}{
		{"requests", c.calls, failures + c.of.others*(weighedRequests-weighedFailures)},
		{"failures", c.failures, failures},
	} {
		se := math.Sqrt(e.variance)
		t.Logf("%s, %s: %.0f %s counted of %d spans, want %.0f, standard error %.0f", c.of.name, c.of.setting, e.sum, e.name, c.spans, e.want, se)
		if math.Abs(e.sum-e.want) > weighedErrors*se {
			t.Errorf("%s, %s: %.0f %s are counted, want %.0f within %d standard errors of %.0f", c.of.name, c.of.setting, e.sum, e.name, e.want, weighedErrors, se)
		}
	}
}
