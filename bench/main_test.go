package bench_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/bench"
)

func TestMain(m *testing.M) {
	tests := func() int {
		goleak.VerifyTestMain(m) // exits
		return 0
	}
	os.Exit(bench.Main(tests, append(bench.TargetsOfTests(), helloTarget)...))
}
