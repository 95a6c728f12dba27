//go:build linux

package rivals

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
)

// tracer is one that is running.
type tracer struct {
	trace func(context.Context)
	// flush sends what waits. It is called so often that no queue overflows.
	flush func(context.Context) error
	// yield is called after every few traces; it may be nil.
	yield func()
	// stop sends the rest. Its error also says what was lost.
	stop func(context.Context) error
}

// run makes n traces.
func (t *tracer) run(tb testing.TB, n int) {
	tb.Helper()
	ctx := tb.Context()
	for i := 1; i <= n; i++ {
		t.trace(ctx)
		if i%64 == 0 && t.yield != nil {
			t.yield()
		}
		if i%4096 == 0 {
			must(tb, t.flush(ctx))
		}
	}
}

var variants = []struct {
	rate  float64
	name  string
	start func(tb testing.TB, address string, rate float64) *tracer
}{
	{1, "stock", stock},
	{1, "riffle", riffleWith(headSamplers)},
	{1, "datadog", datadog},
	{1, "datadog+pool", datadogPooled},
	{0.01, "stock", stock},
	{0.01, "riffle", riffleWith(headSamplers)},
	{0.01, "riffle+error+slow", riffleWith(tailSamplers)},
	{0.01, "datadog", datadog},
	{0.01, "datadog+pool", datadogPooled},
}

// What a trace costs the process that is traced, until it is sent or forgotten.
// cpu-ns/op counts its background goroutines and the garbage collector too. The
// goal: riffle at 1 % takes at most 1.1 times what the stock SDK does at 1 %.
func BenchmarkTrace(b *testing.B) {
	_, address := startPart(b, "receiver")
	for _, v := range variants {
		b.Run(fmt.Sprintf("rate=%g%%/tracer=%s", v.rate*100, v.name), func(b *testing.B) {
			t := v.start(b, address, v.rate)
			t.run(b, 1000) // connects, and fills pools
			must(b, t.flush(b.Context()))
			b.ReportAllocs()
			b.ResetTimer()
			before := cpuTime(b)
			t.run(b, b.N)
			must(b, t.stop(b.Context()))
			b.StopTimer()
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpuTime is what this process has used so far, in user and system mode.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	must(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The tracers send the same: equal spans if everything is sampled, else about
// as many.
func TestTracers(t *testing.T) {
	for _, v := range variants {
		t.Run(fmt.Sprintf("rate=%g%%/tracer=%s", v.rate*100, v.name), func(t *testing.T) {
			r, address := startReceiver(t)
			tracer := v.start(t, address, v.rate)
			n := 10
			if v.rate < 1 {
				n = 20_000
			}
			tracer.run(t, n)
			must(t, tracer.stop(t.Context()))

			// 200 are expected; 100 are seven standard deviations.
			if traces := len(r.spans) / 2; v.rate < 1 && (traces < 100 || traces > 300) {
				t.Errorf("%d traces of %d arrived, want about 1 %%", traces, n)
			} else if v.rate == 1 && traces != n {
				t.Errorf("%d traces of %d arrived", traces, n)
			}
			want := []span{
				{Name: serverName, Kind: "server", Root: true, Attributes: asText(append(slices.Clone(serverAttributes), statusAttribute))},
				{Name: queryName, Kind: "client", Attributes: asText(queryAttributes)},
			}
			for i, s := range r.spans {
				w := want[0]
				if s.Name == queryName {
					w = want[1]
				}
				// Datadog's has some of its own, as the root of riffle's has.
				maps.DeleteFunc(s.Attributes, func(key, _ string) bool { _, wanted := w.Attributes[key]; return !wanted })
				if diff := cmp.Diff(w, s); diff != "" {
					t.Fatalf("span %d (-want +got):\n%s", i, diff)
				}
			}
			roots := 0
			for _, s := range r.spans {
				if s.Root {
					roots++
				}
			}
			if 2*roots != len(r.spans) {
				t.Errorf("%d roots in %d spans", roots, len(r.spans))
			}
		})
	}
}

func asText(attributes []attribute.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range attributes {
		m[string(kv.Key)] = kv.Value.String()
	}
	return m
}
