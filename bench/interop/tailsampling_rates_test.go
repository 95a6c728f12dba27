package interop

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// What the rates are about: traces of as many spans as riffle import assumes, each of a
// KiB, at a rate above all limits.
const (
	rateSpans   = 10
	ratePerTick = 30 // traces
	rateTick    = 100 * time.Millisecond
	rateTime    = 10 * time.Second
	rateFailed  = 10 // one in so many fails
	// lateTicks is the part that the Collector may keep less of where it is late: two of
	// its ticks in one second have what one has.
	lateTicks = 0.25
)

// rateCases look at the load. The two sides keep so many spans a second, the Collector
// those that fail besides, if errors is set, as far as its bucket holds them.
var rateCases = []struct {
	tailCase
	collector, riffle float64
	errors            bool
	// fills is the part of it that riffle may store in ten seconds, for errors to come.
	fills float64
}{
	{tailCase: tailCase{name: "rate_limiting", policies: `
    - {name: a, type: rate_limiting, rate_limiting: {spans_per_second: 400}}`}, collector: 400, riffle: 400},
	{tailCase: tailCase{name: "bytes_limiting", policies: `
    - {name: a, type: bytes_limiting, bytes_limiting: {bytes_per_second: 409600}}`}, collector: 400, riffle: 400},
	{tailCase: tailCase{name: "composite", policies: `
    - name: a
      type: composite
      composite:
        max_total_spans_per_second: 1000
        policy_order: [errors, rest]
        composite_sub_policy:
          - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
          - {name: rest, type: always_sample}
        rate_allocation:
          - {policy: errors, percent: 60}
          - {policy: rest, percent: 40}`}, collector: 400, riffle: 1000, errors: true, fills: 0.15},
}

// TestTailSamplingRates plays the same traces, as fast as time passes, to a Collector whose
// policies limit what is kept, and to riffle.
func TestTailSamplingRates(t *testing.T) {
	needsBackends(t)
	var cases []tailCase
	var riffles []*tailRiffle
	for _, c := range rateCases {
		cases = append(cases, c.tailCase)
		riffles = append(riffles, startTailRiffle(t, c.tailCase))
	}
	collector := startTailCollector(t, cases, "1s", 100_000)
	r := rand.New(rand.NewPCG(26, 158))
	var traces []*recorded
	ticker := time.NewTicker(rateTick)
	defer ticker.Stop()
	began := time.Now()
	for time.Since(began) < rateTime {
		<-ticker.C
		batch := ptrace.NewTraces()
		for range ratePerTick {
			tr := rateTrace(r, len(traces)%rateFailed == 0)
			traces = append(traces, tr)
			tr.otlp().ResourceSpans().MoveAndAppendTo(batch.ResourceSpans())
			for _, riffle := range riffles {
				riffle.play(tr)
			}
		}
		send(t, collector.url, batch)
	}
	took := time.Since(began).Seconds()
	// As many are wanted as there were, on a machine that is too slow for so many.
	wanted := func(spans float64) float64 { return min(spans*took/rateSpans, float64(len(traces))) }
	collected := collector.kept(t, cases)
	for i, c := range rateCases {
		t.Run(c.name, func(t *testing.T) {
			kept := riffles[i].kept(t)
			want := wanted(c.collector)
			if c.errors {
				want = min(want+float64(len(traces))/rateFailed, float64(len(traces)))
			}
			failed := checkRate(t, "the Collector", traces, collected[c.name], want, lateTicks)
			if c.errors && failed < 0.9 {
				t.Errorf("the Collector keeps %.2f of what fails", failed)
			}
			if failed = checkRate(t, "riffle", traces, kept, wanted(c.riffle), c.fills); c.errors && failed != 1 {
				t.Errorf("riffle keeps %.2f of what fails", failed)
			}
			weight, variance := 0.0, 0.0
			for _, w := range kept {
				weight += w
				variance += w * (w - 1)
			}
			if math.Abs(weight-float64(len(traces))) > 4*math.Sqrt(variance) {
				t.Errorf("the weights of what riffle keeps are %v, want about %d", weight, len(traces))
			}
		})
	}
}

// checkRate checks that so many are kept, but for a part that may be stored, and returns
// the share of those that fail.
func checkRate(t *testing.T, who string, traces []*recorded, kept map[trace.TraceID]float64, want, fills float64) float64 {
	t.Helper()
	failed, keptFailed := 0, 0
	for _, tr := range traces {
		if tr.spans[0].status == codes.Error {
			failed++
			if _, ok := kept[tr.id]; ok {
				keptFailed++
			}
		}
	}
	p := want / float64(len(traces))
	errs := 4 * math.Sqrt(float64(len(traces))*p*(1-p))
	if off := float64(len(kept)) - want; off > errs || off < -errs-fills*want {
		t.Errorf("%s keeps %d of %d traces, want %.0f within %.0f", who, len(kept), len(traces), want, errs)
	}
	t.Logf("%s keeps %d of %d traces, %d of %d that fail", who, len(kept), len(traces), keptFailed, failed)
	return float64(keptFailed) / float64(failed)
}

func rateTrace(r *rand.Rand, failed bool) *recorded {
	tr := &recorded{}
	binary.BigEndian.PutUint64(tr.id[:8], r.Uint64())
	binary.BigEndian.PutUint64(tr.id[8:], r.Uint64())
	for i := range rateSpans {
		s := recordedSpan{
			name: "GET /checkout", parent: i - 1, scope: "shop", kind: trace.SpanKindServer, end: time.Millisecond,
			attributes: []attribute.KeyValue{attribute.String("payload", strings.Repeat("x", 900))},
		}
		if i == 0 && failed {
			s.status = codes.Error
		}
		tr.spans = append(tr.spans, s)
	}
	return tr
}
