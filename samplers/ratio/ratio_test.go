package ratio_test

import (
	"context"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/ratio"
	"github.com/riffletrace/riffle/samplers/samplertest"
)

func TestConformance(t *testing.T) {
	for _, rate := range []float64{0, 0.1, 1} {
		samplertest.Run(t, samplertest.Plan(component.Use(ratio.Factory, "", ratio.Config{Rate: rate})))
	}
}

// A rate has one exact threshold, the one that other implementations of
// consistent probability sampling have for it, and selects from there on.
func TestThreshold(t *testing.T) {
	for _, tt := range []struct {
		rate          float64
		th            string // "" if none can be selected
		first         uint64 // the least randomness selected
		adjustedCount float64
	}{
		{1, "0", 0, 1},
		{0.5, "8", 8 << 52, 2},
		{0.25, "c", 0xc << 52, 4},
		{0.1, "e666", 0xe666 << 40, 65536.0 / 6554},
		{0.01, "fd70a", 0xfd70a << 36, 1048576.0 / 10486},
		{0.001, "ffbe77", 0xffbe77 << 32, 16777216.0 / 16777},
		{1.0 / 3, "aaab", 0xaaab << 40, 65536.0 / 21845},
		{math.Exp2(-56), "ffffffffffffff", 1<<56 - 1, math.Exp2(56)},
		{0, "", 1 << 56, 0},
	} {
		c := core.UseSampler(ratio.Factory, "", ratio.Config{Rate: tt.rate})
		a := samplertest.Plan(c.Plan)(t).(sampling.StartSampler).SampleStart(sampling.StartParameters{})
		th, _ := a.Threshold()
		if got, _ := th.Text(); got != tt.th {
			t.Errorf("rate %v: th = %s, want %s", tt.rate, got, tt.th)
		}
		if got := th.AdjustedCount(); math.Abs(got-tt.adjustedCount) > 1e-9*tt.adjustedCount {
			t.Errorf("rate %v: adjusted count = %v, want %v", tt.rate, got, tt.adjustedCount)
		}
		s, shutdown, err := core.NewSDKSampler(t.Context(), core.Spec{Enabled: true, Samplers: []core.SamplerEntry{c}})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []uint64{0, tt.first - 1, tt.first, 1<<56 - 1} {
			if r > 1<<56-1 {
				continue
			}
			result := s.ShouldSample(sdktrace.SamplingParameters{ParentContext: t.Context(), TraceID: withRandomness(r)})
			want, state := sdktrace.Drop, ""
			if r >= tt.first {
				want, state = sdktrace.RecordAndSample, "ot=th:"+tt.th
			}
			if result.Decision != want || result.Tracestate.String() != state {
				t.Errorf("rate %v, R = %x: %v with %q, want %v with %q", tt.rate, r, result.Decision, result.Tracestate, want, state)
			}
		}
		if err := shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func withRandomness(r uint64) (id trace.TraceID) {
	binary.BigEndian.PutUint64(id[8:], r)
	id[0] = 1
	return id
}

func TestConfig(t *testing.T) {
	for _, rate := range []float64{-0.1, 1.5, math.NaN(), math.Inf(1)} {
		errs := component.FieldErrors((&ratio.Config{Rate: rate}).Validate())
		if len(errs) != 1 || errs[0].Path != "rate" || !strings.Contains(errs[0].Error(), "is not a rate: want a number from 0 to 1") {
			t.Errorf("rate %v: %v", rate, errs)
		}
	}
	s := samplertest.Plan(sampling.Samplers.Plan("ratio", "", nil))(t)
	if got := s.Traits().Description; got != "ratio 100%" {
		t.Errorf("the default is %q, want ratio 100%%", got)
	}
}

func TestDescription(t *testing.T) {
	for rate, want := range map[float64]string{0: "ratio 0%", 0.01: "ratio 1%", 0.125: "ratio 12.5%", 1.0 / 3: "ratio 33.3333%"} {
		s := samplertest.Plan(component.Use(ratio.Factory, "", ratio.Config{Rate: rate}))(t)
		if got := s.Traits().Description; got != want {
			t.Errorf("description = %q, want %q", got, want)
		}
	}
}
