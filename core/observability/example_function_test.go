package observability_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/observability"
)

func runFunction(ctx context.Context, cmd *exec.Cmd) {
	ctx, span := observability.StartFunctionSpan(ctx, observability.FunctionSpanConfig{
		ExecutionID: "e-1",
		Name:        "resize",
		Namespace:   "images",
		UserID:      "u-1",
		Method:      "POST",
		URL:         "https://example.com/functions/v1/resize",
	})
	defer span.End()

	cmd.Env = append(os.Environ(), observability.FlattenEnv(observability.GetTraceContextEnv(ctx))...)
	observability.AddFunctionEvent(ctx, "function.spawned", attribute.String("function.runtime", "node"))
	start := time.Now()
	status, err := serve(ctx, cmd)
	observability.SetFunctionResult(ctx, status, time.Since(start).Round(time.Second), err)
}

// serve is where the function would run.
func serve(context.Context, *exec.Cmd) (int, error) { return 404, nil }

func ExampleStartFunctionSpan() {
	show(func(ctx context.Context) { runFunction(ctx, &exec.Cmd{}) })
	// Output:
	// function.images.resize (server)
	//   function.duration_ms = 0
	//   function.execution_id = e-1
	//   function.name = resize
	//   function.namespace = images
	//   http.method = POST
	//   http.request.method = POST
	//   http.response.status_code = 404
	//   http.status_code = 404
	//   http.url = https://example.com/functions/v1/resize
	//   url.full = https://example.com/functions/v1/resize
	//   user.id = u-1
	//   event function.spawned
	//     function.runtime = node
	//   status Error: HTTP status 404
}

func ExampleContextFromEnv() {
	environ := []string{"TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"} // os.Environ() in the process
	show(func(ctx context.Context) {
		ctx, span := observability.StartSpan(observability.ContextFromEnv(ctx, environ), "main")
		defer span.End()
		fmt.Println(observability.ExtractTraceID(ctx))
	})
	// Output:
	// 4bf92f3577b34da6a3ce929d0e0e4736
	// main (internal)
}
