package stats

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		in   []float64
		want float64
	}{
		{[]float64{3}, 3},
		{[]float64{3, 1}, 2},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := Median(test.in); got != test.want {
			t.Errorf("Median(%v) = %v, want %v", test.in, got, test.want)
		}
	}
	if !math.IsNaN(Median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

// Of rounds drawn from a distribution whose median is known, the interval must
// have it about as often as it says. Bootstraps of few rounds fall a little short.
func TestBootstrapCoverage(t *testing.T) {
	const trials, rounds = 400, 20
	random := rand.New(rand.NewPCG(7, 7))
	covered := 0
	for range trials {
		values := make([]float64, rounds)
		for i := range values {
			values[i] = math.Exp(random.NormFloat64()) // skewed; its median is 1
		}
		if e := MedianOf(values); e.Low <= 1 && 1 <= e.High {
			covered++
		}
	}
	if share := float64(covered) / trials; share < 0.90 || share > 0.99 {
		t.Errorf("%.3f of the intervals have the median in them, want about 0.95", share)
	}
}

func TestBootstrap(t *testing.T) {
	values := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}
	e := MedianOf(values)
	if e != MedianOf(values) {
		t.Error("the same rounds give another interval")
	}
	if e.Value != 5 || e.Low >= 5 || e.High <= 5 || e.Low < 1 || e.High > 9 {
		t.Errorf("%+v", e)
	}
	if !e.Resolves(0) || e.Resolves(5) {
		t.Errorf("%+v resolves 0: %v, 5: %v", e, e.Resolves(0), e.Resolves(5))
	}
	if one := MedianOf([]float64{3}); one.Value != 3 || one.Resolves(0) {
		t.Errorf("one round resolves something: %+v", one)
	}
	if none := MedianOf(nil); none.Known() {
		t.Errorf("no round is known: %+v", none)
	}
	if same := MedianOf([]float64{2, 2, 2, 2, 2, 2}); same != (Estimate{2, 2, 2}) {
		t.Errorf("%+v", same)
	}
	if few := MedianOf([]float64{1, 2, 3, 4, 5}); few.Bounded() || few.Times(2) != Unbounded(6) {
		t.Errorf("five rounds have an interval: %+v, twice: %+v", few, few.Times(2))
	}
	if twice := e.Times(2); twice != (Estimate{2 * e.Value, 2 * e.Low, 2 * e.High}) {
		t.Errorf("twice %+v is %+v", e, twice)
	}
}

func TestHistogram(t *testing.T) {
	var h, other Histogram
	for i := 1; i <= 1000; i++ {
		to := &h
		if i%2 == 0 {
			to = &other
		}
		to.Add(time.Duration(i) * time.Millisecond)
	}
	h.Merge(other)
	if h.Total() != 1000 {
		t.Fatalf("total %d", h.Total())
	}
	for _, test := range []struct {
		q    float64
		want time.Duration
	}{{0.5, 500 * time.Millisecond}, {0.99, 990 * time.Millisecond}, {0.999, time.Second}, {1, time.Second}} {
		got := h.Quantile(test.q)
		if off := math.Abs(float64(got-test.want)) / float64(test.want); off > 0.02 {
			t.Errorf("quantile %v: %v, want %v within 2 %%", test.q, got, test.want)
		}
	}
	if (&Histogram{}).Quantile(0.5) != 0 {
		t.Error("an empty histogram has quantiles")
	}
}

// A bucket ends where the next begins.
func TestBuckets(t *testing.T) {
	for us := range 1_000_000 {
		d := time.Duration(us) * time.Microsecond
		b := bucket(d)
		if upper(b) <= d || b > 0 && upper(b-1) > d {
			t.Fatalf("%v is in bucket %d, from %v to %v", d, b, upper(b-1), upper(b))
		}
	}
}
