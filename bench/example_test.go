package bench

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

// helloTarget is a service of one's own.
var helloTarget = Target{
	Name: "hello",
	Handler: func(_ context.Context, s Service) (http.Handler, func(), error) {
		hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
		return otelhttp.NewHandler(hello, "GET /hello", otelhttp.WithTracerProvider(s.Tracers)), nil, nil
	},
	Requests: []Request{{Path: "/hello"}},
	Rounds:   1,
	Duration: 50 * time.Millisecond, // leave both out for figures that say something
	Variants: []Variant{{Name: "off", Kind: Off}, StockAt(1, HTTP)},
}

// What tracing costs a handler of yours. TestMain, or main, must begin with
// bench.Main(helloTarget).
func ExampleRun() {
	result, err := Run(context.Background(), helloTarget)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	traced, _ := result.Variant("stock 100 %")
	overhead, _ := result.Overhead(traced)
	fmt.Println(overhead.Value != 0, traced.Complete())
	// Output: true true
}
