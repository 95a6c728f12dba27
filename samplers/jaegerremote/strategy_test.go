package jaegerremote

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	many := make([]string, 2010)
	for i := range many {
		many[i] = fmt.Sprintf(`{"operation":"op %d","probabilisticSampling":{"samplingRate":0.5}}`, i)
	}
	long := strings.Repeat("x", maxOperation+1)
	for _, tt := range []struct {
		name, text string
		want       *strategy
		err        string
	}{
		{name: "number", text: `{"strategyType":0,"probabilisticSampling":{"samplingRate":0.25}}`, want: &strategy{probability: 0.25}},
		{name: "name", text: `{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":1}}`, want: &strategy{probability: 1}},
		{name: "no type", text: `{"probabilisticSampling":{"samplingRate":0.5},"rateLimitingSampling":null}`, want: &strategy{probability: 0.5}},
		{name: "nothing is zero", text: `{"strategyType":"PROBABILISTIC","probabilisticSampling":{}}`, want: &strategy{}},
		{name: "rate as a number", text: `{"strategyType":1,"rateLimitingSampling":{"maxTracesPerSecond":100}}`, want: &strategy{limited: true, perSecond: 100}},
		{name: "rate as a name", text: `{"strategyType":"RATE_LIMITING","rateLimitingSampling":{"maxTracesPerSecond":3}}`, want: &strategy{limited: true, perSecond: 3}},
		{name: "rate without its type", text: `{"rateLimitingSampling":{"maxTracesPerSecond":3}}`, want: &strategy{limited: true, perSecond: 3}},
		{
			name: "both", text: `{"strategyType":"RATE_LIMITING","probabilisticSampling":{"samplingRate":0.5},"rateLimitingSampling":{"maxTracesPerSecond":3}}`,
			want: &strategy{limited: true, perSecond: 3},
		},
		{
			name: "operations",
			text: `{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":0.8},"operationSampling":{"defaultSamplingProbability":0.2,
				"defaultLowerBoundTracesPerSecond":0.5,"defaultUpperBoundTracesPerSecond":9,
				"perOperationStrategies":[{"operation":"a","probabilisticSampling":{"samplingRate":0.4}},{"operation":"","probabilisticSampling":{"samplingRate":1}},
				{"operation":"a","probabilisticSampling":{"samplingRate":0.6}}]}}`,
			want: &strategy{probability: 0.2, atLeast: 0.5, operations: map[string]float64{"a": 0.6, "": 1}},
		},
		{
			name: "a long name", text: `{"operationSampling":{"perOperationStrategies":[{"operation":"` + long + `","probabilisticSampling":{"samplingRate":1}}]}}`,
			want: &strategy{operations: map[string]float64{}, left: 1},
		},
		{name: "above one", text: `{"probabilisticSampling":{"samplingRate":1.5}}`, err: "samplingRate: 1.5 is not a probability: want a number from 0 to 1"},
		{name: "negative", text: `{"probabilisticSampling":{"samplingRate":-0.1}}`, err: "samplingRate: -0.1 is not a probability: want a number from 0 to 1"},
		{name: "NaN", text: `{"probabilisticSampling":{"samplingRate":NaN}}`, err: "not a sampling strategy: invalid character 'N' looking for beginning of value"},
		{name: "negative rate", text: `{"rateLimitingSampling":{"maxTracesPerSecond":-1}}`, err: "maxTracesPerSecond: -1 is not a rate: want a number from 0 to 2147483647"},
		{name: "huge rate", text: `{"rateLimitingSampling":{"maxTracesPerSecond":1e300}}`, err: "maxTracesPerSecond: 1e+300 is not a rate: want a number from 0 to 2147483647"},
		{
			name: "an operation above one", text: `{"operationSampling":{"perOperationStrategies":[{"operation":"a","probabilisticSampling":{"samplingRate":2}}]}}`,
			err: "perOperationStrategies[0].samplingRate: 2 is not a probability: want a number from 0 to 1",
		},
		{name: "an operation without", text: `{"operationSampling":{"perOperationStrategies":[{"operation":"a"}]}}`, err: "perOperationStrategies[0] has no probabilisticSampling"},
		{name: "lower bound", text: `{"operationSampling":{"defaultLowerBoundTracesPerSecond":-2}}`, err: "defaultLowerBoundTracesPerSecond: -2 is not a rate: want a number from 0 to 2147483647"},
		{name: "unknown type", text: `{"strategyType":"ADAPTIVE"}`, err: "not a sampling strategy: strategyType is neither PROBABILISTIC nor RATE_LIMITING"},
		{name: "none", text: `{"strategyType":"PROBABILISTIC"}`, err: "it has no strategy"},
		{name: "two", text: `{"probabilisticSampling":{}}{}`, err: "not a sampling strategy: something follows the JSON value"},
		{name: "empty", text: ``, err: "not a sampling strategy: EOF"},
		{name: "HTML", text: `<html>`, err: "not a sampling strategy: invalid character '<' looking for beginning of value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parse([]byte(tt.text))
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Fatalf("got  %v\nwant %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(strategy{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	s, err := parse([]byte(`{"operationSampling":{"perOperationStrategies":[` + strings.Join(many, ",") + `]}}`))
	if err != nil || len(s.operations) != maxOperations || s.left != len(many)-maxOperations {
		t.Errorf("of many operations, %d are there and %d left, %v", len(s.operations), s.left, err)
	}
}

// FuzzParse: whatever a server says, there is a strategy that can be followed, or an
// error.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		`{"strategyType":0,"probabilisticSampling":{"samplingRate":0.25}}`, `{"strategyType":"RATE_LIMITING","rateLimitingSampling":{"maxTracesPerSecond":5}}`,
		`{"operationSampling":{"defaultSamplingProbability":0.2,"defaultLowerBoundTracesPerSecond":1e-9,"perOperationStrategies":[{"operation":"a","probabilisticSampling":{"samplingRate":1e-99}}]}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parse(text)
		if err != nil {
			return
		}
		r := newRules(s, nil)
		for _, name := range []string{"a", "", strings.Repeat("x", maxOperation+1)} {
			a := r.answer(name)
			th, ok := a.Threshold()
			if p := th.Probability(); !a.IsThreshold() || !ok || math.IsNaN(p) || p < 0 || p > 1 {
				t.Errorf("the answer about %q is %v", name, a)
			}
		}
	})
}
