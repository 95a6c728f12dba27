package record_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/record"
)

// The recorder does what the SDK's does. Both are given the same random histories
// of calls, the same IDs and times, and all that can be seen of them is compared:
// every span as processors get it and as it reads while it is live and after, and
// what the ID generator is asked, in the order of the calls.
//
// What is not compared: the text of stack traces, the readings of the clock (but
// that there is one), the key ot of the tracestate, and what the design decides
// otherwise: samplers, parents that are not sampled, Shutdown.

var (
	histories   = flag.Int("histories", 0, "random histories of calls to compare with the SDK (0: a number that takes seconds)")
	historySeed = flag.Uint64("history", 0, "compare this one history with the SDK, and write it out")
)

// makeProvider is how both recorders are made.
type makeProvider func(limits sdktrace.SpanLimits, ids sdktrace.IDGenerator, res *resource.Resource, processors ...sdktrace.SpanProcessor) trace.TracerProvider

func newSDK(limits sdktrace.SpanLimits, ids sdktrace.IDGenerator, res *resource.Resource, processors ...sdktrace.SpanProcessor) trace.TracerProvider {
	return newSampled(sdktrace.AlwaysSample(), limits, ids, res, processors...)
}

func newSampled(sampler sdktrace.Sampler, limits sdktrace.SpanLimits, ids sdktrace.IDGenerator, res *resource.Resource, processors ...sdktrace.SpanProcessor) trace.TracerProvider {
	opts := []sdktrace.TracerProviderOption{
		sdktrace.WithSampler(sampler),
		sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithIDGenerator(ids),
		sdktrace.WithResource(res),
	}
	for _, p := range processors {
		opts = append(opts, sdktrace.WithSpanProcessor(p))
	}
	return sdktrace.NewTracerProvider(opts...)
}

// newOurs is the recorder that is compared with the SDK.
var newOurs makeProvider = func(limits sdktrace.SpanLimits, ids sdktrace.IDGenerator, res *resource.Resource, processors ...sdktrace.SpanProcessor) trace.TracerProvider {
	return record.NewTracerProvider(record.Config{Resource: res, Limits: limits, IDGenerator: ids, SpanProcessors: processors})
}

// compare returns how two recorders differ in a history, and the operation at
// which they begin to.
func compare(h *history, want, got makeProvider) (text string, op int) {
	a, b := play(h, want), play(h, got)
	if text, op = difference(a, b); text != "" {
		return text, op
	}
	if text = contradiction(a); text != "" {
		return "the SDK: " + text, len(h.operations)
	}
	return contradiction(b), len(h.operations)
}

// report says how two recorders differ, in as few operations as that needs.
func report(h *history, want, got makeProvider) string {
	small := shrink(h, want, got)
	text, op := compare(small, want, got)
	return fmt.Sprintf("%sin operation %d (-1 is before the first, %d after the last), - the SDK, + the recorder, %s",
		small, op, len(small.operations), text)
}

func seeded(seed uint64) *history { return newHistory(rand.New(rand.NewPCG(seed, 0))) }

func TestDifferential(t *testing.T) {
	if *historySeed != 0 {
		h := seeded(*historySeed)
		t.Logf("%s", resolved(h))
		if text, _ := compare(h, newSDK, newOurs); text != "" {
			t.Error(report(h, newSDK, newOurs))
		}
		return
	}
	n := *histories
	switch {
	case n > 0:
	case raceDetector || testing.Short():
		n = 2_000
	default:
		n = 50_000
	}
	// Nothing stays, and a heap of a few megabytes is collected all the time.
	defer debug.SetGCPercent(debug.SetGCPercent(1000))
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1); seed <= uint64(n) && !t.Failed(); seed = next.Add(1) {
				h := seeded(seed)
				if text, _ := compare(h, newSDK, newOurs); text != "" {
					t.Errorf("the recorder is not as the SDK, see -history %d\n%s", seed, report(h, newSDK, newOurs))
				}
				// Now and then: nobody has written to what the history gave.
				if seed%64 == 0 && !reflect.DeepEqual(h, seeded(seed)) {
					t.Errorf("history %d is another one after it was run", seed)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzDifferential(f *testing.F) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 1))
		data := make([]byte, 400)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h := newHistory((*fuzzed)(&data))
		if text, _ := compare(h, newSDK, newOurs); text != "" {
			t.Error(report(h, newSDK, newOurs))
		}
	})
}
