package bench_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/bench"
)

func TestMain(m *testing.M) {
	bench.Main(append(bench.TargetsOfTests(), helloTarget)...)
	goleak.VerifyTestMain(m)
}
