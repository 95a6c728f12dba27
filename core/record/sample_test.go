package record

import (
	"context"
	"testing"

	"github.com/riffletrace/riffle/core/sampling"
)

// sampled is a recorder of a sampler with a share, and a start that selects as told.
func sampled(t testing.TB, randomness uint64, sample sampling.Sample, s, start sampling.Sampler) *recorder {
	t.Helper()
	c := Config{IDGenerator: fixedRandomness(randomness)}
	c.Samplers.Add(s, Entry{Name: "sampled", Sample: sample})
	return newRecorder(t, c, start)
}

// atMost bounds what every segment is kept with.
func atMost(t sampling.Threshold) segmentFunc {
	return func(_ context.Context, segments []sampling.Segment, answers []sampling.Answer) {
		for i := range segments {
			answers[i] = sampling.AtMost(t)
		}
	}
}

type raises struct{ segmentFunc }

func (raises) Traits() sampling.Traits { return sampling.Traits{} }

// A share is of the probability that the sampler gives.
func TestSample(t *testing.T) {
	const quarter = 3 << 54
	endAt := func(t sampling.Threshold) endFunc {
		return func(sampling.EndParameters) sampling.Answer { return sampling.At(t) }
	}
	for _, tt := range []struct {
		name    string
		sampler sampling.Sampler
		start   sampling.Sampler
		sample  sampling.Sample
		want    sampling.Threshold // Unknown for one that is not told
	}{
		{"end", endAt(sampling.Always), selectNone, "0.5", half},
		{"end, a share of its own", endAt(half), selectNone, "0.5", quarter},
		{"end, all", endAt(half), selectNone, "1", half},
		{"end, none", endAt(half), selectNone, "0", sampling.Never},
		{"end, unknown", endAt(sampling.Unknown), selectNone, "0.5", sampling.Unknown},
		{"at most", raises{atMost(sampling.Always)}, selectAll, "0.5", half},
		{"at most, of less", raises{atMost(half)}, selectAll, "0.5", quarter},
		{"at most, none", raises{atMost(sampling.Always)}, selectAll, "0", sampling.Never},
		{"start", startAt(sampling.Always), selectNone, "0.25", quarter},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keeps := func(randomness uint64) []sampling.Threshold {
				r := sampled(t, randomness, tt.sample, tt.sampler, tt.start)
				r.start(context.Background(), "root").End()
				if err := r.ForceFlush(context.Background()); err != nil {
					t.Fatal(err)
				}
				var list []sampling.Threshold
				for _, s := range r.spans() {
					list = append(list, thresholdIn(s))
				}
				return list
			}
			from := tt.want
			if from == sampling.Unknown {
				from = half
			}
			if from > 0 {
				if kept := keeps(uint64(from) - 1); len(kept) > 0 {
					t.Errorf("kept with %v below the threshold", kept)
				}
			}
			if from == sampling.Never {
				return
			}
			if kept := keeps(uint64(from)); len(kept) != 1 || kept[0] != tt.want {
				t.Errorf("kept with %v, want %v", kept, tt.want)
			}
		})
	}
}

// What drops at the start is not recorded, below callers that are watched, too.
func TestSampleDrop(t *testing.T) {
	for _, ctx := range []context.Context{context.Background(), withParent(remoteParent(t, 1, ""))} {
		c := Config{}
		c.Samplers.Add(startAt(sampling.Always), Entry{Name: "dropped", Sample: sampling.SampleDrop})
		r := newRecorder(t, c, onError)
		s := r.start(ctx, "root")
		if s.IsRecording() {
			t.Error("it is recorded")
		}
		fail(s).End()
		r.checkDelivered(t)
		if n := r.Stats().Dropped; n != 1 {
			t.Errorf("%d are dropped, want 1", n)
		}
	}
}

// The rule that spoke stands beside its sampler on the local root.
func TestRuleThatSpoke(t *testing.T) {
	start := sampling.At(half).WithRule("rules[1]: /a")
	end := sampling.At(sampling.Always).WithRule("first of its key")
	var starts startFunc = func(sampling.StartParameters) sampling.Answer { return start }
	ends := func(name string) endFunc {
		return func(p sampling.EndParameters) sampling.Answer {
			if p.Span.Name() == name {
				return end
			}
			return sampling.Abstain()
		}
	}
	for _, tt := range []struct{ root, sampler, rule string }{
		{"as it started", "second", "rules[1]: /a"},
		{"as it ended", "first", "first of its key"},
	} {
		r := newRecorder(t, Config{IDGenerator: fixedRandomness(half)}, ends("as it ended"), starts)
		r.start(context.Background(), tt.root).End()
		attrs := r.span(t, tt.root).Attributes()
		sampler, _ := valueOf(attrs, sampling.SamplerKey)
		rule, _ := valueOf(attrs, sampling.RuleKey)
		if sampler.AsString() != tt.sampler || rule.AsString() != tt.rule {
			t.Errorf("%s: sampler %q, rule %q, want %q, %q", tt.root, sampler.AsString(), rule.AsString(), tt.sampler, tt.rule)
		}
	}
	r := newRecorder(t, Config{}, startAt(sampling.Always))
	r.start(context.Background(), "root").End()
	if _, times := valueOf(r.span(t, "root").Attributes(), sampling.RuleKey); times != 0 {
		t.Error("a sampler without rules names one")
	}
}
