package sampling

import (
	"encoding"
	"errors"
	"fmt"
	"strconv"

	"github.com/riffletrace/riffle/core/component"
)

// Sample is what a rule asks for, in a configuration: "drop", or the share of
// the traces to keep, "0" to "1". With 0 a trace is watched and none is kept by
// the rule; with drop it is not recorded. The empty value asks for nothing and
// is not valid.
type Sample string

// SampleDrop asks for [Drop].
const SampleDrop Sample = "drop"

// Answer returns [Drop], or [At] the share's threshold.
func (s Sample) Answer() (Answer, error) {
	switch s {
	case "":
		return Answer{}, errors.New("missing: want drop, or the share of the traces to keep, 0 to 1")
	case SampleDrop:
		return Drop(), nil
	}
	p, err := strconv.ParseFloat(string(s), 64)
	if err == nil {
		if t, err := ThresholdFromProbability(p); err == nil {
			return At(t), nil
		}
	}
	return Answer{}, fmt.Errorf("%q is neither drop nor a number from 0 to 1", string(s))
}

// UnmarshalText takes what has an answer.
func (s *Sample) UnmarshalText(text []byte) error {
	v := Sample(text)
	if _, err := v.Answer(); err != nil {
		return err
	}
	*s = v
	return nil
}

// ConfigSchema is a number, or drop.
func (Sample) ConfigSchema() component.Schema {
	return component.Schema{Kind: component.Number, Enum: []string{string(SampleDrop)}}
}

// Interface guards.
var _ encoding.TextUnmarshaler = (*Sample)(nil)
