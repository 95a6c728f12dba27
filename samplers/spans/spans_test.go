package spans_test

import (
	"strings"
	"testing"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/samplertest"
	"github.com/riffletrace/riffle/samplers/spans"
)

func newSampler(tb testing.TB, c spans.Config) sampling.EndSampler {
	tb.Helper()
	return samplertest.Plan(component.Use(spans.Factory, "", c))(tb).(sampling.EndSampler)
}

func TestSpans(t *testing.T) {
	least := spans.Config{Min: 100}
	most := spans.Config{Max: 3}
	both := spans.Config{Min: 2, Max: 3}
	root := func(n int) sampling.EndParameters { return sampling.EndParameters{LocalRoot: true, Spans: n} }
	child := func(n int) sampling.EndParameters { return sampling.EndParameters{Spans: n} }
	open := func(n int) sampling.EndParameters {
		return sampling.EndParameters{LocalRoot: true, Open: true, Spans: n}
	}
	for _, tt := range []struct {
		name   string
		config spans.Config
		p      sampling.EndParameters
		want   string
	}{
		{"min: below", least, root(99), "abstain"},
		{"min: reached by the root", least, root(100), "threshold 0: 100 spans or more"},
		{"min: reached by a child", least, child(100), "threshold 0: 100 spans or more"},
		{"min: passed unasked", least, child(101), "threshold 0: 100 spans or more"},
		{"min: overdue", least, open(100), "threshold 0: 100 spans or more"},
		{"max: within", most, root(3), "threshold 0: 3 spans or fewer"},
		{"max: above", most, root(4), "abstain"},
		{"max: not known before the root ends", most, child(1), "abstain"},
		{"max: overdue", most, open(1), "abstain"},
		{"both: below", both, root(1), "abstain"},
		{"both: within", both, root(2), "threshold 0: 2 to 3 spans"},
		{"both: above", both, root(4), "abstain"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := newSampler(t, tt.config).SampleEnd(tt.p).String(); got != tt.want {
				t.Errorf("answer = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		config spans.Config
		want   string
	}{
		{spans.Config{Min: 3, Max: 3}, ""},
		{spans.Config{}, "neither min nor max is set"},
		{spans.Config{Min: -1}, "min: -1 is no number of spans"},
		{spans.Config{Max: -1}, "max: -1 is no number of spans"},
		{spans.Config{Min: 4, Max: 3}, "max: 3 is less than min, 4"},
	} {
		got := ""
		if err := tt.config.Validate(); err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, tt.want) || (tt.want == "") != (got == "") {
			t.Errorf("%+v: %q, want %q", tt.config, got, tt.want)
		}
	}
}

func TestDescription(t *testing.T) {
	for want, c := range map[string]spans.Config{
		"100 spans or more": {Min: 100},
		"3 spans or fewer":  {Max: 3},
		"2 to 3 spans":      {Min: 2, Max: 3},
	} {
		if got := newSampler(t, c).Traits().Description; got != want {
			t.Errorf("description = %s, want %s", got, want)
		}
	}
}

func TestConformance(t *testing.T) {
	for _, c := range []spans.Config{{Min: 2}, {Max: 10}} {
		samplertest.Run(t, samplertest.Plan(component.Use(spans.Factory, "", c)))
	}
}
