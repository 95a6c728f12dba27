package samplertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
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
func failuresOf(t *testing.T, c testCase, newSampler func() sampling.Sampler) []string {
	t.Helper()
	r := &recorder{TB: t}
	c.run(r, func(testing.TB) sampling.Sampler { return newSampler() }, nil)
	for _, cleanup := range slices.Backward(r.cleanups) {
		cleanup()
	}
	return r.failures
}

// The samplers below are made of functions.
type startFunc func(sampling.StartParameters) sampling.Answer

func (f startFunc) SampleStart(p sampling.StartParameters) sampling.Answer { return f(p) }
func (startFunc) Traits() sampling.Traits {
	return sampling.Traits{Description: "start", MayDrop: true}
}

type keyedFunc struct {
	startFunc
	keys func() []attribute.Key
}

func (f keyedFunc) Traits() sampling.Traits {
	return sampling.Traits{Description: "keyed", MayDrop: true, Keyed: true, Keys: f.keys()}
}

type ignoring struct{ keyedFunc }

func (i ignoring) Traits() sampling.Traits {
	t := i.keyedFunc.Traits()
	t.IgnoresName = true
	return t
}

type waiting struct{}

func (waiting) Traits() sampling.Traits {
	return sampling.Traits{Description: "waiting", LongestWait: time.Second}
}

func (waiting) SampleEnd(sampling.EndParameters) sampling.Answer { return sampling.Abstain() }

type endFunc func(sampling.EndParameters) sampling.Answer

func (f endFunc) SampleEnd(p sampling.EndParameters) sampling.Answer { return f(p) }
func (endFunc) Traits() sampling.Traits                              { return sampling.Traits{Description: "end"} }

type segmentFunc func(context.Context, []sampling.Segment, []sampling.Answer)

func (f segmentFunc) SampleSegments(ctx context.Context, segments []sampling.Segment, answers []sampling.Answer) {
	f(ctx, segments, answers)
}
func (segmentFunc) Traits() sampling.Traits { return sampling.Traits{Description: "segment"} }

type modest struct{ segmentFunc }

func (modest) Traits() sampling.Traits {
	return sampling.Traits{Description: "never raises", NeverRaises: true}
}

type described func() string

func (f described) Traits() sampling.Traits                            { return sampling.Traits{Description: f()} }
func (described) SampleStart(sampling.StartParameters) sampling.Answer { return sampling.Abstain() }

type stopping struct {
	startFunc
	shutdown func(context.Context) error
}

func (s stopping) Shutdown(ctx context.Context) error { return s.shutdown(ctx) }

type dropping struct{ startFunc }

func (dropping) Traits() sampling.Traits { return sampling.Traits{Description: "never drops"} }

type baseline struct{ startFunc }

func (baseline) Traits() sampling.Traits {
	return sampling.Traits{Description: "baseline", AlwaysAnswers: true}
}

type nothing struct{}

func (nothing) Traits() sampling.Traits { return sampling.Traits{Description: "nothing"} }

func abstains(sampling.StartParameters) sampling.Answer { return sampling.Abstain() }

// byID keeps the traces with an odd ID.
func byID(id trace.TraceID) sampling.Answer {
	if id[15]&1 == 1 {
		return sampling.At(sampling.Always)
	}
	return sampling.Abstain()
}

// tooLong is more than the maxWait of the tests.
const tooLong = time.Second

// brokenSampler breaks the rule of a case, and what that says.
type brokenSampler struct {
	name, failing, says string
	new                 func() sampling.Sampler
}

// broken are samplers that break one rule each.
var broken = []brokenSampler{
	{"none of the interfaces", "interfaces", "is none of", func() sampling.Sampler { return nothing{} }},

	{"no description", "traits", `Description is ""`, func() sampling.Sampler { return described(func() string { return "" }) }},
	{"two lines", "traits", `Description is "a\nb"`, func() sampling.Sampler { return described(func() string { return "a\nb" }) }},
	{"changing description", "traits", "after a few questions", func() sampling.Sampler {
		var n int
		return described(func() string { n++; return fmt.Sprint(n) })
	}},
	{"description with an address", "traits", "for a second sampler", func() sampling.Sampler {
		text := fmt.Sprint(rand.Uint64())
		return described(func() string { return text })
	}},

	{"impossible threshold", "legal answers", "above sampling.Never", func() sampling.Sampler {
		return startFunc(func(sampling.StartParameters) sampling.Answer { return sampling.At(sampling.Never + 1) })
	}},
	{"end sampler drops", "legal answers", "the answer is drop", func() sampling.Sampler {
		return endFunc(func(sampling.EndParameters) sampling.Answer { return sampling.Drop() })
	}},
	{"end sampler rolls dice", "legal answers", "the answer is selected", func() sampling.Sampler {
		return endFunc(func(sampling.EndParameters) sampling.Answer { return sampling.Selected() })
	}},
	{"end sampler with attributes", "legal answers", "the answer has attributes", func() sampling.Sampler {
		return endFunc(func(sampling.EndParameters) sampling.Answer {
			return sampling.At(sampling.Always).WithAttributes(attribute.Bool("kept", true))
		})
	}},
	{"segment sampler unselects", "legal answers", "the answer is not selected", func() sampling.Sampler {
		return segmentFunc(func(_ context.Context, _ []sampling.Segment, answers []sampling.Answer) {
			answers[0] = sampling.Unselected()
		})
	}},
	{"segment sampler drops", "legal answers", "the answer is drop", func() sampling.Sampler {
		return segmentFunc(func(_ context.Context, _ []sampling.Segment, answers []sampling.Answer) {
			answers[0] = sampling.Drop()
		})
	}},
	{"start sampler discards", "legal answers", "the answer is discard", func() sampling.Sampler {
		return startFunc(func(sampling.StartParameters) sampling.Answer { return sampling.AtMost(sampling.Never) })
	}},
	{"follows a parent that there is not", "legal answers", "told of no remote parent", func() sampling.Sampler {
		return startFunc(func(sampling.StartParameters) sampling.Answer { return sampling.FollowParent() })
	}},
	{"end sampler follows the parent", "legal answers", "the answer is as the parent decided", func() sampling.Sampler {
		return endFunc(func(sampling.EndParameters) sampling.Answer { return sampling.FollowParent() })
	}},
	{"keys and a parent", "keys", "none of its keys", func() sampling.Sampler {
		return keyedFunc{func(p sampling.StartParameters) sampling.Answer {
			if p.RemoteParent {
				return sampling.FollowParent()
			}
			return sampling.Abstain()
		}, func() []attribute.Key { return nil }}
	}},
	{"end sampler raises", "legal answers", "the answer is at most threshold 8", func() sampling.Sampler {
		return endFunc(func(sampling.EndParameters) sampling.Answer { return sampling.AtMost(8 << 52) })
	}},
	{"impossible bound", "legal answers", "above sampling.Never", func() sampling.Sampler {
		return segmentFunc(func(_ context.Context, _ []sampling.Segment, answers []sampling.Answer) {
			answers[0] = sampling.AtMost(sampling.Never + 1)
		})
	}},
	{"raises after all", "legal answers", "say NeverRaises", func() sampling.Sampler {
		return modest{func(_ context.Context, _ []sampling.Segment, answers []sampling.Answer) {
			answers[0] = sampling.AtMost(8 << 52)
		}}
	}},
	{"bounds by trace ID", "trace ID", "with another trace ID", func() sampling.Sampler {
		return segmentFunc(func(_ context.Context, segments []sampling.Segment, answers []sampling.Answer) {
			for i := range segments {
				if answers[i] = byID(segments[i].TraceID); answers[i].IsAbstain() {
					answers[i] = sampling.AtMost(sampling.Always)
				}
			}
		})
	}},
	{"undeclared drop", "legal answers", "do not say MayDrop", func() sampling.Sampler {
		return dropping{func(sampling.StartParameters) sampling.Answer { return sampling.Drop() }}
	}},
	{"baseline abstains", "legal answers", "say AlwaysAnswers", func() sampling.Sampler { return baseline{abstains} }},
	{"changing keys", "traits", "after a few questions", func() sampling.Sampler {
		var n int
		return keyedFunc{abstains, func() []attribute.Key { n++; return []attribute.Key{attribute.Key(fmt.Sprint(n))} }}
	}},

	{"start by trace ID", "trace ID", "with another trace ID", func() sampling.Sampler {
		return startFunc(func(p sampling.StartParameters) sampling.Answer {
			return byID(trace.SpanContextFromContext(p.ParentContext).TraceID())
		})
	}},
	{"start by randomness in tracestate", "trace ID", "with another trace ID", func() sampling.Sampler {
		return startFunc(func(p sampling.StartParameters) sampling.Answer {
			if strings.HasSuffix(trace.SpanContextFromContext(p.ParentContext).TraceState().String(), "5") {
				return sampling.Unselected()
			}
			return sampling.Selected()
		})
	}},
	{"end by trace ID", "trace ID", "with another trace ID", func() sampling.Sampler {
		return endFunc(func(p sampling.EndParameters) sampling.Answer { return byID(p.Span.SpanContext().TraceID()) })
	}},
	{"segments by trace ID", "trace ID", "with another trace ID", func() sampling.Sampler {
		return segmentFunc(func(_ context.Context, segments []sampling.Segment, answers []sampling.Answer) {
			for i := range segments {
				answers[i] = byID(segments[i].TraceID)
			}
		})
	}},

	{"keyed by another attribute", "keys", "none of its keys", func() sampling.Sampler {
		return keyedFunc{func(p sampling.StartParameters) sampling.Answer {
			for _, kv := range p.Attributes {
				if kv.Key == "user.id" {
					return sampling.At(sampling.Always)
				}
			}
			return sampling.Abstain()
		}, func() []attribute.Key { return []attribute.Key{"http.route"} }}
	}},
	{"keyed by an ignored name", "keys", "none of its keys", func() sampling.Sampler {
		return ignoring{keyedFunc{func(p sampling.StartParameters) sampling.Answer {
			if strings.HasPrefix(p.Name, "GET /7") {
				return sampling.At(sampling.Always)
			}
			return sampling.At(1 << (40 + len(p.Name)%8))
		}, func() []attribute.Key { return nil }}}
	}},
	{"a wait without its key", "traits", "does not tell which key", func() sampling.Sampler { return waiting{} }},
	{"keyed by links", "keys", "none of its keys", func() sampling.Sampler {
		return keyedFunc{func(p sampling.StartParameters) sampling.Answer {
			if len(p.Links) > 0 {
				return sampling.Drop()
			}
			return sampling.Abstain()
		}, func() []attribute.Key { return nil }}
	}},

	{"sorts attributes", "parameters not changed", "changed Attributes", func() sampling.Sampler {
		return startFunc(func(p sampling.StartParameters) sampling.Answer {
			if n := len(p.Attributes); n > 1 {
				p.Attributes[0], p.Attributes[n-1] = p.Attributes[n-1], p.Attributes[0]
			}
			return sampling.Abstain()
		})
	}},
	{"redacts the span", "parameters not changed", "changed the span's attributes", func() sampling.Sampler {
		return endFunc(func(p sampling.EndParameters) sampling.Answer {
			for i := range p.Span.Attributes() {
				p.Span.Attributes()[i].Value = attribute.StringValue("***")
			}
			return sampling.Abstain()
		})
	}},
	{"redacts the local root", "parameters not changed", "changed the local root's attributes", func() sampling.Sampler {
		return endFunc(func(p sampling.EndParameters) sampling.Answer {
			if attrs := p.Root.Attributes(); !p.LocalRoot && len(attrs) > 0 {
				attrs[0].Value = attribute.StringValue("***")
			}
			return sampling.Abstain()
		})
	}},
	{"sorts spans", "parameters not changed", "changed Spans", func() sampling.Sampler {
		return segmentFunc(func(_ context.Context, segments []sampling.Segment, _ []sampling.Answer) {
			for _, s := range segments {
				if n := len(s.Spans); n > 1 {
					s.Spans[0], s.Spans[n-1] = s.Spans[n-1], s.Spans[0]
				}
			}
		})
	}},
	{"reads the last parameters", "parameters not changed", "when the parameters of earlier calls are overwritten", func() sampling.Sampler {
		var last []attribute.KeyValue
		return startFunc(func(p sampling.StartParameters) sampling.Answer {
			defer func() { last = p.Attributes }()
			if len(last) > 0 && last[0].Key == "overwritten" {
				return sampling.Drop()
			}
			return sampling.Abstain()
		})
	}},

	{"keeps attributes", "parameters not kept", "still holds the attributes", func() sampling.Sampler {
		var all [][]attribute.KeyValue
		return startFunc(func(p sampling.StartParameters) sampling.Answer {
			all = append(all, p.Attributes)
			return sampling.Abstain()
		})
	}},
	{"keeps the context", "parameters not kept", "still holds the ParentContext", func() sampling.Sampler {
		var all []context.Context
		return startFunc(func(p sampling.StartParameters) sampling.Answer {
			all = append(all, p.ParentContext)
			return sampling.Abstain()
		})
	}},
	{"keeps spans", "parameters not kept", "still holds the attributes", func() sampling.Sampler {
		var all []sdktrace.ReadOnlySpan
		return endFunc(func(p sampling.EndParameters) sampling.Answer { all = append(all, p.Span); return sampling.Abstain() })
	}},
	{"keeps the local root", "parameters not kept", "still holds the attributes", func() sampling.Sampler {
		var all []sdktrace.ReadOnlySpan
		return endFunc(func(p sampling.EndParameters) sampling.Answer { all = append(all, p.Root); return sampling.Abstain() })
	}},
	{"keeps segments", "parameters not kept", "still holds the slice of segments", func() sampling.Sampler {
		var all [][]sampling.Segment
		return segmentFunc(func(_ context.Context, segments []sampling.Segment, _ []sampling.Answer) { all = append(all, segments) })
	}},

	{"needs a first attribute", "empty parameters", "panicked: runtime error: index out of range", func() sampling.Sampler {
		return startFunc(func(p sampling.StartParameters) sampling.Answer { _ = p.Attributes[0]; return sampling.Abstain() })
	}},
	{"needs a span in the context", "empty parameters", "in a context with a nil span panicked", func() sampling.Sampler {
		return startFunc(func(p sampling.StartParameters) sampling.Answer {
			if sc := trace.SpanContextFromContext(p.ParentContext); !sc.IsValid() {
				panic("no span")
			}
			return sampling.Abstain()
		})
	}},
	{"needs a root", "empty parameters", "SampleSegments of an empty segment panicked", func() sampling.Sampler {
		return segmentFunc(func(_ context.Context, segments []sampling.Segment, _ []sampling.Answer) {
			for _, s := range segments {
				_ = s.Root.Name()
			}
		})
	}},

	{"one at a time", "concurrent use", "panicked when called concurrently", func() sampling.Sampler {
		var mu sync.Mutex
		return startFunc(func(sampling.StartParameters) sampling.Answer {
			if !mu.TryLock() {
				panic("in use")
			}
			defer mu.Unlock()
			time.Sleep(10 * time.Microsecond)
			return sampling.Abstain()
		})
	}},

	{"asks a server", "at once", "SampleStart of", func() sampling.Sampler {
		return startFunc(func(sampling.StartParameters) sampling.Answer {
			time.Sleep(2 * time.Millisecond)
			return sampling.Abstain()
		})
	}},
	{"asks a server at the end", "at once", "SampleEnd of", func() sampling.Sampler {
		return endFunc(func(sampling.EndParameters) sampling.Answer {
			time.Sleep(2 * time.Millisecond)
			return sampling.Abstain()
		})
	}},

	{"takes its time", "deadline", "has not returned", func() sampling.Sampler {
		return segmentFunc(func(context.Context, []sampling.Segment, []sampling.Answer) { time.Sleep(tooLong) })
	}},

	{"goroutine that nobody ends", "shutdown", "a goroutine is left:\ngoroutine", func() sampling.Sampler {
		go func() { time.Sleep(tooLong) }()
		return startFunc(abstains)
	}},
	{"goroutine that outlives Shutdown", "shutdown", "a goroutine is left", func() sampling.Sampler {
		go func() { time.Sleep(tooLong) }()
		return stopping{abstains, func(context.Context) error { return nil }}
	}},
	{"closes twice", "shutdown", "a second Shutdown, with a context that is done,: panic: close of closed channel", func() sampling.Sampler {
		c := make(chan struct{})
		return stopping{abstains, func(context.Context) error { close(c); return nil }}
	}},
	{"hangs", "shutdown", "Shutdown has not returned", func() sampling.Sampler {
		return stopping{abstains, func(context.Context) error { time.Sleep(tooLong); return nil }}
	}},
	{"answers after Shutdown", "shutdown", "after Shutdown: the answer is threshold 0", func() sampling.Sampler {
		return stopping{func(sampling.StartParameters) sampling.Answer { return sampling.At(sampling.Always) }, func(context.Context) error { return nil }}
	}},
}

func TestBrokenSamplersFail(t *testing.T) {
	defer func(d time.Duration) { maxWait = d }(maxWait)
	maxWait = 300 * time.Millisecond
	caught := map[string]bool{}
	for _, b := range slices.Concat(broken, brokenPromises) {
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
