package docs

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/riffletrace/riffle/core/sampling"
)

var powersOfTwo = regexp.MustCompile(`a power of two \(([0-9., ]+)\) has a whole weight`)

// The figures about weights that need no backend are those of riffle; tests of
// bench/interop check the others.
func TestWeightsFigures(t *testing.T) {
	const path = "docs/weights.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	threshold := func(p float64) sampling.Threshold {
		t.Helper()
		got, err := sampling.ThresholdFromProbability(p)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}

	tenth, hundredth := threshold(0.1), threshold(0.01)
	weight := strconv.FormatFloat(tenth.AdjustedCount(), 'f', 4, 64)
	for _, want := range []string{
		fmt.Sprintf("10 %% is %.4f %% and weighs %s", 100*tenth.Probability(), weight),
		"of 1 in 10, whose weight is " + weight,
		fmt.Sprintf("as `%s` is of 10 %%, and `%s` of 1 %%", tenth, hundredth),
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("%s does not say %q", path, want)
		}
	}

	found := powersOfTwo.FindStringSubmatch(string(page))
	if found == nil {
		t.Fatalf("%s names no powers of two", path)
	}
	for text := range strings.SplitSeq(found[1], ", ") {
		p, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		if got := threshold(p).AdjustedCount(); got != 1/p || got != float64(int(got)) {
			t.Errorf("%s: the weight of %s is %v, want a whole number", path, text, got)
		}
	}
}
