package bench_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/riffletrace/riffle/bench"
	"github.com/riffletrace/riffle/bench/report"
)

// hello is a service of one's own.
func hello(_ context.Context, s bench.Service) (handler http.Handler, end func(), err error) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	return otelhttp.NewHandler(h, "GET /hello", otelhttp.WithTracerProvider(s.Tracers)), nil, nil
}

var helloTarget = bench.Target{
	Name:     "hello",
	Handler:  hello,
	Requests: []bench.Request{{Path: "/hello"}},
	Rounds:   1,
	Duration: 50 * time.Millisecond, // leave both out for figures that say something
}

// What tracing costs a handler of yours. TestMain, or main, must be
// os.Exit(bench.Main(m.Run, helloTarget)).
func ExampleRun() {
	result, err := bench.Run(context.Background(), helloTarget)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	if err := report.Text(os.Stderr, result); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	for i := range result.Variants {
		fmt.Println(result.Variants[i].Name, "lost", result.Variants[i].Lost())
	}
	// Output:
	// off lost 0
	// riffle 1 % + error + slow lost 0
	// riffle 100 % lost 0
	// stock 10 % lost 0
	// stock 100 % lost 0
	// floor lost 0
}
