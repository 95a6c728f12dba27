// Package observability has the span helpers that an application calls: one
// function each for a database operation, a sign-in, an upload, an edge
// function, a background job and an HTTP request, with the names and
// attributes of OpenTelemetry's semantic conventions.
//
// The helpers make spans with the global TracerProvider, whichever that is.
// Where nothing records they cost what the SDK's own calls cost, and allocate
// nothing beyond them:
//
//	ctx, span := observability.StartDBSpan(ctx, "select", "users")
//	defer func() { observability.EndDBSpan(span, err) }()
//
// A helper that starts a span returns it, and whoever started it ends it. The
// others find the span in the context, and do nothing if it has none.
//
// [Middleware] makes the span of a request as otelhttp does, and measures it, at a fraction
// of the cost; [WithOtelhttp] has otelhttp do it. Between a handler and net/http stands a
// writer that has the optional interfaces of net/http's, and no others.
//
// The subpackages pgxtrace and sqltrace trace every query of pgx and of
// database/sql, with the same names.
package observability
