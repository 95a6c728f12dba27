package observability_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/observability"
)

type storedJob struct {
	ID    string
	Trace map[string]string // stored as JSON
}

func enqueue(ctx context.Context, id string) storedJob {
	return storedJob{ID: id, Trace: observability.InjectMap(ctx)}
}

func work(ctx context.Context, job storedJob) {
	ctx = observability.ExtractMap(ctx, job.Trace)
	ctx, span := observability.StartJobSpan(ctx, observability.JobSpanConfig{
		JobID: job.ID, JobName: "invoice", Namespace: "billing", Priority: 5,
		ScheduledAt: "2026-03-01T12:00:00Z", WorkerID: "w-1", WorkerName: "worker-1", UserID: "u-1",
	})
	defer span.End()

	start := time.Now()
	observability.AddJobEvent(ctx, "job.claimed", attribute.Int("job.attempt", 2))
	observability.SetJobProgress(ctx, 50, "rendered")
	err := errors.New("printer on fire")
	observability.SetJobResult(ctx, "failed", time.Since(start).Round(time.Second), err)
}

func ExampleStartJobSpan() {
	show(func(ctx context.Context) {
		ctx, request := observability.StartSpan(ctx, "request")
		job := enqueue(ctx, "j-1")
		request.End()
		work(context.Background(), job)
	})
	// Output:
	// request (internal)
	// job.billing.invoice (consumer)
	//   job.duration_ms = 0
	//   job.id = j-1
	//   job.name = invoice
	//   job.namespace = billing
	//   job.priority = 5
	//   job.scheduled_at = 2026-03-01T12:00:00Z
	//   job.status = failed
	//   user.id = u-1
	//   worker.id = w-1
	//   worker.name = worker-1
	//   event job.claimed
	//     job.attempt = 2
	//   event job.progress
	//     job.progress_message = rendered
	//     job.progress_percent = 50
	//   event exception
	//     exception.message = printer on fire
	//     exception.type = *errors.errorString
	//   status Error: printer on fire
}

func ExampleAsLink() {
	show(func(ctx context.Context) {
		request, span := observability.StartSpan(ctx, "request")
		job := enqueue(request, "j-1")
		span.End()

		ctx = observability.AsLink(observability.ExtractMap(ctx, job.Trace))
		ctx, span = observability.StartJobSpan(ctx, observability.JobSpanConfig{JobID: job.ID, JobName: "nightly"})
		defer span.End()
		fmt.Println("another trace:", observability.ExtractTraceID(ctx) != observability.ExtractTraceID(request))
	})
	// Output:
	// request (internal)
	// another trace: true
	// job.nightly (consumer)
	//   job.id = j-1
	//   job.name = nightly
	//   job.priority = 0
}
