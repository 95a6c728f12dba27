// Package sqltrace traces the statements of database/sql, with any driver for
// PostgreSQL. It stands on otelsql:
//
//	db, err := sqltrace.Open("pgx", url)
//
// Each statement is a span with the name and the attributes of
// [github.com/riffletrace/riffle/core/observability.StartDBSpan], and its text
// without literals as db.query.text; so are connect, prepare, begin, commit
// and rollback. Parameters are not recorded unless asked for.
package sqltrace

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"

	"github.com/XSAM/otelsql"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"

	"github.com/riffletrace/riffle/core/observability"
	"github.com/riffletrace/riffle/core/observability/internal/db"
)

// Option changes what is recorded.
type Option func(*options)

type options struct{ parameters, comments bool }

// WithParameters records the parameters of queries as db.query.parameter.<n>.
// They hold what users typed; think of passwords.
func WithParameters() Option { return func(o *options) { o.parameters = true } }

// WithComments carries the trace context to PostgreSQL in a comment behind
// each statement, as sqlcommenter does. It is then in pg_stat_activity and in
// the server's log. Each text is another then, so a driver that prepares
// statements by their text should not.
func WithComments() Option { return func(o *options) { o.comments = true } }

// Open is [sql.Open] with tracing.
func Open(driverName, dataSourceName string, opts ...Option) (*sql.DB, error) {
	pool, err := otelsql.Open(driverName, dataSourceName, settings(opts)...)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", driverName, err)
	}
	return pool, nil
}

// OpenDB is [sql.OpenDB] with tracing.
func OpenDB(connector driver.Connector, opts ...Option) *sql.DB {
	return otelsql.OpenDB(connector, settings(opts)...)
}

func settings(opts []Option) []otelsql.Option {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	return []otelsql.Option{
		otelsql.WithTracerProvider(tracers{}),
		otelsql.WithSpanNameFormatter(spanName),
		otelsql.WithAttributesGetter(o.attributes),
		otelsql.WithSQLCommenter(o.comments),
		otelsql.WithTextMapPropagator(propagation.TraceContext{}),
		otelsql.WithSpanOptions(otelsql.SpanOptions{
			DisableQuery:         true, // its text has the literals
			DisableErrSkip:       true,
			OmitConnResetSession: true,
			OmitRows:             true,
			SpanFilter:           wanted,
		}),
	}
}

// operations are the names of what is no statement.
var operations = map[otelsql.Method]string{
	otelsql.MethodConnectorConnect: "connect",
	otelsql.MethodConnPrepare:      "prepare",
	otelsql.MethodConnBeginTx:      "begin",
	otelsql.MethodTxCommit:         "commit",
	otelsql.MethodTxRollback:       "rollback",
}

func statement(method otelsql.Method, query string) db.Description {
	st := db.Describe(query)
	if operation, ok := operations[method]; ok {
		st.Operation = operation
	}
	return st
}

func spanName(_ context.Context, method otelsql.Method, query string) string {
	return "db." + statement(method, query).Operation
}

// wanted leaves out connections that nobody waits for: what the pool opens
// ahead is no trace of its own.
func wanted(ctx context.Context, method otelsql.Method, _ string, _ []driver.NamedValue) bool {
	return method != otelsql.MethodConnectorConnect || trace.SpanContextFromContext(ctx).IsValid()
}

// attributes is asked about spans that are recorded.
func (o *options) attributes(_ context.Context, method otelsql.Method, query string, args []driver.NamedValue) []attribute.KeyValue {
	st := statement(method, query)
	attrs := db.Chosen().Append(make([]attribute.KeyValue, 0, 8), st.Operation, st.Table)
	if query != "" {
		attrs = append(attrs, st.Text())
	}
	if o.parameters {
		for _, arg := range args {
			attrs = append(attrs, db.Parameter(arg.Ordinal, arg.Value))
		}
	}
	return attrs
}

// tracers makes the spans that otelsql works with: those of the helpers.
type tracers struct{ embedded.TracerProvider }

func (tracers) Tracer(string, ...trace.TracerOption) trace.Tracer { return tracer{} }

type tracer struct{ embedded.Tracer }

// Start starts a span. The one in the context is the provider's own.
func (tracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	ctx, s := observability.StartSpan(ctx, name, opts...)
	return ctx, span{s}
}

// span records errors as the helpers do.
type span struct{ trace.Span }

func (s span) RecordError(err error, _ ...trace.EventOption) { db.RecordError(s.Span, err) }

// SetStatus does nothing: otelsql sets it beside an error, without saying why.
func (span) SetStatus(codes.Code, string) {}
