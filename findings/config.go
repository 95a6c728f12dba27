package findings

import (
	"errors"
	"fmt"
	"time"

	"github.com/riffletrace/riffle/core/component"
)

// Config is the thresholds. The zero value is none: start with [Defaults].
type Config struct {
	NPlusOne         NPlusOneConfig         `yaml:"n_plus_one"`
	SequentialCalls  SequentialCallsConfig  `yaml:"sequential_calls"`
	SlowQuery        SlowQueryConfig        `yaml:"slow_query"`
	SlowExternalCall SlowExternalCallConfig `yaml:"slow_external_call"`
	Retry            RetryConfig            `yaml:"retry"`
	Gap              GapConfig              `yaml:"gap"`
	FanOut           FanOutConfig           `yaml:"fan_out"`
	Chatty           ChattyConfig           `yaml:"chatty"`
	ClockSkew        ClockSkewConfig        `yaml:"clock_skew"`
	LargeAttribute   LargeAttributeConfig   `yaml:"large_attribute"`
	Examples         int                    `yaml:"examples" doc:"how many traces, and spans of the first of them, a finding names"`
}

// NPlusOneConfig is the thresholds of [NPlusOne].
type NPlusOneConfig struct {
	MinCalls int `yaml:"min_calls" doc:"how many calls of one shape in a row"`
}

// SequentialCallsConfig is the thresholds of [SequentialCalls].
type SequentialCallsConfig struct {
	MinCalls int                `yaml:"min_calls" doc:"how many different targets"`
	MinCost  component.Duration `yaml:"min_cost" doc:"what the calls would save side by side"`
}

// SlowQueryConfig is the threshold of [SlowQuery].
type SlowQueryConfig struct {
	MinDuration component.Duration `yaml:"min_duration" doc:"how long a call of a database takes"`
}

// SlowExternalCallConfig is the threshold of [SlowExternalCall].
type SlowExternalCallConfig struct {
	MinDuration component.Duration `yaml:"min_duration" doc:"how long a call takes"`
}

// RetryConfig is the threshold of [Retry].
type RetryConfig struct {
	Storm int `yaml:"storm" doc:"how many repetitions below one parent are a storm"`
}

// GapConfig is the thresholds of [Gap]; both have to be reached.
type GapConfig struct {
	MinDuration component.Duration `yaml:"min_duration" doc:"how much time of a span is in no child"`
	MinShare    float64            `yaml:"min_share" doc:"which share of the span that is"`
}

// FanOutConfig is the threshold of [FanOut].
type FanOutConfig struct {
	MinConcurrent int `yaml:"min_concurrent" doc:"how many calls are open at once"`
}

// ChattyConfig is the threshold of [Chatty].
type ChattyConfig struct {
	MinCalls int `yaml:"min_calls" doc:"how many calls to one service"`
}

// ClockSkewConfig is the threshold of [ClockSkew].
type ClockSkewConfig struct {
	MinSkew component.Duration `yaml:"min_skew" doc:"how far a server span is outside of its client span"`
}

// LargeAttributeConfig is the threshold of [LargeAttribute].
type LargeAttributeConfig struct {
	MinSize component.Size `yaml:"min_size" doc:"how long a text is"`
}

// Defaults returns the thresholds that nobody has set.
func Defaults() Config {
	ms := func(n int) component.Duration { return component.Duration(n) * component.Duration(time.Millisecond) }
	return Config{
		NPlusOne:         NPlusOneConfig{MinCalls: 5},
		SequentialCalls:  SequentialCallsConfig{MinCalls: 2, MinCost: ms(5)},
		SlowQuery:        SlowQueryConfig{MinDuration: ms(100)},
		SlowExternalCall: SlowExternalCallConfig{MinDuration: ms(500)},
		Retry:            RetryConfig{Storm: 5},
		Gap:              GapConfig{MinDuration: ms(100), MinShare: 0.25},
		FanOut:           FanOutConfig{MinConcurrent: 10},
		Chatty:           ChattyConfig{MinCalls: 10},
		ClockSkew:        ClockSkewConfig{MinSkew: ms(5)},
		LargeAttribute:   LargeAttributeConfig{MinSize: 8 << 10},
		Examples:         5,
	}
}

// Check returns what is wrong with the thresholds: [component.FieldError]s, joined.
func (c *Config) Check() error {
	var errs []error
	mistake := func(path, format string, args ...any) {
		errs = append(errs, &component.FieldError{Path: path, Err: fmt.Errorf(format, args...)})
	}
	atLeast := func(path string, got, want int) {
		if got < want {
			mistake(path, "%d: want %d or more", got, want)
		}
	}
	notBelow0 := func(path string, got component.Duration) {
		if got < 0 {
			mistake(path, "%s: want 0s or more", got)
		}
	}
	atLeast("n_plus_one.min_calls", c.NPlusOne.MinCalls, 2)
	atLeast("sequential_calls.min_calls", c.SequentialCalls.MinCalls, 2)
	notBelow0("sequential_calls.min_cost", c.SequentialCalls.MinCost)
	notBelow0("slow_query.min_duration", c.SlowQuery.MinDuration)
	notBelow0("slow_external_call.min_duration", c.SlowExternalCall.MinDuration)
	atLeast("retry.storm", c.Retry.Storm, 1)
	notBelow0("gap.min_duration", c.Gap.MinDuration)
	if !(c.Gap.MinShare >= 0 && c.Gap.MinShare <= 1) { // NaN too
		mistake("gap.min_share", "%v: want 0 to 1", c.Gap.MinShare)
	}
	atLeast("fan_out.min_concurrent", c.FanOut.MinConcurrent, 2)
	atLeast("chatty.min_calls", c.Chatty.MinCalls, 2)
	notBelow0("clock_skew.min_skew", c.ClockSkew.MinSkew)
	if c.LargeAttribute.MinSize < 1 {
		mistake("large_attribute.min_size", "%s: want 1B or more", c.LargeAttribute.MinSize)
	}
	atLeast("examples", c.Examples, 1)
	return errors.Join(errs...)
}
