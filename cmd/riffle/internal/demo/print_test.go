package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/cmd/riffle/internal/demo/service"
)

// The notes say what is in no column, and nothing else.
func TestNotes(t *testing.T) {
	const columns = "\nrequests: what the load driver saw. exact: what riffle's span metrics counted, kept or not.\n" +
		"weighted: what the kept traces stand for, ± the standard error.\n"
	sure := 0.0
	tests := map[string]struct {
		change func(*Result)
		want   string
	}{
		"nothing is missing": {func(*Result) {}, ""},
		"no interval of all": {
			func(r *Result) { r.WeightedStandardError = nil },
			"weighted ≥: too few of these traces stand for others to say how many there were. More --requests may help.\n",
		},
		"no interval of the errors": {
			func(r *Result) { r.WeightedErrorStandardError = nil },
			"weighted ≥: too few of these traces stand for others to say how many there were. More --requests may help.\n",
		},
		"no interval of the slow": {
			func(r *Result) { r.WeightedSlowStandardError = nil },
			"weighted ≥: too few of these traces stand for others to say how many there were. More --requests may help.\n",
		},
		"some are dropped": {
			func(r *Result) { r.RequestsDropped = 3 },
			"Dropped by a rule, and not in all: 3 requests.\n",
		},
		"of which some failed": {
			func(r *Result) { r.RequestsDropped, r.RequestsError = 3, 2 },
			"Dropped by a rule, and not in all: 3 requests, of which 2 failed and 0 were slow.\n",
		},
		"of which some were slow": {
			func(r *Result) {
				r.RequestsDropped = 3
				r.truth[service.RouteProduct] = &answered{all: 13, slow: 2, slowest: 2}
			},
			"Dropped by a rule, and not in all: 3 requests, of which 0 failed and 2 were slow.\n",
		},
		"some are not recorded": {
			func(r *Result) { r.RequestsDropped, r.RequestsUnrecorded, r.RequestsError, r.letGo = 3, 4, 2, 5 },
			"Dropped by a rule, and not in all: 3 requests.\n" +
				"Memory was short: 4 requests were not recorded to their end. They are in exact's all; how many of\n" +
				"them failed or were slow was not counted. The weights of the others say that they are missing.\n",
		},
		"only of the second service": {
			func(r *Result) { r.letGo = 5 },
			"Memory was short: 5 parts of traces, of the second service, were not recorded to their end.\n",
		},
		"one is at the edge": {
			func(r *Result) { r.truth[service.RouteProduct].slowest = 1 },
			"Slow by the service's clock, but not from the start of their span to its end: 1 requests.\n",
		},
		"all of the payments are": {
			func(r *Result) { r.truth[service.RoutePayment] = &answered{all: 4, slowest: 4} },
			"",
		},
		"some have no root": {
			func(r *Result) { r.rootless = 2 },
			"Of 2 kept traces there is only what the second service did.\n",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWriter(t)
			w.servers(10, service.RouteProduct, unset, time.Millisecond)
			counted, err := w.read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r := &Result{
				WeightedStandardError: &sure, WeightedErrorStandardError: &sure, WeightedSlowStandardError: &sure,
				counted: counted, truth: map[string]*answered{service.RouteProduct: {all: 10}},
			}
			tc.change(r)
			var b strings.Builder
			r.printNotes(&b)
			if diff := cmp.Diff(columns+tc.want, b.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
