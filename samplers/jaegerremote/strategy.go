package jaegerremote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"strconv"

	"github.com/riffletrace/riffle/core/sampling"
)

const (
	// maxOperations is how many operations have a probability of their own, and how
	// many are guaranteed a rate each; the others share what is theirs.
	maxOperations = 2000
	// maxOperation bounds the name of one. Longer ones are among the others.
	maxOperation = 1 << 10
)

// strategy is what a service is told to do.
type strategy struct {
	// limited tells that perSecond is all that there is.
	limited   bool
	perSecond float64 // traces to keep at most; 0 keeps none

	// probability is for operations that are not listed.
	probability float64
	operations  map[string]float64
	// atLeast is how many traces of each operation are kept a second, if there are as
	// many; 0 guarantees nothing.
	atLeast float64

	// left is how many operations were too many, or had too long a name.
	left int
}

func (s *strategy) equal(o *strategy) bool {
	return s.limited == o.limited && s.perSecond == o.perSecond && s.probability == o.probability && s.atLeast == o.atLeast &&
		s.left == o.left && maps.Equal(s.operations, o.operations)
}

// response is what Jaeger answers, as Protobuf or Thrift is written as JSON.
// Source: https://github.com/jaegertracing/jaeger-idl/blob/main/proto/api_v2/sampling.proto
type response struct {
	StrategyType          strategyType           `json:"strategyType"`
	ProbabilisticSampling *probabilisticSampling `json:"probabilisticSampling"`
	RateLimitingSampling  *struct {
		MaxTracesPerSecond float64 `json:"maxTracesPerSecond"`
	} `json:"rateLimitingSampling"`
	OperationSampling *struct {
		DefaultSamplingProbability       float64 `json:"defaultSamplingProbability"`
		DefaultLowerBoundTracesPerSecond float64 `json:"defaultLowerBoundTracesPerSecond"`
		PerOperationStrategies           []struct {
			Operation             string                 `json:"operation"`
			ProbabilisticSampling *probabilisticSampling `json:"probabilisticSampling"`
		} `json:"perOperationStrategies"`
	} `json:"operationSampling"`
}

type probabilisticSampling struct {
	SamplingRate float64 `json:"samplingRate"`
}

// strategyType is a number in Thrift, and a name, which is left out if it is the
// first one, or a number in Protobuf.
type strategyType int

const (
	probabilistic strategyType = iota
	rateLimiting
)

// UnmarshalJSON reads either form.
func (t *strategyType) UnmarshalJSON(text []byte) error {
	switch string(text) {
	case "0", `"PROBABILISTIC"`, "null":
		*t = probabilistic
	case "1", `"RATE_LIMITING"`:
		*t = rateLimiting
	default:
		return errors.New("strategyType is neither PROBABILISTIC nor RATE_LIMITING")
	}
	return nil
}

// parse reads a response. Operations go before a probability, and that before a rate,
// unless strategyType says otherwise.
func parse(text []byte) (*strategy, error) {
	var r response
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("not a sampling strategy: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not a sampling strategy: something follows the JSON value")
	}
	s := &strategy{}
	var rates rateChecker
	p, l := r.ProbabilisticSampling, r.RateLimitingSampling
	switch ops := r.OperationSampling; {
	case ops != nil:
		s.probability = rates.probability("defaultSamplingProbability", ops.DefaultSamplingProbability)
		s.atLeast = rates.perSecond("defaultLowerBoundTracesPerSecond", ops.DefaultLowerBoundTracesPerSecond)
		s.operations = map[string]float64{}
		for i, op := range ops.PerOperationStrategies {
			at := "perOperationStrategies[" + strconv.Itoa(i) + "]"
			if op.ProbabilisticSampling == nil {
				return nil, fmt.Errorf("%s has no probabilisticSampling", at)
			}
			rate := rates.probability(at+".samplingRate", op.ProbabilisticSampling.SamplingRate)
			if _, again := s.operations[op.Operation]; len(op.Operation) > maxOperation || !again && len(s.operations) == maxOperations {
				s.left++
				continue
			}
			s.operations[op.Operation] = rate
		}
	case p != nil && (l == nil || r.StrategyType == probabilistic):
		s.probability = rates.probability("samplingRate", p.SamplingRate)
	case l != nil:
		s.limited, s.perSecond = true, rates.perSecond("maxTracesPerSecond", l.MaxTracesPerSecond)
	default:
		return nil, errors.New("it has no strategy")
	}
	return s, rates.err
}

// rateChecker keeps the first mistake.
type rateChecker struct{ err error }

func (c *rateChecker) probability(what string, p float64) float64 {
	if _, err := sampling.ThresholdFromProbability(p); err != nil && c.err == nil {
		c.err = fmt.Errorf("%s: %w", what, err)
	}
	return p
}

func (c *rateChecker) perSecond(what string, v float64) float64 {
	if !(v >= 0 && v <= math.MaxInt32) && c.err == nil {
		c.err = fmt.Errorf("%s: %v is not a rate: want a number from 0 to %d", what, v, math.MaxInt32)
	}
	return v
}
