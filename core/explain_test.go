package core_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
)

// asAsked answers a start, an end and a segment.
type asAsked struct {
	traits  sampling.Traits
	start   func() sampling.Answer
	end     func(sampling.EndParameters) sampling.Answer
	segment func() sampling.Answer
}

type (
	startsAsAsked   struct{ asAsked }
	endsAsAsked     struct{ asAsked }
	segmentsAsAsked struct{ asAsked }
)

func (s asAsked) Traits() sampling.Traits { return s.traits }

func (s startsAsAsked) SampleStart(sampling.StartParameters) sampling.Answer { return s.start() }
func (s endsAsAsked) SampleEnd(p sampling.EndParameters) sampling.Answer     { return s.end(p) }
func (s segmentsAsAsked) SampleSegments(_ context.Context, _ []sampling.Segment, answers []sampling.Answer) {
	for i := range answers {
		answers[i] = s.segment()
	}
}

func starting(name string, a sampling.Answer) core.SamplerEntry {
	return use(name, startsAsAsked{asAsked{traits: sampling.Traits{MayDrop: a.IsDrop()}, start: func() sampling.Answer { return a }}})
}

func ending(name string, f func(sampling.EndParameters) sampling.Answer) core.SamplerEntry {
	return use(name, endsAsAsked{asAsked{end: f}})
}

func onSegments(name string, a sampling.Answer) core.SamplerEntry {
	return use(name, segmentsAsAsked{asAsked{traits: sampling.Traits{NeverRaises: !a.IsAtMost()}, segment: func() sampling.Answer { return a }}})
}

func onlyForGold(e core.SamplerEntry) core.SamplerEntry {
	e.Match = &match.Config{Attributes: map[string]any{"tenant": "gold"}}
	return e
}

var (
	onError = ending("error", func(p sampling.EndParameters) sampling.Answer {
		if p.Span.Status().Code == codes.Error {
			return sampling.At(sampling.Always).Because(p.Span.Status().Description)
		}
		return sampling.Abstain()
	})
	onSlow = ending("slow", func(p sampling.EndParameters) sampling.Answer {
		if p.Duration >= time.Second {
			return sampling.At(half)
		}
		return sampling.Abstain()
	})
	failed = sdktrace.Status{Code: codes.Error, Description: "boom"}
)

func TestExplain(t *testing.T) {
	broken := func(sampling.EndParameters) sampling.Answer { panic("broken") }
	tests := []struct {
		name  string
		rules record.RemoteParent
		list  []core.SamplerEntry
		trace core.Trace
		want  string
	}{
		{
			name:  "nobody is there",
			trace: core.Trace{Spans: []core.Case{{Name: "a"}}},
			want:  `= kept by "" at 0 for 1`,
		},
		{
			name:  "what an error keeps, and a match that does not hold",
			list:  []core.SamplerEntry{onlyForGold(starting("gold", sampling.At(0))), onError, onSlow, onSegments("judge", sampling.At(0)), baseline(0.5)},
			trace: core.Trace{Spans: []core.Case{{Name: "a", Status: failed, Duration: time.Second}}},
			want: `start gold: not asked: its match does not hold {attributes: {tenant: gold}}
start ratio: threshold 8
end error: threshold 0: boom
end slow: not asked: the segment is kept already
segment judge: not asked: the segment is kept already
= kept by "error" at 0 for 1`,
		},
		{
			name:  "a segment sampler that may raise lets nothing be sure",
			list:  []core.SamplerEntry{onError, onSlow, onSegments("judge", sampling.AtMost(half)), baseline(0.5)},
			trace: core.Trace{Spans: []core.Case{{Name: "a", Status: failed, Duration: time.Second}}},
			want: `start ratio: threshold 8
end error: threshold 0: boom
end slow: threshold 8
segment judge: at most threshold 8
= kept by "error" at 8 for 2`,
		},
		{
			name:  "an attribute that is set late",
			list:  []core.SamplerEntry{onlyForGold(onSegments("judge", sampling.AtMost(sampling.Never))), baseline(1)},
			trace: core.Trace{Spans: []core.Case{{Name: "a", Late: []attribute.KeyValue{attribute.String("tenant", "gold")}}}},
			want: `start ratio: threshold 0
segment judge: discard
= dropped by "" at never for 0`,
		},
		{
			name:  "dropped",
			list:  []core.SamplerEntry{starting("rule", sampling.Drop()), onError, onSegments("judge", sampling.At(0)), baseline(0.5)},
			trace: core.Trace{Spans: []core.Case{{Name: "a", Status: failed}}},
			want: `start rule: drop
start ratio: not asked: rule has decided
end error: not asked: not recorded
segment judge: not asked: not recorded
= dropped by "" at never for 0`,
		},
		{
			name:  "nothing selects it",
			list:  []core.SamplerEntry{onError, baseline(0)},
			trace: core.Trace{Spans: []core.Case{{Name: "a"}}},
			want: `start ratio: threshold never
end error: abstain
= kept by "ratio" at never for 0`,
		},
		{
			name:  "nobody waits, and nothing selects it",
			list:  []core.SamplerEntry{baseline(0)},
			trace: core.Trace{Spans: []core.Case{{Name: "a"}}},
			want: `start ratio: threshold never
= kept by "ratio" at never for 0`,
		},
		{
			name:  "on a tie the start has decided",
			list:  []core.SamplerEntry{onSlow, baseline(0.5)},
			trace: core.Trace{Spans: []core.Case{{Name: "a", Duration: time.Second}}},
			want: `start ratio: threshold 8
end slow: threshold 8
= kept by "ratio" at 8 for 2`,
		},
		{
			name:  "a limit",
			list:  []core.SamplerEntry{limitedTo(onError, 5), baseline(0.5)},
			trace: core.Trace{Spans: []core.Case{{Name: "a", Status: failed}}},
			want: `start ratio: threshold 8
end error: threshold 0: boom, at most 5 per second
= kept by "error" at 0 for 1`,
		},
		{
			name:  "an unsampled parent is watched",
			list:  []core.SamplerEntry{onlyForGold(starting("rule", sampling.Drop())), starting("start", sampling.At(0)), onError, baseline(0.5)},
			trace: core.Trace{Parent: core.UnsampledParent, Spans: []core.Case{{Name: "a", Status: failed}}},
			want: `start rule: not asked: its match does not hold {attributes: {tenant: gold}}
start start: not asked: the remote parent has decided
start ratio: not asked: the remote parent has decided
end error: threshold 0: boom
= kept by "error" at 0 for 1`,
		},
		{
			name: "only a drop counts below a parent",
			list: []core.SamplerEntry{
				use("rules", startsAsAsked{asAsked{traits: sampling.Traits{MayDrop: true}, start: func() sampling.Answer { return sampling.At(half) }}}),
				onError, baseline(0.5),
			},
			trace: core.Trace{Parent: core.SampledParent, ParentThreshold: "c", Spans: []core.Case{{Name: "a"}}},
			want: `start rules: threshold 8; only a drop counts, the remote parent has decided
start ratio: not asked: the remote parent has decided
end error: abstain
= kept by "" at c for 4`,
		},
		{
			name:  "a parent that is followed",
			rules: record.Follow,
			list:  []core.SamplerEntry{starting("rule", sampling.Drop()), onError, onSegments("judge", sampling.At(0)), baseline(0.5)},
			trace: core.Trace{Parent: core.SampledParent, ParentThreshold: "8", Spans: []core.Case{{Name: "a", Status: failed}}},
			want: `start rule: not asked: the remote parent has decided
start ratio: not asked: the remote parent has decided
end error: not asked: the remote parent has decided
segment judge: not asked: the remote parent has decided
= kept by "" at 8 for 2`,
		},
		{
			name:  "an unsampled parent that is followed",
			rules: record.Follow,
			list:  []core.SamplerEntry{onError, baseline(0.5)},
			trace: core.Trace{Parent: core.UnsampledParent, Spans: []core.Case{{Name: "a", Status: failed}}},
			want: `start ratio: not asked: the remote parent has decided
end error: not asked: not recorded
= dropped by "" at never for 0`,
		},
		{
			name:  "below a parent that is followed, a segment can only be raised",
			rules: record.Follow,
			list:  []core.SamplerEntry{onSegments("judge", sampling.At(half)), onSegments("bound", sampling.AtMost(12<<52)), baseline(0.5)},
			trace: core.Trace{Parent: core.SampledParent, ParentThreshold: "8", Spans: []core.Case{{Name: "a"}}},
			want: `start ratio: not asked: the remote parent has decided
segment judge: threshold 8; only a bound counts, the remote parent has decided
segment bound: at most threshold c
= kept by "" at c for 4`,
		},
		{
			name:  "a parent that is ignored",
			rules: record.Ignore,
			list:  []core.SamplerEntry{onError, baseline(0.5)},
			trace: core.Trace{Parent: core.UnsampledParent, Spans: []core.Case{{Name: "a"}}},
			want: `start ratio: threshold 8
end error: abstain
= kept by "ratio" at 8 for 2`,
		},
		{
			name:  "samplers are asked below a parent, and leave it to that",
			rules: record.Ask,
			list:  []core.SamplerEntry{starting("rules", sampling.Abstain()), starting("parent", sampling.FollowParent()), baseline(0.5)},
			trace: core.Trace{Parent: core.SampledParent, ParentThreshold: "c", Spans: []core.Case{{Name: "a"}}},
			want: `start rules: abstain
start parent: as the parent decided
start ratio: not asked: parent has decided
= kept by "parent" at c for 4`,
		},
		{
			name:  "what a parent does not sample can be kept all the same",
			rules: record.Ask,
			list:  []core.SamplerEntry{starting("parent", sampling.ByParent(12<<52, half))},
			trace: core.Trace{Parent: core.SampledParent, ParentThreshold: "a", Spans: []core.Case{{Name: "a"}}},
			want: `start parent: threshold c below a sampled parent, 8 below another
= kept by "parent" at c for 4, unweighted too`,
		},
		{
			name:  "a sampler that leaves it to a parent that there is not abstains",
			rules: record.Ask,
			list:  []core.SamplerEntry{starting("parent", sampling.FollowParent()), baseline(0.5)},
			trace: core.Trace{Spans: []core.Case{{Name: "a"}}},
			want: `start parent: as the parent decided; it abstains: there is no remote parent that it could leave it to
start ratio: threshold 8
= kept by "ratio" at 8 for 2`,
		},
		{
			name:  "nobody knows with which probability a parent was sampled",
			list:  []core.SamplerEntry{onSlow, baseline(0.5)},
			trace: core.Trace{Parent: core.SampledParent, Spans: []core.Case{{Name: "a"}}},
			want: `start ratio: not asked: the remote parent has decided
end slow: abstain
= kept by "" at unknown for 0`,
		},
		{
			name:  "what is known counts, and what is not keeps the rest",
			list:  []core.SamplerEntry{onSlow, baseline(0.5)},
			trace: core.Trace{Parent: core.SampledParent, Spans: []core.Case{{Name: "a", Duration: time.Second}}},
			want: `start ratio: not asked: the remote parent has decided
end slow: threshold 8
= kept by "slow" at 8 for 2, unweighted too`,
		},
		{
			name:  "but for what a bound leaves out",
			list:  []core.SamplerEntry{onSlow, onSegments("bound", sampling.AtMost(12<<52)), baseline(0.5)},
			trace: core.Trace{Parent: core.SampledParent, Spans: []core.Case{{Name: "a", Duration: time.Second}}},
			want: `start ratio: not asked: the remote parent has decided
end slow: threshold 8
segment bound: at most threshold c
= kept by "slow" at c for 4`,
		},
		{
			name:  "a sampler of the SDK",
			list:  []core.SamplerEntry{core.UseSampler(sampling.SDKSampler("sdk", sdktrace.NeverSample()), "", sampling.SDKSamplerConfig{})},
			trace: core.Trace{Spans: []core.Case{{Name: "a"}}},
			want: `start sdk: not selected, threshold unknown
= kept by "sdk" at unknown for 0`,
		},
		{
			name:  "a sampler of the SDK, and an answer",
			list:  []core.SamplerEntry{onSlow, core.UseSampler(sampling.SDKSampler("sdk", sdktrace.NeverSample()), "", sampling.SDKSamplerConfig{})},
			trace: core.Trace{Spans: []core.Case{{Name: "a", Duration: time.Second}}},
			want: `start sdk: not selected, threshold unknown
end slow: threshold 8
= kept by "slow" at 8 for 2, unweighted too`,
		},
		{
			name: "samplers that panic",
			list: []core.SamplerEntry{
				use("start", startsAsAsked{asAsked{start: func() sampling.Answer { panic("broken") }}}), ending("end", broken),
				use("segment", segmentsAsAsked{asAsked{segment: func() sampling.Answer { panic("broken") }}}), baseline(0.5),
			},
			trace: core.Trace{Spans: []core.Case{{Name: "a", Duration: 1}, {Name: "b"}}},
			want: `start a start: abstain: it panicked, or took too long
start a ratio: threshold 8
start b start: not asked: it is suspended: it panicked, or took too long
start b ratio: threshold 8
end b end: abstain: it panicked, or took too long
segment b segment: abstain: it panicked, or took too long
end a end: not asked: it is suspended: it panicked, or took too long
segment a segment: not asked: it is suspended: it panicked, or took too long
= kept by "ratio" at 8 for 2
a: kept by "ratio" at 8 for 2
b: kept by "ratio" at 8 for 2`,
		},
		{
			name: "the spans of a segment",
			list: []core.SamplerEntry{onError, onSlow, onSegments("judge", sampling.Abstain()), baseline(0.5)},
			trace: core.Trace{Spans: []core.Case{
				{ID: "root", Name: "a", Duration: 3 * time.Second},
				{ID: "query", Name: "b", Parent: "root", Duration: time.Second},
				{Name: "c", Parent: "query", Start: 2 * time.Second, Status: failed},
			}},
			want: `start root ratio: threshold 8
end query error: abstain
end query slow: threshold 8
end c error: threshold 0: boom
end c slow: not asked: it has answered
end root error: not asked: it has answered
end root slow: not asked: it has answered
segment root judge: not asked: the segment is kept already
= kept by "error" at 0 for 1
root: kept by "error" at 0 for 1
query: kept by "error" at 0 for 1
c: kept by "error" at 0 for 1`,
		},
		{
			name: "a span that starts when all others have ended",
			list: []core.SamplerEntry{onError, baseline(0.5)},
			trace: core.Trace{Spans: []core.Case{
				{ID: "root", Name: "a", Duration: time.Second},
				{ID: "late", Name: "b", Parent: "root", Start: 2 * time.Second, Status: failed},
			}},
			want: `start root ratio: threshold 8
end root error: abstain
end late error: threshold 0: boom
= kept by "ratio" at 8 for 2
root: kept by "ratio" at 8 for 2
late: kept by "error" at 0 for 1`,
		},
		{
			name: "segments of a trace",
			list: []core.SamplerEntry{onError, baseline(0.5)},
			trace: core.Trace{Spans: []core.Case{
				{ID: "first", Name: "a", Duration: time.Second},
				{ID: "second", Name: "b", Start: time.Second, Duration: time.Second, Status: failed},
				{ID: "third", Name: "c", Start: 3 * time.Second, Duration: time.Second},
			}},
			want: `start first ratio: threshold 8
start second ratio: threshold 8
end first error: abstain
end second error: threshold 0: boom
start third ratio: threshold 8
end third error: abstain
= kept by "ratio" at 8 for 2
first: kept by "ratio" at 8 for 2
second: kept by "error" at 0 for 1
third: kept by "error" at 0 for 1`,
		},
		{
			name:  "each request below a parent that is restarted has its own trace",
			rules: record.Restart,
			list:  []core.SamplerEntry{onError, baseline(0.5)},
			trace: core.Trace{Parent: core.SampledParent, Spans: []core.Case{
				{ID: "first", Name: "a", Status: failed}, {ID: "second", Name: "b", Start: time.Second},
			}},
			want: `start first ratio: threshold 8
end first error: threshold 0: boom
start second ratio: threshold 8
end second error: abstain
= kept by "error" at 0 for 1
first: kept by "error" at 0 for 1
second: kept by "ratio" at 8 for 2`,
		},
		{
			name: "what time would change",
			list: []core.SamplerEntry{onError, baseline(0.5)},
			trace: core.Trace{Spans: []core.Case{
				{ID: "first", Name: "a", Duration: 3 * time.Minute},
				{ID: "query", Name: "b", Parent: "first", Duration: time.Second},
				{ID: "second", Name: "c", Start: 10 * time.Minute, Duration: 5 * time.Minute},
			}},
			want: `start first ratio: threshold 8
end query error: abstain
end first error: abstain
start second ratio: threshold 8
end second error: abstain
= kept by "ratio" at 8 for 2
first: kept by "ratio" at 8 for 2
query: kept by "ratio" at 8 for 2
second: kept by "ratio" at 8 for 2
note: "first" is open for 3m0s, longer than max_wait (2m): what ends of it before that is decided without what comes later
note: "second" starts over decision_memory.age (1m) after "first" has ended: what was said of that is forgotten by then`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x, err := core.Explain(t.Context(), core.Spec{RemoteParent: tt.rules, Samplers: tt.list}, tt.trace, quiet)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, written(x)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

var quiet = core.Logger(slog.New(slog.DiscardHandler))

// written is an explanation, a line for each of its parts.
func written(x *core.Explanation) string {
	var lines []string
	for _, s := range x.Steps {
		line := strings.TrimSpace(s.Stage+" "+s.Span) + " " + s.Sampler + ": " + s.Answer
		if s.Match != "" {
			line += " " + s.Match
		}
		if s.LimitPerSecond > 0 {
			line += fmt.Sprintf(", at most %v per second", s.LimitPerSecond)
		}
		lines = append(lines, line)
	}
	outcome := func(o core.Outcome) string {
		word, more := "kept", ""
		if o.Dropped {
			word = "dropped"
		}
		if o.Unweighted {
			more = ", unweighted too"
		}
		return fmt.Sprintf("%s by %q at %s for %v%s", word, o.Sampler, o.Threshold, o.AdjustedCount, more)
	}
	lines = append(lines, "= "+outcome(x.Outcome))
	for _, s := range x.Spans {
		label := s.ID
		if label == "" {
			label = s.Name
		}
		lines = append(lines, label+": "+outcome(s.Outcome))
	}
	for _, n := range x.Notes {
		lines = append(lines, "note: "+n)
	}
	return strings.Join(lines, "\n")
}

func TestTraceMistakes(t *testing.T) {
	tests := []struct {
		name  string
		trace core.Trace
		want  string
	}{
		{"none", core.Trace{}, "there is no span"},
		{"parent", core.Trace{Parent: "maybe", Spans: []core.Case{{Name: "a"}}}, `parent "maybe": want none, sampled or unsampled`},
		{"th of nobody", core.Trace{ParentThreshold: "8", Spans: []core.Case{{Name: "a"}}}, `parent "" has no threshold: only a sampled one has`},
		{"th", core.Trace{Parent: core.SampledParent, ParentThreshold: "x", Spans: []core.Case{{Name: "a"}}}, `parent: th "x" is not lowercase hex`},
		{"all", core.Trace{Spans: []core.Case{
			{ID: "a", Name: "a", Parent: "b", Start: -1},
			{ID: "b", Name: "b", Parent: "a"},
			{ID: "c", Name: "c", Parent: "c"},
			{ID: "a"},
			{Name: "d", Parent: "e", Duration: -1},
			{Name: "f", Parent: "a"},
			{ID: "g", Name: "g", Start: 2},
			{Name: "h", Parent: "g", Start: 1},
		}}, `[3].id: [0] has the ID "a" too
[4].parent: no span has the ID "e"
[0].start: -1ns is negative
[0].parent: "b" is below this span itself
[1].parent: "a" is below this span itself
[2].parent: "c" is below this span itself
[3].name: missing
[4].duration: -1ns is negative
[7].start: 1ns is before the parent "g" starts, at 2ns`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := core.Explain(t.Context(), core.Spec{}, tt.trace)
			if diff := cmp.Diff(tt.want, fmt.Sprint(err)); diff != "" {
				t.Error(diff)
			}
			for _, err := range component.FieldErrors(tt.trace.Check()) {
				if strings.HasPrefix(err.Error(), "[") && err.Path == "" {
					t.Errorf("%v has no path", err)
				}
			}
		})
	}
}
