package samplertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
)

// recorder is a testing.TB that fails nobody.
type recorder struct {
	testing.TB // the real one; what may fail it is below
	mu         sync.Mutex
	failures   []string
	cleanups   []func()
}

func (*recorder) Helper()             {}
func (*recorder) Logf(string, ...any) {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

// failuresOf runs a case and returns what it says.
func failuresOf(t *testing.T, c testCase, newSampler func() core.Sampler) []string {
	t.Helper()
	r := &recorder{TB: t}
	c.run(r, func(testing.TB) core.Sampler { return newSampler() }, nil)
	for _, cleanup := range slices.Backward(r.cleanups) {
		cleanup()
	}
	return r.failures
}

// The samplers below are made of functions.
type startFunc func(core.StartParameters) core.Answer

func (f startFunc) SampleStart(p core.StartParameters) core.Answer { return f(p) }
func (startFunc) Description() string                              { return "start" }

type keyedFunc struct {
	startFunc
	keys func() []attribute.Key
}

func (f keyedFunc) Keys() []attribute.Key { return f.keys() }

type endFunc func(core.EndParameters) core.Answer

func (f endFunc) SampleEnd(p core.EndParameters) core.Answer { return f(p) }
func (endFunc) Description() string                          { return "end" }

type traceFunc func(context.Context, []core.Trace, []core.Answer)

func (f traceFunc) SampleTraces(ctx context.Context, traces []core.Trace, answers []core.Answer) {
	f(ctx, traces, answers)
}
func (traceFunc) Description() string { return "trace" }

type described func() string

func (f described) Description() string                        { return f() }
func (described) SampleStart(core.StartParameters) core.Answer { return core.Abstain() }

type stopping struct {
	startFunc
	shutdown func(context.Context) error
}

func (s stopping) Shutdown(ctx context.Context) error { return s.shutdown(ctx) }

type dropping struct{ startFunc }

func (dropping) MayDrop() bool { return false }

type baseline struct{ startFunc }

func (baseline) NeverAbstains() bool { return true }

type nothing struct{}

func (nothing) Description() string { return "nothing" }

func abstains(core.StartParameters) core.Answer { return core.Abstain() }

// byID keeps the traces with an odd ID.
func byID(id trace.TraceID) core.Answer {
	if id[15]&1 == 1 {
		return core.At(core.Always)
	}
	return core.Abstain()
}

// tooLong is more than the patience of the tests.
const tooLong = time.Second

// broken are samplers that break one rule each, and what the suite says.
var broken = []struct {
	name, failing, says string
	new                 func() core.Sampler
}{
	{"none of the interfaces", "interfaces", "is none of", func() core.Sampler { return nothing{} }},

	{"no description", "description", `Description is ""`, func() core.Sampler { return described(func() string { return "" }) }},
	{"two lines", "description", `Description is "a\nb"`, func() core.Sampler { return described(func() string { return "a\nb" }) }},
	{"changing description", "description", "after a few questions", func() core.Sampler {
		var n int
		return described(func() string { n++; return fmt.Sprint(n) })
	}},
	{"description with an address", "description", "for a second sampler", func() core.Sampler {
		text := fmt.Sprint(rand.Uint64())
		return described(func() string { return text })
	}},

	{"impossible threshold", "legal answers", "above core.Never", func() core.Sampler {
		return startFunc(func(core.StartParameters) core.Answer { return core.At(core.Never + 1) })
	}},
	{"end sampler drops", "legal answers", "the answer is drop", func() core.Sampler {
		return endFunc(func(core.EndParameters) core.Answer { return core.Drop() })
	}},
	{"end sampler rolls dice", "legal answers", "the answer is selected", func() core.Sampler {
		return endFunc(func(core.EndParameters) core.Answer { return core.Selected() })
	}},
	{"end sampler with attributes", "legal answers", "the answer has attributes", func() core.Sampler {
		return endFunc(func(core.EndParameters) core.Answer {
			return core.At(core.Always).WithAttributes(attribute.Bool("kept", true))
		})
	}},
	{"trace sampler unselects", "legal answers", "the answer is not selected", func() core.Sampler {
		return traceFunc(func(_ context.Context, _ []core.Trace, answers []core.Answer) { answers[0] = core.Unselected() })
	}},
	{"undeclared drop", "legal answers", "although MayDrop", func() core.Sampler {
		return dropping{func(core.StartParameters) core.Answer { return core.Drop() }}
	}},
	{"baseline abstains", "legal answers", "although NeverAbstains", func() core.Sampler { return baseline{abstains} }},
	{"changing keys", "legal answers", "not the same at every call", func() core.Sampler {
		var n int
		return keyedFunc{abstains, func() []attribute.Key { n++; return []attribute.Key{attribute.Key(fmt.Sprint(n))} }}
	}},

	{"start by trace ID", "trace ID", "with another trace ID", func() core.Sampler {
		return startFunc(func(p core.StartParameters) core.Answer {
			return byID(trace.SpanContextFromContext(p.ParentContext).TraceID())
		})
	}},
	{"start by randomness in tracestate", "trace ID", "with another trace ID", func() core.Sampler {
		return startFunc(func(p core.StartParameters) core.Answer {
			if strings.HasSuffix(trace.SpanContextFromContext(p.ParentContext).TraceState().String(), "5") {
				return core.Unselected()
			}
			return core.Selected()
		})
	}},
	{"end by trace ID", "trace ID", "with another trace ID", func() core.Sampler {
		return endFunc(func(p core.EndParameters) core.Answer { return byID(p.Span.SpanContext().TraceID()) })
	}},
	{"traces by trace ID", "trace ID", "with another trace ID", func() core.Sampler {
		return traceFunc(func(_ context.Context, traces []core.Trace, answers []core.Answer) {
			for i := range traces {
				answers[i] = byID(traces[i].TraceID)
			}
		})
	}},

	{"keyed by another attribute", "keys", "none of its keys", func() core.Sampler {
		return keyedFunc{func(p core.StartParameters) core.Answer {
			for _, kv := range p.Attributes {
				if kv.Key == "user.id" {
					return core.At(core.Always)
				}
			}
			return core.Abstain()
		}, func() []attribute.Key { return []attribute.Key{"http.route"} }}
	}},
	{"keyed by links", "keys", "none of its keys", func() core.Sampler {
		return keyedFunc{func(p core.StartParameters) core.Answer {
			if len(p.Links) > 0 {
				return core.Drop()
			}
			return core.Abstain()
		}, func() []attribute.Key { return nil }}
	}},

	{"sorts attributes", "parameters not changed", "changed Attributes", func() core.Sampler {
		return startFunc(func(p core.StartParameters) core.Answer {
			if n := len(p.Attributes); n > 1 {
				p.Attributes[0], p.Attributes[n-1] = p.Attributes[n-1], p.Attributes[0]
			}
			return core.Abstain()
		})
	}},
	{"redacts the span", "parameters not changed", "changed the span's attributes", func() core.Sampler {
		return endFunc(func(p core.EndParameters) core.Answer {
			for i := range p.Span.Attributes() {
				p.Span.Attributes()[i].Value = attribute.StringValue("***")
			}
			return core.Abstain()
		})
	}},
	{"sorts spans", "parameters not changed", "changed Spans", func() core.Sampler {
		return traceFunc(func(_ context.Context, traces []core.Trace, _ []core.Answer) {
			for _, t := range traces {
				if n := len(t.Spans); n > 1 {
					t.Spans[0], t.Spans[n-1] = t.Spans[n-1], t.Spans[0]
				}
			}
		})
	}},
	{"reads the last parameters", "parameters not changed", "when the parameters of earlier calls are overwritten", func() core.Sampler {
		var last []attribute.KeyValue
		return startFunc(func(p core.StartParameters) core.Answer {
			defer func() { last = p.Attributes }()
			if len(last) > 0 && last[0].Key == "poison" {
				return core.Drop()
			}
			return core.Abstain()
		})
	}},

	{"keeps attributes", "parameters not kept", "still holds the attributes", func() core.Sampler {
		var all [][]attribute.KeyValue
		return startFunc(func(p core.StartParameters) core.Answer { all = append(all, p.Attributes); return core.Abstain() })
	}},
	{"keeps the context", "parameters not kept", "still holds the ParentContext", func() core.Sampler {
		var all []context.Context
		return startFunc(func(p core.StartParameters) core.Answer { all = append(all, p.ParentContext); return core.Abstain() })
	}},
	{"keeps spans", "parameters not kept", "still holds the attributes", func() core.Sampler {
		var all []sdktrace.ReadOnlySpan
		return endFunc(func(p core.EndParameters) core.Answer { all = append(all, p.Span); return core.Abstain() })
	}},
	{"keeps traces", "parameters not kept", "still holds the slice of traces", func() core.Sampler {
		var all [][]core.Trace
		return traceFunc(func(_ context.Context, traces []core.Trace, _ []core.Answer) { all = append(all, traces) })
	}},

	{"needs a first attribute", "empty parameters", "panicked: runtime error: index out of range", func() core.Sampler {
		return startFunc(func(p core.StartParameters) core.Answer { _ = p.Attributes[0]; return core.Abstain() })
	}},
	{"needs a span in the context", "empty parameters", "in a context with a nil span panicked", func() core.Sampler {
		return startFunc(func(p core.StartParameters) core.Answer {
			if sc := trace.SpanContextFromContext(p.ParentContext); !sc.IsValid() {
				panic("no span")
			}
			return core.Abstain()
		})
	}},
	{"needs a root", "empty parameters", "SampleTraces of an empty trace panicked", func() core.Sampler {
		return traceFunc(func(_ context.Context, traces []core.Trace, _ []core.Answer) {
			for _, t := range traces {
				_ = t.Root.Name()
			}
		})
	}},

	{"one at a time", "concurrent use", "panicked when called concurrently", func() core.Sampler {
		var mu sync.Mutex
		return startFunc(func(core.StartParameters) core.Answer {
			if !mu.TryLock() {
				panic("in use")
			}
			defer mu.Unlock()
			time.Sleep(10 * time.Microsecond)
			return core.Abstain()
		})
	}},

	{"asks a server", "at once", "SampleStart of", func() core.Sampler {
		return startFunc(func(core.StartParameters) core.Answer { time.Sleep(2 * time.Millisecond); return core.Abstain() })
	}},
	{"asks a server at the end", "at once", "SampleEnd of", func() core.Sampler {
		return endFunc(func(core.EndParameters) core.Answer { time.Sleep(2 * time.Millisecond); return core.Abstain() })
	}},

	{"takes its time", "deadline", "has not returned", func() core.Sampler {
		return traceFunc(func(context.Context, []core.Trace, []core.Answer) { time.Sleep(tooLong) })
	}},

	{"goroutine that nobody ends", "shutdown", "a goroutine is left:\ngoroutine", func() core.Sampler {
		go func() { time.Sleep(tooLong) }()
		return startFunc(abstains)
	}},
	{"goroutine that outlives Shutdown", "shutdown", "a goroutine is left", func() core.Sampler {
		go func() { time.Sleep(tooLong) }()
		return stopping{abstains, func(context.Context) error { return nil }}
	}},
	{"closes twice", "shutdown", "a second Shutdown, with a context that is done,: panic: close of closed channel", func() core.Sampler {
		c := make(chan struct{})
		return stopping{abstains, func(context.Context) error { close(c); return nil }}
	}},
	{"hangs", "shutdown", "Shutdown has not returned", func() core.Sampler {
		return stopping{abstains, func(context.Context) error { time.Sleep(tooLong); return nil }}
	}},
	{"answers after Shutdown", "shutdown", "after Shutdown: the answer is threshold 0", func() core.Sampler {
		return stopping{func(core.StartParameters) core.Answer { return core.At(core.Always) }, func(context.Context) error { return nil }}
	}},
}

func TestBrokenSamplersFail(t *testing.T) {
	defer func(d time.Duration) { patience = d }(patience)
	patience = 300 * time.Millisecond
	caught := map[string]bool{}
	for _, b := range broken {
		t.Run(b.name, func(t *testing.T) {
			for _, c := range cases {
				if c.name != b.failing {
					continue
				}
				caught[c.name] = true
				failures := strings.Join(failuresOf(t, c, b.new), "\n")
				if !strings.Contains(failures, b.says) || !strings.Contains(failures, "rule: "+c.rule) {
					t.Errorf("%q says %q, want %q and the rule", c.name, failures, b.says)
				}
			}
		})
	}
	for _, c := range cases {
		if !caught[c.name] {
			t.Errorf("no broken sampler shows that %q can fail", c.name)
		}
	}
}

// all is a good sampler with every interface.
type all struct {
	answer core.Answer
	stop   func()
	done   chan struct{}
	mu     sync.Mutex
	down   bool
}

func newAll() core.Sampler {
	a := &all{answer: core.At(core.Threshold(8 << 52)).Because("half"), done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	go func() {
		defer close(a.done)
		<-ctx.Done()
	}()
	return a
}

func (a *all) said() core.Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down {
		return core.Abstain()
	}
	return a.answer
}

func (*all) Description() string                            { return "all" }
func (*all) Keys() []attribute.Key                          { return []attribute.Key{"http.route"} }
func (a *all) SampleStart(core.StartParameters) core.Answer { return a.said() }
func (a *all) SampleEnd(core.EndParameters) core.Answer     { return a.said() }

func (a *all) SampleTraces(ctx context.Context, _ []core.Trace, answers []core.Answer) {
	for i := range answers {
		if ctx.Err() != nil {
			return
		}
		answers[i] = a.said()
	}
}

func (a *all) Shutdown(ctx context.Context) error {
	a.mu.Lock()
	a.down = true
	a.mu.Unlock()
	a.stop()
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestGoodSamplerPasses(t *testing.T) {
	Run(t, func(testing.TB) core.Sampler { return newAll() })
}

// A sampler that throws dice is allowed to: its answers are of unknown
// probability.
func TestDicePass(t *testing.T) {
	Run(t, func(testing.TB) core.Sampler {
		return startFunc(func(core.StartParameters) core.Answer {
			if rand.Float64() < 0.5 {
				return core.Selected()
			}
			return core.Unselected()
		})
	})
}

// What the suite asks covers the author's own starts.
func TestOwnStarts(t *testing.T) {
	var seen atomic.Bool
	Run(t, func(testing.TB) core.Sampler {
		return startFunc(func(p core.StartParameters) core.Answer {
			if p.Name == "mine" {
				seen.Store(true)
			}
			return core.Abstain()
		})
	}, core.StartParameters{Name: "mine"})
	if !seen.Load() {
		t.Error("no case has asked with it")
	}
}
