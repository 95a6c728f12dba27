package observability

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// StartAuthSpan starts the span auth.<operation> of an authentication: signup,
// signin, signout, oauth, magic_link or what else there is. It has the kind
// internal and the attribute auth.operation.
func StartAuthSpan(ctx context.Context, operation string) (context.Context, trace.Span) {
	s := start(trace.SpanKindInternal)
	s.set("auth.operation", operation)
	return s.span(ctx, trace.SpanKindInternal, spanName("auth", "", operation))
}

// StartStorageSpan starts the span storage.<operation> of an upload, a
// download or a delete in an object storage. It has the kind client and the
// attributes storage.operation, storage.bucket and storage.key.
func StartStorageSpan(ctx context.Context, operation, bucket, key string) (context.Context, trace.Span) {
	s := start(trace.SpanKindClient)
	s.set("storage.operation", operation)
	s.set("storage.bucket", bucket)
	s.set("storage.key", key)
	return s.span(ctx, trace.SpanKindClient, spanName("storage", "", operation))
}
