package core_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/sampling"
)

// prepared knows what it was asked to prepare for.
type prepared struct {
	known map[string]bool
	fail  error
	waits bool
}

func (*prepared) Traits() sampling.Traits { return sampling.Traits{} }

func (s *prepared) Prepare(ctx context.Context, p sampling.StartParameters) error {
	if s.waits {
		<-ctx.Done()
		return ctx.Err()
	}
	if s.fail == nil {
		s.known[p.Name] = true
	}
	return s.fail
}

func (s *prepared) SampleStart(p sampling.StartParameters) sampling.Answer {
	if s.known[p.Name] {
		return sampling.At(half)
	}
	return sampling.Abstain()
}

func TestExplainPrepares(t *testing.T) {
	tests := []struct {
		name     string
		sampler  *prepared
		gold     bool
		want     string
		prepares bool
	}{
		{"it knows then", &prepared{}, true, "start remote: threshold 8\nstart ratio: not asked: remote has decided\n= kept by \"remote\" at 8 for 2", true},
		{"it cannot", &prepared{fail: errors.New("plugin \"x\" is broken")}, true, "start remote: abstain: plugin \"x\" is broken\nstart ratio: threshold c\n= kept by \"ratio\" at c for 4", false},
		{"it does not come back", &prepared{waits: true}, true, "start remote: abstain: context deadline exceeded\nstart ratio: threshold c\n= kept by \"ratio\" at c for 4", false},
		{"it is not concerned", &prepared{waits: true}, false, "start remote: not asked: its match does not hold {attributes: {tenant: gold}}\nstart ratio: threshold c\n= kept by \"ratio\" at c for 4", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.sampler.known = map[string]bool{}
				c := core.Case{Name: "a"}
				if tt.gold {
					c.Attributes = append(c.Attributes, attribute.String("tenant", "gold"))
				}
				spec := core.Spec{Samplers: []core.SamplerEntry{onlyForGold(use("remote", tt.sampler)), baseline(0.25)}}
				before := time.Now()
				x, err := core.Explain(t.Context(), spec, core.Trace{Spans: []core.Case{c}}, quiet)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, written(x)); diff != "" {
					t.Error(diff)
				}
				wait := time.Duration(0)
				if tt.gold && tt.sampler.waits {
					wait = 5 * time.Second
				}
				if took := time.Since(before); took != wait {
					t.Errorf("it took %s, want %s", took, wait)
				}
			})
		})
	}
}

// An explanation ends with its context, and leaves nothing behind.
func TestExplainIsBounded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	spec := core.Spec{Samplers: []core.SamplerEntry{use("slow", waitsForever{cancel}), baseline(1)}}
	_, err := core.Explain(ctx, spec, core.Trace{Spans: []core.Case{{Name: "a"}}}, quiet)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

// waitsForever waits for the end of its context, and has another ended meanwhile.
type waitsForever struct{ asked func() }

func (waitsForever) Traits() sampling.Traits { return sampling.Traits{} }

func (s waitsForever) SampleSegments(ctx context.Context, _ []sampling.Segment, _ []sampling.Answer) {
	s.asked()
	<-ctx.Done()
}
