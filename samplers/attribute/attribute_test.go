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
		want        string
		drops       bool
		description string
	}{
		{attribute.Config{Sample: "drop"}, "drop: sample drop", true, "attribute, sample drop"},
		{attribute.Config{Sample: "1", At: attribute.Start}, "threshold 0: sample 1", false, "attribute, sample 1"},
		{attribute.Config{Sample: "0.25", At: attribute.End}, "threshold c: sample 0.25", false, "attribute, sample 0.25 at the end"},
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
			if start.Traits().MayDrop != tt.drops {
				t.Errorf("%+v: MayDrop is %v", tt.config, !tt.drops)
			}
		} else {
			answer = end.SampleEnd(sampling.EndParameters{})
		}
		if answer.String() != tt.want {
			t.Errorf("%+v answers %v, want %s", tt.config, answer, tt.want)
		}
		if sampler.Traits().AlwaysAnswers {
			t.Errorf("%+v is a baseline, whatever its match selects", tt.config)
		}
		if got := sampler.Traits().Description; got != tt.description {
			t.Errorf("%+v: %q", tt.config, got)
		}
		samplertest.Run(t, build)
	}
}

func TestValidate(t *testing.T) {
	for want, c := range map[string]attribute.Config{
		`sample: missing: want drop, or the share of the traces to keep, 0 to 1`:                       {},
		`sample: "2" is neither drop nor a number from 0 to 1`:                                         {Sample: "2"},
		`sample: a span that ends is recorded already: to discard its trace, use "type: discard"`:      {Sample: "drop", At: attribute.End},
		`at: "now" is not one of start, end`:                                                           {Sample: "1", At: "now"},
		"sample: \"2\" is neither drop nor a number from 0 to 1\nat: \"End\" is not one of start, end": {Sample: "2", At: "End"},
	} {
		if err := c.Validate(); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %s", c, err, want)
		}
		if s, err := attribute.New(t.Context(), component.Settings{}, c); err == nil {
			t.Errorf("%+v builds %v", c, s)
		}
	}
}
