package observability

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/observability/internal/db"
	"github.com/riffletrace/riffle/internal/bound"
)

// StartDBSpan starts the span of an operation on a table of PostgreSQL; table
// may be empty. The span is called db.<operation> and has the kind client.
//
// It has the attributes db.system, db.operation and db.table. The environment
// variable OTEL_SEMCONV_STABILITY_OPT_IN, read once, changes that: "database"
// replaces them by the stable db.system.name, db.operation.name and
// db.collection.name; "database/dup" sets both.
//
// End it with [EndDBSpan].
func StartDBSpan(ctx context.Context, operation, table string) (context.Context, trace.Span) {
	s := start(trace.SpanKindClient)
	s.n = len(db.Chosen().Append(s.attrs[:0], bound.Default.Text(operation), bound.Default.Text(table)))
	return s.span(ctx, trace.SpanKindClient, spanName("db", "", operation))
}

// EndDBSpan ends the span of a database operation. An err makes it an error,
// with its SQLSTATE as db.response.status_code and error.type; but that there
// are no rows (sql.ErrNoRows, which is pgx.ErrNoRows too) is no failure.
// Where PostgreSQL quotes the value that it complains about, the span has a
// question mark.
func EndDBSpan(span trace.Span, err error) {
	db.RecordError(span, err)
	span.End()
}
