package sampling_test

import (
	"testing"

	"github.com/riffletrace/riffle/core/sampling"
)

func TestSample(t *testing.T) {
	for text, want := range map[string]string{
		"drop": "drop",
		"1":    "threshold 0",
		"1.0":  "threshold 0",
		"0.25": "threshold c",
		"0":    "threshold never",
	} {
		var s sampling.Sample
		if err := s.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if a, err := s.Answer(); err != nil || a.String() != want {
			t.Errorf("%q answers %v, %v, want %s", text, a, err, want)
		}
	}
	for text, want := range map[string]string{
		"":     "missing: want drop, or the share of the traces to keep, 0 to 1",
		"Drop": `"Drop" is neither drop nor a number from 0 to 1`,
		"keep": `"keep" is neither drop nor a number from 0 to 1`,
		"1.5":  `"1.5" is neither drop nor a number from 0 to 1`,
		"-1":   `"-1" is neither drop nor a number from 0 to 1`,
		"nan":  `"nan" is neither drop nor a number from 0 to 1`,
	} {
		s := sampling.SampleDrop
		if err := s.UnmarshalText([]byte(text)); err == nil || err.Error() != want || s != sampling.SampleDrop {
			t.Errorf("%q: %v (now %q), want %s", text, err, s, want)
		}
		if a, err := sampling.Sample(text).Answer(); err == nil || !a.IsAbstain() {
			t.Errorf("%q answers %v, %v", text, a, err)
		}
	}
}
