package observability

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/internal/bound"
)

// JobSpanConfig says which run of a background job a span is of. What is empty
// is left out.
type JobSpanConfig struct {
	JobID       string
	JobName     string
	Namespace   string
	Priority    int
	ScheduledAt string // RFC 3339
	WorkerID    string
	WorkerName  string
	UserID      string
}

// StartJobSpan starts the span of a background job. It is called
// job.<namespace>.<name>, job.<name> without a namespace, and has the kind
// consumer. With [ExtractMap] it is in the trace of what enqueued the job,
// with [AsLink] in one of its own.
func StartJobSpan(ctx context.Context, cfg JobSpanConfig) (context.Context, trace.Span) {
	s := start(trace.SpanKindConsumer)
	s.set("job.id", cfg.JobID)
	s.set("job.name", cfg.JobName)
	s.set("job.namespace", cfg.Namespace)
	s.add(attribute.Int("job.priority", cfg.Priority))
	s.set("job.scheduled_at", cfg.ScheduledAt)
	s.set("worker.id", cfg.WorkerID)
	s.set("worker.name", cfg.WorkerName)
	s.set("user.id", cfg.UserID)
	name := spanName("job", cfg.Namespace, cfg.JobName)
	if to, ok := linkFrom(ctx); ok {
		return s.linked(ctx, trace.SpanKindConsumer, name, to)
	}
	return s.span(ctx, trace.SpanKindConsumer, name)
}

// AddJobEvent adds an event to the job's span in ctx.
func AddJobEvent(ctx context.Context, name string, attrs ...attribute.KeyValue) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.AddEvent(name, trace.WithAttributes(bounded(attrs)...))
	}
}

// SetJobProgress adds the event job.progress to the job's span in ctx.
func SetJobProgress(ctx context.Context, percent int, message string) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.AddEvent("job.progress", trace.WithAttributes(
			attribute.Int("job.progress_percent", percent),
			attribute.String("job.progress_message", bound.Default.Text(message)),
		))
	}
}

// SetJobResult says how the job in ctx ended, as job.status and
// job.duration_ms. An err, or the status failed or cancelled, makes the span
// an error. The span does not end.
func SetJobResult(ctx context.Context, status string, d time.Duration, err error) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(
		attribute.String("job.status", bound.Default.Text(status)),
		attribute.Int64("job.duration_ms", d.Milliseconds()),
	)
	switch {
	case err != nil:
		RecordError(ctx, err)
	case status == "failed", status == "cancelled":
		span.SetStatus(codes.Error, "job "+status)
	}
}
