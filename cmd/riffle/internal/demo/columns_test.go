package demo

import (
	"context"
	"flag"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/riffletrace/riffle/cmd/riffle/internal/demo/service"
	"github.com/riffletrace/riffle/core"
)

var columnsRequests = flag.Int("columns-requests", 5000, "requests of each test of the columns")

// quiet is how many requests are under way at once where few are to be slow, on a slow
// machine too: those that are all kept tell nothing of weights.
const quiet = 32

// columns runs a configuration and checks what is true of any: the exact column to the
// last digit, the weighted one within four standard errors.
func columns(t *testing.T, ctx context.Context, o Options) *Result { //nolint:revive // t comes first in helpers
	t.Helper()
	r, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	called := 0
	for _, c := range r.counted.servers {
		called += c.all
	}
	// Each checkout is one call of the second service.
	if counted, truth := called+r.counted.unrecorded+r.counted.dropped, r.Requests+r.truth[service.RouteCheckout].all; counted != truth {
		t.Errorf("the metrics count %d requests, of %d", counted, truth)
	}
	if r.CallsError > r.RequestsError || r.CallsError < r.RequestsError-r.RequestsUnrecorded {
		t.Errorf("%d errors counted, of %d; %d unrecorded", r.CallsError, r.RequestsError, r.RequestsUnrecorded)
	}
	if r.WeightedStandardError == nil {
		t.Fatalf("the %d kept traces do not tell how many there were", r.TracesKept)
	}
	within := func(what string, sum float64, truth int, variance float64) {
		if e := math.Sqrt(variance); math.Abs(sum-float64(truth)) > 4*e+1e-9 {
			t.Errorf("the weights speak for %.1f %s, there were %d: more than 4 standard errors (%.1f) off", sum, what, truth, e)
		}
	}
	within("requests", r.WeightedRequests, r.Requests-r.RequestsDropped, r.weighted.all.variance)
	if r.WeightedErrorStandardError != nil {
		within("errors", r.WeightedError, r.RequestsError, r.weighted.failed.variance)
	}
	if r.RequestsUnrecorded == 0 {
		// Not the driver's: of those at the edge a span may be the shorter.
		within("slow calls", r.WeightedSlow, r.CallsSlow, r.weighted.slow.variance)
	}
	t.Logf("%d requests, %d dropped, %d unrecorded; %s weighted; errors %d, exact %d, weighted %s; slow %d, exact %d, weighted %s", r.Requests,
		r.RequestsDropped, r.RequestsUnrecorded, r.weighted.all.text(r.Calls+r.RequestsUnrecorded),
		r.RequestsError, r.CallsError, r.weighted.failed.text(r.ofCalls(r.CallsError)),
		r.RequestsSlow+r.RequestsSlowUnplanned, r.CallsSlow, r.weighted.slow.text(r.ofCalls(r.CallsSlow)))
	return r
}

// At 1 %, everything that is not dropped is counted, kept or not.
func TestColumns(t *testing.T) {
	o := options(t, 0, *columnsRequests)
	o.Concurrency = quiet
	o.Spec = defaultSpec(t)
	r := columns(t, t.Context(), o)
	if r.RequestsUnrecorded != 0 || r.RequestsDropped != r.RequestsHealth || r.CallsError != r.RequestsError {
		t.Errorf("nothing was short: %+v", r)
	}
	if r.CallsSlow < r.RequestsSlow || r.CallsSlow > r.RequestsSlow+r.RequestsSlowUnplanned {
		t.Errorf("%d slow calls, of %d to %d", r.CallsSlow, r.RequestsSlow, r.RequestsSlow+r.RequestsSlowUnplanned)
	}
	if r.weighted.failed.kept != r.RequestsError || *r.WeightedErrorStandardError != 0 {
		t.Errorf("%d errors kept of %d, standard error %v", r.weighted.failed.kept, r.RequestsError, r.WeightedErrorStandardError)
	}
}

// With so little memory that traces are let go before they end, those are counted as
// unrecorded, and the weights of the others rise.
func TestColumnsUnderPressure(t *testing.T) {
	o := options(t, 0, *columnsRequests)
	o.Spec = defaultSpec(t)
	// Without the rule for slow ones, which on a slow machine are most.
	o.Spec.Samplers = slices.DeleteFunc(o.Spec.Samplers, func(e core.SamplerEntry) bool { return e.Type() == "slow" })
	o.Spec.MaxBytes, o.Concurrency = 1<<20, 1024
	// However slow the machine is, so many are under way at once, three times.
	const crowd, times, stuck = 600, 3, 3 * time.Minute
	var arrived atomic.Int64
	var full [times]chan struct{}
	for i := range full {
		full[i] = make(chan struct{})
	}
	o.hold = func() {
		n := int(arrived.Add(1)) - 1
		if n >= crowd*times {
			return
		}
		if n%crowd == crowd-1 {
			close(full[n/crowd])
		}
		select {
		case <-full[n/crowd]:
		case <-time.After(stuck): // a request failed, which ends the load: Run says why
		}
	}
	r := columns(t, t.Context(), o)
	if r.letGo == 0 || r.RequestsUnrecorded == 0 || r.RequestsDropped != r.RequestsHealth {
		t.Errorf("memory was not short: %d segments were let go, %d requests not recorded, %d of %d health checks dropped", r.letGo, r.RequestsUnrecorded, r.RequestsDropped, r.RequestsHealth)
	}
}

func TestColumnsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := options(t, 0, *columnsRequests)
	o.Concurrency = quiet
	o.Spec = defaultSpec(t)
	var done atomic.Int64
	o.Progress = func() {
		if done.Add(1) == int64(o.Requests/2) {
			cancel()
		}
	}
	if r := columns(t, ctx, o); !r.Interrupted || r.Requests < o.Requests/2 {
		t.Errorf("interrupted: %v, after %d requests", r.Interrupted, r.Requests)
	}
}
