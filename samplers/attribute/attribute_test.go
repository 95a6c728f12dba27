package attribute_test

import (
	"testing"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/attribute"
	"github.com/riffletrace/riffle/samplers/samplertest"
)

func TestAttribute(t *testing.T) {
	for _, tt := range []struct {
		config      attribute.Config
		description string
	}{
		{attribute.Config{}, "attribute"},
		{attribute.Config{At: attribute.Start}, "attribute"},
		{attribute.Config{At: attribute.End}, "attribute at the end"},
	} {
		build := samplertest.Plan(component.Use(attribute.Factory, "", tt.config))
		sampler := build(t)
		start, isStart := sampler.(sampling.StartSampler)
		end, isEnd := sampler.(sampling.EndSampler)
		if atEnd := tt.config.At == attribute.End; isEnd != atEnd || isStart == atEnd {
			t.Errorf("%+v: a start sampler: %v, an end sampler: %v", tt.config, isStart, isEnd)
			continue
		}
		var answer sampling.Answer
		if isStart {
			answer = start.SampleStart(sampling.StartParameters{})
		} else {
			answer = end.SampleEnd(sampling.EndParameters{})
		}
		// The host makes of it what the entry's sample says.
		if got := answer.String(); got != "threshold 0" {
			t.Errorf("%+v answers %s", tt.config, got)
		}
		traits := sampler.Traits()
		if !traits.NeedsMatch || !traits.NeedsSample {
			t.Errorf("%+v: traits %+v", tt.config, traits)
		}
		if traits.Description != tt.description {
			t.Errorf("%+v: %q", tt.config, traits.Description)
		}
		samplertest.Run(t, build)
	}
}

func TestValidate(t *testing.T) {
	c := attribute.Config{At: "now"}
	if err := c.Validate(); err == nil || err.Error() != `at: "now" is not one of start, end` {
		t.Errorf("%+v: %v", c, err)
	}
	if s, err := attribute.New(t.Context(), component.Settings{}, c); err == nil {
		t.Errorf("%+v builds %v", c, s)
	}
}
